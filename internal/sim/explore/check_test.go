package explore

import (
	"fmt"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// truth is what became of every record.
type truth struct {
	Where map[int64][]place // where a log has ever held it
	Free  map[int64]bool    // its disk is gone, was rolled back or had lied: it may be missing
	Links map[record.Epoch]link
}

// link is the ancestry of an epoch by the log's word.
type link struct {
	Parent record.Epoch
	End    record.Offset
}

type place struct {
	Stream string
	Epoch  record.Epoch
	Offset record.Offset
}

func (s *state) violation(format string, args ...any) {
	if s.wrong == "" {
		s.wrong = fmt.Sprintf(format, args...)
	}
}

// look notes where the records are. Of a box that nothing has touched it is noted already.
func (s *state) look() {
	for i := range s.boxes {
		if !s.boxes[i].touched() {
			continue
		}
		for _, l := range s.boxes[i].v.logs {
			for _, h := range l.Records() {
				s.note(h.Record.Num, place{l.Name, h.Epoch, h.Offset})
			}
			for _, e := range l.Epochs() {
				if to := (link{e.Parent, e.ParentEnd}); s.truth.v.Links[e.Epoch] != to {
					s.truth.change().Links[e.Epoch] = to
				}
			}
		}
	}
}

func (s *state) note(n int64, p place) {
	if !s.truth.v.at(n, p) {
		t := s.truth.change()
		t.Where[n] = append(t.Where[n], p)
	}
}

// discard: what the old disk holds and the new one does not may be missing from now on.
func (s *state) discard(old, now []*log) {
	kept := map[int64]bool{}
	for _, l := range now {
		for _, h := range l.Records() {
			kept[h.Record.Num] = true
		}
	}
	for _, b := range s.boxes[1:] {
		for _, l := range b.v.logs {
			for _, h := range l.Records() {
				kept[h.Record.Num] = true
			}
		}
	}
	for _, l := range old {
		for _, h := range l.Records() {
			if !kept[h.Record.Num] {
				s.truth.change().Free[h.Record.Num] = true
			}
		}
	}
}

// stated: an ack says what the store holds at that moment (H1).
func (s *state) stated(a *wire.Ack) {
	at := s.positions()
	for i := range a.Positions {
		p := &a.Positions[i]
		q := at[receive.Key{Stream: p.Stream, Epoch: p.Epoch}]
		if p.Known != (q != nil) || q != nil && (q.Next != p.Next || q.ChainNext != p.ChainNext) {
			s.violation("H1: the ack says %+v, the store %+v", *p, q)
		}
	}
}

// check is what must hold in every state. What depends on nothing that the last step has touched was checked before.
func (s *state) check() {
	s.look()
	boxes := false
	for i := range s.boxes {
		boxes = boxes || s.boxes[i].touched()
	}
	hub := s.store.touched()
	at := s.positions()
	if hub {
		s.checkRows(at)
	}
	if hub || boxes {
		s.checkParents(at)
	}
	for i := range s.boxes {
		if !hub && !s.boxes[i].touched() {
			continue
		}
		for _, a := range s.boxes[i].v.s.Accounts() {
			if !a.Balanced {
				s.violation("account of box %d: %+v", i, a)
			}
			s.agree(i, &a, at[receive.Key{Stream: a.Stream, Epoch: a.Epoch}])
		}
	}
}

// checkRows: the account of the hub, and where its rows are.
func (s *state) checkRows(at map[receive.Key]*store.Position) {
	plain := map[int64]int{}
	for k, p := range at {
		left := int64(p.Next-p.First) - int64(p.Rows)
		for _, g := range p.Gaps {
			left -= int64(g.Len())
		}
		for _, x := range p.Skipped {
			left -= int64(x.Len())
		}
		if left != 0 {
			s.violation("account of the hub: %+v", *p)
		}
		last, seen := int64(-1), map[record.Offset]bool{}
		for _, r := range s.store.v.Rows(device, k.Stream, k.Epoch) {
			if seen[r.Offset] || !r.Late && int64(r.Offset) <= last {
				s.violation("order: offset %d of e%d after %d, or twice", r.Offset, uint64(k.Epoch), last)
			}
			if seen[r.Offset] = true; !r.Late {
				last = int64(r.Offset)
			}
			if !s.truth.v.at(r.Record.Num, place{k.Stream, k.Epoch, r.Offset}) {
				s.violation("wrong offset: record %d at %d of e%d", r.Record.Num, r.Offset, uint64(k.Epoch))
			}
			if r.Record.Quality != record.QualityMayRepeat {
				if plain[r.Record.Num]++; plain[r.Record.Num] > 1 {
					s.violation("doubled: record %d", r.Record.Num)
				}
			}
		}
	}
}

// checkParents: H2.
func (s *state) checkParents(at map[receive.Key]*store.Position) {
	for k, p := range at {
		if l := s.truth.v.Links[k.Epoch]; l.Parent != 0 {
			if q := at[receive.Key{Stream: k.Stream, Epoch: l.Parent}]; q == nil && s.held(l.Parent) || q != nil && q.Next < l.End && !q.Quarantined {
				s.violation("H2: e%d is taken before its parent e%d has reached %d", uint64(p.Epoch), uint64(l.Parent), l.End)
			}
		}
	}
}

// held: some box has something of the epoch.
func (s *state) held(e record.Epoch) bool {
	for _, b := range s.boxes {
		for _, l := range b.v.logs {
			for _, x := range l.Epochs() {
				if x.Epoch == e {
					return true
				}
			}
		}
	}
	return false
}

// agree compares the accounts of both sides at any moment: a box never says that more is settled than the hub has, and
// the hub never has more than the box has written. What lies between is in flight, or was when a connection ended. Where
// the store was restored, or a disk went back, the next answer brings them together again.
func (s *state) agree(i int, a *uplink.Account, p *store.Position) {
	if l := &s.left; l.backups+l.snaps+l.lies+l.cloned+l.wiped > 0 || a.Conflict {
		return
	}
	settled, has := a.Delivered, uint64(0)
	for _, n := range a.Skipped {
		settled += n
	}
	if p != nil {
		has = uint64(p.Next - p.First)
	}
	if settled > has || has > uint64(a.End-a.First) {
		s.violation("accounts of box %d and the hub: %+v %+v", i, *a, p)
	}
}

func (t *truth) at(n int64, p place) bool {
	for _, q := range t.Where[n] {
		if q == p {
			return true
		}
	}
	return false
}

// done: nothing is under way, every box is connected and has nothing to send, and the hub has or names all that the boxes
// hold.
func (s *state) done() bool {
	if len(s.up)+len(s.down) > 0 {
		return false
	}
	at := s.positions()
	for i := range s.boxes {
		b := s.boxes[i].v
		if st := b.s.Status(); !b.connected || st.Phase != uplink.PhaseStreaming || st.InFlight > 0 {
			return false
		}
		for _, l := range b.logs {
			for _, e := range l.Epochs() {
				p := at[receive.Key{Stream: l.Name, Epoch: e.Epoch}]
				if p == nil || p.Next < e.End || l.Position < e.End {
					return false
				}
			}
			for _, h := range l.Records() {
				p := at[receive.Key{Stream: l.Name, Epoch: h.Epoch}]
				if gapped(p, h.Offset) && !s.stuck(b, p, h.Offset) {
					return false // it holds what the hub names as a gap
				}
			}
		}
	}
	return true
}

func gapped(p *store.Position, o record.Offset) bool {
	for _, g := range p.Gaps {
		if g.Contains(o) {
			return true
		}
	}
	return false
}

// stuck: the beginning of the gap is held by nobody, so that it is not filled (H3 fills upward).
func (s *state) stuck(b *box, p *store.Position, o record.Offset) bool {
	for _, g := range p.Gaps {
		if !g.Contains(o) {
			continue
		}
		for _, l := range b.logs {
			for _, h := range l.Records() {
				if l.Name == p.Stream && h.Epoch == p.Epoch && h.Offset == g.From {
					return false
				}
			}
		}
	}
	return true
}

// final is what must hold besides when everything is done.
func (s *state) final() {
	at := s.positions()
	stored := map[int64]bool{}
	for k := range at {
		for _, r := range s.store.v.Rows(device, k.Stream, k.Epoch) {
			stored[r.Record.Num] = true
		}
	}
	for n, places := range s.truth.v.Where {
		if stored[n] || s.truth.v.Free[n] {
			continue
		}
		named, repeat := false, false
		for _, pl := range places {
			p := at[receive.Key{Stream: pl.Stream, Epoch: pl.Epoch}]
			if p == nil {
				continue
			}
			named = named || gapped(p, pl.Offset)
			for _, x := range p.Skipped {
				if x.Contains(pl.Offset) {
					named, repeat = true, repeat || x.Reason == receive.SkipRepeat
				}
			}
		}
		switch {
		case repeat:
			s.violation("untrue: record %d is skipped as a repeat and not stored", n)
		case !named && s.left.lost > 0 && s.left.snaps+s.left.backups+s.left.lies > 0:
			// It was dropped on the box, and a move renamed its place: the model log forgets such gaps, the real one moves them.
		case !named:
			s.violation("lost: record %d, which was at %v, is neither stored nor named", n, places)
		}
	}
}
