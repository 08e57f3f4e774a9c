package receive

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// Decide says what one frame changes and moves the view on as if that were committed. dec is asked for the records
// only where they are needed. H1 to H7 in comments are the rules of the protocol (docs/protocol.md).
func (v *View) Decide(f wire.Frame, dec Decoder) Decision {
	switch f := f.(type) {
	case *wire.Data:
		return v.data(f, dec)
	case *wire.Gap:
		return v.gap(f)
	}
	panic("receive: a frame that is neither data nor gap")
}

func (v *View) data(f *wire.Data, dec Decoder) Decision {
	d := Decision{Range: record.Range{From: f.Base, To: f.Base + record.Offset(f.Count)}}
	k := Key{f.Stream, f.Epoch}
	e := v.epochs[k]
	if !f.BodyOK() { // H3
		if d.Outcome = v.damaged(k, f.Base); d.Outcome == Unreadable {
			switch n := e.next(f.First); {
			case f.Base > n:
				d.Outcome = Rewind
			case d.Range.To <= n:
				d.Outcome = Duplicate
			}
		}
		return d
	}
	fresh := e == nil
	if fresh {
		if e = v.place(&f.FrameHeader, f.Base, f.ChainBase, &d); e == nil {
			return d
		}
	}
	v.lower(e, f.First, f.First, &d)
	n := e.pos.Next
	fills := e.fillable(d.Range)
	switch {
	case f.Base > n:
		d.Outcome = Rewind
		return d
	case d.Range.To <= n && (!fills || e.pos.Quarantined):
		d.Outcome = Duplicate
		return d
	case e.pos.Quarantined: // H4
		d.Outcome = Conflict
		return d
	}
	recs, err := dec.Decode(f)
	// A body whose CRC is right and that still does not give the records whose chain the header states will not get
	// better by being sent again.
	if err != nil || len(recs) != int(f.Count) {
		d.Outcome = Unreadable
		return d
	}
	below := record.FoldChain(f.ChainBase, recs[:min(n, d.Range.To)-f.Base])
	end := below
	if n < d.Range.To {
		end = record.FoldChain(below, recs[n-f.Base:])
	}
	if end != f.ChainEnd {
		d.Outcome = Unreadable
		return d
	}
	delete(v.bad, k)
	dead, defined := v.inspect(e, f, recs)
	if !defined { // H5
		d.Outcome = Definitions
		return d
	}
	t := taking{v: v, e: e, f: f, recs: recs, dead: dead, d: &d}
	if fills {
		t.fill()
	}
	if d.Range.To <= n {
		if !slices.ContainsFunc(d.Changes, func(c store.Change) bool { return c.Late }) {
			d.Outcome = Duplicate
		}
		return d
	}
	if below != e.pos.ChainNext { // H4; a new epoch's chain is its first frame's
		v.quarantine(e, &d)
		return d
	}
	c := e.change(v.device, fresh)
	c.To, c.ToChain = d.Range.To, end
	t.rows(&c, record.Range{From: n, To: d.Range.To})
	v.commit(k, e, &c, fresh, f.Nonce, &d)
	return d
}

func (v *View) gap(f *wire.Gap) Decision {
	d := Decision{Range: f.Range}
	k := Key{f.Stream, f.Epoch}
	e := v.epochs[k]
	fresh := e == nil
	if fresh {
		if e = v.place(&f.FrameHeader, f.From, f.ChainFrom, &d); e == nil {
			return d
		}
	}
	low := f.First
	if f.From == f.First {
		low = f.To // what it has lost itself
	}
	v.lower(e, f.First, low, &d)
	n := e.pos.Next
	switch {
	case f.From > n:
		d.Outcome = Rewind
		return d
	case f.To <= n:
		d.Outcome = Duplicate
		return d
	case e.pos.Quarantined:
		d.Outcome = Conflict
		return d
	case f.From == n && f.ChainFrom != e.pos.ChainNext:
		v.quarantine(e, &d)
		return d
	}
	c := e.change(v.device, fresh)
	c.To, c.ToChain = f.To, f.ChainTo
	c.Gaps = []record.Gap{{Epoch: f.Epoch, Range: record.Range{From: n, To: f.To}, Reason: f.Reason,
		ChainFrom: e.pos.ChainNext, ChainTo: f.ChainTo, TimeMin: f.TimeMin, TimeMax: f.TimeMax}}
	c.ShrinkGaps = e.doubt(record.Range{From: f.From, To: n}, f.Reason)
	e.pos.Gaps = append(e.pos.Gaps, c.Gaps[0])
	delete(v.bad, k)
	v.commit(k, e, &c, fresh, f.Nonce, &d)
	return d
}

// damaged counts a body with a wrong CRC: three times at one base, and the agent is told.
func (v *View) damaged(k Key, base record.Offset) Outcome {
	if len(v.bad) > maxBadEpochs {
		clear(v.bad)
	}
	b := v.bad[k]
	if b.base != base {
		b = badBodies{base: base}
	}
	b.count++
	v.bad[k] = b
	if b.count >= maxBadBodies {
		return Unreadable
	}
	return Damaged
}

// next is the position of an epoch, its first offset if nothing was taken of it.
func (e *epochView) next(first record.Offset) record.Offset {
	if e == nil {
		return first
	}
	return e.pos.Next
}

// place finds the place of an epoch of which nothing was taken yet (H2); nil if its first frame must wait.
func (v *View) place(h *wire.FrameHeader, base record.Offset, chain uint64, d *Decision) *epochView {
	if h.Parent != 0 {
		p := v.epochs[Key{h.Stream, h.Parent}]
		switch {
		case p == nil || p.pos.Next < h.ParentEnd && !p.pos.Quarantined:
			d.Outcome, d.Parent = Wait, h.Parent
			return nil
		case !p.pos.Quarantined && base == h.First && p.pos.Next == h.ParentEnd && h.First == h.ParentEnd && p.pos.ChainNext != chain:
			// Nothing that the agent could send would mend this: its records are taken, people are told.
			d.notice("chain-break %s %s", h.Stream, h.Epoch)
		}
	}
	if base != h.First {
		d.Outcome = Rewind
		return nil
	}
	e := &epochView{pos: store.Position{Stream: h.Stream, Epoch: h.Epoch, Parent: h.Parent, ParentEnd: h.ParentEnd,
		First: h.First, Next: h.First, ChainNext: chain}}
	if c := e.change(v.device, true); c.BeginsWithMark() {
		e.chainFirst = chain
	}
	return e
}

// change is the compare-and-set part of a change at the present position.
func (e *epochView) change(device string, create bool) store.Change {
	p := &e.pos
	c := store.Change{Device: device, Stream: p.Stream, Epoch: p.Epoch, From: p.Next, FromChain: p.ChainNext,
		To: p.Next, ToChain: p.ChainNext}
	if create {
		c.Create, c.Parent, c.ParentEnd, c.First = true, p.Parent, p.ParentEnd, p.First
	}
	return c
}

// quarantine takes nothing more of the epoch (H4); the ack says where it stands, so that the agent closes it there.
func (v *View) quarantine(e *epochView, d *Decision) {
	c := e.change(v.device, false)
	c.Quarantine = true
	e.pos.Quarantined = true
	d.Outcome = Conflict
	d.Changes = append(d.Changes, c)
	d.notice("conflict %s %s", e.pos.Stream, e.pos.Epoch)
}

// commit moves the position on.
func (v *View) commit(k Key, e *epochView, c *store.Change, fresh bool, nonce wire.Nonce, d *Decision) {
	if fresh {
		v.epochs[k] = e
		v.adopt(e, d)
	}
	e.pos.Next, e.pos.ChainNext = c.To, c.ToChain
	d.Changes = append(d.Changes, *c)
	v.grown(e, nonce, d)
}
