package explore

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// What the last hello said of closed epochs.
var (
	ends   = map[record.Epoch]record.Offset{}
	chains = map[record.Epoch]uint64{}
)

// TestBrokenRules: the walk sees each broken rule, as what it is.
func TestBrokenRules(t *testing.T) {
	one := []string{"telemetry"}
	for _, c := range []struct {
		name, sees string
		budget     budget
		before     func(*state)
		breaks     func(wire.Message) wire.Message
	}{
		{"no gap frames (A6)", "progress", budget{Append: 1, Drop: 1}, nil, func(m wire.Message) wire.Message {
			if _, gap := m.(*wire.Gap); gap {
				return nil
			}
			return m
		}},
		{"no definitions (A7)", "progress", budget{Append: 1}, nil, func(m wire.Message) wire.Message {
			if d, ok := m.(*wire.Data); ok {
				d.Definitions = nil
			}
			return m
		}},
		{"take a child before its parent (H2)", "H2", budget{Append: 2, Crash: 1, Lose: 1}, nil, func(m wire.Message) wire.Message {
			if f, ok := m.(wire.Frame); ok {
				f.Header().Parent, f.Header().ParentEnd = 0, 0
			}
			return m
		}},
		{"forget what producers sent (H6)", "doubled", budget{Message: 1, Resend: 1, Replace: 1}, nil, func(m wire.Message) wire.Message {
			if d, ok := m.(*wire.Data); ok {
				d.Producers = nil
			}
			return m
		}},
		{"take a closed epoch below the hub's position for delivered (A9)", "lost", budget{Append: 1}, restarted, func(m wire.Message) wire.Message {
			if a, ok := m.(*wire.Ack); ok && a.Answer {
				for i := range a.Positions {
					if p := &a.Positions[i]; p.Known && ends[p.Epoch] != 0 && p.Next >= ends[p.Epoch] {
						p.Next, p.ChainNext, p.Marks = ends[p.Epoch], chains[p.Epoch], nil
					}
				}
			}
			if h, ok := m.(*wire.Hello); ok {
				clear(ends)
				for _, s := range h.Streams {
					for i, e := range s.Epochs {
						if i < len(s.Epochs)-1 {
							ends[e.Epoch], chains[e.Epoch] = e.End, e.ChainEnd
						}
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
				t.Errorf("in %d states it sees %q, want %q", len(g.nodes), g.wrong, c.sees)
			}
			t.Logf("seen after %d states: %s", len(g.nodes), strings.SplitN(g.wrong, "\n", 2)[0])
		})
	}
}
