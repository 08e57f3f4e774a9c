package buffertest_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestRecoveryCrash: what a recovery ends with does not depend on how often, and after which of its operations, it was
// cut off itself: from each sampled state every operation of the recovery is the last one once.
func TestRecoveryCrash(t *testing.T) {
	cut := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		disk := vfs.NewMem()
		w := workload(disk, seed)
		var broken error
		disk.OnOp(func(op vfs.Op) {
			if op.N%7 != int64(seed%7) || broken != nil {
				return
			}
			n, err := interrupted(disk.CrashClone(crash(vfs.KeepRandom, seed, op.N, 1)), w.Model, seed)
			cut += n
			if err != nil {
				broken = fmt.Errorf("after operation %d (%s %s): %w", op.N, op.Kind, op.Name, err)
			}
		})
		if err := work(w, *steps/2); err != nil || broken != nil {
			t.Fatalf("-first %d: %v %v", seed, broken, err)
		}
	}
	if cut < 100 {
		t.Fatalf("only %d recoveries were cut off", cut)
	}
	t.Logf("%d recoveries cut off", cut)
}

// interrupted returns how many recoveries from one state were cut off.
func interrupted(state *vfs.Mem, m *buffertest.Model, seed uint64) (int, error) {
	copyOf := func() *vfs.Mem { return state.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}) }
	want, err := opened(copyOf(), m, seed)
	if err != nil {
		return 0, err
	}
	cut := 0
	for n := int64(0); ; n++ {
		disk := copyOf()
		disk.StopAfter(n)
		w := buffertest.NewWorkload(disk, m.Clone(), seed)
		err := w.Open()
		if violated(err) {
			return cut, err
		}
		if !disk.Stopped() {
			return cut, err
		}
		cut++
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom} {
			got, err := opened(disk.CrashClone(crash(keep, seed, n, i)), m, seed)
			if err != nil {
				return cut, fmt.Errorf("recovery cut off after %d operations, kept %d: %w", n, keep, err)
			}
			if !reflect.DeepEqual(got, want) {
				return cut, fmt.Errorf("recovery cut off after %d operations, kept %d: %d entries, %d without the cut", n, keep, len(got), len(want))
			}
		}
	}
}

// opened is what a reader sees after a recovery that is left alone.
func opened(disk *vfs.Mem, m *buffertest.Model, seed uint64) ([]buffertest.Entry, error) {
	w := buffertest.NewWorkload(disk, m, seed)
	if err := w.Open(); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if err := w.Glance(); err != nil {
		return nil, err
	}
	return buffertest.ReadAll(w.Log())
}
