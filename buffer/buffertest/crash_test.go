package buffertest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

var (
	seeds = flag.Int("seeds", 2, "workloads of the crash matrix and of the random test")
	first = flag.Uint64("first", 1, "first seed")
	steps = flag.Int("steps", 150, "steps of one workload")
)

var reasons = []record.Reason{record.ReasonRetention, record.ReasonDelivered, record.ReasonUnsendable, record.ReasonSeveral}

func workload(fs vfs.FS, seed uint64) *buffertest.Workload {
	w := buffertest.NewWorkload(fs, buffertest.NewModel(reasons...), seed)
	w.Moves = seed%2 == 0
	w.Big = seed%3 != 0
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

// TestCrash cuts the power after every single operation of the disk, keeps nothing, random parts or all of what was not
// synced, and opens what is left, with a second power cut during the recovery.
func TestCrash(t *testing.T) {
	type state struct{ seed, op, kept uint64 }
	states := map[state]bool{}
	cases := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		disk := vfs.NewMem()
		w := workload(disk, seed)
		var broken error
		disk.OnOp(func(op vfs.Op) {
			for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom} {
				if broken != nil {
					return
				}
				clone := disk.CrashClone(crash(keep, seed, op.N, i))
				s := state{seed, uint64(op.N), clone.Subset()}
				if states[s] {
					continue
				}
				states[s] = true
				cases++
				if err := revive(clone, w.Model.Clone(), seed, op.N, i); err != nil {
					broken = fmt.Errorf("power cut after operation %d (%s %s), kept %d (%d): %w", op.N, op.Kind, op.Name, keep, i, err)
				}
			}
		})
		err := work(w, *steps)
		if broken != nil || err != nil {
			t.Fatalf("-first %d: %v", seed, errors.Join(broken, err))
		}
	}
	t.Logf("%d distinct states, 0 violations", cases)
}

func crash(keep vfs.Keep, seed uint64, n int64, i int) vfs.CrashOptions {
	return vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(seed, uint64(n)<<8|uint64(i))), Stale: i%2 == 1}
}

// revive opens what a power cut left, with a second power cut at a random operation of the recovery, checks it, and
// works on.
func revive(disk *vfs.Mem, m *buffertest.Model, seed uint64, n int64, i int) error {
	r := rand.New(rand.NewPCG(seed+1, uint64(n)<<8|uint64(i)))
	disk.StopAfter(r.Int64N(12))
	w := buffertest.NewWorkload(disk, m, seed+uint64(n))
	err := w.Open()
	if err == nil {
		err = w.Look()
	}
	if violated(err) {
		return fmt.Errorf("in the recovery: %w", err)
	}
	again := disk.CrashClone(crash(vfs.KeepRandom, seed+2, n, i))
	w = buffertest.NewWorkload(again, m, seed+uint64(n))
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

// TestErrors fails every operation of a workload once, and from then on.
func TestErrors(t *testing.T) {
	kinds := []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpRename, vfs.OpRemove, vfs.OpReserve, vfs.OpTruncate}
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		for _, kind := range kinds {
			for _, sticky := range []bool{false, true} {
				for nth := 1; ; nth++ {
					rule := vfs.Rule{Kind: kind, Nth: nth, Sticky: sticky, Short: nth%2 == 0}
					hit, err := failing(rule, seed)
					if err != nil {
						t.Fatalf("-first %d, %s %d fails, sticky %v: %v", seed, kind, nth, sticky, err)
					}
					if !hit {
						break
					}
				}
			}
		}
	}
}

// failing works on a disk that fails by the rule, then on the same disk repaired, after a power cut.
func failing(rule vfs.Rule, seed uint64) (bool, error) {
	mem := vfs.NewMem()
	disk := vfs.NewInject(mem, rule)
	w := workload(disk, seed)
	err := w.Open()
	for range 60 {
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
