package segment_test

import (
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// startFS makes files that note what the disk was told to begin with.
type startFS struct {
	*vfs.Mem
	f *startFile
}

func (s *startFS) Create(name string) (vfs.File, error) {
	f, err := s.Mem.Create(name)
	s.f = &startFile{File: f}
	return s.f, err
}

type startFile struct {
	vfs.File
	end     int64 // of what was written
	started [][2]int64
}

func (f *startFile) WriteAt(p []byte, off int64) (int, error) {
	f.end = off + int64(len(p))
	return f.File.WriteAt(p, off)
}

func (f *startFile) StartWrite(off, n int64) { f.started = append(f.started, [2]int64{off, off + n}) }

// TestLargeCommitIsBegunEarly: of a large commit the disk begins with what is written already, each page once, and never
// with a page that the next piece goes on in.
func TestLargeCommitIsBegunEarly(t *testing.T) {
	fs := &startFS{Mem: vfs.NewMem()}
	if err := fs.MkdirAll("log"); err != nil {
		t.Fatal(err)
	}
	h := segment.Header{Salt: 1, Opening: 1, Stream: "telemetry", Epoch: 7}
	w, err := segment.Create(fs, "log", "a.seg", &h, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	next := record.Offset(0)
	add := func(n int) {
		t.Helper()
		b := segment.Block{Codec: record.CodecColumns, Count: 1, Base: next, RawLen: uint32(n)}
		if err := w.Batch(&b, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		next++
	}
	for _, c := range []struct{ bodies, size, pieces int }{{6, 20_000, 0}, {10, 20_000, 1}, {16, 60_000, 1}, {60, 60_000, 3}, {1, 300, 0}} {
		synced := w.Synced()
		fs.f.started = nil
		w.Expect(int64(c.bodies * c.size))
		for range c.bodies {
			add(c.size)
			for _, s := range fs.f.started {
				if s[1] > fs.f.end {
					t.Fatalf("begun with %v, written up to %d", s, fs.f.end)
				}
			}
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		at := synced &^ 4095
		for _, s := range fs.f.started {
			if s[0] != at || s[1]%4096 != 0 || s[1] <= s[0] {
				t.Fatalf("%d bodies: begun with %v, expected whole pages from %d", c.bodies, s, at)
			}
			at = s[1]
		}
		if len(fs.f.started) != c.pieces {
			t.Errorf("%d bodies of %d: begun %v", c.bodies, c.size, fs.f.started)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
