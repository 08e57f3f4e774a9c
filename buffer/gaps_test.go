package buffer_test

import (
	"bytes"
	"context"
	"errors"
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

// TestReaderPassesAGapOnce: a gap that grows, or is made, over what a reader has passed is yielded from there on only.
func TestReaderPassesAGapOnce(t *testing.T) {
	s, l := open(t, vfs.NewMem(), buffer.StreamOptions{})
	defer closeSet(t, s)
	id := define(t, l)
	for i := range 8 { // a batch each
		if err := put(t, l, record.Draft{Records: []record.Record{value(id, int64(i), int64(i)), value(id, int64(i), int64(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	declare := func(r record.Range) {
		t.Helper()
		if err := l.DeclareGap(t.Context(), r, record.ReasonErased); err != nil {
			t.Fatal(err)
		}
	}
	chain := map[record.Offset]uint64{}
	for o := range l.Info().Durable {
		chain[o], _ = l.Chain(o)
	}
	r := l.Read(0)
	defer r.Close()
	next := func(want record.Range, gap bool) {
		t.Helper()
		it, err := r.Next()
		if err != nil || it.Range() != want || (it.Gap != nil) != gap {
			t.Fatalf("%+v %v, want %v, a gap: %v", it, err, want, gap)
		}
		if gap && (it.Gap.ChainFrom != chain[want.From] || it.Gap.ChainTo != chain[want.To]) {
			t.Errorf("chains of %v: %x and %x, want %x and %x", want, it.Gap.ChainFrom, it.Gap.ChainTo, chain[want.From], chain[want.To])
		}
	}
	next(record.Range{From: 0, To: 3}, false) // the boot mark stands first
	next(record.Range{From: 3, To: 5}, false)
	declare(record.Range{From: 1, To: 7}) // what was read, and the next batch
	next(record.Range{From: 5, To: 7}, true)
	declare(record.Range{From: 7, To: 11}) // one gap with the one before
	next(record.Range{From: 7, To: 11}, true)
	next(record.Range{From: 11, To: 13}, false)
	if it, err := l.Read(9).Next(); err != nil || it.Range() != (record.Range{From: 1, To: 11}) {
		t.Errorf("a new reader inside of it: %+v %v", it, err)
	}
}

// TestDamageThatComesLater: a segment that was looked through for damage is looked through again when more of it rots.
func TestDamageThatComesLater(t *testing.T) {
	fs := vfs.NewMem()
	s, l := open(t, fs, buffer.StreamOptions{})
	id := define(t, l)
	for i := range 6 {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, i, 60)}}); err != nil {
			t.Fatal(err)
		}
	}
	closeSet(t, s)
	rot := func(i int) {
		t.Helper()
		files, err := fs.List("log/telemetry")
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		name := "log/telemetry/" + files[0].Name
		all, err := vfs.ReadFile(fs, name, 1<<20)
		at := bytes.Index(all, noise(i, 60))
		if err != nil || at < 0 {
			t.Fatalf("record %d: at %d, %v", i, at, err)
		}
		f, err := fs.OpenRW(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{all[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	s, l = open(t, fs, buffer.StreamOptions{})
	defer closeSet(t, s)
	total := l.Info().Durable
	for _, i := range []int{3, 1, 4} {
		rot(i)
		r := l.Read(0)
		var held, gone int
		for {
			it, err := r.Next()
			if errors.Is(err, buffer.ErrEnd) {
				break
			}
			if err != nil {
				t.Fatalf("after record %d has rotted: %v", i, err)
			}
			if it.Gap != nil {
				gone += int(it.Gap.Len())
				continue
			}
			held += int(it.Batch.Count)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if held+gone != int(total) || !l.Info().Gaps[len(l.Info().Gaps)-1].Contains(record.Offset(i)+1) && i != 1 {
			t.Errorf("after record %d has rotted: %d held, %d gone of %d, gaps %v", i, held, gone, total, l.Info().Gaps)
		}
		verify(t, l)
	}
}
