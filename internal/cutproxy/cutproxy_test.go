package cutproxy_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cutproxy"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, k *cutproxy.Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", k.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// broken: the connection's other end has closed it.
func broken(c net.Conn) bool {
	_, err := io.ReadFull(c, make([]byte, 1))
	nerr, ok := err.(net.Error)
	return err != nil && !(ok && nerr.Timeout())
}

func TestLink(t *testing.T) {
	for name, carry := range map[string]cutproxy.Carry{"at once": nil, "slow": cutproxy.Slow(1<<20, time.Millisecond)} {
		t.Run(name, func(t *testing.T) {
			k, err := cutproxy.Start(echo(t), carry)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			through := func() net.Conn {
				t.Helper()
				c := dial(t, k)
				sent := bytes.Repeat([]byte("0123456789abcdef"), 2<<10)
				go func() { _, _ = c.Write(sent) }()
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("other bytes came back: %v", err)
				}
				return c
			}
			c := through()
			k.Cut()
			if k.Up() || !broken(c) || !broken(dial(t, k)) {
				t.Error("a connection passes a line that is cut")
			}
			k.Restore()
			if !k.Up() {
				t.Error("the line is still cut")
			}
			c = through()
			k.Close()
			if !broken(c) {
				t.Error("a connection outlives its line")
			}
		})
	}
}

// TestNobodyThere: a target that refuses is the end of the connection, not a wait.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	k, err := cutproxy.Start(l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if !broken(dial(t, k)) {
		t.Error("the connection stays")
	}
}

// TestSlow: what has passed took at least as long as the rate and the delay want.
func TestSlow(t *testing.T) {
	k, err := cutproxy.Start(echo(t), cutproxy.Slow(100_000, 20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	c := dial(t, k)
	began := time.Now()
	const n = 20_000
	go func() { _, _ = c.Write(make([]byte, n)) }()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond+2*20*time.Millisecond {
		t.Errorf("%d bytes there and back took %v", n, took)
	}
}
