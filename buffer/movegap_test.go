package buffer_test

import (
	"context"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestCloseEpochInsideAGap: what stands in a gap above the place where histories part must be named where the hub looks,
// which is never again the closed epoch. The gap moves whole.
func TestCloseEpochInsideAGap(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, small)
	id := define(t, l)
	for i := range int64(6) {
		if err := put(t, l, record.Draft{Records: []record.Record{value(id, i, i), value(id, i, i)}}); err != nil {
			t.Fatal(err)
		}
	}
	old := l.Epochs()[0]
	gap := record.Range{From: old.First + 3, To: old.First + 9}
	if err := l.DeclareGap(context.Background(), gap, record.ReasonErased); err != nil {
		t.Fatal(err)
	}
	closeSet(t, s)
	s, l = open(t, fs, small)
	if err := l.CloseEpoch(context.Background(), old.Epoch, old.First+5); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		now := l.Epochs()
		if now[0].Epoch != old.Epoch || now[0].End != gap.From || now[1].First != gap.From || now[1].End != old.End || now[1].Parent != 0 {
			t.Fatalf("%+v\nwas %+v", now, old)
		}
		if gaps := l.Info().Gaps; len(gaps) != 1 || gaps[0].Range != gap || gaps[0].Epoch != now[1].Epoch || gaps[0].Reason != record.ReasonErased {
			t.Fatalf("%+v", gaps)
		}
		verify(t, l)
		closeSet(t, s)
		s, l = open(t, fs, small)
	}
	closeSet(t, s)
}

// TestCloseEpochBeforeRetention: more stands in the log than it may keep. Where the epoch is to be closed was found in the
// log as it is: retention comes after the move, so that what it drops above that place is named in the moved epoch.
func TestCloseEpochBeforeRetention(t *testing.T) {
	tight := buffer.StreamOptions{MaxBytes: 32 << 10, SegmentBytes: 16 << 10}
	for _, closed := range []bool{false, true} {
		fs := vfs.NewMem()
		s, l := open(t, fs, small)
		id := define(t, l)
		for i := range 20 {
			if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000), value(id, 1, 1)}}); err != nil {
				t.Fatal(err)
			}
		}
		old := l.Epochs()[0]
		closeSet(t, s)
		s, l = open(t, fs, tight)
		if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{value(define(t, l), 2, 2)}}); err != nil {
			t.Fatal(err)
		}
		at := old.First + 3
		if closed {
			if err := l.CloseEpoch(context.Background(), old.Epoch, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := put(t, l, record.Draft{Records: []record.Record{value(define(t, l), 3, 3)}}); err != nil {
			t.Fatal(err)
		}
		verify(t, l)
		gaps := l.Info().Gaps
		if len(gaps) == 0 || gaps[len(gaps)-1].To <= at {
			t.Fatalf("nothing was dropped above %d, the test tests nothing: %+v", at, gaps)
		}
		for _, g := range gaps {
			if above := g.To > at; closed && above == (g.Epoch == old.Epoch) {
				t.Fatalf("closed at %d, dropped and named in another epoch than it stands in: %+v", at, gaps)
			}
		}
		closeSet(t, s)
	}
}
