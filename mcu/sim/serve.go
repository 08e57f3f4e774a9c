package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// tty is the master's side of a line: a pty whose slave a program opens as its serial port.
type tty struct {
	master, slave *os.File // the slave stays open, or the master would fail with EIO when the program closes it
	path          string
}

// Open makes the pty and returns the path of its slave, once; Serve moves its bytes.
func (l *Line) Open() (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tty.master != nil {
		return l.tty.path, nil
	}
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("open pty: %w", err)
	}
	fd := int(m.Fd()) // switches to blocking; reads run in a goroutine of Serve with a deadline set below
	if err = unix.SetNonblock(fd, true); err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	n := 0
	if err == nil {
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("open pty: %w", err), m.Close())
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	s, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", errors.Join(fmt.Errorf("open pty: %w", err), m.Close())
	}
	t, err := unix.IoctlGetTermios(int(s.Fd()), unix.TCGETS)
	if err == nil {
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		err = unix.IoctlSetTermios(int(s.Fd()), unix.TCSETS, t)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("open pty: %w", err), m.Close(), s.Close())
	}
	l.tty = tty{m, s, path}
	return path, nil
}

func (t *tty) close() error {
	if t.master == nil {
		return nil
	}
	err := errors.Join(t.master.Close(), t.slave.Close())
	*t = tty{}
	return err
}

// Serve runs the line at the speed of the clock on the wall until ctx ends, with the pty of Open as its master. A
// machine that is too slow makes the line late, not wrong: simulated time then lags behind.
func (l *Line) Serve(ctx context.Context) error {
	if _, err := l.Open(); err != nil {
		return err
	}
	fd := int(l.tty.master.Fd())
	_ = unix.SetNonblock(fd, true)
	began, base := time.Now(), l.Now()
	buf := make([]byte, 512)
	for ctx.Err() == nil {
		ahead := l.Now() - base - time.Since(began)
		if ahead > 0 {
			l.idle(fd, ahead)
		} else if ahead < -lagLimit {
			began, base = time.Now(), l.Now()
		}
		if n, _ := unix.Read(fd, buf); n > 0 {
			l.Send(buf[:n])
		}
		if err := l.step(); err != nil {
			return err
		}
		if b, _ := l.Received(); len(b) > 0 {
			_, _ = unix.Write(fd, b) // a program that does not read loses bytes, as with a UART
		}
	}
	return nil
}

// idle sleeps, but wakes when the program writes.
func (l *Line) idle(fd int, d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &ts, nil)
}
