package buffer_test

import (
	"fmt"
	"path"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// headless is what a power cut leaves on a disk that lied: of the last epoch's second segment the end can be read, and
// nothing of its header, of the first only the name, if named, else not even that. below: an epoch stands below it.
// Returned are the epochs as they were, and where the readable rest begins.
func headless(t *testing.T, below, named bool) (fs *vfs.Mem, epochs []buffer.EpochInfo, rest record.Offset) {
	t.Helper()
	live := vfs.NewMem()
	if below {
		s, l := open(t, live, small)
		if err := put(t, l, record.Draft{Records: []record.Record{value(define(t, l), 1, 1)}}); err != nil {
			t.Fatal(err)
		}
		closeSet(t, s)
	}
	s, l := open(t, live, small)
	defer closeSet(t, s)
	id := define(t, l)
	before := l.Info().Segments
	for n := 0; l.Info().Segments < before+2; n++ {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, n, 3000), value(id, 1, 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	rest = l.Info().Durable
	if err := put(t, l, record.Draft{Records: []record.Record{value(id, 7, 7), value(id, 8, 8)}}); err != nil {
		t.Fatal(err)
	}
	epochs = l.Epochs()
	fs = live.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	infos, err := fs.List("log/telemetry")
	if err != nil || len(infos) < 2 {
		t.Fatal(infos, err)
	}
	first, second := infos[len(infos)-2], infos[len(infos)-1]
	if named {
		zeros(t, fs, first.Name, int(first.Size))
	} else if err := fs.Remove(path.Join("log/telemetry", first.Name)); err != nil {
		t.Fatal(err)
	}
	zeros(t, fs, second.Name, 3000)
	return fs, epochs, rest
}

func zeros(t *testing.T, fs *vfs.Mem, name string, n int) {
	t.Helper()
	f, err := fs.OpenRW(path.Join("log/telemetry", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, n), 0); err != nil {
		t.Fatal(err)
	}
}

// TestEpochWithoutAHeader: what stood in an epoch of which no header is left, below what can be read, is named: the
// names of its files say that it was durable, and the end of the epoch below where it began.
func TestEpochWithoutAHeader(t *testing.T) {
	for _, c := range []struct{ below, named bool }{{true, true}, {true, false}, {false, true}} {
		t.Run(fmt.Sprintf("below=%v named=%v", c.below, c.named), func(t *testing.T) {
			fs, was, rest := headless(t, c.below, c.named)
			last := was[len(was)-1]
			var first string
			for round := range 3 {
				s, l := open(t, fs, small)
				es := l.Epochs()
				if len(es) < len(was) {
					t.Fatalf("round %d: epochs %+v, were %+v", round, es, was)
				}
				e := es[len(was)-1]
				if e.Epoch != last.Epoch || e.First != last.First || e.End != last.End || e.Parent != last.Parent || e.ParentEnd != last.ParentEnd {
					t.Fatalf("round %d: epoch %+v, was %+v", round, e, last)
				}
				if c.below && e.ChainFirst != last.ChainFirst {
					t.Fatalf("chain at the beginning %x, was %x", e.ChainFirst, last.ChainFirst)
				}
				gaps := l.Info().Gaps
				if len(gaps) != 1 || gaps[0].Epoch != e.Epoch || gaps[0].From != last.First || gaps[0].To != rest || gaps[0].Reason != record.ReasonCorrupt {
					t.Fatalf("round %d: gaps %+v, want one [%d, %d)", round, gaps, last.First, rest)
				}
				verify(t, l)
				if got := fmt.Sprint(readAll(t, l, 0)[:last.First+3]); round == 0 {
					first = got
				} else if got != first {
					t.Fatalf("round %d: %s, was %s", round, got, first)
				}
				if err := put(t, l, record.Draft{Records: []record.Record{value(define(t, l), 1, 1)}}); err != nil {
					t.Fatal(err)
				}
				verify(t, l)
				closeSet(t, s)
			}
		})
	}
}

// TestStaleBlocksInAHeadlessSegment: blocks of a segment that is gone resurfaced in a file that has lost its header. What they
// say is missing below them is damage of that file only up to where the next segment of the epoch begins.
func TestStaleBlocksInAHeadlessSegment(t *testing.T) {
	live := vfs.NewMem()
	s, l := open(t, live, small)
	defer closeSet(t, s)
	id := define(t, l)
	for n := 0; l.Info().Segments < 3; n++ {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, n, 3000), value(id, 1, 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		if err := put(t, l, record.Draft{Records: []record.Record{text(id, 100+n, 3000)}}); err != nil {
			t.Fatal(err)
		}
	}
	fs := live.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	infos, err := fs.List("log/telemetry")
	if err != nil || len(infos) < 3 {
		t.Fatal(infos, err)
	}
	var second, third uint64
	for i, at := range []*uint64{&second, &third} {
		if _, err := fmt.Sscanf(infos[i+1].Name, "%x-", at); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := vfs.ReadFile(fs, path.Join("log/telemetry", infos[2].Name), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	clear(stale[:3000])
	f, err := fs.OpenRW(path.Join("log/telemetry", infos[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(stale, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(path.Join("log/telemetry", infos[2].Name)); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, l, record.Offset(second))
	s2, l2 := open(t, fs, small)
	defer closeSet(t, s2)
	verify(t, l2)
	if g := l2.Info().Gaps; len(g) != 1 || g[0].From != 0 || uint64(g[0].To) != second {
		t.Fatalf("gaps %+v, want one [0, %d)", g, second)
	}
	got := readAll(t, l2, record.Offset(second))
	if n := int(third - second); len(got) < n || fmt.Sprint(got[:n]) != fmt.Sprint(want[:n]) {
		t.Fatalf("%v, want %v", got, want[:n])
	}
}
