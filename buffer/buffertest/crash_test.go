package buffertest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

var (
	seeds = flag.Int("seeds", 2, "workloads of the crash matrix and of the random test")
	first = flag.Uint64("first", 1, "first seed")
	steps = flag.Int("steps", 150, "steps of one workload")

	subsets = flag.Int("subsets", 2, "random subsets of what was not synced, tried after each operation")
	states  = flag.Uint64("states", 0, "distinct states of the crash matrix to reach, whatever -seeds says")
)

var reasons = []record.Reason{record.ReasonRetention, record.ReasonDelivered, record.ReasonUnsendable, record.ReasonSeveral}

func workload(fs vfs.FS, seed uint64) *buffertest.Workload {
	w := buffertest.NewWorkload(fs, buffertest.NewModel(reasons...), seed)
	w.Moves = seed%2 == 0
	w.Big = seed%3 != 0
	w.Wide = seed%7 == 5
	if seed%5 >= 3 {
		w.Model.Keys = buffertest.NewKeys(seed)
	}
	return w
}

// work runs a workload to its end or to the first error.
func work(w *buffertest.Workload, n int) error {
	if err := w.Open(); err != nil {
		return err
	}
	for range n {
		if err := w.Step(); err != nil {
			return err
		}
	}
	return w.Close()
}

func violated(err error) bool {
	var v *buffertest.Violation
	return errors.As(err, &v)
}

// TestRandom runs random work on a disk that behaves.
func TestRandom(t *testing.T) {
	for seed := *first; seed < *first+uint64(*seeds)*20; seed++ {
		w := workload(vfs.NewMem(), seed)
		if err := work(w, 2**steps); err != nil {
			t.Fatalf("-first %d: %v", seed, err)
		}
	}
}

// TestCrash cuts the power after every single operation of the disk, keeps nothing, all, or many random parts of what was
// not synced, and opens what is left. A state is a distinct pair of operation and kept subset. Each is opened and checked;
// every second one has another power cut during the recovery, and one in eight is worked on afterwards.
func TestCrash(t *testing.T) {
	if *states > 0 { // the long form makes garbage faster than the collector likes
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	var g errgroup.Group
	var next, done atomic.Uint64
	next.Store(*first)
	begun := time.Now()
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for {
				seed := next.Add(1) - 1
				if *states > 0 && done.Load() >= *states || *states == 0 && seed >= *first+uint64(*seeds) {
					return nil
				}
				n, err := crashes(seed)
				if err != nil {
					return fmt.Errorf("-first %d -subsets %d: %w", seed, *subsets, err)
				}
				if all := done.Add(n); *states > 0 && seed%16 == 0 {
					fmt.Printf("crash: %d states, %.0f/s\n", all, float64(all)/time.Since(begun).Seconds())
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("bench crash_states %d states\nbench crash_violations 0\n", done.Load())
	t.Logf("seeds %d to %d, %d random subsets an operation: %d distinct states in %s, 0 violations", *first, next.Load()-1, *subsets, done.Load(), time.Since(begun).Round(time.Second))
}

// crashes is the crash matrix of one workload; it returns the number of distinct states.
func crashes(seed uint64) (uint64, error) {
	disk := vfs.NewMem()
	w := workload(disk, seed)
	var broken error
	n := uint64(0)
	disk.OnOp(func(op vfs.Op) {
		seen := map[uint64]bool{}
		again := 0
		for i := 0; i < *subsets+2 && again < 4 && broken == nil; i++ {
			keep := vfs.KeepRandom
			if i < 2 {
				keep = [...]vfs.Keep{vfs.KeepNone, vfs.KeepAll}[i]
			}
			clone := disk.CrashClone(crash(keep, seed, op.N, i))
			if seen[clone.Subset()] {
				again++ // few are left
				continue
			}
			seen[clone.Subset()], again = true, 0
			n++
			if err := revive(clone, w.Model, seed, op.N, i); err != nil {
				broken = fmt.Errorf("power cut after operation %d (%s %s), kept %d (%d): %w", op.N, op.Kind, op.Name, keep, i, err)
			}
		}
	})
	err := work(w, *steps)
	return n, errors.Join(broken, err)
}

func crash(keep vfs.Keep, seed uint64, n int64, i int) vfs.CrashOptions {
	return vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(seed, uint64(n)<<8|uint64(i))), Stale: i%2 == 1}
}

// revive opens what a power cut left and checks it. m is not changed.
func revive(disk *vfs.Mem, m *buffertest.Model, seed uint64, n int64, i int) error {
	r := rand.New(rand.NewPCG(seed+1, uint64(n)<<8|uint64(i)))
	if deep := r.IntN(8) == 0; deep || r.IntN(2) == 0 {
		m = m.Clone()
		disk.StopAfter(r.Int64N(12))
		w := buffertest.NewWorkload(disk, m, seed+uint64(n))
		err := w.Open()
		if err == nil {
			err = w.Look()
		}
		if violated(err) {
			return fmt.Errorf("in the recovery: %w", err)
		}
		disk = disk.CrashClone(crash(vfs.KeepRandom, seed+2, n, i))
		if deep {
			return workOn(disk, m, seed+uint64(n))
		}
	}
	w := buffertest.NewWorkload(disk, m, seed+uint64(n))
	if err := w.Open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return w.Glance() // the machine goes off: nothing is closed
}

// workOn opens what a power cut left, checks it and goes on.
func workOn(disk *vfs.Mem, m *buffertest.Model, seed uint64) error {
	w := buffertest.NewWorkload(disk, m, seed)
	if err := w.Open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := w.Look(); err != nil {
		return err
	}
	m.Crashed()
	for range 12 {
		if err := w.Step(); err != nil {
			return fmt.Errorf("working on: %w", err)
		}
	}
	if err := w.Look(); err != nil {
		return fmt.Errorf("after working on: %w", err)
	}
	return w.Close()
}

// TestErrors fails every operation of a workload once, and from then on: with EIO and ENOSPC, half written, and carried
// out although it was reported as failed.
func TestErrors(t *testing.T) {
	kinds := []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpRemove, vfs.OpRename, vfs.OpReserve, vfs.OpTruncate}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, kind := range kinds {
		g.Go(func() error {
			hits, length := 0, 60
			if kind == vfs.OpRemove || kind == vfs.OpRename {
				length = 200 // until there is something to remove and to rename
			}
			for seed := *first; seed < *first+uint64(*seeds); seed++ {
				for _, sticky := range []bool{false, true} {
					for nth := 1; ; nth++ {
						rule := vfs.Rule{Kind: kind, Nth: nth, Sticky: sticky, Short: nth%2 == 0, Done: nth%5 == 0}
						if nth%3 == 0 {
							rule.Err = syscall.ENOSPC
						}
						hit, err := failing(rule, seed, length)
						if err != nil {
							return fmt.Errorf("-first %d, %s %d fails, sticky %v: %w", seed, kind, nth, sticky, err)
						}
						if !hit {
							break
						}
						hits++
					}
				}
			}
			if hits == 0 {
				return fmt.Errorf("no %s failed", kind)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// failing works on a disk that fails by the rule, then on the same disk repaired, after a power cut.
func failing(rule vfs.Rule, seed uint64, length int) (bool, error) {
	mem := vfs.NewMem()
	disk := vfs.NewInject(mem, rule)
	w := workload(disk, seed)
	err := w.Open()
	for range length {
		if err != nil {
			break
		}
		if err = w.Step(); err != nil && !violated(err) && w.Log().Info().State != buffer.StateClosed {
			err = nil // the log says itself whether it goes on
		}
	}
	if violated(err) {
		return true, err
	}
	hit := disk.Hits() > 0
	for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
		v := buffertest.NewWorkload(mem.CrashClone(crash(keep, seed, int64(rule.Nth), i)), w.Model.Clone(), seed)
		if err := v.Open(); err != nil {
			return hit, fmt.Errorf("open after the power cut: %w", err)
		}
		if err := v.Look(); err != nil {
			return hit, fmt.Errorf("kept %d: %w", keep, err)
		}
		if err := v.Close(); err != nil {
			return hit, err
		}
	}
	return hit, nil
}
