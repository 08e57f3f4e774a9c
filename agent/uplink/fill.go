package uplink

import (
	"cmp"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// A hub may have recorded a gap over records that this log holds: a copy of the disk had dropped them, or a stick
// raced a drop. Such records are not delivered (A2): the hub is owed them. They are sent again, one frame at a time and
// before everything else of the stream; then a hello asks what became of the gaps, and until its answer the position stays
// below them. What the hub cannot take, because this log does not hold the gap from its beginning (H3) or it was tried in
// vain, the position passes; the account counts it by the hub's word, and the log is told, so that it does not remove it as
// delivered.

// owed is a range that the hub lists as a gap, and this log held when it heard of it.
type owed struct {
	record.Owed
	fill bool // being sent, or a hello will lead to that: the position stays below
}

// delivered is where the position stands in the epoch: below what is acknowledged and what is being filled.
func (e *epoch) delivered() record.Offset {
	for i := range e.owed { // ascending
		if o := &e.owed[i]; o.fill {
			return min(e.known(), o.From)
		}
	}
	return e.known()
}

// clipOwed forgets what lies outside of the epoch as it is now.
func (e *epoch) clipOwed() {
	e.owed = slices.DeleteFunc(e.owed, func(o owed) bool { return o.From >= e.End || o.To <= e.First })
	for i := range e.owed {
		o := &e.owed[i]
		o.From, o.To = max(o.From, e.First), min(o.To, e.End)
	}
}

// answerOwed notes what an answer lists as gaps, and plans to fill what this log can. all: the list goes to the end; it begins
// where the hello asked for it. What is known beside it stays.
func (s *Sender) answerOwed(st *stream, e *epoch, p *wire.Position, all bool) {
	from := e.page
	to := e.turnPage(p, all)
	old := e.owed
	e.owed = nil
	s.owe(st, e, p)
	e.keepOwed(old, from, to)
	for i := range e.owed {
		o := &e.owed[i]
		if o.fill = o.fill && s.fillable(st, e, o.From); !o.fill {
			continue
		}
		if e.tried == nil {
			e.tried = map[record.Offset]int{}
		}
		if from <= o.From && o.From < to {
			e.tried[o.From]++
		}
		st.fills = append(st.fills, fill{e: e, Range: o.Range, at: o.From})
	}
}

// keepOwed keeps what was known beside the part [from, to) of which a list says everything.
func (e *epoch) keepOwed(old []owed, from, to record.Offset) {
	for _, o := range old {
		if below := o; o.From < from {
			below.To = min(o.To, from)
			e.owed = append(e.owed, below)
		}
		if above := o; o.To > to {
			if above.From < to {
				above.From, above.fill = to, false
			}
			e.owed = append(e.owed, above)
		}
	}
	slices.SortFunc(e.owed, func(a, b owed) int { return cmp.Compare(a.From, b.From) })
	e.keepLowest()
}

// ackOwed notes the gaps that an ordinary ack lists, and says hello soon if some are new: its answer tells what to fill. Until
// then the position stays below what can be.
func (s *Sender) ackOwed(st *stream, e *epoch, p *wire.Position, now time.Time) {
	fresh, fills := s.owe(st, e, p)
	if fresh {
		st.publishDelivered()
	}
	switch {
	case fills:
		s.timer.hastenHello(now)
	case fresh:
		s.timer.hastenHello(now.Add(AckTimeout))
	}
}

// owe adds those parts of the listed gaps that stand in this log to what the hub is owed. fresh: some were not known; fills:
// some of these can be filled.
func (s *Sender) owe(st *stream, e *epoch, p *wire.Position) (fresh, fills bool) {
	if len(p.Gaps) == 0 {
		return false, false
	}
	var known []record.Range
	gaps := st.src.Gaps()
	for i := range gaps {
		if gaps[i].Epoch == e.Epoch.Epoch {
			known = append(known, gaps[i].Range)
		}
	}
	for i := range e.owed {
		known = append(known, e.owed[i].Range)
	}
	for i := range p.Gaps {
		g := &p.Gaps[i]
		r := record.Range{From: max(g.From, e.First), To: min(g.To, e.End)} // a shorter copy is owed what it holds
		if r.Len() == 0 {
			continue
		}
		for _, part := range r.Without(known...) {
			o := owed{Owed: record.Owed{Range: part, Reason: g.Reason}, fill: part.From == g.From && s.fillable(st, e, g.From)}
			e.owed = append(e.owed, o)
			fresh, fills = true, fills || o.fill
		}
		known = append(known, r)
	}
	slices.SortFunc(e.owed, func(a, b owed) int { return cmp.Compare(a.From, b.From) })
	e.keepLowest()
	return fresh, fills
}

func (s *Sender) fillable(st *stream, e *epoch, from record.Offset) bool {
	if e.conflict || from < e.Low || from >= e.End || e.tried[from] >= maxFillAttempts {
		return false
	}
	item, err := st.src.At(e.Epoch.Epoch, from)
	return err == nil && item.Gap == nil && item.Batch.Base <= from
}

// nextFill is the fill to send now; busy: one is in flight and must be acknowledged first.
func (st *stream) nextFill() (f *fill, busy bool) {
	for i := range st.flight {
		if st.flight[i].fill {
			return nil, true
		}
	}
	for i := range st.fills {
		if st.fills[i].at < st.fills[i].To {
			return &st.fills[i], false
		}
	}
	return nil, false
}

// ackFill removes the fill in flight when an ack names its epoch. When the last one has arrived, a hello asks for
// the gaps that are left.
func (s *Sender) ackFill(st *stream, e *epoch, p *wire.Position, now time.Time) bool {
	i := slices.IndexFunc(st.flight, func(f flight) bool { return f.fill && f.e == e })
	if i < 0 {
		return false
	}
	if p.Verdict == wire.VerdictDefinitions { // the same frame again, with them
		e.covered.clear()
		s.forget(st)
		return true
	}
	if p.Verdict != wire.VerdictOK {
		for k := range st.fills {
			if st.fills[k].e == e && st.fills[k].Contains(st.flight[i].From) {
				st.fills[k].at = st.fills[k].To
				e.tried[st.fills[k].From] = maxFillAttempts
			}
		}
	}
	s.window.remove(st.flight[i].size)
	st.flight = slices.Delete(st.flight, i, i+1)
	if next, busy := st.nextFill(); next == nil && !busy {
		s.timer.hastenHello(now)
	}
	return true
}
