// Package sdnotify tells systemd how a service is (sd_notify(3)): ready, stopping, alive, and one line of status.
//
// Without systemd every call does nothing and returns nil, so callers need not ask. The protocol is one datagram to
// the unix socket in $NOTIFY_SOCKET; a name that begins with @ lies in the abstract name space.
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// States for Notify. Several may be sent in one call, joined by newlines.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	Watchdog = "WATCHDOG=1"
)

// Status is the state that sets the line `systemctl status` shows.
func Status(text string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// Notify sends the state. It returns nil where no service manager listens. It never blocks for long: the write has
// a deadline of one second.
func Notify(state string) error { return notify(os.Getenv("NOTIFY_SOCKET"), state) }

func notify(socket, state string) error {
	if socket == "" {
		return nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		return fmt.Errorf("notify systemd: NOTIFY_SOCKET %q is not a unix socket", socket)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

const writeTimeout = time.Second

// WatchdogInterval is how long systemd waits for a Watchdog state before it restarts the service; send one at less
// than half of it. 0 if no watchdog is set for this process.
func WatchdogInterval() time.Duration {
	return watchdogInterval(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())
}

func watchdogInterval(usec, pid string, self int) time.Duration {
	if pid != "" && pid != strconv.Itoa(self) {
		return 0
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(time.Duration(1<<62)/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
