package mcu_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/mcu"
)

var (
	seeds = flag.Int("seeds", 40, "storms, each with a seed of its own")
	dbg   = flag.String("show", "", "node whose log is shown")
	first = flag.Uint64("seed", 1, "the first seed")
)

// crash is an agent that dies: Run's context ends, and its last Sync does not happen.
func run(t *testing.T, w *wires, g *logModel, nodes []mcu.Node, change func(*mcu.Options)) (l *mcu.Line, stop func()) {
	t.Helper()
	start := time.Now()
	o := mcu.Options{Name: "test", Nodes: nodes, Log: g, Open: func() (mcu.Bus, io.Closer, error) { return w, w, nil },
		Stamp: func() record.Stamp {
			return record.Stamp{Time: int64(time.Since(start)) + 1e9, Clock: record.ClockBoot}
		},
		UTC: func() (time.Time, bool) { return time.Now().UTC(), true }, Clock: mcu.ClockUTC, Random: w.random.Uint32}
	if change != nil {
		change(&o)
	}
	return begin(t, o)
}

// begin runs a line until stop.
func begin(t testing.TB, o mcu.Options) (l *mcu.Line, stop func()) {
	t.Helper()
	l, err := mcu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Nodes are reset, questions and answers get lost, queues overflow, the agent dies: whatever was acknowledged is in the
// log once and in order, and whatever is missing is named with its life and its count.
func TestStorm(t *testing.T) {
	var sum account
	for i := range *seeds {
		seed := *first + uint64(i)
		synctest.Test(t, func(t *testing.T) { storm(t, seed, &sum) })
	}
	t.Logf("%d seeds: %+v", *seeds, sum)
	if sum.Resets == 0 || sum.Overflow == 0 || sum.Unseen == 0 || sum.Crashes == 0 {
		t.Errorf("the storms did not meet everything: %+v", sum)
	}
}

type account struct{ Events, Resets, More, Overflow, LostAtReset, Unseen, Crashes int }

func storm(t *testing.T, seed uint64, sum *account) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWires(seed, 0.03)
	g := &logModel{}
	var nodes []mcu.Node
	for unit := byte(1); unit <= 3; unit++ {
		w.nodes = append(w.nodes, newModel(r, unit, time.Duration(50+r.IntN(300))*time.Millisecond))
		w.nodes[unit-1].plain = seed%4 == uint64(unit) // behind a converter that knows plain Modbus only
		nodes = append(nodes, mcu.Node{Name: fmt.Sprintf("n%d", unit), Unit: unit})
	}
	_, stop := run(t, w, g, nodes, nil)
	for range 60 {
		time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
		m := w.nodes[r.IntN(len(w.nodes))]
		switch k := r.IntN(12); {
		case k < 5:
			w.do(m.reset)
		case k == 5: // twice in a row: a life nobody hears of
			w.do(func() { m.reset(); m.reset() })
		case k == 6:
			w.do(func() { m.down = !m.down })
		case k == 7:
			g.mu.Lock()
			g.full = !g.full
			g.mu.Unlock()
		case k == 8:
			w.do(func() { w.loss = []float64{0, 0.03, 0.2}[r.IntN(3)] })
		case k < 11: // kill -9: what is not durable is gone
			sum.Crashes++
			stop()
			g.crash()
			time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
			_, stop = run(t, w, g, nodes, nil)
		default:
			w.do(func() { m.every = time.Duration(5+r.IntN(300)) * time.Millisecond })
		}
	}
	g.mu.Lock()
	g.full = false
	g.mu.Unlock()
	w.do(func() {
		w.loss = 0
		for _, m := range w.nodes { // no more events
			m.down, m.every, m.next = false, time.Hour, time.Now().Add(time.Hour)
		}
	})
	time.Sleep(time.Minute)
	stop()
	for _, bad := range g.bad {
		t.Errorf("seed %d: %s", seed, bad)
	}
	for i, m := range w.nodes {
		check(t, seed, g, nodes[i].Name, m, sum)
	}
}

// check compares what the log has of a node with the truth.
func check(t *testing.T, seed uint64, g *logModel, name string, m *model, sum *account) {
	bad := func(format string, a ...any) {
		t.Helper()
		t.Errorf("seed %d, %s: %s", seed, name, fmt.Sprintf(format, a...))
	}
	truth := map[uint64]*life{}
	for _, l := range m.lives {
		if l.inc != 0 {
			truth[l.inc] = l
		}
	}
	covered := map[uint32]bool{} // lives by boot that a record speaks of
	var cur *life
	next := uint32(1) // sequence that is due in cur
	for _, d := range g.drafts {
		if d.Producer.Name != mcu.Producer(name) {
			continue
		}
		if cur == nil || d.Producer.Incarnation != cur.inc {
			was, had := cur, next
			cur, next = truth[d.Producer.Incarnation], 1
			if cur == nil {
				bad("incarnation %x is of no life", d.Producer.Incarnation)
				return
			}
			covered[cur.boot] = true
			if was != nil {
				sum.Resets++
				had-- // the last that is in the log
				first := lostOf(t, g, d.Records[0])
				if first.Reason != mcu.LostReset || first.Boot != was.boot && first.Boot != uint32(was.inc>>32) || first.Last != had {
					bad("life %d ended at %d, the log says %+v", was.boot, had, first)
				}
				if missing := uint64(was.newest - had); missing > first.AtMost && !first.More {
					bad("%d events of life %d are missing, the log says at most %d", missing, was.boot, first.AtMost)
				}
				if first.More {
					sum.More++
				}
				sum.LostAtReset += int(was.newest - had)
			}
		}
		if testing.Verbose() && name == *dbg {
			t.Logf("%+v at %v life %+v", *d.Producer, d.at, cur)
			for _, r := range d.Records {
				if s := g.series[r.Series-1]; s.Name != "node.test" {
					t.Logf("   %s %s", s.Name, r.Value())
				}
			}
		}
		for _, r := range d.Records {
			s := g.series[r.Series-1]
			switch s.Name {
			case "node.lost":
				switch l := lostOf(t, g, r); l.Reason {
				case mcu.LostOverflow:
					if l.Boot != cur.boot || l.Last+1 != next || uint64(l.To-l.Last) != l.Count || l.To > cur.over+cur.acked {
						bad("%+v in life %+v at %d", l, *cur, next)
					}
					next = l.To + 1
					sum.Overflow += int(l.Count)
				case mcu.LostUnseen:
					for b := l.Boot; b <= l.ToBoot; b++ {
						covered[b] = true
						sum.Unseen++
					}
				case mcu.LostReset:
				default:
					bad("%+v", l)
				}
				continue
			case "node.boot":
				if next != 1 {
					bad("a boot at sequence %d of life %d", next, cur.boot)
				}
			case "node.test":
				if uint32(r.Num) != next {
					bad("sequence %d of life %d came, %d was due", r.Num, cur.boot, next)
					next = uint32(r.Num)
				}
			}
			next++
			sum.Events++
		}
		if uint64(next-1) != d.Producer.Sequence {
			bad("the message ends at %d and says %d", next-1, d.Producer.Sequence)
		}
	}
	last := m.cur()
	if cur != last || next-1 != last.newest {
		bad("the log ends at %d of life %+v; the node is at %+v", next-1, cur, *last)
	}
	known := false
	for _, l := range m.lives { // what was before the log heard of the node for the first time is none of its business
		if known = known || covered[l.boot] || l.acked > 0; known && !covered[l.boot] {
			bad("nothing in the log speaks of life %d (%d events, %d acknowledged)", l.boot, l.newest, l.acked)
		}
	}
}

func lostOf(t *testing.T, g *logModel, r record.Record) (l mcu.LostRecord) {
	t.Helper()
	if g.series[r.Series-1].Name != "node.lost" {
		return l
	}
	if err := json.Unmarshal(r.Value(), &l); err != nil {
		t.Error(err)
	}
	return l
}
