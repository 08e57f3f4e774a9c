package sim_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Int("seeds", 300, "how many seeds to run")
	first = flag.Uint64("seed", 1, "the first seed")
	trace = flag.Bool("trace", false, "print the transcript of every seed, whether it fails or not")
)

// outcome is what one run gave.
type outcome struct {
	bad                         []string
	lines                       []string
	faults                      map[string]int
	hash                        uint64
	virtual                     time.Duration
	records, named, unwitnessed int
}

// simulate runs one seed.
func simulate(t *testing.T, seed uint64, rule *brokenRule, trace bool) (out outcome) {
	synctest.Test(t, func(*testing.T) {
		withRandom(seed, func(r *randomSource) {
			w := newWorld(seed, rule, trace)
			w.run(r)
			out = outcome{w.bad, w.lines, w.faults, w.hash, w.done, len(w.entries), w.named, w.unwitnessed}
		})
	})
	return out
}

// TestSeeds runs seeds and prints what they were: hours, faults by kind, violations. A seed that fails is run again and
// its transcript printed.
func TestSeeds(t *testing.T) {
	var total outcome
	total.faults = map[string]int{}
	bad := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		out := simulate(t, seed, nil, false)
		total.virtual += out.virtual
		total.records += out.records
		total.named += out.named
		total.unwitnessed += out.unwitnessed
		for k, n := range out.faults {
			total.faults[k] += n
		}
		if *trace {
			t.Log(strings.Join(simulate(t, seed, nil, true).lines, "\n"))
		}
		if len(out.bad) == 0 {
			continue
		}
		if bad++; bad > 10 {
			t.Errorf("seed %d: %s", seed, out.bad[0])
			continue
		}
		again := simulate(t, seed, nil, true)
		lines := again.lines[max(0, len(again.lines)-maxTranscript):]
		if *seeds > 1 {
			lines = lines[max(0, len(lines)-20):]
		}
		t.Errorf("seed %d (go test ./internal/sim -run TestSeeds -args -seed %d -seeds 1; replays exactly: %v)\n%s\n%s", seed, seed, again.hash == out.hash, strings.Join(lines, "\n"), strings.Join(out.bad, "\n"))
	}
	t.Log(summary(*seeds, &total, bad))
}

func summary(seeds int, o *outcome, bad int) string {
	n := 0
	var kinds strings.Builder
	for _, k := range slices.Sorted(maps.Keys(o.faults)) {
		n += o.faults[k]
		fmt.Fprintf(&kinds, "\n  %-24s %8d", k, o.faults[k])
	}
	return fmt.Sprintf("%d seeds, %.1f simulated hours, %d records, %d of them in named gaps, %d lost by disks without a witness, %d faults, %d violations%s",
		seeds, o.virtual.Hours(), o.records, o.named, o.unwitnessed, n, bad, kinds.String())
}

// TestReplay: a seed gives the same run, to the message.
func TestReplay(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := simulate(t, seed, nil, false), simulate(t, seed, nil, true)
		if a.hash != b.hash || a.virtual != b.virtual {
			t.Errorf("seed %d ran twice and differs", seed)
		}
	}
}
