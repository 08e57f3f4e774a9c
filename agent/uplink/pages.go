package uplink

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// A hub may have more gaps of an epoch than one message lists. An answer tells the oldest in what the hello says is held, an ack
// the newest. What lies in a gap that nobody has listed is not delivered (A2): above the part of which the list is whole the
// position does not rise, and hellos follow that say low where the last list ended, until all is told.

// known is up to where the hub has acknowledged and has listed what it has only as gaps.
func (e *epoch) known() record.Offset {
	if e.cut {
		return min(e.acked, e.told)
	}
	return e.acked
}

// whole reports whether a list goes as far as the hub has gaps; total is how many its message has listed up to here.
func whole(p *wire.Position, total int) bool {
	return len(p.Gaps) < wire.MaxAckGaps && total < wire.MaxAckGapsTotal
}

// toldAll: nothing that was told was cut.
func (e *epoch) toldAll() { e.cut, e.told, e.full = false, 0, false }

// keepLowest bounds what is kept; what the rest says is not known then.
func (e *epoch) keepLowest() {
	if len(e.owed) > maxOwed {
		e.told, e.cut, e.full = min(e.known(), e.owed[maxOwed].From), true, true
		e.owed = e.owed[:maxOwed]
	}
}

// turnPage notes how far an answer's list goes that begins at the present page: to its last gap, or, if it is whole, as far as
// anything is.
func (e *epoch) turnPage(p *wire.Position, all bool) (to record.Offset) {
	e.toldAll()
	if all && (!p.Known || p.Next >= e.page) {
		e.page = p.Next // gaps that come from now on lie above
		return ^record.Offset(0)
	}
	switch n := len(p.Gaps); {
	case p.Next < e.page: // the hub was restored: from the beginning
		e.page = 0
	case n > 0:
		e.page = max(e.page, p.Gaps[n-1].To)
	}
	e.cut, e.told = true, e.page
	return e.page
}

// listed judges the list of an ack: the newest gaps of those that the hello had not told. Where it begins above what is known,
// others may lie between: cut says that a hello must ask.
func (e *epoch) listed(p *wire.Position, total int) (cut bool) {
	known := e.known()
	switch {
	case e.conflict || !p.Known || e.full:
	case whole(p, total) || total < wire.MaxAckGapsTotal && p.Gaps[0].From <= known:
		if e.cut {
			e.told = max(e.told, p.Next)
			if e.told >= e.acked {
				e.toldAll()
			}
		}
	case p.Next > e.acked && !e.cut:
		e.cut, e.told = true, known
		return true
	}
	return false
}
