package ledger

import (
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Applied says what an applied change means beyond its own words.
type Applied struct {
	Epoch       *Epoch              // as it is after the change; further changes of the Tx move it on
	Base        int64               // µs UTC of boot time 0 for the change's rows, 0 until known
	TError      int64               // µs: what is not known of it
	Definitions []record.Definition // those that are new
	Shifts      []Shift             // of rows stored before this change, in order
}

// Shift says that the rows of an epoch stamped in boot time, [First, To), are off by Micros.
type Shift struct {
	Epoch  *Touched
	To     record.Offset
	Micros int64
	TError int64 // µs, from now on
}

// Apply decides one change. A nil Applied means that nothing is to be written for it: it lost, or it is a read-back.
func (t *Tx) Apply(c *store.Change) (store.Result, *Applied, error) {
	if err := Check(c); err != nil {
		return store.Result{}, nil, err
	}
	x := t.touch(c.Stream, c.Epoch)
	switch ok := t.matches(x, c); {
	case !ok && x == nil:
		return store.Result{}, nil, nil
	case !ok || ReadBack(c):
		return store.Result{Applied: ok, Position: x.stated()}, nil, nil
	}
	if err := t.undefined(x, c); err != nil {
		return store.Result{}, nil, err
	}
	if x == nil {
		x = t.create(c)
	}
	x.Dirty = true
	x.Arrived = t.now
	a := &Applied{Epoch: x.Epoch}
	a.Shifts = t.applyClock(x, c)
	if b := t.boot(x.Boot); b != nil {
		a.Base, a.TError = b.Base, b.TError
	} else {
		a.TError = UnknownError
	}
	a.Definitions = t.define(x, c.Definitions)
	t.count(x, c, a)
	x.holes(c)
	t.move(c)
	if c.BeginsWithMark() {
		x.Marks = store.AddMark(x.Marks, store.Mark{Offset: c.First, Chain: c.FromChain})
	}
	if c.To > c.From {
		x.Marks = store.AddMark(x.Marks, store.Mark{Offset: c.To, Chain: c.ToChain})
	}
	x.Next, x.ChainNext = c.To, c.ToChain
	x.Quarantined = x.Quarantined || c.Quarantine
	return store.Result{Applied: true, Position: x.stated()}, a, nil
}

// stated is the position as a Result says it.
func (x *Touched) stated() store.Position {
	p := x.Position
	p.Gaps, p.Skipped, p.Marks, p.Series = slices.Clone(p.Gaps), slices.Clone(p.Skipped), slices.Clone(p.Marks), nil
	return p
}

// matches is the compare of the compare-and-set.
func (t *Tx) matches(x *Touched, c *store.Change) bool {
	if c.Create {
		if x != nil {
			return false
		}
		if c.Parent != 0 {
			p := t.touch(c.Stream, c.Parent)
			if p == nil || p.Next < c.ParentEnd && !p.Quarantined {
				return false
			}
		}
	} else {
		if x == nil || x.Next != c.From || x.ChainNext != c.FromChain || x.Quarantined && !c.Lower && !ReadBack(c) || !Lowers(c, x.First) {
			return false
		}
		for _, g := range c.ShrinkGaps {
			if gapAt(x.Gaps, g) < 0 {
				return false
			}
		}
	}
	for _, p := range c.Producers {
		i := find(t.all(), p)
		was := slices.IndexFunc(c.ProducersFrom, func(f store.Producer) bool {
			return f.Name == p.Name && f.Incarnation == p.Incarnation
		})
		if (was < 0) != (i < 0) || i >= 0 && !c.ProducersFrom[was].Taken.Equal(&t.all()[i].Taken) {
			return false
		}
	}
	return true
}

func gapAt(gaps []record.Gap, g store.GapShrink) int {
	return slices.IndexFunc(gaps, func(h record.Gap) bool { return h.From == g.At && h.To == g.Now.To })
}

func find(list []Producer, p store.Producer) int {
	return slices.IndexFunc(list, func(q Producer) bool { return q.Name == p.Name && q.Incarnation == p.Incarnation })
}

// undefined refuses rows of a series that nothing defines: a bug of the caller.
func (t *Tx) undefined(x *Touched, c *store.Change) error {
	last := record.SeriesID(0)
	return Runs(c, func(rows []record.Record, at record.Offset) error {
		for i := range rows {
			r := &rows[i]
			if r.Kind != record.KindObservation || r.Series == last {
				continue
			}
			known := x != nil && x.Definitions[r.Series] != nil
			if !known && !slices.ContainsFunc(c.Definitions, func(d record.Definition) bool { return d.ID == r.Series }) {
				return fmt.Errorf("%w: series %d at %d is not defined", ErrChange, r.Series, at+record.Offset(i))
			}
			last = r.Series
		}
		return nil
	})
}

// create adds the epoch. A parent learns its end from its child, whichever of the two came first.
func (t *Tx) create(c *store.Change) *Touched {
	e := &Epoch{Position: store.Position{Stream: c.Stream, Epoch: c.Epoch, Parent: c.Parent, ParentEnd: c.ParentEnd,
		First: c.First, Next: c.First, ChainNext: c.FromChain}, Definitions: map[record.SeriesID]*Series{}}
	for _, o := range t.d.Epochs {
		if o.Parent == c.Epoch && o.Stream == c.Stream {
			e.End = max(e.End, o.ParentEnd)
		}
	}
	if c.Parent != 0 {
		if p := t.touch(c.Stream, c.Parent); p != nil && c.ParentEnd > p.End {
			p.End, p.Dirty = c.ParentEnd, true
		}
	}
	x := &Touched{Epoch: e}
	t.epochs = append(t.epochs, x)
	return x
}

// define adds what is new. A series id never gets a second meaning: the first stays.
func (t *Tx) define(x *Touched, defs []record.Definition) (added []record.Definition) {
	for _, d := range defs {
		if x.Definitions[d.ID] != nil {
			continue
		}
		x.Definitions[d.ID] = &Series{Series: d.Series}
		t.defined = append(t.defined, defined{x.Epoch, d.ID})
		added = append(added, d)
	}
	if len(added) > 0 {
		ids := make([]record.SeriesID, 0, len(x.Series)+len(added))
		ids = append(ids, x.Series...)
		for _, d := range added {
			ids = append(ids, d.ID)
		}
		slices.Sort(ids)
		x.Series = ids
	}
	return added
}

// count counts the rows that are stored.
func (t *Tx) count(x *Touched, c *store.Change, a *Applied) {
	// Runs fails only if its callback does.
	_ = Runs(c, func(rows []record.Record, _ record.Offset) error {
		x.Rows += uint64(len(rows))
		if c.Late {
			x.Late += uint64(len(rows))
		} else {
			x.LastTime = a.Micros(&rows[len(rows)-1])
		}
		return nil
	})
}

// Micros is a row's time, µs UTC: boot time is cut to µs before the base is added, so that a correction is exact.
func (a *Applied) Micros(r *record.Record) int64 {
	us := floorDiv(r.Time, 1000)
	if r.Clock.Asserted() {
		return us
	}
	return a.Base + us
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// holes records gaps, shrinks those that late rows fill, and lists what was skipped.
func (x *Touched) holes(c *store.Change) {
	if len(c.ShrinkGaps) > 0 {
		x.Gaps = slices.Clone(x.Gaps)
	}
	for _, g := range c.ShrinkGaps {
		i := gapAt(x.Gaps, g)
		if g.Now.Len() == 0 {
			x.Gaps = slices.Delete(x.Gaps, i, i+1)
		} else {
			x.Gaps[i] = g.Now
		}
	}
	if c.Lower {
		x.First = c.First
		x.Gaps = slices.Concat(c.Gaps, x.Gaps)
	} else {
		x.Gaps = append(x.Gaps, c.Gaps...)
	}
	if len(c.Skips) > 0 {
		x.Skipped = slices.Clone(x.Skipped)
	}
	for _, k := range c.Skips {
		x.Skipped = InsertSkip(x.Skipped, k)
	}
}

// InsertSkip keeps skips ascending and merged.
func InsertSkip(skips []store.Skip, k store.Skip) []store.Skip {
	i, _ := slices.BinarySearchFunc(skips, k, func(a, b store.Skip) int {
		switch {
		case a.From < b.From:
			return -1
		case a.From > b.From:
			return 1
		}
		return 0
	})
	skips = slices.Insert(skips, i, k)
	for _, j := range [2]int{i + 1, i} {
		if j > 0 && j < len(skips) && skips[j-1].To == skips[j].From && skips[j-1].Reason == skips[j].Reason {
			skips[j-1].To = skips[j].To
			skips = slices.Delete(skips, j, j+1)
		}
	}
	return skips
}

// move moves producers. Of each name the incarnations that were heard of last stay.
func (t *Tx) move(c *store.Change) {
	if len(c.Producers) == 0 {
		return
	}
	if t.producers == nil {
		t.producers = append(make([]Producer, 0, len(t.d.Producers)+1), t.d.Producers...)
	}
	for _, p := range c.Producers {
		t.moves++
		now := Producer{p, t.moves}
		now.Taken = p.Taken.Clone() // the change belongs to its caller
		if i := find(t.producers, p); i >= 0 {
			t.producers[i] = now
		} else {
			t.producers = append(t.producers, now)
			t.forget(p.Name)
		}
		if i := find(t.moved, p); i >= 0 {
			t.moved[i] = now
		} else {
			t.moved = append(t.moved, now)
		}
	}
}

func (t *Tx) forget(name string) {
	of, oldest := 0, -1
	for i, q := range t.producers {
		if q.Name == name {
			if of++; oldest < 0 || q.Moved < t.producers[oldest].Moved {
				oldest = i
			}
		}
	}
	if of <= keepIncarnations {
		return
	}
	q := t.producers[oldest]
	t.producers = slices.Delete(t.producers, oldest, oldest+1)
	t.forgotten = append(t.forgotten, q)
	if i := find(t.moved, q.Producer); i >= 0 {
		t.moved = slices.Delete(t.moved, i, i+1)
	}
}
