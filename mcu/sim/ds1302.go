package sim

import (
	"fmt"
	"time"
)

// DS1302 is the clock chip (data sheet 19-5056) without its RAM and trickle charger. It keeps the time of the
// simulation, on its own battery: a power cycle of the board does not touch it.
type DS1302 struct {
	Absent  bool // nothing drives I/O
	Stopped bool // the crystal stands still
	Drift   float64

	note    func(string)
	set     time.Time     // what it showed
	setAt   time.Duration // at that moment
	halted  bool          // CH
	protect bool

	ce, clk  bool
	ceRose   time.Duration
	edge     time.Duration
	bits     int
	command  byte
	in       byte
	burst    []byte
	out      []byte
	level    bool
	sending  bool
	sendBits int
}

func newDS1302(note func(string)) *DS1302 {
	return &DS1302{note: note, halted: true, set: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// Time is what the chip shows; ok is false while it does not run.
func (d *DS1302) Time(now time.Duration) (t time.Time, ok bool) {
	if d.halted || d.Stopped {
		return d.set, false
	}
	past := now - d.setAt
	return d.set.Add(past + time.Duration(float64(past)*d.Drift)), true
}

// SetTime sets the chip as its former life did.
func (d *DS1302) SetTime(t time.Time, now time.Duration) {
	d.set, d.setAt, d.halted = t.UTC(), now, false
}

// Stop makes the crystal stand still or run again.
func (d *DS1302) Stop(on bool, now time.Duration) {
	d.set, _ = d.Time(now)
	d.setAt, d.Stopped = now, on
}

// pins are what the microcontroller drives; the result is the level of I/O as it can read it.
func (d *DS1302) pins(ce, clk, io bool, now time.Duration) bool {
	if d.Absent {
		return true
	}
	rose := ce && !d.ce
	if rose {
		d.bits, d.command, d.burst, d.sending, d.level, d.ceRose = 0, 0, nil, false, true, now
		if clk && d.clk {
			d.note("DS1302: SCLK is high when CE rises")
		}
	}
	if !ce && d.ce {
		d.level = true
	}
	d.ce = ce
	if rose && clk != d.clk { // both at once: a reset of the chip that drives them
		d.clk, d.edge = clk, now
	}
	if clk != d.clk {
		if w := now - d.edge; ce && w < 250*time.Nanosecond {
			d.note(fmt.Sprintf("DS1302: SCLK steady for %v, at least 250ns", w))
		}
		if w := now - d.ceRose; ce && w < time.Microsecond {
			d.note(fmt.Sprintf("DS1302: SCLK moves %v after CE, at least 1µs", w))
		}
		d.clk, d.edge = clk, now
		if ce {
			d.clock(clk, io, now)
		}
	}
	return d.level
}

func (d *DS1302) clock(rising, io bool, now time.Duration) {
	if !rising { // data go out at falling edges, the first right behind the command
		if d.sending {
			d.level = d.sendBits/8 >= len(d.out) || d.out[d.sendBits/8]>>(d.sendBits%8)&1 != 0
			d.sendBits++
		}
		return
	}
	if d.sending {
		return
	}
	d.in >>= 1
	if io {
		d.in |= 0x80
	}
	if d.bits++; d.bits%8 != 0 {
		return
	}
	if d.bits == 8 {
		d.command = d.in
		if d.in&1 != 0 {
			d.out, d.sending, d.sendBits = d.read(d.in, now), true, 0
		}
		return
	}
	d.burst = append(d.burst, d.in)
	d.write(now)
}

func bcd(v int) byte           { return byte(v/10<<4 | v%10) }
func unBCD(b byte) int         { return int(b>>4)*10 + int(b&15) }
func weekday(t time.Time) byte { return byte((int(t.Weekday())+6)%7 + 1) }

func (d *DS1302) registers(now time.Duration) []byte {
	t, _ := d.Time(now)
	sec := bcd(t.Second())
	if d.halted {
		sec |= 0x80
	}
	wp := byte(0)
	if d.protect {
		wp = 0x80
	}
	return []byte{sec, bcd(t.Minute()), bcd(t.Hour()), bcd(t.Day()), bcd(int(t.Month())), weekday(t), bcd(t.Year() % 100), wp}
}

func (d *DS1302) read(command byte, now time.Duration) []byte {
	r := d.registers(now)
	switch {
	case command == 0xbf:
		return r
	case command >= 0x81 && command <= 0x8f:
		return r[(command-0x81)/2:][:1]
	}
	return []byte{0}
}

func (d *DS1302) write(now time.Duration) {
	switch {
	case d.command == 0x8e && len(d.burst) == 1:
		d.protect = d.burst[0]&0x80 != 0
	case d.command == 0xbe && len(d.burst) == 8:
		if d.protect {
			d.note("DS1302: write while protected")
			return
		}
		b := d.burst
		d.set = time.Date(2000+unBCD(b[6]), time.Month(unBCD(b[4])), unBCD(b[3]), unBCD(b[2]), unBCD(b[1]), unBCD(b[0]&0x7f), 0, time.UTC)
		d.setAt, d.halted, d.protect = now, b[0]&0x80 != 0, b[7]&0x80 != 0
	case d.command != 0xbe && d.command != 0x8e:
		d.note(fmt.Sprintf("DS1302: write command %#02x is not modelled", d.command))
	}
}
