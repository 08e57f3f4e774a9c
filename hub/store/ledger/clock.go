package ledger

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// UnknownError is the t_error of rows of which nothing places the boot, µs.
const UnknownError = record.UnknownError / 1000

// Boot is one boot of a device, with what its anchors say. A Device's boots are never written in place.
type Boot struct {
	ID     string
	Ref    int64         // the engine's, 0 while it has none
	Best   record.Anchor // Boot is "" where there is none
	Guess  record.Anchor
	Last   int64 // greatest boot time seen in an anchor, ns
	Base   int64 // µs UTC of boot time 0 that rows are written with; 0 until placed
	TError int64 // µs
	Placed bool
}

// clock is the working copy of a device's boots with their timeline.
type clock struct {
	line    record.Timeline
	boots   []*Boot
	touched map[*Boot]bool // differ from what is stored
	fresh   map[*Boot]bool // not stored yet
	now     map[*Boot]bool // touched by the change under way
}

func (t *Tx) openClock() *clock {
	if t.clock != nil {
		return t.clock
	}
	k := &clock{touched: map[*Boot]bool{}, fresh: map[*Boot]bool{}}
	for _, b := range t.d.Boots {
		c := *b
		k.boots = append(k.boots, &c)
		k.restore(&c)
	}
	t.clock = k
	return k
}

func (k *clock) find(id string) *Boot {
	for _, b := range k.boots {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// restore brings the timeline to where the boot's anchors had brought it.
func (k *clock) restore(b *Boot) {
	if b.Best.Boot == "" && b.Guess.Boot == "" {
		return
	}
	// A guess carries the greatest boot time seen; the true guess, if any, then takes its place, and a boot with a
	// good anchor never looks at guesses.
	k.line.Add(record.Anchor{Boot: b.ID, BootTime: b.Last, UTC: b.Last, Source: record.SourceSystem})
	if b.Guess.Boot != "" {
		k.line.Add(b.Guess)
	}
	if b.Best.Boot != "" {
		k.line.Add(b.Best)
	}
}

func (k *clock) dirty() (out []*Boot) {
	for _, b := range k.boots {
		if k.touched[b] {
			out = append(out, b)
		}
	}
	return out
}

// applyClock takes the boot mark and the anchors of a change, before its rows, and says which rows that are already
// stored are off, and by how much.
func (t *Tx) applyClock(x *Touched, c *store.Change) (shifts []Shift) {
	id := c.Boot
	if id == "" && x.Boot == "" && len(c.Anchors) > 0 {
		id = c.Anchors[0].Boot // the boot mark fell into a gap; an epoch lies within one boot
	}
	if id == "" && len(c.Anchors) == 0 {
		return nil
	}
	k := t.openClock()
	k.now = map[*Boot]bool{}
	for _, a := range c.Anchors {
		b := k.get(a.Boot)
		k.line.Add(a)
		k.now[b] = true
		b.Last = max(b.Last, a.BootTime)
		if !a.Good() {
			b.Guess = a
		}
		if best, ok := k.line.Anchored(a.Boot); ok {
			b.Best = best
		}
	}
	if id != "" {
		k.get(id)
	}
	shifts = t.place(k)
	if id == "" {
		return shifts
	}
	return append(shifts, t.setBoot(x, k.find(id))...)
}

func (k *clock) get(id string) *Boot {
	b := k.find(id)
	if b == nil {
		b = &Boot{ID: id, TError: UnknownError}
		k.boots = append(k.boots, b)
		k.fresh[b], k.now[b] = true, true
	}
	return b
}

// place computes the base of every boot that may have moved.
func (t *Tx) place(k *clock) (shifts []Shift) {
	for _, b := range k.boots {
		if !k.now[b] && b.Best.Boot != "" {
			continue // a good anchor of its own: the others do not move it
		}
		base, tError, placed := int64(0), int64(UnknownError), false
		if at, ok := k.line.At(b.ID, record.Stamp{Clock: record.ClockBoot}); ok {
			base, tError, placed = floorDiv(at.UTC, 1000), -floorDiv(-at.Error, 1000), true
		}
		if !k.now[b] && base == b.Base && tError == b.TError {
			continue
		}
		shift := base - b.Base
		k.touched[b] = true
		b.Base, b.TError, b.Placed = base, tError, placed
		if shift == 0 || k.fresh[b] {
			continue
		}
		shifts = append(shifts, t.shiftBoot(b, shift)...)
	}
	for _, b := range k.boots {
		delete(k.fresh, b)
	}
	return shifts
}

// shiftBoot is the shift of every epoch of the boot.
func (t *Tx) shiftBoot(b *Boot, micros int64) (shifts []Shift) {
	for _, e := range t.d.Epochs {
		if e.Boot == b.ID {
			t.touch(e.Stream, e.Epoch)
		}
	}
	for _, x := range t.epochs {
		if x.Boot == b.ID {
			shifts = append(shifts, x.shift(micros, b.TError)...)
		}
	}
	return shifts
}

// setBoot ties the epoch to its boot.
func (t *Tx) setBoot(x *Touched, b *Boot) []Shift {
	was := int64(0)
	if x.Boot == b.ID {
		return nil
	}
	if o := t.boot(x.Boot); o != nil {
		was = o.Base
	}
	x.Boot = b.ID
	return x.shift(b.Base-was, b.TError)
}

// shift moves the epoch's last time and names the rows that are off.
func (x *Touched) shift(micros, tError int64) []Shift {
	if x.Rows == 0 || micros == 0 {
		return nil
	}
	x.Dirty = true
	if x.LastTime != 0 {
		x.LastTime += micros
	}
	return []Shift{{Epoch: x, To: x.Next, Micros: micros, TError: tError}}
}

// Diff names what to remove and what to add to bring one ascending list to another.
func Diff[T comparable](was, now []T) (gone, added []T) {
	if len(was) <= len(now) && slices.Equal(was, now[:len(was)]) {
		return nil, now[len(was):]
	}
	had := make(map[T]bool, len(was))
	for _, v := range was {
		had[v] = true
	}
	for _, v := range now {
		if had[v] {
			delete(had, v)
			continue
		}
		added = append(added, v)
	}
	for _, v := range was {
		if had[v] {
			gone = append(gone, v)
		}
	}
	return gone, added
}
