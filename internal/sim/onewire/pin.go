package onewire

import (
	"fmt"
	"time"
)

// Times of the slaves (DS18B20 data sheet, "1-Wire signaling"); the master's are checked against the limits.
const (
	resetLeast    = 480 * time.Microsecond
	resetQuiet    = 480 * time.Microsecond // after the reset pulse
	presenceDelay = 30 * time.Microsecond
	presenceTime  = 120 * time.Microsecond
	holdZero      = 30 * time.Microsecond
	write1Most    = 15 * time.Microsecond
	write0Least   = 60 * time.Microsecond
	write0Most    = 120 * time.Microsecond
	slotLeast     = 60 * time.Microsecond
	recoveryLeast = time.Microsecond
)

// Pull is a time in which the slaves hold the line low.
type Pull struct{ From, To time.Duration }

// Pin is the wire as a master's pin sees it: edges of a simulated microcontroller, with their times. Its methods must
// not be called at the same time. Late makes the slaves slow by so much in everything that they drive.
type Pin struct {
	Late time.Duration

	wire    *Wire
	note    func(string)
	low     bool
	fell    time.Duration
	rose    time.Duration
	resetAt time.Duration // end of the latest reset pulse
	pulls   []Pull
	level   byte // of the slot that runs, as the slaves see it
}

// NewPin makes the wire's pin. note hears of each time that the master does not keep.
func NewPin(w *Wire, note func(string)) *Pin {
	return &Pin{wire: w, note: note, rose: -time.Second, fell: -time.Second, resetAt: -time.Second}
}

// Low says whether the line is low at that time, which must not lie before the latest edge.
func (p *Pin) Low(now time.Duration) bool {
	if p.low || p.wire.shorted() {
		return true
	}
	for _, x := range p.pulls {
		if now >= x.From && now < x.To {
			return true
		}
	}
	return false
}

// Edge says that the master pulls from now on, or lets go. It returns when the slaves will pull.
func (p *Pin) Edge(low bool, now time.Duration) []Pull {
	if low == p.low {
		return nil
	}
	p.low = low
	if low {
		return p.fall(now)
	}
	return p.rise(now)
}

func (p *Pin) fall(now time.Duration) []Pull {
	if d := now - p.resetAt; d < resetQuiet {
		p.note(fmt.Sprintf("1-Wire: slot %v after a reset pulse, at least %v", d, resetQuiet))
	} else if d := now - p.fell; d < slotLeast {
		p.note(fmt.Sprintf("1-Wire: slot of %v, at least %v", d, slotLeast))
	}
	if d := now - p.rose; d < recoveryLeast {
		p.note(fmt.Sprintf("1-Wire: recovery of %v, at least %v", d, recoveryLeast))
	}
	p.fell = now
	p.pulls = p.pulls[:0]
	p.level = p.wire.begin(now)
	if p.level == 0 {
		p.pulls = append(p.pulls, Pull{now, now + holdZero + p.Late})
	}
	return p.pulls
}

func (p *Pin) rise(now time.Duration) []Pull {
	width := now - p.fell
	p.rose = now
	switch {
	case width >= resetLeast:
		p.resetAt = now
		p.pulls = p.pulls[:0]
		if p.wire.resetAt(now) {
			from := now + presenceDelay + p.Late
			p.pulls = append(p.pulls, Pull{from, from + presenceTime})
		}
		return p.pulls
	case width > write0Most:
		p.note(fmt.Sprintf("1-Wire: low for %v: neither a slot nor a reset", width))
		return nil
	case width > write1Most && width < write0Least:
		p.note(fmt.Sprintf("1-Wire: low for %v: neither 0 nor 1", width))
	}
	if width >= (write1Most+write0Least)/2 {
		p.level = 0
	}
	p.wire.finish(p.level, now)
	return nil
}

func (w *Wire) shorted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.short
}

// resetAt resets all slaves; presence says whether one answers.
func (w *Wire) resetAt(now time.Duration) (presence bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Resets++
	for _, c := range w.chips {
		if !c.Gone {
			c.settle(now, true)
			c.reset()
			presence = true
		}
	}
	return presence
}

// begin is the falling edge of a slot: what the slaves drive.
func (w *Wire) begin(now time.Duration) byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Slots++
	level := byte(1)
	for _, c := range w.chips {
		if !c.Gone {
			c.settle(now, true)
			level &= c.drive()
		}
	}
	return level
}

// finish is the end of a slot.
func (w *Wire) finish(level byte, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.chips {
		if !c.Gone {
			c.sample(level, now)
		}
	}
}
