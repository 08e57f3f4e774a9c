package buffer

import (
	"sort"

	"github.com/edgelog/edgelog/buffer/record"
)

// gapTable is the gaps of one stream, ascending and disjoint.
type gapTable []record.Gap

// at is the gap that contains o.
func (t gapTable) at(o record.Offset) (record.Gap, bool) {
	i := sort.Search(len(t), func(i int) bool { return t[i].To > o })
	if i < len(t) && t[i].From <= o {
		return t[i], true
	}
	return record.Gap{}, false
}

// next is the first gap that ends above o.
func (t gapTable) next(o record.Offset) (record.Gap, bool) {
	i := sort.Search(len(t), func(i int) bool { return t[i].To > o })
	if i < len(t) {
		return t[i], true
	}
	return record.Gap{}, false
}

// chain is chain(o) where a gap begins or ends at o.
func (t gapTable) chain(o record.Offset) (uint64, bool) {
	for _, g := range t {
		if g.From == o {
			return g.ChainFrom, true
		}
		if g.To == o {
			return g.ChainTo, true
		}
	}
	return 0, false
}

// covered reports whether every offset of r lies in a gap.
func (t gapTable) covered(r record.Range) bool {
	for o := r.From; o < r.To; {
		g, ok := t.at(o)
		if !ok {
			return false
		}
		o = g.To
	}
	return true
}

// with is a new table that has g as well. Where an older gap lies within g's range the older one stays: its reason is
// the true one. Touching gaps of one epoch and reason become one.
func (t gapTable) with(g record.Gap) gapTable {
	out := make(gapTable, 0, len(t)+2)
	rest, done := g, false
	for _, o := range t {
		if o.To <= g.From {
			out = append(out, o)
			continue
		}
		if !done && rest.From < min(o.From, rest.To) {
			part := rest
			if o.From < rest.To {
				part.To, part.ChainTo = o.From, o.ChainFrom
			}
			out = append(out, part)
		}
		out = append(out, o)
		if !done {
			rest.From, rest.ChainFrom = max(rest.From, o.To), o.ChainTo
			done = rest.From >= rest.To
		}
	}
	if !done && rest.From < rest.To {
		out = append(out, rest)
	}
	return out.merged()
}

func (t gapTable) merged() gapTable {
	out := t[:0]
	for _, g := range t {
		if n := len(out); n > 0 && out[n-1].To == g.From && out[n-1].Epoch == g.Epoch && out[n-1].Reason == g.Reason {
			out[n-1] = joinGaps(out[n-1], g, g.Reason)
			continue
		}
		out = append(out, g)
	}
	return out
}

func joinGaps(a, b record.Gap, why record.Reason) record.Gap {
	a.To, a.ChainTo, a.Reason = b.To, b.ChainTo, why
	switch {
	case a.TimeMax == 0:
		a.TimeMin, a.TimeMax = b.TimeMin, b.TimeMax
	case b.TimeMax != 0:
		a.TimeMin, a.TimeMax = min(a.TimeMin, b.TimeMin), max(a.TimeMax, b.TimeMax)
	}
	return a
}

// bounded is a table of at most record.MaxGapsPerStream gaps: first touching gaps of one epoch become "several", the
// oldest first; then gaps below low of one epoch (nothing but gaps is left there); at last whole oldest gaps are
// forgotten, which happens only to a box with more than a thousand epochs of which nothing but a gap is left.
func (t gapTable) bounded() gapTable {
	for len(t) > record.MaxGapsPerStream {
		i := 0
		for i+1 < len(t) && (t[i].To != t[i+1].From || t[i].Epoch != t[i+1].Epoch) {
			i++
		}
		if i+1 == len(t) {
			t = append(gapTable(nil), t[1:]...)
			continue
		}
		out := append(gapTable(nil), t[:i]...)
		out = append(out, joinGaps(t[i], t[i+1], record.ReasonSeveral))
		t = append(out, t[i+2:]...)
	}
	return t
}

// clip removes what lies above end of an epoch and what belongs to no known epoch.
func (t gapTable) clip(ends map[record.Epoch]record.Range) gapTable {
	var out gapTable
	for _, g := range t {
		r, ok := ends[g.Epoch]
		if ok && g.From >= r.From && g.To <= r.To {
			out = append(out, g)
		}
	}
	return out
}
