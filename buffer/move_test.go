package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// qualities are the qualities of all values, by offset, and the epoch of each.
func qualities(t *testing.T, l *buffer.Log) (q map[record.Offset]record.Quality, e map[record.Offset]record.Epoch) {
	t.Helper()
	q, e = map[record.Offset]record.Quality{}, map[record.Offset]record.Epoch{}
	r := l.Read(0)
	defer r.Close()
	var dec record.Decoder
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return q, e
		}
		if err != nil {
			t.Fatal(err)
		}
		b := it.Batch
		recs, err := dec.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body)
		if err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			q[b.Base+record.Offset(i)], e[b.Base+record.Offset(i)] = recs[i].Quality, b.Epoch
		}
	}
}

// A snapshot was resumed, then restarted: the hub's history differs in an epoch that is closed. What lies above moves,
// in its place, over many segments; what continued the epoch continues the moved one.
func TestCloseEpochOfAnEarlierOpening(t *testing.T) {
	fs := vfs.NewMem()
	for range 3 {
		s, l := open(t, fs, buffer.StreamOptions{MaxBytes: 4 << 20, SegmentBytes: 16 << 10})
		id := define(t, l)
		for i := range 30 {
			if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 3000)}}); err != nil {
				t.Fatal(err)
			}
		}
		closeSet(t, s)
	}
	s, l := open(t, fs, buffer.StreamOptions{MaxBytes: 4 << 20, SegmentBytes: 16 << 10})
	old := l.Epochs()
	values := readAll(t, l, 0)
	at := old[1].First + 10
	if err := l.CloseEpoch(context.Background(), old[1].Epoch, at); err != nil {
		t.Fatal(err)
	}
	verify(t, l)
	check := func() {
		t.Helper()
		now := l.Epochs()
		if len(now) < 4 || now[0] != old[0] || now[1].Epoch != old[1].Epoch || now[1].End != at || now[2].First != at || now[2].Parent != 0 ||
			now[2].End != old[1].End || now[3].Epoch != old[2].Epoch || now[3].Parent != now[2].Epoch || now[3].ParentEnd != now[2].End {
			t.Fatalf("%+v\nwas %+v", now, old)
		}
		q, e := qualities(t, l)
		for o := record.Offset(0); o < old[2].End; o++ {
			moved := o >= at && o < old[1].End
			if moved != (q[o] == record.QualityMayRepeat) || moved != (e[o] == now[2].Epoch) {
				t.Fatalf("offset %d: %s in %s", o, q[o], e[o])
			}
		}
		if got := readAll(t, l, 0); fmt.Sprint(got[:len(values)]) != fmt.Sprint(values) {
			t.Fatal("other values than before")
		}
	}
	check()
	if err := l.CloseEpoch(context.Background(), old[1].Epoch, at); err != nil {
		t.Fatal("again:", err)
	}
	check()
	id := define(t, l)
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
		t.Fatal(err)
	}
	closeSet(t, s)
	s, l = open(t, fs, buffer.StreamOptions{MaxBytes: 4 << 20, SegmentBytes: 16 << 10})
	check()
	verify(t, l)
	if err := l.CloseEpoch(context.Background(), 12345, 1); !errors.Is(err, buffer.ErrRange) {
		t.Fatal(err)
	}
	closeSet(t, s)
}
