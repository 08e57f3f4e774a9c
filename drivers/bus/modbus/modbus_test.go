package modbus_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// libmodbus starts the slave in testdata/slave.c; args as there.
func libmodbus(t *testing.T, args ...string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "slave")
	if out, err := exec.Command("cc", "-O1", "-o", bin, "testdata/slave.c", "-lmodbus").CombinedOutput(); err != nil {
		t.Fatalf("this test needs a C compiler and libmodbus (apt-get install gcc libmodbus-dev): %v\n%s", err, out)
	}
	cmd := exec.Command(bin, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("slave said %q, %v", line, err)
	}
}

// join copies bytes between two ptys, so that two programs that want a terminal can talk.
func join(t *testing.T) (string, string) {
	a, nameA := openPTY(t)
	b, nameB := openPTY(t)
	done := make(chan struct{}, 2)
	pump := func(to, from *os.File) {
		defer func() { done <- struct{}{} }()
		var buf [512]byte
		for {
			n, err := from.Read(buf[:])
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	go pump(a, b)
	go pump(b, a)
	t.Cleanup(func() { a.Close(); b.Close(); <-done; <-done })
	return nameA, nameB
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestAgainstLibmodbus(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		port := freePort(t)
		libmodbus(t, "tcp", port)
		l := modbus.NewTCP("127.0.0.1:" + port)
		defer l.Close()
		allFunctions(t, l)
	})
	t.Run("rtu", func(t *testing.T) {
		ours, theirs := join(t)
		libmodbus(t, "rtu", theirs, "115200")
		l := modbus.NewRTU(modbus.RTUOptions{Open: openTTY(ours), Baud: 115200})
		allFunctions(t, l)
		l.Close()
		l = modbus.NewRTU(modbus.RTUOptions{Open: modbus.OpenSerial(serial.Options{Device: ours, Baud: 115200, LockDir: t.TempDir()}), Baud: 115200})
		defer l.Close()
		if got, err := modbus.NewMaster(l, modbus.MasterOptions{}).ReadInput(t.Context(), 17, 200, 125); err != nil || got[124] != 7*324+3 {
			t.Errorf("over the serial layer: %v, %v", got, err)
		}
	})
}

func allFunctions(t *testing.T, l modbus.Line) {
	ctx := t.Context()
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 2 * time.Second})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for _, n := range []int{1, 2, 125} {
		for name, read := range map[string]func(context.Context, byte, uint16, int) ([]uint16, error){"holding": m.ReadHolding, "input": m.ReadInput} {
			got, err := read(ctx, 17, 200, n)
			must(name, err)
			for i, v := range got {
				if want := uint16(7*(200+i) + 3); v != want || len(got) != n {
					t.Fatalf("%s %d = %d of %d, want %d", name, 200+i, v, len(got), want)
				}
			}
		}
	}
	for _, n := range []int{1, 8, 9, 1999} {
		for name, read := range map[string]func(context.Context, byte, uint16, int) ([]bool, error){"coils": m.ReadCoils, "discrete": m.ReadDiscrete} {
			got, err := read(ctx, 17, 1, n)
			must(name, err)
			for i, v := range got {
				if v != ((1+i)%3 == 0) || len(got) != n {
					t.Fatalf("%s %d = %v of %d", name, 1+i, v, len(got))
				}
			}
		}
	}
	must("write register", m.WriteRegister(ctx, 17, 10, 0xbeef))
	must("write registers", m.WriteRegisters(ctx, 17, 11, []uint16{1, 0xffff, 3}))
	must("mask write", m.MaskWrite(ctx, 17, 10, 0xf00f, 0x0120))
	got, err := m.ReadHolding(ctx, 17, 10, 4)
	must("read back", err)
	if !slices.Equal(got, []uint16{0xb12f, 1, 0xffff, 3}) {
		t.Errorf("read back %x", got)
	}
	got, err = m.ReadWrite(ctx, 17, 12, 3, 13, []uint16{42, 43})
	must("read/write", err)
	if !slices.Equal(got, []uint16{0xffff, 42, 43}) {
		t.Errorf("read/write gave %d", got)
	}
	must("write coil", m.WriteCoil(ctx, 17, 1, true))
	must("write coils", m.WriteCoils(ctx, 17, 2, []bool{true, false, true, true, false, true, true, true, false}))
	bits, err := m.ReadCoils(ctx, 17, 1, 10)
	must("read back", err)
	if fmt.Sprint(bits) != "[true true false true true false true true true false]" {
		t.Errorf("coils %v", bits)
	}
	if id, err := m.ServerID(ctx, 17); err != nil || !bytes.Contains(id, []byte("LMB")) {
		t.Errorf("server id %q, %v", id, err)
	}
	var e *modbus.Exception
	if _, err := m.ReadHolding(ctx, 17, 999, 2); !errors.As(err, &e) || e.Code != modbus.IllegalAddress {
		t.Errorf("out of range: %v", err)
	}
	if _, err := m.ReadHolding(ctx, 17, 65535, 2); !errors.Is(err, modbus.ErrRequest) {
		t.Errorf("beyond the address space: %v", err)
	}
}

func startSlave(t *testing.T, s *slave) *modbus.RTU {
	t.Helper()
	f, name := openPTY(t)
	s.unit, s.stop = 1, make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); s.serve(f) }()
	t.Cleanup(func() { close(s.stop); <-done })
	l := modbus.NewRTU(modbus.RTUOptions{Open: openTTY(name), Baud: 115200})
	t.Cleanup(func() { l.Close() })
	return l
}

func TestFunctionsBySpecification(t *testing.T) {
	m := modbus.NewMaster(startSlave(t, &slave{}), modbus.MasterOptions{})
	if got, err := m.ReadFIFO(t.Context(), 1, 0x04de); err != nil || !slices.Equal(got, []uint16{0x01b8, 0x1284}) {
		t.Errorf("FIFO %x, %v", got, err)
	}
	if got, err := m.ReadFile(t.Context(), 1, 4, 1, 2); err != nil || !slices.Equal(got, []uint16{0x0dfe, 0x0020}) {
		t.Errorf("file %x, %v", got, err)
	}
	if got, err := m.Custom(t.Context(), 1, 65, []byte{1, 2, 3}); err != nil || string(got) != "\x01\x02\x03" {
		t.Errorf("a function of its own: %x, %v", got, err)
	}
	if _, err := m.Custom(t.Context(), 1, 66, []byte{1}); err == nil {
		t.Error("a function that it does not have is answered")
	}
	if _, err := m.Custom(t.Context(), 1, 3, nil); !errors.Is(err, modbus.ErrRequest) {
		t.Errorf("a function that is not the maker's: %v", err)
	}
	got, err := m.Identify(t.Context(), 1)
	if err != nil || got[0] != "Company identification" || got[1] != "Product code XX" || got[2] != "V2.11" {
		t.Errorf("identification %q, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	good := func(n int) func(int, []byte) []byte { // the n-th answer is whole again
		return func(i int, a []byte) []byte {
			if i < n {
				return nil
			}
			return a
		}
	}
	cases := []struct {
		name  string
		fault func(i int, a []byte) []byte
		want  error // nil: the repeats cure it
	}{
		{"first answer lost", good(1), nil},
		{"silent", good(1000), modbus.ErrTimeout},
		{"damaged once", func(i int, a []byte) []byte {
			if i == 0 {
				a[3] ^= 1
			}
			return a
		}, nil},
		{"always damaged", func(_ int, a []byte) []byte { a[3] ^= 1; return a }, modbus.ErrChecksum},
		{"cut short", func(_ int, a []byte) []byte { return a[:4] }, modbus.ErrTimeout},
		{"another unit", func(_ int, a []byte) []byte { return modbus.AppendRTU(nil, 9, a[1:len(a)-2]) }, modbus.ErrFrame},
		{"junk behind the answer", func(_ int, a []byte) []byte { return append(a, 0, 0xff, 7) }, nil},
		{"busy, then good", func(i int, a []byte) []byte {
			if i == 0 {
				return modbus.AppendRTU(nil, 1, []byte{0x83, modbus.DeviceBusy})
			}
			return a
		}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := 0
			l := startSlave(t, &slave{fault: func(_, a []byte) []byte { n++; return c.fault(n-1, a) }})
			m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 500 * time.Millisecond})
			got, err := m.ReadHolding(t.Context(), 1, 5, 3)
			if c.want == nil && (err != nil || !slices.Equal(got, []uint16{16, 19, 22})) || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("got %v, %v", got, err)
			}
			if c.want == nil {
				for range 3 { // the line stays in step
					if got, err := m.ReadHolding(t.Context(), 1, 7, 1); err != nil || got[0] != 22 {
						t.Fatalf("afterwards %v, %v", got, err)
					}
				}
			}
		})
	}
}

// A late answer must never be taken for that of the next request.
func TestLateAnswer(t *testing.T) {
	f, name := openPTY(t)
	l := modbus.NewRTU(modbus.RTUOptions{Open: openTTY(name), Baud: 115200})
	defer l.Close()
	s := &slave{unit: 1}
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: 500 * time.Millisecond, Retries: -1})
	if _, err := m.ReadHolding(t.Context(), 1, 1, 1); !errors.Is(err, modbus.ErrTimeout) {
		t.Fatal(err)
	}
	var b [64]byte
	n, _ := f.Read(b[:])
	f.Write(modbus.AppendRTU(nil, 1, s.pdu(b[1:n-2]))) // too late
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, _ := f.Read(b[:])
		f.Write(modbus.AppendRTU(nil, 1, s.pdu(b[1:n-2])))
	}()
	got, err := m.ReadHolding(t.Context(), 1, 100, 1)
	<-done
	if err != nil || got[0] != 301 {
		t.Errorf("got %d, %v; want 301", got, err)
	}
}

// A slave that is slower than the time-out answers when the next request is on its way: to the first of two requests, or
// to a try that was repeated. What it says must not be taken for another register.
func TestSlowSlave(t *testing.T) {
	const timeout = 3 * time.Second
	for _, c := range []struct {
		retries int
		pause   time.Duration // before the next request
	}{{-1, 0}, {1, 0}, {1, timeout + timeout/6}} {
		retries := c.retries
		t.Run(fmt.Sprint("retries ", retries, c.pause), func(t *testing.T) {
			t.Parallel()
			f, name := openPTY(t)
			l := modbus.NewRTU(modbus.RTUOptions{Open: openTTY(name), Baud: 115200})
			defer l.Close()
			m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: timeout, Retries: retries})
			done := make(chan struct{})
			go func() {
				defer close(done)
				lagging(f, timeout)
			}()
			got, err := m.ReadHolding(t.Context(), 1, 1, 1)
			if retries < 0 && !errors.Is(err, modbus.ErrTimeout) || retries > 0 && (err != nil || got[0] != 4) {
				t.Fatalf("the first: %v, %v", got, err)
			}
			time.Sleep(c.pause)
			if got, err = m.ReadHolding(t.Context(), 1, 100, 1); err != nil || got[0] != 301 {
				t.Errorf("got %d, %v; want 301", got, err)
			}
			f.Close()
			<-done
		})
	}
}

// lagging is a slave whose first answer comes behind the time-out: when the next request has come, or a little later. What
// came meanwhile it answers in order.
func lagging(f *os.File, timeout time.Duration) {
	s := &slave{unit: 1}
	var owed [][]byte
	hear := func(patience time.Duration) error {
		var b [64]byte
		f.SetReadDeadline(time.Now().Add(patience))
		n, err := f.Read(b[:])
		if err == nil {
			owed = append(owed, modbus.AppendRTU(nil, 1, s.pdu(b[1:n-2])))
		}
		return err
	}
	if hear(time.Minute) != nil {
		return
	}
	hear(timeout + timeout/6)
	for {
		f.Write(owed[0])
		if owed = owed[1:]; len(owed) > 0 {
			hear(timeout / 10)
		} else if hear(time.Minute) != nil {
			return
		}
	}
}

func TestCloseAndCancel(t *testing.T) {
	for _, l := range []modbus.Line{startSlave(t, &slave{fault: func(_, _ []byte) []byte { return nil }}), silentTCP(t)} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		started := time.Now()
		if _, err := l.Exchange(ctx, 1, []byte{3, 0, 0, 0, 1}, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 30*time.Second {
			t.Errorf("cancelled: %v after %s", err, time.Since(started))
		}
		cancel()
		time.AfterFunc(30*time.Millisecond, func() { l.Close() })
		started = time.Now()
		if _, err := l.Exchange(t.Context(), 1, []byte{3, 0, 0, 0, 1}, time.Minute); !errors.Is(err, modbus.ErrClosed) || time.Since(started) > 30*time.Second {
			t.Errorf("closed: %v after %s", err, time.Since(started))
		}
		l.Close()
	}
}

func silentTCP(t *testing.T) modbus.Line {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return modbus.NewTCP(n.Addr().String())
}

// Unit 0 is everybody on a serial line; a server over TCP may have it.
func TestUnitZero(t *testing.T) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := n.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		s := &slave{}
		for b := [64]byte{}; ; {
			k, err := c.Read(b[:])
			if err != nil {
				return
			}
			pdu := s.pdu(slices.Clone(b[7:k]))
			c.Write(append(append(b[:4:4], 0, byte(1+len(pdu)), b[6]), pdu...))
		}
	}()
	l := modbus.NewTCP(n.Addr().String())
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Minute})
	if got, err := m.ReadHolding(t.Context(), 0, 100, 1); err != nil || got[0] != 301 {
		t.Errorf("read %v, %v", got, err)
	}
	if err := m.WriteRegister(t.Context(), 0, 100, 7); err != nil {
		t.Errorf("write: %v", err)
	}
	l.Close()
	n.Close()
	<-served
	rtu := modbus.NewMaster(startSlave(t, &slave{unit: 1}), modbus.MasterOptions{Timeout: time.Minute})
	if _, err := rtu.ReadHolding(t.Context(), 0, 100, 1); !errors.Is(err, modbus.ErrRequest) {
		t.Errorf("everybody was read: %v", err)
	}
}

// So do converters that pass the bytes of a serial line through.
func TestConverterClosesIdleConnection(t *testing.T) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s := &slave{unit: 1}
		for {
			c, err := n.Accept()
			if err != nil {
				return
			}
			var b [64]byte
			k, _ := c.Read(b[:])
			c.Write(modbus.AppendRTU(nil, 1, s.pdu(b[1:k-2])))
			c.Close()
		}
	}()
	defer func() { n.Close(); <-served }()
	l := modbus.NewRTU(modbus.RTUOptions{Baud: 115200, Open: func(ctx context.Context) (modbus.Port, error) {
		return modbus.DialPort(ctx, n.Addr().String())
	}})
	defer l.Close()
	m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Minute})
	for i := range 3 {
		if got, err := m.ReadHolding(t.Context(), 1, 100, 1); err != nil || got[0] != 301 {
			t.Fatalf("request %d: %v, %v", i, got, err)
		}
	}
}

// Gateways close idle connections; the next request must not be lost for it.
func TestServerClosesIdleConnection(t *testing.T) {
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := n.Accept()
			if err != nil {
				return
			}
			var b [12]byte
			c.Read(b[:])
			c.Write(append(b[:5:5], 5, b[6], 3, 2, 0, 42))
			c.Close()
		}
	}()
	defer func() { n.Close(); <-served }()
	l := modbus.NewTCP(n.Addr().String())
	defer l.Close()
	m := modbus.NewMaster(l, modbus.MasterOptions{Retries: -1})
	for i := range 5 {
		got, err := m.ReadHolding(t.Context(), 1, 0, 1)
		if err != nil || got[0] != 42 {
			t.Fatalf("request %d: %v, %v", i, got, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestMbpollReadsOurTestSlave(t *testing.T) {
	if _, err := exec.LookPath("mbpoll"); err != nil {
		t.Fatal("this test needs mbpoll (apt-get install mbpoll)")
	}
	f, name := openPTY(t)
	s := &slave{unit: 1, stop: make(chan struct{})}
	done := make(chan struct{})
	go func() { defer close(done); s.serve(f) }()
	defer func() { close(s.stop); <-done }()
	out, err := exec.Command("mbpoll", "-m", "rtu", "-a", "1", "-b", "115200", "-P", "none", "-t", "4", "-0", "-r", "20", "-c", "3", "-1", name).CombinedOutput()
	for _, want := range []string{"[20]: \t61", "[21]: \t64", "[22]: \t67"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("mbpoll: %v, want %q in\n%s", err, want, out)
		}
	}
}

func TestCoalesce(t *testing.T) {
	spans := []modbus.Span{{10, 2}, {0, 2}, {4, 2}, {100, 1}, {11, 1}, {109, 4}}
	got := fmt.Sprint(modbus.Coalesce(spans, 20, 2))
	if want := "[{{0 6} [1 2]} {{10 2} [0 4]} {{100 1} [3]} {{109 4} [5]}]"; got != want {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(modbus.Coalesce(spans, 12, 8)); got != "[{{0 12} [1 2 0 4]} {{100 1} [3]} {{109 4} [5]}]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(modbus.Coalesce(spans, 13, 8)); got != "[{{0 12} [1 2 0 4]} {{100 13} [3 5]}]" {
		t.Errorf("got %s", got)
	}
}

func TestFramePause(t *testing.T) {
	if p := modbus.FramePause(9600); p != 4010416*time.Nanosecond {
		t.Errorf("9600: %s", p)
	}
	if p := modbus.FramePause(115200); p != 1750*time.Microsecond {
		t.Errorf("115200: %s", p)
	}
	if modbus.CRC([]byte("123456789")) != 0x4b37 {
		t.Error("CRC-16/MODBUS check value")
	}
}

// FuzzAnswer feeds any bytes as the answers of a slave: nothing may panic or hang, and what is taken has a good CRC.
func FuzzAnswer(f *testing.F) {
	f.Add(modbus.AppendRTU(nil, 1, []byte{3, 2, 0, 1}), byte(0))
	f.Add(modbus.AppendRTU(nil, 1, []byte{0x2b, 0x0e, 1, 1, 0, 0, 1, 0, 1, 65}), byte(1))
	f.Add(modbus.AppendRTU(nil, 1, []byte{0x18, 0, 2, 0, 0}), byte(2))
	f.Fuzz(func(t *testing.T, answer []byte, which byte) {
		l := modbus.NewRTU(modbus.RTUOptions{Baud: 1e6, Open: func(context.Context) (modbus.Port, error) {
			return &scripted{answer: answer}, nil
		}})
		defer l.Close()
		m := modbus.NewMaster(l, modbus.MasterOptions{Timeout: time.Millisecond, Retries: -1})
		var err error
		switch which % 5 {
		case 0:
			_, err = m.ReadHolding(t.Context(), 1, 0, 1)
		case 1:
			_, err = m.Identify(t.Context(), 1)
		case 2:
			_, err = m.ReadFIFO(t.Context(), 1, 0)
		case 3:
			_, err = m.ReadFile(t.Context(), 1, 1, 0, 1)
		case 4:
			_, err = m.ServerID(t.Context(), 1)
		}
		if err == nil && (len(answer) < 4 || answer[0] != 1) {
			t.Fatalf("took % x", answer)
		}
	})
}

// scripted is silent until something was written, then says its answer.
type scripted struct {
	answer []byte
	left   []byte
}

func (s *scripted) Read(b []byte) (int, error) {
	n := copy(b, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *scripted) Write(b []byte) (int, error) {
	s.left = s.answer
	return len(b), nil
}

func (s *scripted) SetReadTimeout(time.Duration) error { return nil }
func (s *scripted) Close() error                       { return nil }
