package buffer_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestRestOfAMoveWithoutHeader stops CloseEpoch before it counts, on a disk that lied: of what was written only blocks
// are left, without the headers. What was to be moved stands where it stood.
func TestRestOfAMoveWithoutHeader(t *testing.T) {
	for _, which := range []int{1, 2} {
		for _, above := range []record.Offset{0, 5} {
			t.Run(fmt.Sprint(which, above), func(t *testing.T) { t.Parallel(); restsOfAMove(t, which, above) })
		}
	}
}

func restsOfAMove(t *testing.T, which int, above record.Offset) {
	fs := vfs.NewMem()
	s, l := threeEpochs(t, fs, fs)
	id := define(t, l)
	for n := range uint64(3) {
		d := record.Draft{Records: []record.Record{text(id, 500+int(n), 3000)}, Producer: &record.ProducerPosition{Name: "node", Incarnation: 7, Sequence: n + 1}}
		if err := put(t, l, d); err != nil {
			t.Fatal(err)
		}
	}
	all := readAll(t, l, 0)
	before := files(t, fs)
	e := l.Epochs()[which]
	states := []*vfs.Mem{}
	fs.OnOp(func(vfs.Op) { states = append(states, fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})) })
	if err := l.CloseEpoch(context.Background(), e.Epoch, e.First+above); err != nil {
		t.Fatal(err)
	}
	fs.OnOp(nil)
	closeSet(t, s)
	tried := 0
	for i, disk := range states {
		for k, blocks := range []int{1, 2, 3, 1000, 1000, 1000} {
			c := disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
			if !behead(t, c, before, blocks, func(n int) bool { return k < 4 || n%2 == k%2 }) {
				continue
			}
			tried++
			what := fmt.Sprintf("epoch %d + %d: operation %d, %d blocks, way %d", which, above, i, blocks, k)
			knowsProducer(t, what, c)
			survives(t, what, c, fmt.Sprint(all), len(all), false)
		}
	}
	if tried < 20 {
		t.Fatalf("only %d rests", tried)
	}
}

func knowsProducer(t *testing.T, what string, disk *vfs.Mem) {
	t.Helper()
	s, l := open(t, disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), small)
	if p, ok := l.LastProducer("node"); !ok || p.Sequence != 3 {
		t.Fatalf("%s: producer at %+v", what, p)
	}
	closeSet(t, s)
}

// behead leaves of each moved segment, the n-th if it is one of them, only so many blocks behind the header's copy, and of
// another that is not one of those before nothing. It reports whether there is a rest, and nothing was changed that was there before: the index that
// the segment before the last one gets tells of the move.
func behead(t *testing.T, disk *vfs.Mem, before map[string][]byte, blocks int, one func(n int) bool) bool {
	t.Helper()
	now := files(t, disk)
	rest := false
	for p, old := range before {
		if path.Ext(p) == ".seg" && !bytes.Equal(now[p], old) {
			return false
		}
	}
	n := 0
	for _, p := range slices.Sorted(maps.Keys(now)) {
		if _, ok := before[p]; ok || path.Ext(p) != ".seg" {
			continue
		}
		f, err := disk.OpenRW(p)
		if err != nil {
			t.Fatal(err)
		}
		from, to := kept(t, f, p, blocks)
		if n++; to == 0 || one(n) {
			rest = rest || from < to
			zero(t, f, 0, from)
			zero(t, f, to, int64(len(now[p])))
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rest
}

// kept is where these blocks begin and end.
func kept(t *testing.T, f vfs.File, p string, blocks int) (from, to int64) {
	t.Helper()
	c, err := segment.Peek(f, p)
	if err != nil || c.Lost || c.Header.Moved.From == 0 {
		return 0, 0
	}
	b := segment.NewBlocks(f, p, c.Header.Salt, c.Size)
	k, err := b.Header(c.Start)
	if err != nil || k.Type != segment.BlockHeaderCopy {
		return 0, 0
	}
	from = k.Pos + k.Size
	for to = from; blocks > 0; blocks-- {
		if k, err = b.Header(to); err != nil {
			break
		}
		to += k.Size
	}
	return from, to
}

func zero(t *testing.T, f vfs.File, from, to int64) {
	t.Helper()
	if from >= to {
		return
	}
	if _, err := f.WriteAt(make([]byte, to-from), from); err != nil {
		t.Fatal(err)
	}
}
