package onewire

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Socket is where a simulated adapter is plugged in: a symbolic link, as /dev/serial/by-id holds them, to a pty.
type Socket struct {
	link string

	mu     sync.Mutex
	master *os.File // nil: nothing is plugged in
	slave  *os.File // kept open, or the master would fail with EIO whenever a client closes
}

// NewSocket is an empty socket at path link.
func NewSocket(link string) *Socket { return &Socket{link: link} }

// Link is the name to configure as a serial port.
func (s *Socket) Link() string { return s.link }

// Plug makes a fresh pty and points the link at it.
func (s *Socket) Plug() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master != nil {
		return errors.New("plug: something is plugged in")
	}
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("plug: %w", err)
	}
	n := 0
	err = control(m, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		m.Close()
		return fmt.Errorf("plug: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	sl, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err == nil {
		err = control(sl, raw)
	}
	if err == nil {
		_ = os.Remove(s.link)
		err = os.Symlink(name, s.link)
	}
	if err != nil {
		m.Close()
		sl.Close()
		return fmt.Errorf("plug: %w", err)
	}
	s.master, s.slave = m, sl
	return nil
}

func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// Unplug pulls the adapter: clients get what a pulled USB cable gives them, and the link is gone.
func (s *Socket) Unplug() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master == nil {
		return
	}
	_ = os.Remove(s.link)
	s.master.Close()
	s.slave.Close()
	s.master, s.slave = nil, nil
}

// Master is the adapter's end of the pty that is plugged in, or nil.
func (s *Socket) Master() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.master
}

// baudOf is the speed that the client has set, read at the master's end.
func baudOf(m *os.File) int {
	baud, _ := speedOf(m)
	return baud
}

// speedOf is baudOf with the stop bits.
func speedOf(m *os.File) (baud, stopBits int) {
	stopBits = 1
	_ = control(m, func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil {
			baud = int(t.Ospeed)
			if t.Cflag&unix.CSTOPB != 0 {
				stopBits = 2
			}
		}
		return err
	})
	return baud, stopBits
}

func control(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}
