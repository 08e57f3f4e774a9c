// Package target simulates chips that wait in their bootloader: the STM32 ROM of AN3155, the ISP monitor of STC89, and an
// MCUboot device that speaks SMP. They stand in for hardware in tests of flashers, ours and others.
//
// A chip is bytes in, bytes out, with a flash that keeps what a cut leaves of it: every byte received and every flash
// cell changed is one step, and CutAfter takes the supply away after so many. Nothing here starts a goroutine.
package target

import (
	"context"
	"iter"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
	"github.com/edgelog/edgelog/mcu/boot"
)

// Chip is one simulated chip.
type Chip interface {
	Power(on bool) // off loses everything but flash; on does nothing while the mains is away
	Powered() bool
	CutAfter(steps int) // then the mains is away until CutAfter(0)
	Steps() int         // since it was made
	// Receive takes one byte that came at the line's mode; Send returns what the chip has sent until now.
	Receive(b byte, m boot.Mode)
	Send(m boot.Mode) []byte
	Due() (at time.Time, ok bool) // when the next byte will be sent
}

// AnyParity is the parity of a line that carries none, such as a pseudo terminal.
const AnyParity = serial.ParityMark

// core is what the chips have in common: supply, steps, and a program that reads bytes as they come.
type core struct {
	run     func() // the program after power-on or reset
	mode    boot.Mode
	out     []sent
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	in      byte
	on      bool
	onSince time.Time
	steps   int
	cutAt   int
	dark    bool // the mains is away
}

type sent struct {
	at    time.Time
	until time.Time // a host that does not listen at its speed by then hears noise
	mode  boot.Mode
	b     byte
}

// follow is how much longer than a chip this one waits for a host to follow a change of speed: the clock on the wall goes
// on while a host on a busy machine does not.
const follow = 3 * time.Second

type powerOff struct{}

func (c *core) Powered() bool { return c.on }
func (c *core) Steps() int    { return c.steps }

func (c *core) CutAfter(n int) {
	if c.cutAt, c.dark = 0, false; n > 0 {
		c.cutAt = c.steps + n
	}
}

// Power switches the supply. On begins the program.
func (c *core) Power(on bool) {
	if c.stop != nil {
		c.stop()
		c.next, c.stop = nil, nil
	}
	on = on && !c.dark
	c.on, c.out = on, nil
	if on {
		c.onSince = time.Now()
		c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
			defer func() {
				if p := recover(); p != nil {
					if _, off := p.(powerOff); !off {
						panic(p)
					}
				}
			}()
			c.yield = yield
			c.run()
		})
		c.next()
	}
}

// read waits for the next byte.
func (c *core) read() byte {
	if !c.yield(struct{}{}) {
		panic(powerOff{})
	}
	return c.in
}

// step counts one; at the cut the supply goes away in the middle of whatever the program does.
func (c *core) step() {
	if c.steps++; c.cutAt > 0 && c.steps >= c.cutAt {
		c.cutAt, c.dark = 0, true
		c.on, c.out = false, nil
		panic(powerOff{})
	}
}

// Receive gives the program one byte; at another speed or parity it is noise.
func (c *core) Receive(b byte, m boot.Mode) {
	if !c.on || c.next == nil {
		return
	}
	if !c.hears(m) {
		b ^= 0xa5
	}
	if c.steps++; c.cutAt > 0 && c.steps >= c.cutAt {
		c.cutAt, c.dark = 0, true
		c.Power(false)
		return
	}
	c.in = b
	if _, ok := c.next(); !ok {
		c.next, c.stop = nil, nil // the program ended, or the supply went away within
	}
}

// hears compares modes; a line without a speed (a pseudo terminal that was not set) passes everything.
func (c *core) hears(m boot.Mode) bool {
	return m.Baud == 0 || m.Baud == c.mode.Baud && (m.Parity == c.mode.Parity || m.Parity == AnyParity)
}

func (c *core) write(b ...byte) { c.writeAfter(0, b...) }

func (c *core) writeAfter(d time.Duration, b ...byte) {
	at := time.Now().Add(d)
	until := at
	if d > 0 {
		until = at.Add(follow)
	}
	for _, x := range b {
		c.out = append(c.out, sent{at, until, c.mode, x})
	}
}

// Send returns what is due, heard at the mode.
func (c *core) Send(m boot.Mode) []byte {
	var b []byte
	now := time.Now()
	for len(c.out) > 0 && !c.out[0].at.After(now) {
		s := c.out[0]
		if m.Baud != 0 && m.Baud != s.mode.Baud {
			if s.until.After(now) {
				break
			}
			s.b ^= 0xa5
		}
		c.out = c.out[1:]
		b = append(b, s.b)
	}
	return b
}

// Due is when Send has the next byte, at the latest.
func (c *core) Due() (time.Time, bool) {
	if len(c.out) == 0 {
		return time.Time{}, false
	}
	if s := c.out[0]; s.at.After(time.Now()) {
		return s.at, true
	}
	return c.out[0].until, true
}

// Flash is memory whose cells can only be cleared until their page is erased.
type Flash struct {
	Cells []byte
	step  func()
}

func newFlash(n int, step func()) *Flash {
	f := &Flash{Cells: make([]byte, n), step: step}
	for i := range f.Cells {
		f.Cells[i] = 0xff
	}
	return f
}

// program clears bits, cell by cell.
func (f *Flash) program(at int, data []byte) {
	for i, b := range data {
		if at+i < len(f.Cells) {
			f.Cells[at+i] &= b
			f.step()
		}
	}
}

// erase sets pages of size bytes one after the other; a cut leaves those not yet begun. What a page holds that is cut
// within its erase, no datasheet says: it counts as not begun.
func (f *Flash) erase(at, n, size int) {
	for end := min(at+n, len(f.Cells)); at < end; at += size {
		f.step()
		for i := at; i < min(at+size, end); i++ {
			f.Cells[i] = 0xff
		}
	}
}

// Line joins a flasher with a chip without goroutines: it is a boot.Line whose time is that of the caller's clock. Noise,
// if set, may change or drop a byte on its way.
type Line struct {
	Chip  Chip
	Noise func(toChip bool, b byte) (byte, bool) // false: lost
	mode  boot.Mode
	wait  time.Duration
	in    []byte
}

// Write gives the chip every byte.
func (l *Line) Write(b []byte) (int, error) {
	for _, c := range b {
		ok := true
		if l.Noise != nil {
			c, ok = l.Noise(true, c)
		}
		if ok {
			l.Chip.Receive(c, l.mode)
		}
	}
	return len(b), nil
}

// Read returns what the chip has sent, waiting at most the read time-out.
func (l *Line) Read(b []byte) (int, error) {
	for end := time.Now().Add(l.wait); ; {
		for _, c := range l.Chip.Send(l.mode) {
			ok := true
			if l.Noise != nil {
				c, ok = l.Noise(false, c)
			}
			if ok {
				l.in = append(l.in, c)
			}
		}
		if len(l.in) > 0 {
			n := copy(b, l.in)
			l.in = l.in[n:]
			return n, nil
		}
		now := time.Now()
		if !now.Before(end) {
			return 0, nil
		}
		until := end
		if due, ok := l.Chip.Due(); ok && due.Before(end) {
			until = due
		}
		time.Sleep(until.Sub(now))
	}
}

// SetReadTimeout implements boot.Line.
func (l *Line) SetReadTimeout(d time.Duration) error { l.wait = d; return nil }

// SetMode implements boot.Line.
func (l *Line) SetMode(_ context.Context, m boot.Mode) error {
	l.Chip.Send(l.mode)
	l.mode, l.in = m, nil
	return nil
}
