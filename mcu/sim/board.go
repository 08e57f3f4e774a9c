package sim

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/sim/onewire"
)

// Board holds the devices at a chip's pins. Change them within Line.Do, or while the chip does not run. The 1-Wire
// chips are those of internal/sim/onewire: absent is Gone, noise is Damage, slow is Pin.Late, counterfeit is
// Thermometer.Clone, a short is Wire.Short.
type Board struct {
	Wire   *onewire.Wire
	Pin    *onewire.Pin
	LCD    *HD44780
	Clock  *DS1302
	Relays Relays

	notes []string
	lost  int
}

// NewBoard is a board with these 1-Wire chips, a display, a clock chip that was never set, and six relays.
func NewBoard(chips ...*onewire.Chip) *Board {
	b := &Board{Wire: onewire.NewWire(chips...)}
	b.Pin = onewire.NewPin(b.Wire, b.note)
	b.LCD, b.Clock = newHD44780(b.note), newDS1302(b.note)
	return b
}

func (b *Board) note(s string) {
	if len(b.notes) == notesLimit {
		b.lost++
		return
	}
	b.notes = append(b.notes, s)
}

// Violations takes what the program did that the devices' data sheets forbid.
func (b *Board) Violations() []string {
	v := b.notes
	if b.lost > 0 {
		v = append(v, fmt.Sprintf("%d more", b.lost))
	}
	b.notes, b.lost = nil, 0
	return v
}

// Relays are the outputs: bit 0 heater, 1 fan, 2 to 5 timed outputs.
type Relays struct {
	State   byte
	Changes []Change // at most 4,096
}

// Change is one change of the outputs.
type Change struct {
	At    time.Duration
	State byte
}

func (r *Relays) set(state byte, now time.Duration) {
	if state == r.State {
		return
	}
	r.State = state
	if len(r.Changes) < 4096 {
		r.Changes = append(r.Changes, Change{now, state})
	}
}

// On says whether output i is on.
func (r *Relays) On(i int) bool { return r.State>>i&1 != 0 }
