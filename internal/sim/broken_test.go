package sim_test

import (
	"context"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

// brokenRule breaks one rule of the protocol with a wrapper around a part; nothing in the parts knows of it.
type brokenRule struct {
	name   string
	within int // seeds
	source func(w *world, m *machine, st *stream) uplink.Source
	random func(func() uint64) func() uint64
	sent   func(w *world, b *box, msg wire.Message) bool // false: the message does not leave the box
	passed func(msg wire.Message)                        // by the broker, to a hub
	store  func(w *world, h *hub) store.Store
	acked  func(a *wire.Ack) // by a hub
}

var brokenRules = []brokenRule{
	{name: "publish beyond durable (A1)", within: 10, source: func(w *world, m *machine, st *stream) uplink.Source {
		return &eager{Source: st.src, w: w, m: m, st: st}
	}},
	{name: "trust a PUBACK as delivered (A2, A12)", within: 10, sent: func(w *world, b *box, msg wire.Message) bool {
		trustPuback(w, b, msg)
		return true
	}},
	{name: "append to an epoch of an earlier opening", within: 10, source: func(_ *world, _ *machine, st *stream) uplink.Source {
		return &oneEpoch{Source: st.src}
	}},
	{name: "a nonce per boot (A3, A4)", within: 60, random: func(next func() uint64) func() uint64 {
		pair, i := [2]uint64{next(), next()}, 0 // the sender insists on a change: two in turns
		return func() uint64 { i++; return pair[i%2] }
	}},
	{name: "no gap frames (A6)", within: 10, sent: func(_ *world, _ *box, msg wire.Message) bool {
		_, gap := msg.(*wire.Gap)
		return !gap
	}},
	{name: "no definitions (A7)", within: 3, sent: func(_ *world, _ *box, msg wire.Message) bool {
		if d, ok := msg.(*wire.Data); ok {
			d.Definitions = nil
		}
		return true
	}},
	{name: "take a child before its parent (H2)", within: 10, passed: func(msg wire.Message) {
		if f, ok := msg.(wire.Frame); ok {
			f.Header().Parent, f.Header().ParentEnd = 0, 0
		}
	}},
	{name: "forget what producers sent (H6)", within: 60, passed: func(msg wire.Message) {
		if d, ok := msg.(*wire.Data); ok {
			d.Producers = nil
		}
	}},
	{name: "acks that do not list what is skipped (A2)", within: 30, acked: func(a *wire.Ack) {
		for i := range a.Positions {
			if !a.Answer {
				a.Positions[i].Skipped = nil
			}
		}
	}},
	{name: "answer from memory (H1)", within: 10, store: func(_ *world, h *hub) store.Store { return &remembering{watch: h.st} }},
	{name: "acknowledge before the commit (H1)", within: 10, store: func(w *world, h *hub) store.Store {
		return &hasty{watch: h.st, ahead: w.store.Backup()}
	}},
}

// TestBrokenRules: the checks see every broken rule within a few seeds, and say nothing of the same seeds unbroken.
func TestBrokenRules(t *testing.T) {
	for i := range brokenRules {
		rule := &brokenRules[i]
		t.Run(rule.name, func(t *testing.T) {
			for seed := uint64(1); seed <= uint64(rule.within); seed++ {
				if out := simulate(t, seed, rule, false); len(out.bad) > 0 {
					t.Logf("caught by seed %d: %s", seed, out.bad[0])
					return
				}
			}
			t.Errorf("not caught within %d seeds", rule.within)
		})
	}
}

// eager publishes what was appended and is not durable yet, as if it were.
type eager struct {
	uplink.Source
	w      *world
	m      *machine
	st     *stream
	bodies uplink.Bodies
}

func (s *eager) waiting() (recs []record.Record, from record.Offset) {
	in := s.st.log.Info()
	for _, a := range s.st.pending {
		if r := a.t.Range(); r.From == in.Durable+record.Offset(len(recs)) && len(a.nums) == int(r.Len()) && in.Epoch != 0 {
			recs = append(recs, s.m.records(s.st, a.nums)...)
		}
	}
	return recs, in.Durable
}

func (s *eager) Epochs() []uplink.Epoch {
	es := s.Source.Epochs()
	if n := len(es); n > 0 && es[n-1].Current {
		recs, _ := s.waiting()
		es[n-1].End += record.Offset(len(recs))
	}
	return es
}

func (s *eager) At(e record.Epoch, o record.Offset) (uplink.Item, error) {
	it, err := s.Source.At(e, o)
	if err == nil {
		return it, nil
	}
	recs, from := s.waiting()
	chain, ok := s.Source.Chain(e, from)
	if len(recs) == 0 || o < from || !ok {
		return it, err
	}
	body, codec, raw, err := s.bodies.Encode(nil, recs, record.CodecPlain)
	if err != nil {
		return it, err
	}
	return uplink.Item{Batch: record.Batch{Epoch: e, Base: from, Count: uint32(len(recs)), ChainBase: chain,
		ChainEnd: record.FoldChain(chain, recs), Codec: codec, RawLen: uint32(raw), CRC: wire.Checksum(body), Body: body}}, nil
}

// trustPuback tells the sender that the hub has what the broker took.
func trustPuback(w *world, b *box, msg wire.Message) {
	f, ok := msg.(wire.Frame)
	if !ok {
		return
	}
	h := f.Header()
	p := wire.Position{Stream: h.Stream, Epoch: h.Epoch, Known: true}
	switch f := f.(type) {
	case *wire.Data:
		p.Next, p.ChainNext = f.Base+record.Offset(f.Count), f.ChainEnd
	case *wire.Gap:
		p.Next, p.ChainNext = f.To, f.ChainTo
	}
	a := wire.AppendAck(nil, &wire.Ack{Nonce: h.Nonce, Positions: []wire.Position{p}, Credit: uint32(w.cfg.credit)})
	c := b.conn
	w.after(netDelay, func() {
		if b.conn == c && c != nil {
			b.both(func(m *machine) {
				if ack, err := wire.ParseAck(a); err == nil {
					m.received(ack)
				}
			})
		}
	})
}

// oneEpoch shows all epochs of a disk as one, which every opening goes on with.
type oneEpoch struct {
	uplink.Source
	real []uplink.Epoch
}

func (s *oneEpoch) Epochs() []uplink.Epoch {
	s.real = s.Source.Epochs()
	if len(s.real) == 0 {
		return nil
	}
	one := s.real[0]
	last := s.real[len(s.real)-1]
	one.End, one.Current = last.End, last.Current
	return []uplink.Epoch{one}
}

func (s *oneEpoch) of(o record.Offset) record.Epoch {
	for _, e := range s.real {
		if o < e.End {
			return e.Epoch
		}
	}
	return s.real[len(s.real)-1].Epoch
}

func (s *oneEpoch) At(_ record.Epoch, o record.Offset) (uplink.Item, error) {
	return s.Source.At(s.of(o), o)
}

func (s *oneEpoch) Chain(_ record.Epoch, o record.Offset) (uint64, bool) {
	return s.Source.Chain(s.of(o), o)
}

// remembering answers from what this hub last read or wrote.
type remembering struct {
	*watch
	have *store.DeviceState
}

func (s *remembering) Positions(ctx context.Context, name string) (store.DeviceState, error) {
	if s.have == nil {
		st, err := s.watch.Positions(ctx, name)
		if err != nil {
			return st, err
		}
		s.have = &st
	}
	st := *s.have
	st.Positions, st.Producers = slices.Clone(st.Positions), slices.Clone(st.Producers)
	return st, nil
}

func (s *remembering) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	res, err := s.watch.Commit(ctx, c)
	if err == nil && s.have != nil {
		for i := range res {
			applied := func(p store.Position) bool { return p.Stream == c[i].Stream && p.Epoch == c[i].Epoch }
			if k := slices.IndexFunc(s.have.Positions, applied); k >= 0 && res[i].Position.Epoch != 0 {
				res[i].Position.Series = s.have.Positions[k].Series
				s.have.Positions[k] = res[i].Position
			}
		}
	}
	return res, err
}

// hasty says that it has committed when it has only noted it; it commits every few calls.
type hasty struct {
	*watch
	ahead *memory.Store
	later [][]store.Change
}

func (s *hasty) Positions(ctx context.Context, name string) (store.DeviceState, error) {
	return s.ahead.Positions(ctx, name)
}

func (s *hasty) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	res, err := s.ahead.Commit(ctx, c)
	if s.later = append(s.later, c); len(s.later) >= 3 {
		for _, l := range s.later {
			if _, err := s.watch.commit(ctx, l, nil); err != nil {
				return nil, err
			}
		}
		s.later = nil
	}
	return res, err
}
