// Package ledger holds what a store knows of one device and decides changes against it: the compare-and-set, gaps and
// fills, skips, definitions, producers, and the device's clock. It is pure: an engine loads a Device from what it has
// stored, lets a Tx apply the changes of a commit, writes what the Tx says has changed, in one transaction of its own,
// and then keeps or drops the Tx.
package ledger

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Device is everything that decides about the next change of one device. It is not safe for concurrent use, and one Tx
// at a time may be open on it.
type Device struct {
	Name      string
	Ref       int64    // the engine's, 0 while it has none
	Version   int64    // the engine's
	Epochs    []*Epoch // in the order in which they were created
	Producers []Producer
	Boots     []*Boot // in the order in which they were first heard of

	moves int64
}

// Epoch is the stored state of one (stream, epoch). What a Device holds is never written in place: a Tx works on
// copies. Definitions are the exception: they are only ever added.
type Epoch struct {
	store.Position
	Definitions map[record.SeriesID]*Series
	Ref         int64 // the engine's, 0 while it has none
	Late        uint64
	Removed     uint64 // rows that went by retention; counted among Rows
	Arrived     int64  // µs UTC of the hub: when something of it was taken last
	LastTime    int64  // µs UTC of the last row then, 0 while none
	FirstMark   int64  // the engine's: no row of this epoch lies before it
}

// Series is what a series id of an epoch means.
type Series struct {
	record.Series
	Ref  int64  // the engine's, 0 while it has none
	Text []byte // the engine's: the series as it writes it
}

// Producer is what was taken of one (name, incarnation). Moved orders them by when they were heard of last.
type Producer struct {
	store.Producer
	Moved int64
}

// keepIncarnations is how many incarnations of one producer are remembered.
const keepIncarnations = 4 * store.KeepIncarnations

// Find is the epoch, nil if there is none.
func (d *Device) Find(stream string, id record.Epoch) *Epoch {
	for _, e := range d.Epochs {
		if e.Epoch == id && e.Stream == stream {
			return e
		}
	}
	return nil
}

// State is what the receiver needs to know of the device. It shares nothing with the device that is ever changed.
func (d *Device) State() store.DeviceState {
	var st store.DeviceState
	for _, e := range d.Epochs {
		st.Positions = append(st.Positions, e.Position)
	}
	slices.SortStableFunc(st.Positions, func(a, b store.Position) int {
		switch {
		case a.Stream < b.Stream:
			return -1
		case a.Stream > b.Stream:
			return 1
		}
		return 0
	})
	for i := range st.Positions {
		p := &st.Positions[i]
		p.Gaps, p.Skipped, p.Marks = slices.Clone(p.Gaps), slices.Clone(p.Skipped), slices.Clone(p.Marks)
	}
	for _, p := range d.Producers {
		q := p.Producer
		q.Taken = q.Taken.Clone()
		st.Producers = append(st.Producers, q)
	}
	return st
}

// Tx is one commit's changes of one device, on top of what the device is.
type Tx struct {
	d   *Device
	now int64 // µs UTC

	epochs    []*Touched // in the order of their first use
	producers []Producer // as they will be; nil: as in the device
	moved     []Producer // those that changed
	forgotten []Producer
	clock     *clock
	defined   []defined
	moves     int64
}

// Touched is an epoch that a Tx has used.
type Touched struct {
	*Epoch        // as it will be
	Was    *Epoch // as it was; nil: it is new
	Dirty  bool   // it differs
}

type defined struct {
	e  *Epoch
	id record.SeriesID
}

// Begin opens a Tx. now is the hub's time, µs UTC.
func (d *Device) Begin(now int64) *Tx { return &Tx{d: d, now: now, moves: d.maxMoved()} }

func (d *Device) maxMoved() int64 {
	m := d.moves
	for i := range d.Producers {
		m = max(m, d.Producers[i].Moved)
	}
	return m
}

// Epochs are those that the Tx has used.
func (t *Tx) Epochs() []*Touched { return t.epochs }

// Producers are those that moved, and those that are forgotten to stay within the bound.
func (t *Tx) Producers() (moved, forgotten []Producer) { return t.moved, t.forgotten }

// Boots are those that changed.
func (t *Tx) Boots() []*Boot {
	if t.clock == nil {
		return nil
	}
	return t.clock.dirty()
}

// Dirty reports whether the Tx changes anything.
func (t *Tx) Dirty() bool {
	return len(t.moved) > 0 || len(t.defined) > 0 || t.clock != nil || slices.ContainsFunc(t.epochs, func(x *Touched) bool { return x.Dirty })
}

// Keep makes the device what the Tx has made of it: after the engine's transaction is durable.
func (t *Tx) Keep() {
	for _, x := range t.epochs {
		switch {
		case !x.Dirty:
		case x.Was == nil:
			t.d.Epochs = append(t.d.Epochs, x.Epoch)
		default:
			t.d.Epochs[slices.Index(t.d.Epochs, x.Was)] = x.Epoch
		}
	}
	if t.producers != nil {
		t.d.Producers = t.producers
	}
	t.d.moves = t.moves
	if t.clock != nil {
		t.d.Boots = t.clock.boots
	}
}

// Drop leaves the device as it was.
func (t *Tx) Drop() {
	for _, x := range t.defined {
		delete(x.e.Definitions, x.id)
	}
}

// touch is the working copy of an epoch, nil if there is none.
func (t *Tx) touch(stream string, id record.Epoch) *Touched {
	for _, x := range t.epochs {
		if x.Epoch.Epoch == id && x.Stream == stream {
			return x
		}
	}
	was := t.d.Find(stream, id)
	if was == nil {
		return nil
	}
	c := *was
	// Appending must not reach into what others hold.
	c.Gaps, c.Skipped, c.Marks = slices.Clip(c.Gaps), slices.Clip(c.Skipped), slices.Clone(c.Marks)
	x := &Touched{Epoch: &c, Was: was}
	t.epochs = append(t.epochs, x)
	return x
}

// boot is a boot as the Tx sees it, nil if there is none.
func (t *Tx) boot(id string) *Boot {
	boots := t.d.Boots
	if t.clock != nil {
		boots = t.clock.boots
	}
	for i := len(boots) - 1; i >= 0; i-- {
		if boots[i].ID == id {
			return boots[i]
		}
	}
	return nil
}

func (t *Tx) all() []Producer {
	if t.producers != nil {
		return t.producers
	}
	return t.d.Producers
}
