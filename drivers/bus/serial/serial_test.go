package serial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/drivers/bus/serial"
	sim "github.com/edgelog/edgelog/internal/sim/onewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func socket(t *testing.T) *sim.Socket {
	t.Helper()
	s := sim.NewSocket(filepath.Join(t.TempDir(), "usb-adapter"))
	if err := s.Plug(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Unplug)
	return s
}

func connect(t *testing.T, o serial.Options) *serial.Port {
	t.Helper()
	o.LockDir = t.TempDir()
	p, err := serial.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if fresh, err := p.Connect(t.Context()); err != nil || !fresh {
		t.Fatalf("connect: %v %v", fresh, err)
	}
	return p
}

func TestBytes(t *testing.T) {
	s := socket(t)
	p := connect(t, serial.Options{Device: s.Link(), Baud: 1_234_567, StopBits: 2})
	want := make([]byte, 256)
	for i := range want {
		want[i] = byte(i)
	}
	if n, err := p.Write(t.Context(), want); n != 256 || err != nil {
		t.Fatal(n, err)
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	got := make([]byte, 256)
	if _, err := io.ReadFull(s.Master(), got); err != nil || string(got) != string(want) {
		t.Errorf("%v: % x", err, got)
	}
	if _, err := s.Master().Write(want); err != nil {
		t.Fatal(err)
	}
	if n, err := p.ReadFull(t.Context(), got, time.Second); n != 256 || err != nil || string(got) != string(want) {
		t.Errorf("%d %v: % x", n, err, got)
	}
	if err := p.SetBaud(250_000); err != nil || p.Baud() != 250_000 {
		t.Error(p.Baud(), err)
	}
	if _, err := fmt.Fprint(p.Stream(t.Context()), "x"); err != nil {
		t.Error(err)
	}
}

func TestTimeouts(t *testing.T) {
	s := socket(t)
	p := connect(t, serial.Options{Device: s.Link(), ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond})
	start := time.Now()
	if _, err := p.Read(t.Context(), make([]byte, 1)); !errors.Is(err, serial.ErrTimeout) {
		t.Errorf("read: %v", err)
	}
	if _, err := p.Write(t.Context(), make([]byte, 1<<20)); !errors.Is(err, serial.ErrTimeout) {
		t.Errorf("write: %v", err) // nobody reads at the other end
	}
	if d := time.Since(start); d < 90*time.Millisecond || d > 30*time.Second {
		t.Errorf("two time-outs took %s", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.ReadFull(ctx, make([]byte, 1), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
	// A cancellation never reaches into the next operation.
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, _ = p.ReadFull(ctx, make([]byte, 1), 0)
		if _, err := s.Master().Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.ReadFull(t.Context(), make([]byte, 1), time.Second); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

func TestExclusive(t *testing.T) {
	s := socket(t)
	p := connect(t, serial.Options{Device: s.Link()})
	alias := filepath.Join(t.TempDir(), "other-name")
	target, err := filepath.EvalSymlinks(s.Link())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, alias); err != nil {
		t.Fatal(err)
	}
	other, err := serial.New(serial.Options{Device: alias, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Connect(t.Context()); !errors.Is(err, serial.ErrBusy) {
		t.Errorf("second owner: %v", err)
	}
	p.Close()
	if _, err := other.Connect(t.Context()); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

func TestForeignLockFile(t *testing.T) {
	s := socket(t)
	dir := t.TempDir()
	target, err := filepath.EvalSymlinks(s.Link())
	if err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, "LCK.."+filepath.Base(target))
	if err := os.WriteFile(lock, fmt.Appendf(nil, "%10d minicom root\n", sleeper.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := serial.New(serial.Options{Device: s.Link(), LockDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Connect(t.Context()); !errors.Is(err, serial.ErrBusy) {
		t.Errorf("locked by a living process: %v", err)
	}
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	if _, err := p.Connect(t.Context()); err != nil {
		t.Errorf("stale lock: %v", err)
	}
}

func TestUnplugAndReplug(t *testing.T) {
	s := socket(t)
	p := connect(t, serial.Options{Device: s.Link(), ReadTimeout: time.Minute})
	time.AfterFunc(20*time.Millisecond, s.Unplug)
	start := time.Now()
	if _, err := p.Read(t.Context(), make([]byte, 1)); !errors.Is(err, serial.ErrLost) || time.Since(start) > 30*time.Second {
		t.Errorf("unplugged: %v after %s", err, time.Since(start))
	}
	if _, err := p.Write(t.Context(), []byte{1}); !errors.Is(err, serial.ErrLost) {
		t.Errorf("write: %v", err)
	}
	if _, err := p.Connect(t.Context()); !errors.Is(err, serial.ErrAbsent) {
		t.Errorf("connect without device: %v", err)
	}
	if err := s.Plug(); err != nil {
		t.Fatal(err)
	}
	if fresh, err := p.Connect(t.Context()); err != nil || !fresh {
		t.Fatalf("replugged: %v %v", fresh, err)
	}
	if fresh, err := p.Connect(t.Context()); err != nil || fresh {
		t.Errorf("connected already: %v %v", fresh, err)
	}
	if _, err := s.Master().Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := p.Read(t.Context(), b); err != nil || b[0] != 7 {
		t.Errorf("%v %v", b, err)
	}
}

func TestCloseEndsRead(t *testing.T) {
	p := connect(t, serial.Options{Device: socket(t).Link(), ReadTimeout: 10 * time.Second})
	time.AfterFunc(20*time.Millisecond, func() { p.Close() })
	if _, err := p.Read(t.Context(), make([]byte, 1)); !errors.Is(err, serial.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Connect(t.Context()); !errors.Is(err, serial.ErrClosed) {
		t.Errorf("connect after close: %v", err)
	}
}

func TestLines(t *testing.T) {
	yes := true
	p, err := serial.New(serial.Options{Device: socket(t).Link(), DTR: &yes, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Connect(t.Context()); !errors.Is(err, serial.ErrUnsupported) {
		t.Errorf("a pty has no lines: %v", err)
	}
	var seen []string
	q := connect(t, serial.Options{Device: socket(t).Link(), DTR: &yes, SetLine: func(l serial.Line, on bool) error {
		seen = append(seen, fmt.Sprint(l, on))
		return nil
	}})
	if err := q.SetLine(serial.RTS, false); err != nil || strings.Join(seen, ",") != "DTR true,RTS false" {
		t.Errorf("%v %v", seen, err)
	}
	r, err := serial.New(serial.Options{Device: socket(t).Link(), RS485: &serial.RS485{RTSOnSend: true}, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Connect(t.Context()); !errors.Is(err, serial.ErrUnsupported) || !strings.Contains(err.Error(), "RS-485") {
		t.Errorf("a pty has no RS-485: %v", err)
	}
}

func TestNotASerialPort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := serial.New(serial.Options{Device: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "is it a serial port?") {
		t.Errorf("got %v", err)
	}
}

func TestList(t *testing.T) {
	dev := t.TempDir()
	for _, d := range []string{"serial/by-id", "serial/by-path"} {
		if err := os.MkdirAll(filepath.Join(dev, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tty := range []string{"ttyUSB0", "ttyUSB1"} {
		if err := os.WriteFile(filepath.Join(dev, tty), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"by-id/usb-FTDI_A9Q3": "ttyUSB1", "by-path/pci-0:1.2": "ttyUSB1",
		"by-path/pci-0:1.1": "ttyUSB0", "by-id/usb-pulled": "ttyUSB7"} {
		if err := os.Symlink("../../"+target, filepath.Join(dev, "serial", link)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := serial.List(dev)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	text := strings.ReplaceAll(fmt.Sprint(got), dev, "/dev")
	want := "[{ /dev/serial/by-path/pci-0:1.1 /dev/ttyUSB0} {/dev/serial/by-id/usb-FTDI_A9Q3 /dev/serial/by-path/pci-0:1.2 /dev/ttyUSB1}]"
	if text != want {
		t.Errorf("got %s", text)
	}
	if got, err := serial.List(t.TempDir()); err != nil || len(got) != 0 {
		t.Errorf("nothing plugged in: %v %v", got, err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []serial.Options{{}, {Device: "ttyUSB0"}, {Device: "/x", Baud: 7}, {Device: "/x", DataBits: 9},
		{Device: "/x", StopBits: 3}, {Device: "/x", Parity: 9}, {Device: "/x", ReadTimeout: time.Hour},
		{Device: "/x", RS485: &serial.RS485{}}} {
		if err := o.Validate(); !errors.Is(err, serial.ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if d := (serial.Options{Parity: serial.ParityEven}).CharTime(); d != 11*time.Second/9600 {
		t.Errorf("a character of 8E1 at 9600 takes %s", d)
	}
}

// TestLateReadTakesWhatIsThere: a time-out that is over before anybody looked does not hide data that came in time.
func TestLateReadTakesWhatIsThere(t *testing.T) {
	s := socket(t)
	p := connect(t, serial.Options{Device: s.Link()})
	if _, err := s.Master().WriteString("x"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	for end := time.Now().Add(time.Minute); ; { // the line discipline takes a moment to hand it over
		n, err := p.ReadWithin(t.Context(), buf, -time.Second)
		if n == 1 && err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if n, err := p.ReadWithin(t.Context(), buf, -time.Second); n != 0 || !errors.Is(err, serial.ErrTimeout) {
		t.Errorf("%d, %v", n, err)
	}
}
