package owserver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/drivers/bus/onewire/owserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func answer(payload string, result, flags int32) []byte {
	var b []byte
	for _, v := range []int32{0, int32(len(payload)), result, flags, int32(len(payload)), 0} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(b, payload...)
}

var working = []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// serve plays one script per connection: each request is compared and answered.
func serve(t *testing.T, scripts ...[][2]string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for _, script := range scripts {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for _, step := range script {
				head := make([]byte, 24)
				if _, err := io.ReadFull(c, head); err != nil {
					break
				}
				body := make([]byte, binary.BigEndian.Uint32(head[4:]))
				if _, err := io.ReadFull(c, body); err != nil {
					break
				}
				if string(body) != step[0] {
					t.Errorf("request %q, want %q", body, step[0])
				}
				_, _ = c.Write([]byte(step[1]))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func client(t *testing.T, addr string) *owserver.Client {
	t.Helper()
	c, err := owserver.New(owserver.Options{Address: addr, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRequests(t *testing.T) {
	addr := serve(t,
		[][2]string{
			{"/x/temperature\x00", string(working) + string(answer("        21.5", 12, 0x104))},
			{"/\x00", string(answer("/28.67C6697351FF,/10.000000000001/\x00", 0, 0x104))},
			{"/gone\x00", string(answer("", -1, 0x104))},
			{"/simultaneous/temperature\x001", string(answer("", 0, 0))}, // not persistent any more
		},
		[][2]string{{"/a\x00", string(answer("1", 1, 0x104))}}, // and then it closes
		[][2]string{{"/b\x00", string(answer("2", 1, 0x104))}},
		[][2]string{{"/c\x00", "\x00\x00\x00\x00\x7f\xff\xff\xff" + strings.Repeat("\x00", 16)}},
	)
	c, ctx := client(t, addr), t.Context()
	read := func(path, want string) {
		t.Helper()
		if got, err := c.Read(ctx, path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	read("/x/temperature", "        21.5")
	names, err := c.Dir(ctx, "/")
	if err != nil || strings.Join(names, " ") != "/28.67C6697351FF /10.000000000001" {
		t.Errorf("dir: %q, %v", names, err)
	}
	var refused *owserver.ResultError
	if _, err := c.Read(ctx, "/gone"); !errors.As(err, &refused) || refused.Result != -1 {
		t.Errorf("gone: %v", err)
	}
	if err := c.Write(ctx, "/simultaneous/temperature", []byte("1")); err != nil {
		t.Error(err)
	}
	read("/a", "1")
	read("/b", "2")
	if _, err := c.Read(ctx, "/c"); !errors.Is(err, owserver.ErrServer) {
		t.Errorf("2 GiB of payload: %v", err)
	}
}

func TestCloseAndCancel(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := client(t, l.Addr().String()) // accepts, never answers
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.Read(ctx, "/x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
	time.AfterFunc(30*time.Millisecond, func() { c.Close() })
	if _, err := c.Read(t.Context(), "/x"); !errors.Is(err, owserver.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestNames(t *testing.T) {
	a, ok := owserver.ParseName("/uncached/28.67C6697351FF")
	if !ok || a.String() != "28-ff517369c667" || owserver.Name(a) != "28.67C6697351FF" {
		t.Errorf("%v %s %s", ok, a, owserver.Name(a))
	}
	for _, bad := range []string{"", "/settings", "28.67C6697351F", "28.67C6697351FG", "28-67C6697351FF"} {
		if _, ok := owserver.ParseName(bad); ok {
			t.Errorf("%q is a name", bad)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(answer("21.5", 4, 0x104))
	f.Add(append(bytes.Clone(working), answer("", -1, 0)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, payload, err := owserver.ReadAnswer(bytes.NewReader(b))
		if err == nil && len(payload) > len(b) {
			t.Errorf("%d bytes out of %d", len(payload), len(b))
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("/28.67C6697351FF")
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := owserver.ParseName(s); ok {
			if b, ok := owserver.ParseName(owserver.Name(a)); !ok || a != b || a.Serial() != b.Serial() {
				t.Errorf("%q: %s", s, a)
			}
		}
	})
}
