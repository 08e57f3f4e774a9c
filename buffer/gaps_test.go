package buffer_test

import (
	"context"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// More gaps than a stream may have: the oldest that touch become one, without a hole in the account, also after an
// opening.
func TestGapsAreBounded(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{MaxBytes: 256 << 20, SegmentBytes: 1 << 20})
	id := define(t, l)
	var recs []record.Record
	for i := range 2 * record.MaxGapsPerStream {
		recs = append(recs, value(id, int64(i), int64(i)))
	}
	if err := put(t, l, record.Draft{Records: recs}); err != nil {
		t.Fatal(err)
	}
	reasons := []record.Reason{record.ReasonUnsendable, record.ReasonErased}
	for o := range record.Offset(record.MaxGapsPerStream + 60) {
		r := record.Range{From: 1 + o, To: 2 + o}
		if err := l.DeclareGap(context.Background(), r, reasons[o%2]); err != nil {
			t.Fatal(o, err)
		}
	}
	check := func() {
		t.Helper()
		gaps := l.Info().Gaps
		if len(gaps) != record.MaxGapsPerStream || gaps[0].Reason != record.ReasonSeveral || gaps[0].From != 1 || gaps[0].Len() != 61 {
			t.Fatalf("%d gaps, the first %+v", len(gaps), gaps[0])
		}
		verify(t, l)
	}
	check()
	closeSet(t, s)
	s, l = open(t, fs, buffer.StreamOptions{MaxBytes: 256 << 20, SegmentBytes: 1 << 20})
	check()
	closeSet(t, s)
}
