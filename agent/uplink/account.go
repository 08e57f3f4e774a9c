package uplink

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// Account is what became of every record that one epoch was given:
//
//	end − first = delivered + skipped + dropped + in flight + buffered
type Account struct {
	Stream     string
	Epoch      record.Epoch
	First, End record.Offset
	Delivered  uint64
	Skipped    map[string]uint64        // by the hub's reason
	Dropped    map[record.Reason]uint64 // gaps of the log that the hub does not hold either
	InFlight   uint64
	Buffered   uint64
	Owed       uint64 // of Dropped and Buffered: here, and at the hub only a gap
	Lost       uint64 // delivered, then lost by this disk: the hub has them, they lie beyond End
	Conflict   bool   // closed by A9
	Verified   bool   // the hub has told its position since the program started
	Balanced   bool
}

// Accounts are all epochs of all streams, as far as the log still knows them. now may be called at any time; what
// is not yet told by the hub counts as buffered.
func (s *Sender) Accounts() []Account {
	var out []Account
	for _, st := range s.streams {
		if st.dirty {
			st.refresh()
		}
		gaps := st.src.Gaps()
		for _, e := range st.epochs {
			out = append(out, st.account(e, gaps))
		}
	}
	return out
}

func (st *stream) account(e *epoch, gaps []record.Gap) Account {
	a := Account{Stream: st.name, Epoch: e.Epoch.Epoch, First: e.First, End: e.End, Lost: e.lost, Conflict: e.conflict,
		Verified: st.hasDelivered, Skipped: map[string]uint64{}, Dropped: map[record.Reason]uint64{}}
	acked := max(e.known(), e.First)
	if e.conflict {
		acked = e.End // what was above has moved to another epoch, what is below was acknowledged
	}
	below, above := record.Range{From: e.First, To: acked}, record.Range{From: acked, To: e.End}
	held := above.Len()
	delivered := below.Len()
	for i := range gaps {
		g := &gaps[i]
		if g.Epoch != e.Epoch.Epoch {
			continue
		}
		if n := overlap(above, g.Range); n > 0 {
			a.Dropped[g.Reason] += n
			held -= n
		}
		n := overlap(below, g.Range)
		for _, k := range e.skipped { // by the hub, before it was dropped here: counted there
			n -= overlap(record.Range{From: max(below.From, g.From), To: min(below.To, g.To)}, k.Range)
		}
		if n > 0 && g.Reason != record.ReasonDelivered {
			a.Dropped[g.Reason] += n
			delivered -= n
		}
	}
	for i := range e.owed { // the hub has named them as gaps: they are here, and not there
		n := e.stillOwed(&e.owed[i], below, gaps)
		delivered -= n
		a.Owed += n
		if e.owed[i].fill {
			held += n
		} else if n > 0 {
			a.Dropped[e.owed[i].Reason] += n
		}
	}
	for _, k := range e.skipped {
		if n := overlap(below, k.Range); n > 0 {
			a.Skipped[k.Reason] += n
			delivered -= n
		}
	}
	for i := range st.flight {
		if f := &st.flight[i]; f.e == e && !f.gap && !f.fill {
			r := record.Range{From: max(above.From, f.From), To: min(above.To, f.To)}
			a.InFlight += r.Len()
			for k := range gaps { // dropped meanwhile: counted there
				if gaps[k].Epoch == e.Epoch.Epoch {
					a.InFlight -= overlap(r, gaps[k].Range)
				}
			}
		}
	}
	a.Delivered, a.Buffered = delivered, held-a.InFlight
	a.Balanced = a.balanced()
	return a
}

// stillOwed is how much of an owed range within r is neither dropped here nor skipped by the hub since: counted there.
func (e *epoch) stillOwed(o *owed, r record.Range, gaps []record.Gap) (n uint64) {
	r = record.Range{From: max(r.From, o.From), To: min(r.To, o.To)}
	if r.Len() == 0 {
		return 0
	}
	var not []record.Range
	for i := range gaps {
		if gaps[i].Epoch == e.Epoch.Epoch {
			not = append(not, gaps[i].Range)
		}
	}
	for i := range e.skipped {
		not = append(not, e.skipped[i].Range)
	}
	for _, p := range r.Without(not...) {
		n += p.Len()
	}
	return n
}

// balanced checks the identity without trusting how the parts came about: an overlap of gaps, skips and fills makes
// a part wrap around.
func (a *Account) balanced() bool {
	total := uint64(a.End - a.First)
	sum, ok := uint64(0), a.End >= a.First
	add := func(n uint64) {
		ok = ok && n <= total
		sum += n
	}
	add(a.Delivered)
	add(a.InFlight)
	add(a.Buffered)
	for _, n := range a.Skipped {
		add(n)
	}
	for _, n := range a.Dropped {
		add(n)
	}
	return ok && sum == total
}

func overlap(a, b record.Range) uint64 {
	return record.Range{From: max(a.From, b.From), To: min(a.To, b.To)}.Len()
}

// Skipped lists what the hub did not store of an epoch, for people.
func (s *Sender) Skipped(stream string, id record.Epoch) []wire.SkippedRange {
	for _, st := range s.streams {
		if e := st.find(id); st.name == stream && e != nil {
			return append([]wire.SkippedRange(nil), e.skipped...)
		}
	}
	return nil
}
