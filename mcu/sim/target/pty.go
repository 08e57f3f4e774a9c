package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/mcu/boot"
)

// PTY plugs a chip into a pseudo terminal, for programs that want a serial port. The terminal tells the speed that its
// user has set, no parity.
type PTY struct {
	Name string // of the port

	mu     sync.Mutex // guards chip
	chip   Chip
	master *os.File
	slave  *os.File // kept open: else the master fails whenever a user closes
}

// NewPTY makes the terminal; Run plugs the chip in.
func NewPTY(c Chip) (*PTY, error) {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make pty: %w", err)
	}
	p := &PTY{chip: c, master: m}
	err = onFile(m, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		p.Name = fmt.Sprintf("/dev/pts/%d", n)
		return err
	})
	if err == nil {
		p.slave, err = os.OpenFile(p.Name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	}
	if err == nil {
		err = onFile(p.slave, func(fd int) error {
			t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			if err != nil {
				return err
			}
			t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
			return unix.IoctlSetTermios(fd, unix.TCSETS, t)
		})
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("make pty: %w", err)
	}
	return p, nil
}

// Do has the chip to itself, to switch its supply or look at its flash.
func (p *PTY) Do(f func(Chip)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.chip)
}

func (p *PTY) mode() boot.Mode {
	m := boot.Mode{Parity: AnyParity}
	_ = onFile(p.master, func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil {
			m.Baud = int(t.Ospeed)
		}
		return err
	})
	return m
}

// Run passes bytes until ctx ends, then closes the terminal. One byte goes to the chip at a time, as a UART has it.
func (p *PTY) Run(ctx context.Context) error {
	defer p.slave.Close()
	defer p.master.Close()
	var b [512]byte
	before := p.mode()
	for ctx.Err() == nil {
		_ = p.master.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		n, err := p.master.Read(b[:])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("read pty: %w", err)
		}
		p.mu.Lock()
		mode := p.mode()
		in := mode
		if h, ok := p.chip.(interface{ hears(boot.Mode) bool }); ok && !h.hears(mode) && h.hears(before) {
			in = before // the user has changed the speed since, and that was seen late
		}
		for _, c := range b[:n] {
			p.chip.Receive(c, in)
		}
		out := p.chip.Send(mode)
		before = mode
		p.mu.Unlock()
		if len(out) > 0 {
			if _, err := p.master.Write(out); err != nil {
				return fmt.Errorf("write pty: %w", err)
			}
		}
	}
	return nil
}

func onFile(f *os.File, do func(fd int) error) error {
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
