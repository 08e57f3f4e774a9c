package serial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setTermios sets raw mode and the line parameters. TCSETS2 with BOTHER takes any speed, not only the listed ones.
func (p *Port) setTermios(fd, baud, stopBits int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CREAD | unix.CLOCAL | unix.BOTHER
	t.Cflag |= map[int]uint32{5: unix.CS5, 6: unix.CS6, 7: unix.CS7, 8: unix.CS8}[p.o.DataBits]
	if stopBits == 2 {
		t.Cflag |= unix.CSTOPB
	}
	switch p.o.Parity {
	case ParityOdd:
		t.Cflag |= unix.PARENB | unix.PARODD
	case ParityEven:
		t.Cflag |= unix.PARENB
	case ParityMark:
		t.Cflag |= unix.PARENB | unix.PARODD | unix.CMSPAR
	case ParitySpace:
		t.Cflag |= unix.PARENB | unix.CMSPAR
	}
	if p.o.Parity != ParityNone {
		t.Iflag |= unix.INPCK // a character with wrong parity reads as 0, which a checksum above finds
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
	return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
}

// on runs an ioctl on the open device; a device that is gone becomes ErrLost.
func (p *Port) on(what string, do func(fd int) error) error {
	f, err := p.use()
	if err != nil {
		return err
	}
	err = control(f, do)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %s on %s", ErrUnsupported, what, p.o.Device)
	}
	return p.failed(context.Background(), f, what, err)
}

// SetBaud changes the speed at once: Drain first if something is on its way.
func (p *Port) SetBaud(baud int) error {
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	return p.SetSpeed(baud, stop)
}

// SetSpeed changes speed and stop bits at once. Two stop bits leave a slow device time between characters, whatever
// the host sends.
func (p *Port) SetSpeed(baud, stopBits int) error {
	if baud < MinBaud || baud > MaxBaud || stopBits < 1 || stopBits > 2 {
		return fmt.Errorf("%w: baud %d, %d stop bits", ErrConfig, baud, stopBits)
	}
	p.mu.Lock()
	same := p.baud == baud && p.stop == stopBits
	p.mu.Unlock()
	if same {
		return nil
	}
	if err := p.on("set speed", func(fd int) error { return p.setTermios(fd, baud, stopBits) }); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.baud, p.stop = baud, stopBits
	return nil
}

// Baud is the present speed.
func (p *Port) Baud() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.baud
}

// Discard throws away what was received and not yet read.
func (p *Port) Discard() error {
	return p.on("discard", func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

// Drain waits until everything written has left the system, or ends as Write does. What a USB adapter holds in its own
// buffer cannot be seen.
func (p *Port) Drain(ctx context.Context) error {
	end := time.Now().Add(p.o.WriteTimeout)
	for {
		left := 0
		err := p.on("drain", func(fd int) (err error) {
			left, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ)
			if err != nil || left > 0 {
				return err
			}
			const empty = 1 // TIOCSER_TEMT: the shift register too
			if lsr, err := unix.IoctlGetInt(fd, unix.TIOCSERGETLSR); err == nil && lsr&empty == 0 {
				left = 1
			}
			return nil
		})
		switch {
		case err != nil || left == 0:
			return err
		case !time.Now().Before(end):
			return fmt.Errorf("%w: drain %s", ErrTimeout, p.o.Device)
		}
		if err := pause(ctx, drainPoll); err != nil {
			return err
		}
	}
}

// Break holds the line low for d, at most 2 s.
func (p *Port) Break(ctx context.Context, d time.Duration) error {
	if err := p.on("break", func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCSBRK, 0) }); err != nil {
		return err
	}
	waited := pause(ctx, min(d, maxBreak))
	if err := p.on("break", func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCCBRK, 0) }); err != nil {
		return err
	}
	return waited
}

// SetLine drives a modem line, or what Options.SetLine put in its place. ErrUnsupported where there is none.
func (p *Port) SetLine(l Line, level bool) error {
	f, err := p.use()
	if err != nil {
		return err
	}
	return p.drive(f, l, level)
}

func (p *Port) drive(f *os.File, l Line, level bool) error {
	if p.o.SetLine != nil {
		if err := p.o.SetLine(l, level); err != nil {
			return fmt.Errorf("set %s: %w", l, err)
		}
		return nil
	}
	bit, request := unix.TIOCM_DTR, uint(unix.TIOCMBIC)
	if l == RTS {
		bit = unix.TIOCM_RTS
	}
	if level {
		request = unix.TIOCMBIS
	}
	err := control(f, func(fd int) error { return unix.IoctlSetPointerInt(fd, request, bit) })
	switch {
	case errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: %s on %s", ErrUnsupported, l, p.o.Device)
	case err != nil:
		return fmt.Errorf("set %s: %w", l, err)
	}
	return nil
}

// rs485 is struct serial_rs485 of linux/serial.h:
//
//	+-------+-------------------+------------------+---------+
//	| flags | before send, ms   | after send, ms   | padding |   u32, u32, u32, 5 x u32
//	+-------+-------------------+------------------+---------+
type rs485 struct {
	flags, before, after uint32
	_                    [5]uint32
}

const (
	tiocsrs485    = 0x542f
	rs485Enabled  = 1 << 0
	rs485OnSend   = 1 << 1
	rs485After    = 1 << 2
	rs485DuringTX = 1 << 4
)

func (p *Port) setRS485(fd int, r *RS485) error {
	s := rs485{flags: rs485Enabled, before: uint32(r.BeforeSend.Milliseconds()), after: uint32(r.AfterSend.Milliseconds())}
	for bit, set := range map[uint32]bool{rs485OnSend: r.RTSOnSend, rs485After: r.RTSAfterSend, rs485DuringTX: r.ReceiveOwn} {
		if set {
			s.flags |= bit
		}
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), tiocsrs485, uintptr(unsafe.Pointer(&s)))
	switch errno {
	case 0:
		return nil
	case unix.ENOTTY, unix.EINVAL, unix.EOPNOTSUPP:
		return fmt.Errorf("%w: RS-485 direction by the kernel on %s; an adapter that switches by itself needs no rs485 block",
			ErrUnsupported, p.o.Device)
	}
	return fmt.Errorf("set RS-485 on %s: %w", p.o.Device, errno)
}

// lowLatency sets ASYNC_LOW_LATENCY in struct serial_struct, whose flags are its fifth int. Best effort: many drivers
// know nothing of it and work as well without.
func lowLatency(fd int) {
	const flags, asyncLowLatency = 4, 1 << 13
	var s [64]int32 // serial_struct is 72 bytes on 64-bit systems and 60 on others
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGSERIAL, uintptr(unsafe.Pointer(&s))); e != 0 {
		return
	}
	s[flags] |= asyncLowLatency
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSSERIAL, uintptr(unsafe.Pointer(&s)))
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
