package buffer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/buffertest"
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
			if !behead(t, c, before, blocks, func(n int) bool { return k < 4 || n%2 == k%2 }, false) {
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

// behead leaves of each moved segment, the n-th if it is one of them, only so many blocks behind the header's copy, and
// of another that is not one of those before nothing. It reports whether there is a rest, and those before are as they
// were, or gone where that is allowed: the index that the last one gets tells of the move, too.
func behead(t *testing.T, disk *vfs.Mem, before map[string][]byte, blocks int, one func(n int) bool, gone bool) bool {
	t.Helper()
	now := files(t, disk)
	rest := false
	for p, old := range before {
		if _, ok := now[p]; !ok && gone {
			continue
		}
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
			wipe(t, f, 0, from)
			wipe(t, f, to, int64(len(now[p])))
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

func wipe(t *testing.T, f vfs.File, from, to int64) {
	t.Helper()
	if from >= to {
		return
	}
	if _, err := f.WriteAt(make([]byte, to-from), from); err != nil {
		t.Fatal(err)
	}
}

// TestRestOfAMoveWithoutSource is the same where the files of the old epoch are gone, and the disk has lost by what the
// move counted: what can be read stays what it was, and the rest of a closed epoch is a gap.
func TestRestOfAMoveWithoutSource(t *testing.T) {
	for _, which := range []int{1, 2} {
		for _, above := range []record.Offset{0, 5} {
			restsWithoutSource(t, which, above)
		}
	}
}

func restsWithoutSource(t *testing.T, which int, above record.Offset) {
	fs := vfs.NewMem()
	s, l := threeEpochs(t, fs, fs)
	before := files(t, fs)
	all := readAll(t, l, 0)
	e := l.Epochs()[which]
	if err := l.CloseEpoch(context.Background(), e.Epoch, e.First+above); err != nil {
		t.Fatal(err)
	}
	disk := fs.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	closeSet(t, s)
	for _, blocks := range []int{1, 2, 3, 1000} {
		what := fmt.Sprintf("epoch %d + %d, %d blocks", which, above, blocks)
		c := disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
		restore(t, c, before)
		if !behead(t, c, before, blocks, func(int) bool { return true }, true) {
			t.Fatalf("%s: no rest", what)
		}
		s, l := open(t, c, small)
		if err := buffertest.Verify(l); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := readAll(t, l, 0)
		for _, line := range got {
			if !strings.HasPrefix(line, "gap") && !slices.Contains(all, line) {
				t.Fatalf("%s: %s was not there before", what, line)
			}
		}
		told := record.Offset(0)
		for _, e := range l.Epochs() {
			told += e.End - e.First
		}
		if d := l.Info().Durable; which == 1 && told != d {
			t.Fatalf("%s: %d of %d offsets are named: %v", what, told, d, got)
		}
		closeSet(t, s)
		s, l = open(t, c, small)
		if again := readAll(t, l, 0); !slices.Equal(again, got) {
			t.Fatalf("%s, opened again: %v, was %v", what, again, got)
		}
		closeSet(t, s)
	}
}

// restore gives those files that are still there the contents of before.
func restore(t *testing.T, disk *vfs.Mem, before map[string][]byte) {
	t.Helper()
	for p := range files(t, disk) {
		old, ok := before[p]
		if !ok {
			continue
		}
		f, err := disk.OpenRW(p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt(old, 0)
		if err := errors.Join(err, f.Truncate(int64(len(old))), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
