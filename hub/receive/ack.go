package receive

import (
	"context"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// session is the hello with that nonce, nil if none is remembered.
func (d *device) session(n wire.Nonce) *session {
	for _, s := range d.sessions {
		if s.nonce == n {
			return s
		}
	}
	return nil
}

// greet remembers what a hello says that it holds; further parts add to it.
func (d *device) greet(h *wire.Hello) *session {
	s := d.session(h.Nonce)
	if s == nil {
		s = &session{nonce: h.Nonce, held: map[Key]record.Range{}, parts: map[uint16]bool{}, told: map[gapKey]bool{}}
		if len(d.sessions) >= maxSessions {
			d.sessions = slices.Delete(d.sessions, 0, 1)
		}
		d.sessions = append(d.sessions, s)
	}
	if len(s.held) >= maxHeld {
		s.parts, s.whole = nil, false
	}
	if s.parts != nil {
		s.parts[h.Part] = true
		s.whole = len(s.parts) >= int(max(h.Parts, 1))
		for _, st := range h.Streams {
			for _, e := range st.Epochs {
				s.held[Key{st.Stream, e.Epoch}] = record.Range{From: e.Low, To: e.End}
			}
		}
	}
	return s
}

// tell notes that the agent stated a gap itself: it need not be told of it.
func (s *session) tell(k Key, changes []store.Change, g *wire.Gap) {
	if s == nil {
		return
	}
	s.note(gapKey{k, g.From})
	for i := range changes {
		if changes[i].Lower { // not its words
			continue
		}
		for _, x := range changes[i].Gaps {
			s.note(gapKey{k, x.From})
		}
	}
}

// An agent may miss any ack, and any answer but one. Two hubs, or one before and after it was restarted, may have answered the
// same hello from different moments, and nobody here knows which answer the agent has taken. So an ack lists, of its epochs, all
// that an answer would: every gap in what the agent holds but those that it has stated itself, and every range that was skipped.
// Where the lists are too long the answer tells the oldest, an ack the newest.

// answerGaps are recorded gaps inside what the agent says it holds, at most so many, oldest first (A2, H3).
func (s *session) answerGaps(k Key, p *store.Position, limit int) (out []record.Gap) {
	if s == nil {
		return nil
	}
	held := s.held[k]
	for _, g := range p.Gaps {
		if g.To <= held.From || g.From >= held.To {
			continue
		}
		if len(out) == limit {
			break
		}
		out = append(out, g)
	}
	return out
}

// ackGaps are the recorded gaps that an ack lists, of an epoch of which the agent has sent the frames.
func (s *session) ackGaps(k Key, p *store.Position, frames record.Range) (out []record.Gap) {
	var held record.Range
	if s != nil {
		held = s.held[k]
		held.To = max(held.To, frames.To)
	} else { // the answer was another hub's
		held.To = p.Next
	}
	for i := len(p.Gaps) - 1; i >= 0 && len(out) < wire.MaxAckGaps; i-- {
		g := &p.Gaps[i]
		if g.To > held.From && g.From < held.To && (s == nil || !s.told[gapKey{k, g.From}]) {
			out = append(out, *g)
		}
	}
	slices.Reverse(out)
	return out
}

// ackSkips are the skipped ranges that an ack lists.
func ackSkips(p *store.Position) (out []wire.SkippedRange) {
	for _, x := range p.Skipped[max(0, len(p.Skipped)-wire.MaxAckSkipped):] {
		out = append(out, wire.SkippedRange{Range: x.Range, Reason: x.Reason})
	}
	return out
}

// note remembers that the agent has stated a gap.
func (s *session) note(k gapKey) {
	if len(s.told) > maxTold {
		clear(s.told)
	}
	s.told[k] = true
}

// ack answers the frames of a device: one ack for each nonce, with a position for each epoch, as the transaction read or
// wrote it.
func (r *Receiver) ack(b *batch, results []store.Result) {
	r.notices(b.dev, b.notices)
	r.stats.stored(b.dev.name)
	credit := r.credit.grant(b.dev, r.active(), time.Now())
	for i, t := range b.touched {
		if slices.ContainsFunc(b.touched[:i], func(o *touched) bool { return o.nonce == t.nonce }) {
			continue
		}
		a := &wire.Ack{Nonce: t.nonce, Credit: credit, Notices: b.notices}
		for _, o := range b.touched[i:] {
			if o.nonce != t.nonce {
				continue
			}
			if len(a.Positions) == wire.MaxAckPositions {
				r.send(t.reply, a)
				a = &wire.Ack{Nonce: t.nonce, Credit: credit}
			}
			k := slices.IndexFunc(b.reads, func(x readBack) bool { return x.Key == o.Key })
			a.Positions = append(a.Positions, o.position(&results[b.reads[k].at].Position, b.dev.session(t.nonce)))
		}
		r.send(t.reply, a)
	}
}

func (r *Receiver) send(reply Reply, a *wire.Ack) {
	if reply != nil {
		reply(a)
		r.stats.add(&r.stats.s.Acks, 1)
	}
}

// position is one entry of an ack.
func (t *touched) position(p *store.Position, s *session) wire.Position {
	out := wire.Position{Stream: t.Stream, Epoch: t.Epoch, Next: t.first}
	if p.Epoch != 0 {
		out.Known, out.Next, out.ChainNext = true, p.Next, p.ChainNext
		out.Gaps = s.ackGaps(t.Key, p, t.frames)
		out.Skipped = ackSkips(p)
	}
	if t.verdict != wire.VerdictOK && (p.Epoch == 0 || t.upTo > p.Next) {
		out.Verdict = t.verdict
		if t.verdict == wire.VerdictWait {
			out.Parent = t.parent
		}
	}
	return out
}

// answer says where every epoch that a hello names stands, as a transaction of now reads it. False: ctx has ended.
func (r *Receiver) answer(ctx context.Context, d *device, it item) bool {
	h := it.m.(*wire.Hello)
	if r.devices[d.name] != d { // disowned in this round
		return true
	}
	st, mine, ok := r.stored(ctx, d, h)
	if !ok {
		return false
	}
	if !mine {
		r.disown(d)
		return true
	}
	s := d.greet(h)
	stored := make(map[Key]*store.Position, len(st.Positions))
	for i := range st.Positions {
		p := &st.Positions[i]
		stored[Key{p.Stream, p.Epoch}] = p
	}
	r.stats.hello(d.name, h, st.Positions)
	r.setView(d, st)
	r.notices(d, d.view.newest(h))
	a := &wire.Ack{Nonce: h.Nonce, Answer: true, Part: h.Part, Parts: h.Parts, Notices: d.notices}
	left := wire.MaxAckGapsTotal
	for _, stream := range h.Streams {
		for i := range stream.Epochs {
			if len(a.Positions) == wire.MaxAckPositions {
				break
			}
			k := Key{stream.Stream, stream.Epochs[i].Epoch}
			p := answerPosition(k, &stream.Epochs[i], stored[k], s, min(left, wire.MaxAckGaps))
			left -= len(p.Gaps)
			a.Positions = append(a.Positions, p)
		}
	}
	now := time.Now()
	a.Credit = r.credit.grant(d, r.active(), now)
	a.HubTime, a.HubSynced = now.UnixNano(), r.o.Synced()
	r.send(it.reply, a)
	return true
}

// stored is what the store says of a device, once it has what a hello says of the beginnings of epochs. Not ok: ctx has ended.
func (r *Receiver) stored(ctx context.Context, d *device, h *wire.Hello) (st store.DeviceState, mine, ok bool) {
	for attempt := 0; ; {
		st, err := r.o.Store.Positions(ctx, d.name)
		if err == nil {
			fence, mine := r.fence(d.name)
			changes := lowered(d.name, h, st.Positions, fence)
			if attempt++; !mine || len(changes) == 0 || attempt > maxAttempts {
				r.storeUp()
				return st, mine, true
			}
			d.stale = true
			_, err = r.o.Store.Commit(ctx, changes) // what became of them the next look tells
		}
		if err != nil && !r.storeDown(ctx, err) {
			return st, false, false
		}
	}
}

func answerPosition(k Key, e *wire.EpochState, p *store.Position, s *session, gaps int) wire.Position {
	if p == nil {
		return wire.Position{Stream: k.Stream, Epoch: k.Epoch, Next: e.First}
	}
	out := wire.Position{Stream: k.Stream, Epoch: k.Epoch, Known: true, Next: p.Next, ChainNext: p.ChainNext,
		Gaps: s.answerGaps(k, p, gaps)}
	for _, x := range p.Skipped[:min(len(p.Skipped), wire.MaxAckSkipped)] {
		out.Skipped = append(out.Skipped, wire.SkippedRange{Range: x.Range, Reason: x.Reason})
	}
	if p.Quarantined && e.End > p.Next {
		out.Verdict = wire.VerdictConflict
	}
	if !e.ChainKnown || e.End != p.Next || e.ChainEnd != p.ChainNext {
		out.Marks = marks(p.Marks, e.End)
	}
	return out
}

// marks are those of a position that an agent with an epoch up to end can compare (A9).
func marks(list []store.Mark, end record.Offset) (out []wire.Mark) {
	for _, m := range list {
		if m.Offset <= end {
			out = append(out, wire.Mark(m))
		}
	}
	return out[max(0, len(out)-wire.MaxAckMarks):]
}

// notices remembers what people should hear of a device.
func (r *Receiver) notices(d *device, list []string) {
	for _, n := range list {
		if slices.Contains(d.notices, n) {
			continue
		}
		if len(d.notices) >= maxNotices {
			d.notices = slices.Delete(d.notices, 0, 1)
		}
		d.notices = append(d.notices, n)
		if r.o.Events.Notice != nil {
			r.o.Events.Notice(d.name, n)
		}
	}
	r.stats.notices(d.name, d.notices)
}
