package buffer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

var tight = buffer.StreamOptions{MaxBytes: 64 << 10, SegmentBytes: 16 << 10}

func owed(from, to record.Offset) record.Owed {
	return record.Owed{Range: record.Range{From: from, To: to}, Reason: record.ReasonRetention}
}

// named are the offsets below low that a gap calls deleted after delivery.
func named(l *buffer.Log, low record.Offset) (delivered []record.Offset) {
	for _, g := range l.Info().Gaps {
		for o := g.From; o < min(g.To, low); o++ {
			if g.Reason == record.ReasonDelivered {
				delivered = append(delivered, o)
			}
		}
	}
	return delivered
}

// fill appends n records of 3,000 bytes, each its own batch.
func fill(t *testing.T, l *buffer.Log, n int) {
	t.Helper()
	id := define(t, l)
	for i := range n {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000)}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRetentionNamesWhatIsOwed: below the delivered position, what a hub is owed is removed like the rest, and named as what was
// not delivered; both outlive a restart.
func TestRetentionNamesWhatIsOwed(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, tight)
	fill(t, l, 12)
	list := []record.Owed{owed(1, 3), owed(7, 8)}
	l.SetDelivered(10, append(list, owed(9, 14))...)
	closeSet(t, s)
	s, l = open(t, fs, tight)
	if want := append(list, owed(9, 10)); l.Delivered() != 10 || !slices.Equal(l.Owed(), want) {
		t.Fatalf("after a restart: delivered %d, owed %v, want %v", l.Delivered(), l.Owed(), want)
	}
	fill(t, l, 40)
	if low := l.Info().Low; low < 12 {
		t.Fatalf("nothing was removed: %+v", l.Info())
	}
	verify(t, l)
	if got := fmt.Sprint(named(l, 12)); got != "[0 3 4 5 6 8]" {
		t.Errorf("named as delivered: %s; gaps %+v", got, l.Info().Gaps)
	}
	l.SetDelivered(40, owed(30, 31))
	l.SetDelivered(20)
	if len(l.Owed()) != 0 {
		t.Errorf("owed above the position, or for ever: %v", l.Owed())
	}
	closeSet(t, s)
}

// TestOwedIsBounded: of more ranges than a state has room for, the nearest are joined, so that none is forgotten.
func TestOwedIsBounded(t *testing.T) {
	s, l := open(t, vfs.NewMem(), small)
	id := define(t, l)
	var recs []record.Record
	for i := range 1000 {
		recs = append(recs, value(id, int64(i), int64(i)))
	}
	if err := put(t, l, record.Draft{Records: recs}); err != nil {
		t.Fatal(err)
	}
	var list []record.Owed
	for i := range record.Offset(100) {
		list = append(list, owed(9*i, 9*i+1+i%3))
	}
	l.SetDelivered(1000, list...)
	got := l.Owed()
	if len(got) != record.MaxOwed {
		t.Fatalf("%d ranges", len(got))
	}
	for _, o := range list {
		if !slices.ContainsFunc(got, func(x record.Owed) bool { return x.From <= o.From && o.To <= x.To }) {
			t.Errorf("%v is forgotten", o)
		}
	}
	closeSet(t, s)
}

// TestOwedAndPositionAreOne: a power cut at every operation leaves the position and what is owed below it as they were told
// together, and retention after it names nothing as delivered that was owed then.
func TestOwedAndPositionAreOne(t *testing.T) {
	type told struct {
		at   record.Offset
		owed []record.Owed
	}
	steps := []told{{at: 4}, {12, []record.Owed{owed(2, 5)}}, {2, nil}, {12, []record.Owed{owed(2, 3), owed(6, 9)}}, {16, []record.Owed{owed(6, 9)}}}
	fs := vfs.NewMem()
	s, l := open(t, fs, tight)
	fill(t, l, 14)
	var cuts []*vfs.Mem
	var since []int // the last step that was told before the cut
	step := -1
	fs.OnOp(func(op vfs.Op) {
		r := rand.New(rand.NewPCG(uint64(op.N), 11))
		cuts, since = append(cuts, fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r})), append(since, step)
	})
	for i, x := range steps {
		step = i
		l.SetDelivered(x.at, x.owed...)
		fill(t, l, 6) // makes segments, and retention removes some
	}
	closeSet(t, s)
	fs.OnOp(nil)
	if len(cuts) < 100 {
		t.Fatalf("%d operations", len(cuts))
	}
	for i, cut := range cuts {
		s, l := open(t, cut, tight)
		d, list := l.Delivered(), l.Owed()
		k := slices.IndexFunc(steps, func(x told) bool { return x.at == d && slices.Equal(x.owed, list) })
		if (d != 0 || len(list) > 0) && (k < 0 || k > since[i]) {
			t.Fatalf("cut %d, in step %d: delivered %d, owed %v were never told together", i, since[i], d, list)
		}
		if i%9 == 0 {
			gone := named(l, 100)
			if err := l.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			fill(t, l, 30)
			for _, o := range named(l, 100) {
				if slices.ContainsFunc(list, func(x record.Owed) bool { return x.Contains(o) }) && !slices.Contains(gone, o) {
					t.Fatalf("cut %d: %d was owed and is named as delivered", i, o)
				}
			}
			verify(t, l)
		}
		closeSet(t, s)
	}
}
