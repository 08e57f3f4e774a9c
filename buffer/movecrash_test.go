package buffer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

var small = buffer.StreamOptions{MaxBytes: 4 << 20, SegmentBytes: 16 << 10}

// threeEpochs is a disk with two closed epochs, and a third one of the opening returned, with a gap in the second.
func threeEpochs(t *testing.T, fs *vfs.Mem, over vfs.FS) (*buffer.Set, *buffer.Log) {
	t.Helper()
	for n := 0; ; n++ {
		var disk vfs.FS = fs
		if n == 2 {
			disk = over
		}
		s, l := open(t, disk, small)
		id := define(t, l)
		for i := range 9 {
			if err := put(t, l, record.Draft{Records: []record.Record{text(id, 100*n+i, 3000), value(id, int64(i), int64(i))}}); err != nil {
				t.Fatal(err)
			}
		}
		if n == 1 {
			e := l.Epochs()[1]
			if err := l.DeclareGap(context.Background(), record.Range{From: e.First + 8, To: e.First + 11}, record.ReasonUnsendable); err != nil {
				t.Fatal(err)
			}
		}
		if n == 2 {
			return s, l
		}
		closeSet(t, s)
	}
}

// held is everything but the opening records of later openings.
func held(t *testing.T, l *buffer.Log, n int) string {
	t.Helper()
	got := readAll(t, l, 0)
	return fmt.Sprint(got[:min(n, len(got))])
}

// survives opens what a power cut left and compares, with a power cut at every operation of the recovery, too.
func survives(t *testing.T, what string, fs *vfs.Mem, want string, n int, deep bool) {
	t.Helper()
	cuts := []*vfs.Mem{}
	if deep {
		fs.OnOp(func(op vfs.Op) {
			r := rand.New(rand.NewPCG(uint64(op.N), 7))
			cuts = append(cuts, fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r}))
		})
	}
	s, l := open(t, fs, small)
	verify(t, l)
	if got := held(t, l, n); got != want {
		t.Fatalf("%s: other content\n%s\nwant\n%s", what, got, want)
	}
	id := define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
		t.Fatal(what, err)
	}
	verify(t, l)
	closeSet(t, s)
	fs.OnOp(nil)
	s, l = open(t, fs, small)
	if got := held(t, l, n); got != want {
		t.Fatalf("%s, opened again: other content", what)
	}
	verify(t, l)
	closeSet(t, s)
	for i, c := range cuts {
		survives(t, fmt.Sprintf("%s, then after operation %d of the recovery", what, i), c, want, n, false)
	}
}

// TestPowerCutsWhileMoving cuts the power after every operation of CloseEpoch, of a closed epoch and of the current one.
func TestPowerCutsWhileMoving(t *testing.T) {
	for _, which := range []int{1, 2} {
		for _, above := range []record.Offset{0, 5} {
			t.Run(fmt.Sprint(which, above), func(t *testing.T) { t.Parallel(); cutsWhileMoving(t, which, above) })
		}
	}
}

func cutsWhileMoving(t *testing.T, which int, above record.Offset) {
	fs := vfs.NewMem()
	s, l := threeEpochs(t, fs, fs)
	all := readAll(t, l, 0)
	want := fmt.Sprint(all)
	e := l.Epochs()[which]
	cuts := 0
	fs.OnOp(func(op vfs.Op) {
		for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom} {
			cuts++
			r := rand.New(rand.NewPCG(uint64(op.N), uint64(i)))
			what := fmt.Sprintf("epoch %d + %d: after operation %d (%s), kept %d", which, above, op.N, op.Kind, keep)
			survives(t, what, fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: r, Stale: i == 3}), want, len(all), i == 2 && op.N%8 == 0)
		}
	})
	if err := l.CloseEpoch(context.Background(), e.Epoch, e.First+above); err != nil {
		t.Fatal(err)
	}
	fs.OnOp(nil)
	if cuts < 40 {
		t.Fatalf("only %d power cuts", cuts)
	}
	verify(t, l)
	if got := held(t, l, len(all)); got != want {
		t.Fatal("other content")
	}
	closeSet(t, s)
	survives(t, "closed", fs, want, len(all), false)
}

// TestErrorsWhileMoving fails every operation of CloseEpoch once, and from then on; then the log works on, and the power
// is cut.
func TestErrorsWhileMoving(t *testing.T) {
	kinds := []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir, vfs.OpRemove, vfs.OpTruncate, vfs.OpRead}
	for _, which := range []int{1, 2} {
		for _, kind := range kinds {
			t.Run(fmt.Sprint(which, kind), func(t *testing.T) { t.Parallel(); errorsWhileMoving(t, which, kind) })
		}
	}
}

func errorsWhileMoving(t *testing.T, which int, kind vfs.OpKind) {
	for _, sticky := range []bool{false, true} {
		for nth := 1; ; nth++ {
			if kind == vfs.OpRead {
				nth += nth / 3 // of many reads a sample
			}
			fs := vfs.NewMem()
			disk := vfs.NewInject(fs)
			s, l := threeEpochs(t, fs, disk)
			all := readAll(t, l, 0)
			want := fmt.Sprint(all)
			e := l.Epochs()[which]
			disk.SetRules(vfs.Rule{Kind: kind, Nth: nth, Sticky: sticky})
			err := l.CloseEpoch(context.Background(), e.Epoch, e.First+5)
			hit := disk.Hits() > 0
			disk.SetRules()
			what := fmt.Sprintf("epoch %d: %s %d fails, sticky %v: %v", which, kind, nth, sticky, err)
			for i, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepRandom} {
				r := rand.New(rand.NewPCG(uint64(nth), uint64(i)))
				survives(t, what, fs.CrashClone(vfs.CrashOptions{Keep: keep, Rand: r}), want, len(all), false)
			}
			verify(t, l)
			id := define(t, l)
			if err := put(t, l, record.Draft{Records: []record.Record{value(id, 5, 5)}}); err != nil {
				t.Fatal(what, err)
			}
			verify(t, l)
			more := readAll(t, l, 0)
			r := rand.New(rand.NewPCG(uint64(nth), 2))
			survives(t, what+", worked on", fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r}), fmt.Sprint(more), len(more), false)
			_ = s.Close()
			if !hit {
				break
			}
		}
	}
}
