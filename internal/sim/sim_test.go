package sim_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds to run")
	first = flag.Uint64("seed", 1, "the first seed")
	trace = flag.Bool("trace", false, "print the transcript of every seed, whether it fails or not")

	harshly = flag.Bool("harsh", false, "make full logs, lying and rotting disks, snapshots and copied disks frequent")

	workers = flag.Int("workers", runtime.NumCPU(), "processes that share the seeds")
	asJSON  = flag.Bool("json", false, "print the figures for the process that shares out the seeds")
)

const reportLine = "REPORT "

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
	var total report
	if *workers > 1 && uint64(*seeds) > seedsAtOnce {
		total = distribute(t)
	} else {
		total = runSeeds(t, *first, *seeds)
	}
	if *asJSON {
		b, err := json.Marshal(total)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s%s\n", reportLine, b)
		return
	}
	t.Log(total.summary())
}

// report adds up what runs gave.
type report struct {
	Seeds, Violations           int
	Virtual                     time.Duration
	Records, Named, Unwitnessed int
	Faults                      map[string]int
}

func (r *report) add(o report) {
	r.Seeds += o.Seeds
	r.Violations += o.Violations
	r.Virtual += o.Virtual
	r.Records += o.Records
	r.Named += o.Named
	r.Unwitnessed += o.Unwitnessed
	if r.Faults == nil {
		r.Faults = map[string]int{}
	}
	for k, n := range o.Faults {
		r.Faults[k] += n
	}
}

// runSeeds runs them here, one after the other.
func runSeeds(t *testing.T, from uint64, n int) (total report) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(heapLimit))
	for seed := from; seed < from+uint64(n); seed++ {
		out := simulate(t, seed, nil, false)
		total.add(report{Seeds: 1, Violations: min(len(out.bad), 1), Virtual: out.virtual, Records: out.records,
			Named: out.named, Unwitnessed: out.unwitnessed, Faults: out.faults})
		if *trace {
			t.Log(strings.Join(simulate(t, seed, nil, true).lines, "\n"))
		}
		if len(out.bad) == 0 {
			continue
		}
		if total.Violations > 10 {
			t.Errorf("seed %d: %s", seed, out.bad[0])
			continue
		}
		again := simulate(t, seed, nil, true)
		lines := again.lines[max(0, len(again.lines)-maxTranscript):]
		if *seeds > 1 {
			lines = lines[max(0, len(lines)-20):]
		}
		t.Errorf("seed %d (go test ./internal/sim -run TestSeeds -args -seed %d -seeds 1 -harsh=%v; replays exactly: %v)\n%s\n%s", seed, seed, *harshly, again.hash == out.hash, strings.Join(lines, "\n"), strings.Join(out.bad, "\n"))
	}
	return total
}

// distribute runs the seeds in processes of their own, one for each core: epochs come from crypto/rand, which a run
// replaces for its process.
func distribute(t *testing.T) (total report) {
	next, end := *first, *first+uint64(*seeds)
	var mu sync.Mutex // guards next and total
	var wg sync.WaitGroup
	for range *workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				from := next
				n := min(seedsAtOnce, end-from)
				next += n
				mu.Unlock()
				if n == 0 {
					return
				}
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=0", "-workers=1", "-json",
					"-seed="+strconv.FormatUint(from, 10), "-seeds="+strconv.FormatUint(n, 10), "-harsh="+strconv.FormatBool(*harshly))
				cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
				out, err := cmd.CombinedOutput()
				text, rest, found := strings.Cut(string(out), reportLine)
				line, rest, _ := strings.Cut(rest, "\n")
				var r report
				found = found && json.Unmarshal([]byte(line), &r) == nil
				if err != nil || !found {
					t.Errorf("seeds %d to %d: %v\n%s%s", from, from+n-1, err, text, rest)
				}
				mu.Lock()
				total.add(r)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return total
}

func (r *report) summary() string {
	n := 0
	var kinds strings.Builder
	for _, k := range slices.Sorted(maps.Keys(r.Faults)) {
		n += r.Faults[k]
		fmt.Fprintf(&kinds, "\n  %-24s %8d", k, r.Faults[k])
	}
	return fmt.Sprintf("%d seeds, %.1f simulated hours, %d records, %d of them in named gaps, %d lost by disks without a witness, %d faults, %d violations%s",
		r.Seeds, r.Virtual.Hours(), r.Records, r.Named, r.Unwitnessed, n, r.Violations, kinds.String())
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
