package e2e_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cutproxy"
)

// wireLink is a TCP proxy in front of an MQTT broker that understands the packets which pass and does to some of them
// what networks, proxies and brokers do: drop, delay, double, reorder. It can also be cut.
type wireLink struct {
	*cutproxy.Link

	mu     sync.Mutex // guards what follows
	rng    *rand.Rand
	fault  wireFault
	counts map[string]int // by "what TYPE"
}

// wireFault says with which probability a packet of one of the types is treated how.
type wireFault struct {
	types                    []byte
	drop, double, swap, hold float64
	holdFor                  time.Duration // of the packet and all behind it
}

// The packet types that faults are about: the rest is a connection's beginning and end.
const (
	mqttPublish  = 3
	mqttPuback   = 4
	mqttSuback   = 9
	mqttPingresp = 13
)

const swapWait = 200 * time.Millisecond // a packet that no other one follows goes on after that

func packetName(t byte) string {
	return map[byte]string{mqttPublish: "PUBLISH", mqttPuback: "PUBACK", mqttSuback: "SUBACK", mqttPingresp: "PINGRESP"}[t]
}

func newWireLink(t testing.TB, port int, seed uint64) *wireLink {
	t.Helper()
	p := &wireLink{rng: rand.New(rand.NewPCG(seed, 11)), counts: map[string]int{}}
	var err error
	if p.Link, err = cutproxy.Start(fmt.Sprintf("127.0.0.1:%d", port), p.pump); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// pump carries packets one way.
func (p *wireLink) pump(dst, src net.Conn) {
	packets := make(chan []byte)
	quit := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(packets)
		br := bufio.NewReader(src)
		for {
			b, err := readPacket(br)
			if err != nil {
				return
			}
			select {
			case packets <- b:
			case <-quit:
				return
			}
		}
	})
	defer reader.Wait()
	defer src.Close()
	defer close(quit)
	var kept []byte // waits for the next packet, which goes first
	var due <-chan time.Time
	for {
		select {
		case b, ok := <-packets:
			if !ok {
				return
			}
			out, keep, wait := p.treat(b)
			if keep && kept == nil {
				kept, due = b, time.After(swapWait)
				continue
			}
			time.Sleep(wait)
			if kept != nil {
				out, kept, due = append(out, kept), nil, nil
			}
			for _, x := range out {
				if _, err := dst.Write(x); err != nil {
					return
				}
			}
		case <-due:
			if _, err := dst.Write(kept); err != nil {
				return
			}
			kept, due = nil, nil
		}
	}
}

// treat says what becomes of a packet: what is written, whether it waits for the next one, and how long all wait.
func (p *wireLink) treat(b []byte) (out [][]byte, keep bool, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, kind := &p.fault, b[0]>>4
	if !slices.Contains(f.types, kind) {
		return [][]byte{b}, false, 0
	}
	did := func(what string) { p.counts[what+" "+packetName(kind)]++ }
	switch x := p.rng.Float64(); {
	case x < f.drop:
		did("drop")
		return nil, false, 0
	case x < f.drop+f.double:
		did("double")
		return [][]byte{b, b}, false, 0
	case x < f.drop+f.double+f.swap:
		did("reorder")
		return [][]byte{b}, true, 0
	case x < f.drop+f.double+f.swap+f.hold:
		did("delay")
		return [][]byte{b}, false, f.holdFor
	}
	return [][]byte{b}, false, 0
}

// readPacket reads one MQTT packet whole.
func readPacket(br *bufio.Reader) ([]byte, error) {
	first, err := br.ReadByte()
	if err != nil {
		return nil, err
	}
	n, err := binary.ReadUvarint(br)
	if err != nil {
		return nil, err
	}
	if n > 1<<20 {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	head := binary.AppendUvarint([]byte{first}, n)
	b := append(head, make([]byte, n)...)
	_, err = io.ReadFull(br, b[len(head):])
	return b, err
}

func (p *wireLink) set(f wireFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// did lists what was done to packets.
func (p *wireLink) did() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for what, n := range p.counts {
		out = append(out, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestWireLink: the proxy does what it says, or the storm would prove nothing.
func TestWireLink(t *testing.T) {
	for _, c := range []struct {
		fault wireFault
		want  string
	}{
		{wireFault{}, "abcd"},
		{wireFault{types: []byte{mqttPuback}, drop: 1}, "abcd"},
		{wireFault{types: []byte{mqttPublish}, drop: 1}, ""},
		{wireFault{types: []byte{mqttPublish}, double: 1}, "aabbccdd"},
		{wireFault{types: []byte{mqttPublish}, swap: 1}, "badc"},
		{wireFault{types: []byte{mqttPublish}, hold: 1, holdFor: 20 * time.Millisecond}, "abcd"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := newWireLink(t, l.Addr().(*net.TCPAddr).Port, 1)
		p.set(c.fault)
		in, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		out, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, x := range "abcd" {
			if _, err := in.Write([]byte{mqttPublish << 4, 1, byte(x)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := in.Write([]byte{14 << 4, 0}); err != nil { // DISCONNECT: the end
			t.Fatal(err)
		}
		got, br := "", bufio.NewReader(out)
		for {
			b, err := readPacket(br)
			if err != nil {
				t.Fatal(err)
			}
			if b[0]>>4 == 14 {
				break
			}
			got += string(b[2:])
		}
		if got != c.want || time.Since(began) < 4*c.fault.holdFor {
			t.Errorf("%+v: %q after %v, want %q", c.fault, got, time.Since(began), c.want)
		}
		in.Close()
		out.Close()
		l.Close()
	}
}
