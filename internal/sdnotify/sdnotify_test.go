package sdnotify_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/sdnotify"
)

func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{filepath.Join(dir, "s"), fmt.Sprintf("@edgelog-test-%d", os.Getpid())} {
		l := listen(t, name)
		t.Setenv("NOTIFY_SOCKET", name)
		want := sdnotify.Ready + "\n" + sdnotify.Status("two\nlines")
		if err := sdnotify.Notify(want); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 256)
		l.SetReadDeadline(time.Now().Add(time.Second))
		n, err := l.Read(buf)
		if err != nil || string(buf[:n]) != "READY=1\nSTATUS=two lines" {
			t.Errorf("%s got %q, %v", name, buf[:n], err)
		}
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := sdnotify.Notify(sdnotify.Ready); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if err := sdnotify.Notify(sdnotify.Ready); err == nil {
		t.Error("a missing socket must be an error")
	}
	t.Setenv("NOTIFY_SOCKET", "vsock:2:3")
	if err := sdnotify.Notify(sdnotify.Ready); err == nil {
		t.Error("an unknown socket kind must be an error")
	}
}

func TestWatchdogInterval(t *testing.T) {
	self := fmt.Sprint(os.Getpid())
	cases := []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", "", 30 * time.Second}, {"30000000", self, 30 * time.Second}, {"30000000", "1", 0},
		{"", "", 0}, {"x", "", 0}, {"-5", "", 0}, {"9223372036854775807", "", 0},
	}
	for _, c := range cases {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := sdnotify.WatchdogInterval(); got != c.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}
