package buffer

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
)

// owedBelow is what of a list lies below the offset; it shares nothing with it.
func owedBelow(list []record.Owed, to record.Offset) (out []record.Owed) {
	for _, o := range list {
		if o.To = min(o.To, to); o.From < o.To {
			out = append(out, o)
		}
	}
	return out
}

// boundedOwed is a list of at most record.MaxOwed ranges: the two that are nearest become one. What lies between is named
// as not delivered then, which is never too much.
func boundedOwed(list []record.Owed) []record.Owed {
	for len(list) > record.MaxOwed {
		at := 0
		for i := range len(list) - 1 {
			if list[i+1].From-list[i].To < list[at+1].From-list[at].To {
				at = i
			}
		}
		if list[at].Reason != list[at+1].Reason {
			list[at].Reason = record.ReasonSeveral
		}
		list[at].To = list[at+1].To
		list = slices.Delete(list, at+1, at+2)
	}
	return list
}

// deliveredBelow takes the delivered position, and what is owed, back to the offset. mu is held.
func (l *Log) deliveredBelow(at record.Offset) {
	l.state.Delivered = min(l.state.Delivered, at)
	l.state.Owed = owedBelow(l.state.Owed, l.state.Delivered)
}

// partsOf are the gaps that take the place of a segment: delivered data below the delivered position, lost data above it and
// where a hub is owed. Where the chain between two of them is not known they are one, which counts as lost.
func (l *Log) partsOf(s *seg) (out []record.Gap) {
	l.mu.Lock()
	g := record.Gap{Epoch: s.epoch, Range: record.Range{From: s.base, To: s.end}, Reason: record.ReasonRetention,
		ChainFrom: s.chainBase, ChainTo: s.chainEnd}
	if lo, hi, ok := l.segTimes(s); ok {
		g.TimeMin, g.TimeMax = lo/1000, hi/1000
	}
	parts := deliveredParts(g.Range, l.state.Delivered, l.state.Owed)
	l.mu.Unlock()
	if g.Len() == 0 {
		return nil
	}
	begin := func(at record.Offset, why record.Reason) {
		if at > g.From {
			chain, known := l.Chain(at)
			if !known {
				g.Reason = record.ReasonRetention
				return
			}
			done := g
			done.To, done.ChainTo = at, chain
			out = append(out, done)
			g.From, g.ChainFrom = at, chain
		}
		g.Reason = why
	}
	for _, p := range parts {
		begin(p.From, record.ReasonDelivered)
		if p.To < g.To {
			begin(p.To, record.ReasonRetention)
		}
	}
	return append(out, g)
}

// deliveredParts are the parts of r that are delivered, ascending.
func deliveredParts(r record.Range, delivered record.Offset, owed []record.Owed) []record.Range {
	r.To = min(r.To, delivered)
	if r.Len() == 0 {
		return nil
	}
	not := make([]record.Range, len(owed))
	for i, o := range owed {
		not[i] = o.Range
	}
	return r.Without(not...)
}

// readable is the delivered position, and what is owed below it, as they may become durable. The position passes a segment
// of a newer format while this program runs: what stands behind that is delivered, and retention may use it. But nothing of
// such a segment was, which the program that can read it has to know. mu is held.
func (l *Log) readable(delivered record.Offset, owed []record.Owed) (record.Offset, []record.Owed) {
	for _, s := range l.segs {
		if s.held != nil && !s.known && s.base < delivered {
			delivered = s.base
			owed = owedBelow(owed, delivered)
		}
	}
	return delivered, owed
}
