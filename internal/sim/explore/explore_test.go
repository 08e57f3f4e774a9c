package explore

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	long = flag.Bool("long", false, "the long form: more records, more faults together")
	most = flag.Int("states", 0, "where a run of many faults together stops; 0: at 200,000 states")
)

// run is one exploration: what may happen, and how often.
type run struct {
	name    string
	streams []string
	budget  budget
	states  int  // stop there; 0: never, the whole space is walked
	long    bool // not in the short form
	before  func(s *state)
}

// node is what is kept of a state that was seen.
type node struct {
	parent int32
	action string
}

type graph struct {
	ids      map[id]int32
	nodes    []node
	edges    [][2]int32 // fair steps
	good     []bool     // done, or not looked at
	complete bool
	depth    int
	dones    int
	wrong    string
}

// walk goes through the states breadth first, until the space or the bound is reached, or something is wrong.
func walk(r *run) *graph {
	bound := r.states
	switch {
	case *most > 0 && bound == deep:
		bound = *most
	case *long && bound == short:
		bound = 0
	}
	g := &graph{ids: map[id]int32{}, complete: true}
	s := start(r)
	s.check()
	g.add(hash(s), -1, "")
	frontier, at := []*state{s}, []int32{0}
	for len(frontier) > 0 {
		var next []*state
		var nextAt []int32
		for i, s := range frontier {
			frontier[i] = nil
			if bound > 0 && len(g.nodes) >= bound {
				g.complete = false
				g.good[at[i]] = true
				continue
			}
			if s.done() {
				g.dones++
				g.good[at[i]] = true
				if s.final(); s.wrong != "" {
					g.fail(r, at[i], s.wrong)
					return g
				}
			}
			for _, a := range append(s.fair(), s.faults()...) {
				n := copyOf(s)
				current = n
				if !a.do(n) {
					continue
				}
				n.check()
				k := hash(n)
				to, known := g.ids[k]
				if !known {
					to = g.add(k, at[i], a.name)
					next, nextAt = append(next, n), append(nextAt, to)
				}
				if a.fair && to != at[i] {
					g.edges = append(g.edges, [2]int32{at[i], to})
				}
				if n.wrong != "" {
					g.fail(r, to, n.wrong)
					return g
				}
			}
		}
		if len(next) > 0 {
			g.depth++
		}
		frontier, at = next, nextAt
	}
	g.live(r)
	return g
}

func (g *graph) add(k id, parent int32, action string) int32 {
	n := int32(len(g.nodes))
	g.ids[k] = n
	g.nodes = append(g.nodes, node{parent, action})
	g.good = append(g.good, false)
	return n
}

// live: from every state the fair steps lead to one where everything is done. Where every fair step that is possible again
// and again is taken some time, every schedule then ends there: there is no circle, and no dead end, to stay in for ever.
func (g *graph) live(r *run) {
	from := make([][]int32, len(g.nodes))
	for _, e := range g.edges {
		from[e[1]] = append(from[e[1]], e[0])
	}
	var queue []int32
	for i, ok := range g.good {
		if ok {
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, p := range from[n] {
			if !g.good[p] {
				g.good[p] = true
				queue = append(queue, p)
			}
		}
	}
	for i, ok := range g.good {
		if !ok {
			g.fail(r, int32(i), "progress: from here no fair schedule ever ends")
			return
		}
	}
}

// fail notes what is wrong, with the shortest way to a state.
func (g *graph) fail(r *run, n int32, why string) {
	var steps []string
	for ; g.nodes[n].parent >= 0; n = g.nodes[n].parent {
		steps = append([]string{g.nodes[n].action}, steps...)
	}
	g.wrong = fmt.Sprintf("%s: %s, after %d steps:\n  %s", r.name, why, len(steps), strings.Join(steps, "\n  "))
}

// TestExplore walks every run. The short form is those that are complete within seconds, and the beginning of others.
func TestExplore(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, r := range runs() {
		if r.long && !*long {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			var g *graph
			began := time.Now()
			synctest.Test(t, func(*testing.T) { g = walk(&r) })
			if g.wrong != "" {
				t.Error(g.wrong)
			}
			space := "complete"
			if !g.complete {
				space = "stopped"
			}
			t.Logf("%-34s %9d states, %9d fair steps, %6d ends, depth %3d, %s, %v", r.name, len(g.nodes), len(g.edges), g.dones, g.depth, space, time.Since(began).Round(time.Millisecond))
		})
	}
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
