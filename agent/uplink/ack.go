package uplink

import (
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// receivedAck takes an answer or an ack. It counts only under the nonce of the latest hello (A3).
func (s *Sender) receivedAck(a *wire.Ack, now time.Time) {
	greeting := s.phase == PhaseHello || s.phase == PhaseWaiting
	if a.Nonce != s.nonce || a.Nonce == 0 || a.Answer != greeting || !greeting && s.phase != PhaseStreaming {
		s.stats.Ignored++
		return
	}
	if a.Answer && (int(a.Part) >= len(s.answers.got) || s.answers.got[a.Part]) {
		s.stats.Ignored++
		return
	}
	s.stats.heard(a, now)
	s.silent, s.timer.heard = 0, now
	s.window.credit = a.Credit
	for _, n := range a.Notices {
		if s.o.Events.Notice != nil {
			s.o.Events.Notice(n)
		}
	}
	if a.Answer {
		s.answer(a, now)
		return
	}
	progress, gaps := false, 0
	for i := range a.Positions {
		p := &a.Positions[i]
		gaps += len(p.Gaps)
		st, e := s.locate(p)
		if e == nil {
			continue
		}
		if e.listed(p, gaps) {
			s.timer.hastenHello(now)
		}
		moved, again := s.ack(st, e, p, now)
		progress = progress || moved
		if again { // the hub has less than it had: everything else it said may be as old
			s.hello(now)
			return
		}
	}
	if progress {
		s.timer.progress = AckTimeout
		s.timer.ack = now.Add(s.timer.progress)
		s.window.grow()
		if s.stalled(now) { // acks of the others put the time-out off: a hello asks what became of it
			s.timer.hastenHello(now)
		}
	}
}

func (s *Sender) locate(p *wire.Position) (*stream, *epoch) {
	for _, st := range s.streams {
		if st.name != p.Stream {
			continue
		}
		e := st.find(p.Epoch)
		if e != nil && e.Current && p.Next > e.End || e == nil && st.dirty {
			st.refresh() // judge by what is durable now
			e = st.find(p.Epoch)
		}
		return st, e
	}
	return nil, nil
}

// answer sets positions, up or down; the last part of it starts the streaming.
func (s *Sender) answer(a *wire.Ack, now time.Time) {
	s.answers.got[a.Part] = true
	s.answers.missing--
	if int(a.Part) == len(s.answers.got)-1 && s.phase == PhaseWaiting && a.HubTime != 0 {
		s.stats.RTT = now.Sub(s.answers.sent)
		if s.o.Events.HubTime != nil {
			s.o.Events.HubTime(s.answers.sent, now, a.HubTime, a.HubSynced)
		}
	}
	listed, gaps := 0, 0
	for i := range a.Positions {
		listed += len(a.Positions[i].Skipped)
	}
	for i := range a.Positions {
		p := &a.Positions[i]
		gaps += len(p.Gaps)
		st, e := s.locate(p)
		if e == nil {
			continue
		}
		e.answered = true
		if len(p.Skipped) < wire.MaxAckSkipped && listed < wire.MaxAckGapsTotal {
			e.unskip(p.Skipped) // the list is whole
		}
		e.noteSkipped(p.Skipped, st.name, s.o.Events.Skipped)
		if e.conflict && p.Verdict == wire.VerdictOK && e.clip(p) < e.End {
			e.conflict = false // the hub was restored to before: what is left of the epoch is sent again
		}
		e.begins(p)
		if at, ok := s.compare(st, e, p); !ok {
			s.conflict(st, e, at, now)
			e.toldAll()
			s.owe(st, e, p)
			continue
		}
		e.acked = e.clip(p)
		s.answerOwed(st, e, p, whole(p, gaps))
	}
	if s.answers.missing > 0 {
		return
	}
	s.phase = PhaseStreaming
	s.timer.greeting = AckTimeout
	more := false
	for _, st := range s.streams {
		for _, e := range st.epochs {
			if !e.answered { // the hub has never heard of it
				e.begin, e.acked, e.skipped, e.owed = e.First, e.First, nil, nil
				e.toldAll()
			}
			e.answered = false
			more = more || e.cut && !e.full
		}
	}
	if s.paging = more; more {
		s.timer.hastenHello(now)
	}
	for _, st := range s.streams {
		s.forget(st)
		st.publishDelivered()
	}
}

// clip is the hub's position within what this log knows, or can name, of the epoch.
func (e *epoch) clip(p *wire.Position) record.Offset {
	if !p.Known {
		return e.First
	}
	return min(max(p.Next, e.begin), e.End)
}

// ack takes one position of an ack. moved: it rose. again: say hello, the hub has less than it had acknowledged, or
// another history (A9): the answer says where they part.
func (s *Sender) ack(st *stream, e *epoch, p *wire.Position, now time.Time) (moved, again bool) {
	if e.conflict {
		return false, false
	}
	e.noteSkipped(p.Skipped, st.name, s.o.Events.Skipped)
	s.ackOwed(st, e, p, now)
	filled := s.ackFill(st, e, p, now)
	if filled && p.Verdict != wire.VerdictOK {
		return true, false // the fill was refused: the gap stays, nothing else is wrong
	}
	if p.Verdict == wire.VerdictOK && e.clip(p) < e.acked { // late: only raises count
		return filled, false
	}
	if !s.agrees(st, e, p, st.flightTo(e, p.Next)) || p.Verdict != wire.VerdictOK && (e.clip(p) < e.acked || p.Known && p.Next < e.begin) {
		return false, true
	}
	if to := e.clip(p); to > e.acked {
		e.acked, moved = to, true
		e.next = max(e.next, to)
		st.back, st.since = back{}, now
		s.land(st, e)
	}
	if p.Verdict != wire.VerdictOK {
		s.rewind(st, e, p, now)
	}
	if moved {
		st.publishDelivered()
	}
	return moved || filled, false
}

// flightTo is the frame in flight that ends at the offset.
func (st *stream) flightTo(e *epoch, to record.Offset) *flight {
	for i := range st.flight {
		if f := &st.flight[i]; f.e == e && f.To == to && !f.fill {
			return f
		}
	}
	return nil
}

// land removes the frames that have arrived and notes the definitions they brought.
func (s *Sender) land(st *stream, e *epoch) {
	st.flight = slices.DeleteFunc(st.flight, func(f flight) bool {
		if f.e != e || f.fill || f.To > e.acked {
			return false
		}
		s.window.remove(f.size)
		st.small.landed(f.bytes)
		for _, id := range f.defs {
			e.covered.add(id)
		}
		return true
	})
}

// rewind goes back to the hub's position (A5). The frames that were in flight behind the one that the hub could not
// take make it say the same again: only the first time counts, until the position moves.
func (s *Sender) rewind(st *stream, e *epoch, p *wire.Position, now time.Time) {
	b := back{e: e, at: p.Next, verdict: p.Verdict}
	same := st.back == b || p.Verdict == wire.VerdictRewind && st.back.e == e && st.back.at == p.Next
	if same && len(st.flight) > 0 && p.Verdict != wire.VerdictUnreadable { // only the frame at the position is unreadable
		return
	}
	st.back = b
	s.stats.Rewinds++
	switch p.Verdict {
	case wire.VerdictDefinitions:
		e.covered.clear()
		e.search = true // counting does not find what the log has lost; its stand-in is sent then
	case wire.VerdictUnreadable:
		s.harder(st, e, now)
	case wire.VerdictWait:
		if parent := st.find(p.Parent); parent == nil || parent.conflict || parent.acked >= parent.End {
			// Nothing that can be sent now would help: a hello tells the hub what this log holds.
			st.pausedUntil = now.Add(AckTimeout)
			s.timer.hastenHello(now.Add(AckTimeout))
		}
	}
	s.forget(st)
	s.window.shrink()
}

// harder notes that the hub could not read the body at the position: half the records, then uncompressed, then
// fewer and fewer, then a gap.
func (s *Sender) harder(st *stream, e *epoch, now time.Time) {
	if st.hard.e != e || st.hard.at != e.acked {
		n := uint32(1)
		for i := range st.flight {
			if f := &st.flight[i]; f.e == e && f.From == e.acked {
				n = uint32(f.Len())
			}
		}
		st.hard = hard{e: e, at: e.acked, limit: max(n/2, recodeFloor)}
		return
	}
	switch h := &st.hard; {
	case !h.plain:
		h.plain = true
	case h.limit > recodeFloor:
		h.limit = max(h.limit/2, recodeFloor)
	case h.tries < maxHardTries: // a link that damages bodies must not cost a record
		h.tries++
	default:
		s.giveUp(st, e, now)
	}
}

// giveUp puts a gap in the place of the record, or the producer's message, that the hub cannot read in any form.
func (s *Sender) giveUp(st *stream, e *epoch, now time.Time) {
	item, err := st.src.At(e.Epoch.Epoch, e.acked)
	if err != nil {
		s.failed(st, now, err)
		return
	}
	if item.Gap != nil {
		return
	}
	r := record.Range{From: e.acked, To: border(item.Batch.Producers, e.acked, e.acked+1)}
	if err := st.src.DeclareGap(e.Epoch.Epoch, r); err != nil {
		s.failed(st, now, err)
		return
	}
	st.hard = hard{}
	s.stats.Unsendable += r.Len()
	if s.o.Events.Unsendable != nil {
		s.o.Events.Unsendable(st.name, e.Epoch.Epoch, r)
	}
	st.refresh()
}

// unskip forgets skipped ranges that a whole list of the hub does not have: it was restored to before, and may have stored
// since what it had skipped then.
func (e *epoch) unskip(list []wire.SkippedRange) {
	var kept []wire.SkippedRange
	for _, k := range e.skipped {
		for _, s := range list {
			if r := (record.Range{From: max(k.From, s.From), To: min(k.To, s.To)}); s.Reason == k.Reason && r.From < r.To {
				kept = append(kept, wire.SkippedRange{Range: r, Reason: k.Reason})
			}
		}
	}
	e.skipped = kept
}

// noteSkipped merges what the hub did not store into what is known.
func (e *epoch) noteSkipped(list []wire.SkippedRange, stream string, event func(string, record.Epoch, wire.SkippedRange)) {
	for _, s := range list {
		i := slices.IndexFunc(e.skipped, func(k wire.SkippedRange) bool { return k.Reason == s.Reason && s.From <= k.To && k.From <= s.To })
		if i >= 0 && e.skipped[i].From <= s.From && s.To <= e.skipped[i].To {
			continue
		}
		if event != nil {
			event(stream, e.Epoch.Epoch, s)
		}
		for i >= 0 { // swallow every range that it touches
			s.From, s.To = min(s.From, e.skipped[i].From), max(s.To, e.skipped[i].To)
			e.skipped = slices.Delete(e.skipped, i, i+1)
			i = slices.IndexFunc(e.skipped, func(k wire.SkippedRange) bool { return k.Reason == s.Reason && s.From <= k.To && k.From <= s.To })
		}
		if len(e.skipped) < maxSkipped {
			e.skipped = append(e.skipped, s)
		}
	}
}
