package sim

import (
	"fmt"
	"strings"
	"time"
)

// HD44780 is a character display of two lines of 16 with its R/W pin at ground: it takes nibbles or bytes at the
// falling edge of E. Times are those of the data sheet at 5 V (ADE-207-272, tables 6 and 11).
type HD44780 struct {
	Unplugged bool // hears nothing; its contents fade

	note    func(string)
	ready   time.Duration // busy until then
	eight   bool          // interface of eight bits
	half    bool          // the high nibble is taken
	nibble  byte
	e       bool
	eRose   time.Duration
	ddram   [128]byte
	address byte
	inCG    bool
	on      bool
	twoLine bool
}

const (
	lcdPowerUp = 40 * time.Millisecond
	lcdClear   = 1520 * time.Microsecond
	lcdCommand = 37 * time.Microsecond
	lcdPulse   = 230 * time.Nanosecond
)

func newHD44780(note func(string)) *HD44780 {
	d := &HD44780{note: note}
	d.PowerCycle(0)
	return d
}

// PowerCycle is the display's own reset.
func (d *HD44780) PowerCycle(now time.Duration) {
	*d = HD44780{Unplugged: d.Unplugged, note: d.note, eight: true, ready: now + lcdPowerUp}
	for i := range d.ddram {
		d.ddram[i] = ' '
	}
}

// pins are D7–D4 in the low bits of data, RS and E.
func (d *HD44780) pins(data byte, rs, e bool, now time.Duration) {
	if d.Unplugged || e == d.e {
		return
	}
	d.e = e
	if e {
		d.eRose = now
		return
	}
	if w := now - d.eRose; w < lcdPulse {
		d.note(fmt.Sprintf("LCD: E high for %v, at least %v", w, lcdPulse))
	}
	if d.eight { // only D7–D4 are wired: the low nibble reads as 0
		d.take(data<<4, rs, now)
		return
	}
	if !d.half {
		d.half, d.nibble = true, data
		if now < d.ready {
			d.note(fmt.Sprintf("LCD: busy for %v more", d.ready-now))
		}
		return
	}
	d.half = false
	d.take(d.nibble<<4|data&15, rs, now)
}

func (d *HD44780) take(b byte, rs bool, now time.Duration) {
	// A function set while the chip still powers up is what the start sequence is made of.
	if now < d.ready && !(d.eight && b&0xe0 == 0x20) {
		d.note(fmt.Sprintf("LCD: %#02x %v before it is ready", b, d.ready-now))
	}
	d.ready = now + lcdCommand
	if rs {
		if !d.inCG {
			d.ddram[d.address&127] = b
		}
		d.advance()
		return
	}
	switch {
	case b >= 0x80:
		d.address, d.inCG = b&127, false
	case b >= 0x40:
		d.inCG = true
	case b >= 0x20:
		d.eight, d.twoLine = b&0x10 != 0, b&8 != 0
	case b >= 0x10: // shifts
	case b >= 8:
		d.on = b&4 != 0
	case b >= 4: // entry mode: only increment is modelled
		if b&3 != 2 {
			d.note(fmt.Sprintf("LCD: entry mode %#02x is not modelled", b))
		}
	case b >= 2:
		d.address, d.inCG, d.ready = 0, false, now+lcdClear
	case b == 1:
		for i := range d.ddram {
			d.ddram[i] = ' '
		}
		d.address, d.inCG, d.ready = 0, false, now+lcdClear
	}
}

func (d *HD44780) advance() {
	d.address++
	switch d.address { // the lines have 40 characters each
	case 0x28:
		d.address = 0x40
	case 0x68:
		d.address = 0
	}
}

// Lines is what a person sees; the degree sign and unprintable codes are translated. A display that is off, unplugged
// or not set up for two lines shows nothing.
func (d *HD44780) Lines() [2]string {
	var out [2]string
	for row, base := range []int{0, 0x40} {
		var s strings.Builder
		for _, b := range d.ddram[base : base+16] {
			switch {
			case d.Unplugged || !d.on || row == 1 && !d.twoLine:
				s.WriteByte(' ')
			case b == 0xdf:
				s.WriteRune('°')
			case b < ' ' || b > '~':
				s.WriteRune('█')
			default:
				s.WriteByte(b)
			}
		}
		out[row] = s.String()
	}
	return out
}

// Picture is the display as text art.
func (d *HD44780) Picture() string {
	l := d.Lines()
	edge := "+" + strings.Repeat("-", 18) + "+\n"
	return edge + "| " + l[0] + " |\n| " + l[1] + " |\n" + edge
}
