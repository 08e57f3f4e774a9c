package memory

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// ErrChange is wrapped by the refusal of a change that contradicts itself: a bug of the caller.
var ErrChange = ledger.ErrChange

func (s *Store) apply(c *store.Change) store.Result {
	if f := c.Fence; f != (store.Fence{}) && (f.Number == 0 || s.leases[f.Lease].Number != f.Number) {
		return store.Result{Fenced: true}
	}
	d := s.devices[c.Device]
	var e *epoch
	if d != nil {
		e = d.find(c.Stream, c.Epoch)
	}
	refuse := func() store.Result {
		if e == nil {
			return store.Result{}
		}
		return store.Result{Position: clonePosition(e.pos)}
	}
	if !d.matches(e, c) {
		return refuse()
	}
	if d == nil {
		d = &device{}
		s.devices[c.Device] = d
	}
	if c.Create {
		e = &epoch{pos: store.Position{Stream: c.Stream, Epoch: c.Epoch, Parent: c.Parent, ParentEnd: c.ParentEnd, First: c.First}}
		d.epochs = append(d.epochs, e)
		if p := d.find(c.Stream, c.Parent); c.Parent != 0 && p != nil {
			p.pos.End = max(p.pos.End, c.ParentEnd)
		}
	}
	e.take(c)
	for _, p := range c.Producers {
		d.setProducer(p)
	}
	d.anchors = append(d.anchors, c.Anchors...)
	return store.Result{Applied: true, Position: clonePosition(e.pos)}
}

// matches is the compare of the compare-and-set.
func (d *device) matches(e *epoch, c *store.Change) bool {
	if c.Create {
		if e != nil {
			return false
		}
		if c.Parent != 0 {
			if d == nil {
				return false
			}
			p := d.find(c.Stream, c.Parent)
			if p == nil || p.pos.Next < c.ParentEnd && !p.pos.Quarantined {
				return false
			}
		}
	} else {
		if e == nil || e.pos.Next != c.From || e.pos.ChainNext != c.FromChain || e.pos.Quarantined && !c.Lower && !ledger.ReadBack(c) || !ledger.Lowers(c, e.pos.First) {
			return false
		}
		for _, g := range c.ShrinkGaps {
			if e.gapAt(g) < 0 {
				return false
			}
		}
	}
	for _, p := range c.Producers {
		var was, now *store.Producer
		for i := range c.ProducersFrom {
			if f := &c.ProducersFrom[i]; f.Name == p.Name && f.Incarnation == p.Incarnation {
				was = f
			}
		}
		if d != nil {
			now = d.producer(p)
		}
		if (was == nil) != (now == nil) || was != nil && !was.Taken.Equal(&now.Taken) {
			return false
		}
	}
	return true
}

func (d *device) producer(p store.Producer) *store.Producer {
	for i := range d.producers {
		if q := &d.producers[i]; q.Name == p.Name && q.Incarnation == p.Incarnation {
			return q
		}
	}
	return nil
}

// setProducer moves a producer; of each name the newest incarnations stay.
func (d *device) setProducer(p store.Producer) {
	p.Taken = p.Taken.Clone()
	if q := d.producer(p); q != nil {
		q.Taken = p.Taken
		return
	}
	d.producers = append(d.producers, p)
	of := 0
	for _, q := range d.producers {
		if q.Name == p.Name {
			of++
		}
	}
	if of > store.KeepIncarnations {
		i := slices.IndexFunc(d.producers, func(q store.Producer) bool { return q.Name == p.Name })
		d.producers = slices.Delete(d.producers, i, i+1)
	}
}

func (e *epoch) gapAt(g store.GapShrink) int {
	return slices.IndexFunc(e.pos.Gaps, func(h record.Gap) bool { return h.From == g.At && h.To == g.Now.To })
}

// take applies a change that matches.
func (e *epoch) take(c *store.Change) {
	p := &e.pos
	p.Next, p.ChainNext = c.To, c.ToChain
	if c.BeginsWithMark() {
		p.Marks = store.AddMark(p.Marks, store.Mark{Offset: c.First, Chain: c.FromChain})
	}
	if c.To > c.From {
		p.Marks = store.AddMark(p.Marks, store.Mark{Offset: c.To, Chain: c.ToChain})
	}
	p.Quarantined = p.Quarantined || c.Quarantine
	if c.Boot != "" {
		p.Boot = c.Boot
	}
	for _, def := range c.Definitions {
		if !slices.ContainsFunc(e.definitions, func(o record.Definition) bool { return o.ID == def.ID }) {
			e.definitions = append(e.definitions, def)
		}
	}
	skips := c.Skips
	for i := range c.Rows {
		o := c.RowBase + record.Offset(i)
		for len(skips) > 0 && skips[0].To <= o {
			skips = skips[1:]
		}
		if len(skips) > 0 && skips[0].Contains(o) {
			continue
		}
		e.rows = append(e.rows, Row{Offset: o, Late: c.Late, Record: cloneRecord(c.Rows[i])})
		p.Rows++
	}
	for _, k := range c.Skips {
		p.Skipped = ledger.InsertSkip(p.Skipped, k)
	}
	for _, l := range c.DeadLetters {
		l.Canonical = slices.Clone(l.Canonical)
		e.dead = append(e.dead, l)
	}
	for _, g := range c.ShrinkGaps {
		i := e.gapAt(g)
		if g.Now.Len() == 0 {
			p.Gaps = slices.Delete(p.Gaps, i, i+1)
		} else {
			p.Gaps[i] = g.Now
		}
	}
	if c.Lower {
		p.First = c.First
		p.Gaps = slices.Concat(c.Gaps, p.Gaps)
	} else {
		p.Gaps = append(p.Gaps, c.Gaps...)
	}
}

func cloneRecord(r record.Record) record.Record {
	if r.Data != nil {
		r.Data = &record.Data{Value: slices.Clone(r.Data.Value), Detail: slices.Clone(r.Data.Detail)}
	}
	return r
}
