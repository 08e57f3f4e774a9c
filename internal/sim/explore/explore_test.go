package explore

import (
	"cmp"
	"flag"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

var (
	long = flag.Bool("long", false, "the long form: more records, more faults together")
	most = flag.Int("states", 0, "where a run of many faults together stops; 0: at 200,000 states")
	last = flag.Duration("for", 0, "how long the runs of many faults together go on, all in all; 0: until -states")
)

// run is one exploration: what may happen, and how often.
type run struct {
	name    string
	streams []string
	budget  budget
	states  int  // stop there; 0: never, the whole space is walked
	long    bool // not in the short form
	before  func(s *state)
	until   time.Duration // stop then; 0: never
	kept    int           // states of one depth that are kept, instead of mostKept
}

// bound is how many states a run walks, and for how long.
func (r *run) bound() (states int, until time.Duration) {
	switch {
	case r.states == deep && r.until > 0:
		return mostStates, r.until
	case r.states == deep && *most > 0:
		return *most, 0
	case r.states == short && *long:
		return mostStates, 0
	case r.states == 0:
		return mostStates, 0
	}
	return r.states, 0
}

// step is the state after an action, nil where it is not possible.
func (s *state) step(a action) *state {
	n := s.fork()
	current = n
	if !a.do(n) {
		return nil
	}
	n.check()
	return n
}

// actions are what may happen next, always in the same order.
func (s *state) actions() []action { return append(s.fair(), s.faults()...) }

// walk goes through the states breadth first, until the space or the bound is reached, or something is wrong.
func walk(r *run) *graph {
	bound, until := r.bound()
	kept := cmp.Or(r.kept, mostKept)
	stop := clock(until)
	g := newGraph()
	s := start(r)
	s.check()
	g.add(hash(s), -1, 0)
	f := &frontier{g: g, kept: []*state{s}}
	for from, to := 0, 1; from < to && g.wrong == ""; from, to = to, len(g.sums) {
		var next []*state // those of the next depth, while they are not too many
		for n := from; n < to && g.wrong == ""; n++ {
			if len(g.sums) >= bound || stop() {
				g.complete = false
				for ; n < len(g.sums); n++ {
					g.good[n] = true
				}
				g.live(r)
				return g
			}
			s, err := f.state(int32(n))
			if err != nil {
				g.fail(r, int32(n), err.Error())
				return g
			}
			next = g.expand(r, int32(n), s, next, to, kept)
		}
		if len(g.sums) > to {
			g.depth++
		}
		if len(next) == len(g.sums)-to {
			f.kept, f.from = next, int32(to)
		}
		clear(f.stack)
		f.stack = f.stack[:0]
	}
	if g.wrong == "" {
		g.live(r)
	}
	return g
}

// expand takes every step from state n, and keeps the new states in next, which begins with state from, up to kept.
func (g *graph) expand(r *run, n int32, s *state, next []*state, from, kept int) []*state {
	g.starts = append(g.starts, uint32(len(g.edges)))
	if s.done() {
		g.dones++
		g.good[n] = true
		if s.final(); s.wrong != "" {
			g.fail(r, n, s.wrong)
			return next
		}
	}
	for i, a := range s.actions() {
		m := s.step(a)
		if m == nil {
			continue
		}
		to, fresh := g.add(hash(m), n, i)
		if fresh && int(to)-from == len(next) {
			if next = append(next, m); len(next) > kept {
				next = nil
			}
		}
		if a.fair && to != n {
			g.edges = append(g.edges, to)
		}
		if m.wrong != "" {
			g.fail(r, to, m.wrong)
			return next
		}
	}
	return next
}

// clock says whether a duration is over, by the system's clock: that of the walk stands still.
func clock(d time.Duration) func() bool {
	if d == 0 {
		return func() bool { return false }
	}
	began, looks := systemTime(), 0
	return func() bool {
		looks++
		return looks%256 == 0 && systemTime()-began >= d
	}
}

func systemTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// TestExplore walks every run. The short form is those that are complete within seconds, and the beginning of others.
func TestExplore(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	list, left, many := runs(), *last, 0
	for _, r := range list {
		if r.states == deep {
			many++
		}
	}
	for _, r := range list {
		if r.long && !*long {
			continue
		}
		if r.states == deep && left > 0 {
			r.until = left / time.Duration(many)
			many--
		}
		t.Run(r.name, func(t *testing.T) {
			var g *graph
			began := time.Now()
			synctest.Test(t, func(*testing.T) { g = walk(&r) })
			took := time.Since(began)
			left -= r.used(took)
			if g.wrong != "" {
				t.Error(g.wrong)
			}
			space := "complete"
			if !g.complete {
				space = "stopped"
			}
			t.Logf("%-34s %9d states, %9d fair steps, %7d ends, depth %3d, %s, %v, %.0f states/s, %d MiB", r.name, len(g.sums), len(g.edges), g.dones, g.depth, space,
				took.Round(time.Millisecond), float64(len(g.sums))/took.Seconds(), heap()>>20)
		})
	}
}

// TestMadeAgain: states that were not kept and are made again are the same ones.
func TestMadeAgain(t *testing.T) {
	for _, r := range runs() {
		if r.states != deep {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			r.states = short / 2
			all := walk(&r)
			r.kept = 3
			few := walk(&r)
			if all.wrong+few.wrong != "" || !slices.Equal(all.sums, few.sums) || !slices.Equal(all.edges, few.edges) {
				t.Errorf("%s: %d states with those of a depth kept, %d without: %s", r.name, len(all.sums), len(few.sums), few.wrong)
			}
		})
	}
}

// used is what a run took of the time for runs of many faults.
func (r *run) used(took time.Duration) time.Duration {
	if r.states == deep {
		return took
	}
	return 0
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
func runs() []run {
	one := []string{"telemetry"}
	two := []string{"telemetry", "alarms"}
	return []run{
		{name: "two records", streams: one, budget: budget{Append: 2}},
		{name: "two streams", streams: two, budget: budget{Append: 2}, states: short},
		{name: "loss", streams: one, budget: budget{Append: 2, Lose: 1}},
		{name: "duplicates", streams: one, budget: budget{Append: 1, Twice: 1}},
		{name: "early time-out", streams: one, budget: budget{Append: 1, Late: 1}},
		{name: "cut", streams: one, budget: budget{Append: 1, Cut: 1}},
		{name: "power cut", streams: one, budget: budget{Append: 2, Crash: 1}, states: short},
		{name: "lying disk", streams: one, budget: budget{Append: 2, Lie: 1}, states: short},
		{name: "snapshot", streams: one, budget: budget{Append: 2, Snapshot: 1}, states: short},
		{name: "snapshot, restarted", streams: one, before: restarted, budget: budget{Append: 1, Lose: 1}, states: short},
		{name: "clone", streams: one, budget: budget{Append: 1, Clone: 1}, states: short},
		{name: "empty disk", streams: one, budget: budget{Append: 2, Replace: 1}, states: short},
		{name: "bit rot", streams: one, budget: budget{Append: 2, Rot: 1}, states: short},
		{name: "room", streams: one, budget: budget{Append: 2, Drop: 2}, states: short},
		{name: "damaged bodies", streams: one, budget: budget{Append: 1, Spoil: 3}, states: short},
		{name: "dead letter", streams: one, budget: budget{Append: 1, Dead: 1}, states: short},
		{name: "restored store", streams: one, budget: budget{Append: 1, Backup: 1, Restore: 1}, states: short},
		{name: "zombie", streams: one, budget: budget{Append: 1, Backup: 1, Zombie: 1}, states: short},
		{name: "hub restart", streams: one, budget: budget{Append: 1, HubRestart: 1}},
		{name: "two hubs", streams: one, budget: budget{Append: 1, SecondHub: 1}, states: short},
		{name: "message again", streams: one, budget: budget{Message: 1, Resend: 1, Replace: 1}, states: short},

		{name: "message, zombie", streams: one, budget: budget{Message: 1, Resend: 1, Replace: 1, Backup: 1, Zombie: 1}, long: true, states: deep},
		{name: "clone that drops", streams: one, budget: budget{Append: 2, Clone: 1, Drop: 1}, long: true, states: deep},
		{name: "snapshot, restored store", streams: one, budget: budget{Append: 3, Snapshot: 1, Backup: 1, Restore: 1}, long: true, states: deep},
		{name: "lie, power cut, rot", streams: one, budget: budget{Append: 3, Lie: 1, Crash: 1, Rot: 1}, long: true, states: deep},
		{name: "loss, duplicates, cut", streams: two, budget: budget{Append: 2, Lose: 1, Twice: 1, Cut: 1}, long: true, states: deep},
		{name: "everything", streams: one, budget: budget{Append: 2, Message: 1, Resend: 1, Crash: 1, Lie: 1, Snapshot: 1, Clone: 1, Rot: 1, Drop: 1,
			Lose: 1, Twice: 1, Spoil: 1, Cut: 1, Backup: 1, Restore: 1, Zombie: 1, HubRestart: 1, SecondHub: 1}, long: true, states: deep},
	}
}

// short is where a run of the short form stops that takes longer; the long form walks all of its space. deep is where a
// run of many faults together stops.
const (
	short = 3000
	deep  = 200_000
)

// mostStates bounds the memory of a run that walks its whole space, or goes on for a time: about 50 bytes a state.
const mostStates = 60_000_000
