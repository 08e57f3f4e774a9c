package buffer_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestRotInADividedBatch: of a batch that the end of a closed epoch divides only the part below counts. Where it rots, that
// part is a gap, whether a reader meets it or an opening does, and nothing else changes.
func TestRotInADividedBatch(t *testing.T) {
	for _, opening := range []bool{false, true} {
		t.Run(fmt.Sprintf("opening=%v", opening), func(t *testing.T) {
			fs := vfs.NewMem()
			s, l := open(t, fs, small)
			id := define(t, l)
			var recs []record.Record
			for i := range 12 {
				recs = append(recs, text(id, i, 60))
			}
			first := recs[:4]
			if err := put(t, l, record.Draft{Records: first}); err != nil {
				t.Fatal(err)
			}
			if err := put(t, l, record.Draft{Records: recs[4:]}); err != nil {
				t.Fatal(err)
			}
			closeSet(t, s)
			before := files(t, fs)
			s, l = open(t, fs, small)
			old := l.Epochs()[0]
			from, at := old.End-8, old.End-5
			if err := l.CloseEpoch(context.Background(), old.Epoch, at); err != nil {
				t.Fatal(err)
			}
			want, chain := readAll(t, l, at), chainTo(t, l, at)
			for name, b := range before { // one: the others came with the move
				i := bytes.Index(b, noise(9, 60))
				if i < 0 {
					t.Fatal("the batch is not where it should be")
				}
				rotAt(t, fs, name, int64(i))
				if opening {
					rotAt(t, fs, name, int64(len(b))-1) // so that the index does not count
				}
			}
			for round := range 3 {
				if opening || round > 0 {
					closeSet(t, s)
					s, l = open(t, fs, small)
				}
				got := readAll(t, l, at)
				if fmt.Sprint(got[:len(want)]) != fmt.Sprint(want) {
					t.Fatalf("round %d: %v above the place, was %v", round, got, want)
				}
				if readAll(t, l, 0); len(l.Info().Gaps) != 1 {
					t.Fatalf("round %d: gaps %+v", round, l.Info().Gaps)
				}
				if g := l.Info().Gaps[0]; g.Epoch != old.Epoch || g.From != from || g.To != at || g.Reason != record.ReasonCorrupt || g.ChainTo != chain {
					t.Fatalf("round %d: gap %+v, want [%d, %d) of %s to %d", round, g, from, at, old.Epoch, chain)
				}
				verify(t, l)
			}
			closeSet(t, s)
		})
	}
}

// chainTo is the chain at the end of the batch that ends at the offset.
func chainTo(t *testing.T, l *buffer.Log, at record.Offset) uint64 {
	t.Helper()
	r := l.Read(at - 1)
	defer r.Close()
	it, err := r.Next()
	if err != nil || it.Range().To != at {
		t.Fatalf("%+v, %v", it.Range(), err)
	}
	return it.Batch.ChainEnd
}

// rotAt flips a bit of a file.
func rotAt(t *testing.T, fs *vfs.Mem, name string, at int64) {
	t.Helper()
	f, err := fs.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
