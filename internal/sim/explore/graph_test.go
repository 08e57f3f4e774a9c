package explore

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"strings"
)

// graph is what is kept of the states that were seen: their identities, how each was reached first, and which fair steps
// lead where; about 50 bytes a state. The states themselves are made again from those before them.
type graph struct {
	sums    []id
	parents []int32
	actions []uint16 // of the parent
	slots   []int32  // a hash table of numbers of states + 1, 0: free
	good    []bool   // done, or not looked at

	edges  []int32  // where fair steps lead, in order of the states that they come from
	starts []uint32 // where those of a state begin; states without an entry were not looked at

	complete bool
	depth    int
	dones    int
	wrong    string
}

func newGraph() *graph { return &graph{slots: make([]int32, 1<<12), complete: true} }

// find is the number of a state; without one, where it is to stand in the table.
func (g *graph) find(k id) (n int32, slot int) {
	mask := len(g.slots) - 1
	for i := int(binary.LittleEndian.Uint64(k[:])) & mask; ; i = (i + 1) & mask {
		switch at := g.slots[i]; {
		case at == 0:
			return -1, i
		case g.sums[at-1] == k:
			return at - 1, i
		}
	}
}

// add notes a state and says whether it is new.
func (g *graph) add(k id, parent int32, action int) (n int32, fresh bool) {
	n, slot := g.find(k)
	if n >= 0 {
		return n, false
	}
	n = int32(len(g.sums))
	g.sums, g.parents, g.actions, g.good = append(g.sums, k), append(g.parents, parent), append(g.actions, uint16(action)), append(g.good, false)
	g.slots[slot] = n + 1
	if len(g.sums) > len(g.slots)/3*2 {
		g.slots = make([]int32, 2*len(g.slots))
		g.collect()
		for i, k := range g.sums {
			_, slot := g.find(k)
			g.slots[slot] = int32(i + 1)
		}
	}
	return n, true
}

// collect sets how much garbage may gather before the collector runs: what is kept of states holds no pointers and costs
// it nothing, but grows.
func (g *graph) collect() {
	debug.SetGCPercent(min(400, 100*garbage/(bytesPerState*len(g.slots)+garbage/4)))
}

const (
	garbage       = 256 << 20
	bytesPerState = 50 // about
)

// fairFrom are the fair steps from a state.
func (g *graph) fairFrom(n int) []int32 {
	switch {
	case n >= len(g.starts):
		return nil
	case n == len(g.starts)-1:
		return g.edges[g.starts[n]:]
	}
	return g.edges[g.starts[n]:g.starts[n+1]]
}

// live: from every state the fair steps lead to one where everything is done. Where every fair step that is possible again
// and again is taken some time, every schedule then ends there: there is no circle, and no dead end, to stay in for ever.
func (g *graph) live(r *run) {
	for again := true; again; {
		again = false
		for n := len(g.good) - 1; n >= 0; n-- {
			if g.good[n] {
				continue
			}
			for _, to := range g.fairFrom(n) {
				if g.good[to] {
					g.good[n], again = true, true
					break
				}
			}
		}
	}
	for n, ok := range g.good {
		if !ok {
			g.fail(r, int32(n), "progress: from here no fair schedule ever ends")
			return
		}
	}
}

// fail notes what is wrong, with the shortest way to a state.
func (g *graph) fail(r *run, n int32, why string) {
	var way []int
	for ; g.parents[n] >= 0; n = g.parents[n] {
		way = append(way, int(g.actions[n]))
	}
	s := start(r)
	s.check()
	var steps []string
	for i := len(way) - 1; i >= 0; i-- {
		a := s.actions()[way[i]]
		steps = append(steps, a.name())
		if s = s.step(a); s == nil {
			steps = append(steps, "(which is not possible when it is tried again)")
			break
		}
	}
	g.wrong = fmt.Sprintf("%s: %s, after %d steps:\n  %s", r.name, why, len(steps), strings.Join(steps, "\n  "))
}

// frontier makes the states of one depth, in their order: each from its parent, and so on up to one that was kept.
type frontier struct {
	g     *graph
	from  int32    // the number of the first that was kept
	kept  []*state // all of one depth
	stack []made   // the way to the last one that was made
}

type made struct {
	n int32
	s *state
}

// mostKept is how many states of one depth are kept, so that what comes after them is made again from there.
const mostKept = 20_000

// state is state n. It fails where making it again leads elsewhere: a machine that is not deterministic, or one step that
// changed what another one shares.
func (f *frontier) state(n int32) (*state, error) {
	if i := int(n - f.from); i >= 0 && i < len(f.kept) {
		return f.kept[i], nil
	}
	var way []int32
	at, base := n, (*state)(nil)
	for base == nil {
		way = append(way, at)
		at = f.g.parents[at]
		if i := int(at - f.from); i >= 0 && i < len(f.kept) {
			f.stack, base = f.stack[:0], f.kept[i]
			break
		}
		for len(f.stack) > 0 && f.stack[len(f.stack)-1].n > at {
			f.stack = f.stack[:len(f.stack)-1]
		}
		if k := len(f.stack); k > 0 && f.stack[k-1].n == at {
			base = f.stack[k-1].s
		}
	}
	for i := len(way) - 1; i >= 0; i-- {
		base = base.step(base.actions()[f.g.actions[way[i]]])
		if base == nil || hash(base) != f.g.sums[way[i]] {
			return nil, fmt.Errorf("not deterministic: state %d, made again, is another one", way[i])
		}
		f.stack = append(f.stack, made{way[i], base})
	}
	return base, nil
}
