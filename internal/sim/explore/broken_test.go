package explore

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// closed finds a closed epoch of box 0: its end, and the chain there.
func closed(s *state, id record.Epoch) (end record.Offset, chain uint64, ok bool) {
	for _, l := range s.boxes[0].v.logs {
		list := l.Epochs()
		for i, e := range list {
			if e.Epoch == id && i < len(list)-1 {
				chain, _ = l.Chain(id, e.End)
				return e.End, chain, true
			}
		}
	}
	return 0, 0, false
}

// TestBrokenRules: the walk sees each broken rule, as what it is.
func TestBrokenRules(t *testing.T) {
	one := []string{"telemetry"}
	for _, c := range []struct {
		name, sees string
		budget     budget
		before     func(*state)
		breaks     func(*state, wire.Message) wire.Message
	}{
		{"no gap frames (A6)", "progress", budget{Append: 1, Drop: 1}, nil, func(s *state, m wire.Message) wire.Message {
			if _, gap := m.(*wire.Gap); gap {
				return nil
			}
			return m
		}},
		{"no definitions (A7)", "progress", budget{Append: 1}, nil, func(s *state, m wire.Message) wire.Message {
			if d, ok := m.(*wire.Data); ok {
				d.Definitions = nil
			}
			return m
		}},
		{"take a child before its parent (H2)", "H2", budget{Append: 2, Crash: 1, Lose: 1}, nil, func(s *state, m wire.Message) wire.Message {
			if f, ok := m.(wire.Frame); ok {
				f.Header().Parent, f.Header().ParentEnd = 0, 0
			}
			return m
		}},
		{"forget what producers sent (H6)", "doubled", budget{Message: 1, Resend: 1, Replace: 1}, nil, func(s *state, m wire.Message) wire.Message {
			if d, ok := m.(*wire.Data); ok {
				d.Producers = nil
			}
			return m
		}},
		{"take a closed epoch below the hub's position for delivered (A9)", "lost", budget{Append: 1}, restarted, func(s *state, m wire.Message) wire.Message {
			if a, ok := m.(*wire.Ack); ok && a.Answer {
				for i := range a.Positions {
					p := &a.Positions[i]
					if end, chain, ok := closed(s, p.Epoch); ok && p.Known && p.Next >= end {
						p.Next, p.ChainNext, p.Marks = end, chain, nil
					}
				}
			}
			return m
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken = c.breaks
			defer func() { broken = nil }()
			var g *graph
			synctest.Test(t, func(*testing.T) {
				g = walk(&run{name: c.name, streams: one, budget: c.budget, before: c.before, states: 20_000})
			})
			if !strings.Contains(g.wrong, c.sees) {
				t.Errorf("in %d states it sees %q, want %q", len(g.sums), g.wrong, c.sees)
			}
			t.Logf("seen after %d states: %s", len(g.sums), strings.SplitN(g.wrong, "\n", 2)[0])
		})
	}
}

// TestStepsChangeOnlyTheirOwn: what states share is never written to. Nothing is left out here.
func TestStepsChangeOnlyTheirOwn(t *testing.T) {
	for _, r := range runs() {
		synctest.Test(t, func(t *testing.T) {
			s := start(&r)
			s.check()
			seen := map[id]bool{hash(s): true}
			for queue := []*state{s}; len(queue) > 0 && len(seen) < 300; queue = queue[1:] {
				s := queue[0]
				before := s.everything()
				s.done()
				for _, a := range s.actions() {
					if n := s.step(a); n != nil {
						if k := hash(n); !seen[k] {
							seen[k] = true
							queue = append(queue, n)
						}
					}
					if !slices.Equal(before, s.everything()) {
						t.Fatalf("%s: after %q the state before it is another one", r.name, a.name())
					}
				}
			}
		})
	}
}

// everything is the digest of each part.
func (s *state) everything() (out []id) {
	for i := range s.boxes {
		out = append(out, digestAll(s.boxes[i].v, true).sum)
	}
	for i := range s.hubs {
		out = append(out, digestAll(s.hubs[i].v, true).sum)
	}
	for _, list := range [][]message{s.up, s.down} {
		for _, m := range list {
			out = append(out, send(m.Message).sum.sum)
		}
	}
	return append(out, digestAll(s.store.v, true).sum, digestAll(s.save.v, true).sum, digestAll(s.snap.v, true).sum,
		digestAll(s.spare.v, true).sum, digestAll(s.truth.v, true).sum)
}
