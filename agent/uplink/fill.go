package uplink

import (
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// A hub may have recorded a gap over records that this log holds: a copy of the disk had dropped them, or a stick
// raced a drop. Such records are not delivered (A2). They are sent again, one frame at a time and before everything
// else of the stream; then a hello asks what became of the gaps, and until its answer the position stays below them.

// planFills notes the gaps of an answer that this log can fill: those whose first record it holds (H3 fills upward).
func (s *Sender) planFills(st *stream, e *epoch, p *wire.Position) {
	for i := range p.Gaps {
		g := &p.Gaps[i]
		r := record.Range{From: g.From, To: min(g.To, e.acked)} // a shorter copy fills what it holds
		if r.Len() == 0 || !s.fillable(st, e, g.From) {
			continue
		}
		if e.tried == nil {
			e.tried = map[record.Offset]int{}
		}
		e.tried[g.From]++
		st.fills = append(st.fills, fill{e: e, Range: r, at: r.From})
	}
}

func (s *Sender) fillable(st *stream, e *epoch, from record.Offset) bool {
	if e.conflict || from < e.Low || from >= e.End || e.tried[from] >= maxFillAttempts {
		return false
	}
	item, err := st.src.At(e.Epoch.Epoch, from)
	return err == nil && item.Gap == nil && item.Batch.Base <= from
}

// askForFills says hello soon if an ordinary ack lists a gap that this log can fill.
func (s *Sender) askForFills(st *stream, e *epoch, p *wire.Position, now time.Time) {
	for i := range p.Gaps {
		from := p.Gaps[i].From
		planned := slices.ContainsFunc(st.fills, func(f fill) bool { return f.e == e && f.From == from })
		if !planned && s.fillable(st, e, from) {
			s.timer.hastenHello(now)
			return
		}
	}
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
