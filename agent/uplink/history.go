package uplink

import (
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// The hub and this log may have different records under one offset: the machine was resumed from a snapshot, or a copy
// of it lives on (A9). Acks are judged by agrees; where one does not agree, a hello asks, and compare finds from the
// answer up to where both histories are the same.

// compare holds the hub's history of an epoch, as an answer states it, against the log's. Not ok: they part, or the
// hub is beyond the end of a closed epoch and nothing says that it has these very records; at is then the greatest
// offset up to which they are the same, as far as anybody knows.
func (s *Sender) compare(st *stream, e *epoch, p *wire.Position) (at record.Offset, ok bool) {
	switch {
	case e.conflict || !p.Known:
		return e.acked, true
	case p.Next < e.First: // nothing is left to compare
		return e.First, p.Verdict != wire.VerdictConflict
	}
	same, parted := e.First, ^record.Offset(0) // an epoch's beginning is that of one opening
	look := func(m wire.Mark) (found bool) {
		if m.Offset < e.First || m.Offset > e.End {
			return false
		}
		switch ours, known := st.src.Chain(e.Epoch.Epoch, m.Offset); {
		case !known:
			return false // inside a gap
		case ours == m.Chain:
			same = m.Offset
			return true
		}
		parted = m.Offset
		return false
	}
	if !look(wire.Mark{Offset: p.Next, Chain: p.ChainNext}) {
		for _, m := range slices.Backward(p.Marks) {
			if look(m) {
				break
			}
		}
	}
	switch {
	case p.Verdict == wire.VerdictConflict || parted != ^record.Offset(0):
	case p.Next <= e.End:
		return 0, true
	case e.Current: // it has more of us than we have
	case same == e.End || e.acked >= e.End:
		s.noteLost(st, e, p)
		return 0, true
	}
	at = same
	if parted > e.acked { // what was acknowledged to this log was its own history
		at = max(at, e.acked)
	}
	return min(at, p.Next, e.End), false
}

// agrees judges an ack. f is the frame in flight that ends at the hub's position, if there is one.
func (s *Sender) agrees(st *stream, e *epoch, p *wire.Position, f *flight) bool {
	switch {
	case e.conflict:
		return true
	case p.Verdict == wire.VerdictConflict:
		return false
	case !p.Known || p.Next < e.First:
		return true
	case p.Next > e.End:
		if e.Current || e.acked < e.End {
			return false
		}
		s.noteLost(st, e, p)
		return true
	case f != nil:
		return f.chain == p.ChainNext
	}
	chain, ok := st.src.Chain(e.Epoch.Epoch, p.Next)
	return !ok || chain == p.ChainNext
}

// noteLost notes that the hub has more of a closed epoch than this disk: delivered, locally lost.
func (s *Sender) noteLost(st *stream, e *epoch, p *wire.Position) {
	lost := uint64(p.Next - e.End)
	if lost <= e.lost {
		return
	}
	e.lost = lost
	if s.o.Events.Lost != nil {
		s.o.Events.Lost(st.name, e.Epoch.Epoch, record.Range{From: e.End, To: p.Next})
	}
}

// conflict closes the epoch where the histories part and moves what lies above into a new epoch (A9).
func (s *Sender) conflict(st *stream, e *epoch, at record.Offset, now time.Time) {
	s.stats.Conflicts++
	if s.o.Events.Conflict != nil {
		s.o.Events.Conflict(st.name, e.Epoch.Epoch, at)
	}
	if e.Current || at < e.End {
		if err := st.src.CloseEpoch(e.Epoch.Epoch, at); err != nil {
			s.failed(st, now, err)
			s.timer.hastenHello(now.Add(AckTimeout)) // the next answer leads here again
			st.pausedUntil = now.Add(AckTimeout)
			return
		}
	}
	e.conflict = true
	s.forget(st)
	st.refresh()
	s.timer.hastenHello(now) // the hub must know the new epochs before the first frame of one is lost: it would take a child for a root
}
