package receive

import (
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// fillable reports whether a data frame of that range reaches the beginning of a recorded gap.
func (e *epochView) fillable(r record.Range) bool {
	for i := range e.pos.Gaps {
		if r.Contains(e.pos.Gaps[i].From) {
			return true
		}
	}
	return false
}

// fill takes what recorded gaps lack and the frame holds, each gap from its beginning upward (H3). The chain at both
// ends must be the one that the gap states, so that only the very records that the gap names can take its place.
func (t *taking) fill() {
	r := t.d.Range
	at, chain := r.From, t.f.ChainBase
	fold := func(to record.Offset) uint64 {
		chain = record.FoldChain(chain, t.recs[at-r.From:to-r.From])
		at = to
		return chain
	}
	gaps := t.e.pos.Gaps
	for i := 0; i < len(gaps); i++ {
		g := gaps[i]
		if !r.Contains(g.From) {
			continue
		}
		if from := fold(g.From); from != g.ChainFrom && g.ChainFrom != 0 {
			return
		}
		to := min(r.To, g.To)
		if end := fold(to); to == g.To && end != g.ChainTo && g.ChainTo != 0 {
			return
		}
		now := g
		now.From, now.ChainFrom = to, chain
		c := t.e.change(t.v.device, false)
		c.Late = true
		c.ShrinkGaps = []store.GapShrink{{At: g.From, Now: now}}
		t.rows(&c, record.Range{From: g.From, To: to})
		t.d.Changes = append(t.d.Changes, c)
		if now.Len() > 0 {
			gaps[i] = now
			continue
		}
		gaps = slices.Delete(gaps, i, i+1)
		t.e.pos.Gaps = gaps
		i--
	}
}

// doubt takes back the one reason of recorded gaps in whose place a gap frame states another one. Two boxes have held the
// epoch then, and nothing says whether they held the same records there (neither can compute a chain within a gap): what
// one had delivered before it deleted it may be what the other had to drop. Both words stay true of "several".
func (e *epochView) doubt(r record.Range, why record.Reason) (out []store.GapShrink) {
	for i := range e.pos.Gaps {
		g := &e.pos.Gaps[i]
		if g.To <= r.From || r.To <= g.From || g.Reason == why || g.Reason == record.ReasonSeveral {
			continue
		}
		g.Reason = record.ReasonSeveral
		out = append(out, store.GapShrink{At: g.From, Now: *g})
	}
	return out
}
