// Package onewire simulates 1-Wire chips bit by bit, and the serial adapters DS2480B and DS9097 on a pty.
//
// It is for tests: programs that were not written for it (digitemp, owserver) read its chips through its adapters, and
// so do this project's masters, so that both must agree. Chips are written from their datasheets and know nothing of
// the code that they test.
package onewire

import (
	"sync"
	"time"
)

// Wire is the bus. Its methods may be called by an adapter and a test at once; chips change through Do only.
type Wire struct {
	mu     sync.Mutex
	chips  []*Chip
	short  bool
	strong bool
	start  time.Time
	counts Counts
}

// Counts is what happened on a wire.
type Counts struct {
	Resets, Slots, Conversions, EEPROMWrites int
}

// NewWire is a bus with the chips on it.
func NewWire(chips ...*Chip) *Wire { return &Wire{chips: chips, start: time.Now()} }

// Do runs f while nothing moves on the wire: the way to change chips.
func (w *Wire) Do(f func(chips *[]*Chip)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.chips)
}

// Short pulls the line to ground or lets it go.
func (w *Wire) Short(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.short = on
}

// Counts since the last call.
func (w *Wire) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts
	for _, chip := range w.chips {
		c.Conversions += chip.conversions
		c.EEPROMWrites += chip.eepromWrites
		chip.conversions, chip.eepromWrites = 0, 0
	}
	w.counts = Counts{}
	return c
}

// presence is the answer to a reset pulse.
type presence int

const (
	present presence = iota
	nobody
	stuckLow
)

func (w *Wire) reset() presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Resets++
	w.pull(false)
	if w.short {
		return stuckLow
	}
	now, p := time.Since(w.start), nobody
	for _, c := range w.chips {
		if c.Gone {
			continue
		}
		c.settle(now, true)
		c.reset()
		p = present
	}
	return p
}

// slot is one bit: the master writes b, or reads with b = 1; the result is the level that it samples.
func (w *Wire) slot(b byte) byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Slots++
	w.pull(false)
	if w.short {
		return 0
	}
	now, level := time.Since(w.start), b
	for _, c := range w.chips {
		if c.Gone {
			continue
		}
		c.settle(now, true)
		level &= c.drive()
	}
	for _, c := range w.chips {
		if !c.Gone {
			c.sample(level, now)
		}
	}
	return level
}

// strongPullup feeds the line hard until the next slot or reset.
func (w *Wire) strongPullup() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pull(true)
}

// pull must be called with mu held.
func (w *Wire) pull(strong bool) {
	now := time.Since(w.start)
	if w.strong && !strong {
		for _, c := range w.chips {
			c.settle(now, true)
		}
	}
	w.strong = strong
	if strong {
		for _, c := range w.chips {
			c.fed = true
		}
	}
}

func (w *Wire) touch(b byte) (r byte) {
	for i := range 8 {
		r |= w.slot(b>>i&1) << i
	}
	return r
}
