package sim_test

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

// storedRow is one row of the store.
type storedRow struct {
	place
	repeat bool // marked "may repeat"
	late   bool
}

// agree lets boxes that share epochs hear of each other. Any of them may fill a gap that another one has named, and the
// hub skip there what it knows as a repeat; whoever did not send it knows with its next answer (docs/protocol.md, "The
// account"). Until then its account is the older truth. It may take several turns, as a hello can lead to a fill. One that
// changes nothing at the hub is the last: what differs then, differs for good. An epoch that one box has alone has this
// excuse only where a frame of its own came after the gap that it has sent in its place, and filled it, under a nonce that
// does not count any more; else that box has sent everything of it and was told what became of it.
func (w *world) agree() {
	for len(w.bad) == 0 {
		before, err := w.store.Positions(context.Background(), device)
		if err != nil {
			w.violation("store: %v", err)
			return
		}
		differ := 0
		for _, b := range w.boxes {
			for _, d := range b.differs(byKey(before.Positions)) {
				if !w.shared(d.Key) && !w.filled[d.Key] {
					return
				}
				differ++
			}
		}
		if differ == 0 {
			return
		}
		w.note("---- a box does not know yet what another one has done: both wait for their regular hello")
		w.untilQuiet()
		if after, err := w.store.Positions(context.Background(), device); err != nil || reflect.DeepEqual(before.Positions, after.Positions) {
			return
		}
	}
}

// shared: more than one box has the epoch.
func (w *world) shared(k receive.Key) bool {
	n := 0
	for _, b := range w.boxes {
		if w.holds(b.lineage, k) {
			n++
		}
	}
	return n > 1
}

func byKey(list []store.Position) map[receive.Key]*store.Position {
	out := map[receive.Key]*store.Position{}
	for i := range list {
		out[receive.Key{Stream: list[i].Stream, Epoch: list[i].Epoch}] = &list[i]
	}
	return out
}

// check compares what the store holds with the ledger, and the accounts with each other.
func (w *world) check() {
	st, err := w.store.Positions(context.Background(), device)
	if err != nil {
		w.violation("store: %v", err)
		return
	}
	positions := byKey(st.Positions)
	rows := map[int64][]storedRow{}
	for i := range st.Positions {
		p := &st.Positions[i]
		w.checkPosition(p)
		w.collect(p, w.store.Rows(device, p.Stream, p.Epoch), rows)
	}
	stored := map[place]bool{}
	for _, list := range rows {
		for i := range list {
			stored[list[i].place] = true
		}
	}
	for n, e := range w.entries {
		w.checkEntry(int64(n), e, rows[int64(n)], stored, positions)
	}
	for _, b := range w.boxes {
		b.checkAccount(positions)
	}
	w.checkWriters(st.Positions)
}

// checkPosition: the hub's account of one epoch, after each commit and at the end.
func (w *world) checkPosition(p *store.Position) {
	left := int64(p.Next-p.First) - int64(p.Rows)
	for _, g := range p.Gaps {
		left -= int64(g.Len())
		if g.Reason == record.ReasonUnsendable || g.Reason == record.ReasonErased {
			w.violation("gap [%d, %d) of %s: nothing is %s here", g.From, g.To, short(p.Epoch), g.Reason)
		}
	}
	for _, k := range p.Skipped {
		left -= int64(k.Len())
		if k.Reason == receive.SkipDeadLetter {
			w.violation("dead letters %v of %s", k.Range, short(p.Epoch))
		}
	}
	if left != 0 {
		w.violation("account of the hub: %s %s has a remainder of %d: %+v", p.Stream, short(p.Epoch), left, *p)
	}
}

// collect sorts rows by the record they hold. Within an epoch they come in order, late ones excepted.
func (w *world) collect(p *store.Position, list []memory.Row, rows map[int64][]storedRow) {
	last := int64(-1)
	seen := map[record.Offset]bool{}
	for i := range list {
		r := &list[i]
		if seen[r.Offset] {
			w.violation("doubled: offset %d of %s %s is stored twice", r.Offset, p.Stream, short(p.Epoch))
		}
		seen[r.Offset] = true
		if !r.Late {
			if int64(r.Offset) <= last {
				w.violation("order: offset %d of %s %s comes after %d", r.Offset, p.Stream, short(p.Epoch), last)
			}
			last = int64(r.Offset)
		}
		if n := number(&r.Record); n >= 0 {
			rows[n] = append(rows[n], storedRow{place{p.Stream, p.Epoch, r.Offset}, r.Record.Quality == record.QualityMayRepeat, r.Late})
		}
	}
}

// checkEntry: what was acknowledged is there once, or named, or its disk has lost it and nobody was left to know.
// stored are the places where something is.
func (w *world) checkEntry(n int64, e *entry, rows []storedRow, stored map[place]bool, positions map[receive.Key]*store.Position) {
	plain := 0
	for _, r := range rows {
		if !r.repeat {
			plain++
		}
		if !e.at(r.place) {
			w.violation("wrong offset: record %d is stored at %s %s %d, where no log has held it (%v)", n, r.stream, short(r.epoch), r.offset, e.places)
		}
	}
	if plain > 1 {
		w.violation("doubled: record %d is stored %d times: %v", n, plain, rows)
	}
	if len(rows) > 0 || !e.acked {
		return
	}
	gone := true
	for _, l := range e.on {
		gone = gone && l.gone
	}
	if gone { // with its disk, or rolled back: its place may belong to the other history
		w.unwitnessed++
		return
	}
	named, unseen := false, true
	for _, p := range e.places {
		q := positions[receive.Key{Stream: p.stream, Epoch: p.epoch}]
		if q == nil || q.Next <= p.offset || e.isLeft(p) || stored[p] {
			continue // nothing was ever told of this place, or of the record that another history has there
		}
		unseen = false
		for _, k := range q.Skipped {
			if k.Contains(p.offset) {
				w.violation("untrue: record %d is skipped as a %s at %s %d, and it is not stored", n, k.Reason, short(p.epoch), p.offset)
				return
			}
		}
		for _, g := range q.Gaps {
			if g.Contains(p.offset) {
				named = true
				if why := w.untrue(&g, e); why != "" {
					w.violation("untrue: record %d stands in a gap %v %s of %s: %s", n, g.Range, g.Reason, short(p.epoch), why)
				}
			}
		}
	}
	if named || unseen && w.namedByBox(e, stored, positions) {
		w.named++
		return
	}
	excused := true
	for _, l := range e.on {
		excused = excused && l.excused()
	}
	switch {
	case !excused:
		w.violation("lost: record %d of %s, acknowledged, is neither stored nor named: places %v, stored before %v", n, e.stream, e.places, e.stored)
	case !unseen:
		w.violation("unnamed: record %d of %s is below the hub's position and neither stored nor named: %v", n, e.stream, e.places)
	default:
		w.unwitnessed++
	}
}

// namedByBox: a box names the record in a gap of its own, and the hub stood strictly inside that gap, on another history,
// when it heard of it. Then nobody can know that the histories part there: the box has no chain inside its gap, the hub
// none of the box's, and the records between are gone; with an ack that was lost in place of the other history, both would
// hold and say the same (hub/receive TestPair/parted-inside-a-gap). Where the chain at the hub's position can be known,
// A9 must move the gap, so that the hub names it.
func (w *world) namedByBox(e *entry, stored map[place]bool, positions map[receive.Key]*store.Position) bool {
	for _, b := range w.boxes {
		if b.m == nil || b.lineage.gone || !e.isOn(b.lineage) {
			continue
		}
		for _, st := range b.m.streams {
			for _, g := range st.log.Info().Gaps {
				for _, p := range e.places {
					if p.stream == st.name && p.epoch == g.Epoch && g.Contains(p.offset) && stored[p] && w.untrue(&g, e) == "" &&
						stoodInside(g.Range, p, stored, positions[receive.Key{Stream: p.stream, Epoch: p.epoch}]) {
						return true
					}
				}
			}
		}
	}
	return false
}

// stoodInside: the hub has rows from p on up to a place strictly inside g, from where on it names a gap: there it stood
// when the frame of g came.
func stoodInside(g record.Range, p place, stored map[place]bool, q *store.Position) bool {
	for ; p.offset < g.To; p.offset++ {
		for i := range q.Gaps {
			if h := &q.Gaps[i]; h.From == p.offset {
				return h.From > g.From
			}
		}
		if !stored[p] {
			return false
		}
	}
	return false
}

func (e *entry) at(p place) bool {
	for _, q := range e.places {
		if q == p {
			return true
		}
	}
	return false
}

// untrue says why the reason of a gap cannot be true of a record in it.
func (w *world) untrue(g *record.Gap, e *entry) string {
	var retained, lost, rotten bool
	for _, l := range e.on {
		retained = retained || l.retained
		lost = lost || l.lied
		rotten = rotten || l.rotten
	}
	switch g.Reason {
	case record.ReasonDelivered:
		if !e.stored {
			return "it was never stored"
		}
	case record.ReasonRetention:
		if !retained {
			return "nothing was removed to make room"
		}
	case record.ReasonCorrupt, record.ReasonDiskLost:
		if !rotten && !lost {
			return "its disk was honest and whole"
		}
	case record.ReasonSeveral: // boxes that hold one epoch have stated different ones
		if !w.heldBySeveral(receive.Key{Stream: e.stream, Epoch: g.Epoch}) && !rotten && !lost {
			return "one box only has held the epoch, and states one"
		}
		if !e.stored && !retained && !rotten && !lost {
			return "nothing has happened to it"
		}
	default:
		return "nothing of the kind happened"
	}
	return ""
}

// checkAccount compares the account of a box with the hub's: both are at rest.
func (b *box) checkAccount(positions map[receive.Key]*store.Position) {
	for _, a := range b.m.sender.Accounts() {
		if !a.Balanced || a.InFlight != 0 || a.Buffered != 0 && !a.Conflict {
			b.w.violation("account of %s at rest: %+v", b.name, a)
		}
		p := positions[receive.Key{Stream: a.Stream, Epoch: a.Epoch}]
		switch {
		case p == nil && a.End > a.First:
			b.w.violation("account of %s: the hub does not know epoch %s [%d, %d)", b.name, short(a.Epoch), a.First, a.End)
		case p != nil && !a.Conflict && !p.Quarantined && p.Next < a.End:
			b.w.violation("account of %s: epoch %s ends at %d, the hub is at %d", b.name, short(a.Epoch), a.End, p.Next)
		}
	}
	for _, d := range b.differs(positions) {
		b.w.violation("account of %s: epoch %s: %s", b.name, short(d.Epoch), d.text)
	}
}

// difference is an epoch of which a box says something else than the hub.
type difference struct {
	receive.Key
	text string
}

// differs lists what the box counts as delivered and the hub never had, and what only one of them counts as skipped.
func (b *box) differs(positions map[receive.Key]*store.Position) (out []difference) {
	for _, a := range b.m.sender.Accounts() {
		k := receive.Key{Stream: a.Stream, Epoch: a.Epoch}
		p := positions[k]
		if p == nil || a.Conflict || p.Quarantined {
			continue
		}
		have := p.Rows
		for _, g := range p.Gaps {
			// Where a hub was restored, or several boxes hold the epoch, one box may have named as lost what the other had
			// delivered before.
			if g.Reason == record.ReasonDelivered || b.w.cfg.revert || b.w.cfg.clone {
				have += g.Len()
			}
		}
		if a.Delivered > have {
			out = append(out, difference{k, fmt.Sprintf("%d are said to be delivered, the hub has or had %d: %+v %+v", a.Delivered, have, a, *p)})
		}
		skips := skippedWithin(p, record.Range{From: a.First, To: a.End})
		if len(p.Skipped) < wire.MaxAckSkipped && !maps.Equal(a.Skipped, skips) {
			out = append(out, difference{k, fmt.Sprintf("%v are said to be skipped, the hub has skipped %v: %+v %+v", a.Skipped, skips, a, *p)})
		}
	}
	return out
}

// skippedWithin counts by reason what the hub did not store of a range.
func skippedWithin(p *store.Position, r record.Range) map[string]uint64 {
	out := map[string]uint64{}
	for _, k := range p.Skipped {
		if in := (record.Range{From: max(r.From, k.From), To: min(r.To, k.To)}); in.From < in.To {
			out[k.Reason] += in.Len()
		}
	}
	return out
}

// checkWriters: two children of one parent are told to people (H7).
func (w *world) checkWriters(positions []store.Position) {
	children := map[receive.Key]int{}
	for _, p := range positions {
		if p.Parent != 0 {
			children[receive.Key{Stream: p.Stream, Epoch: p.Parent}]++
		}
	}
	for k, n := range children {
		if n > 1 && w.notices["two-writers "+k.Stream] == 0 {
			w.violation("H7: epoch %s of %s has %d children and nobody was told", short(k.Epoch), k.Stream, n)
		}
	}
}
