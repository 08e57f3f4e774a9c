package buffertest_test

import (
	"context"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const records = 40 // of each epoch in the damage tests

// victim is a disk with two epochs of one segment each: the first closed, the second closed cleanly or left open.
func victim(t *testing.T, closed bool) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	for epoch := range 2 {
		s, l := openDamaged(t, disk)
		id, err := l.Define(record.Series{Name: "count", Type: record.TypeInt})
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(records) {
			r := record.Record{Kind: record.KindObservation, Series: id, Time: i, Clock: record.ClockApp, Type: record.TypeInt, Num: int64(epoch)*records + i}
			if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{r}}); err != nil {
				t.Fatal(err)
			}
			if i%4 == 3 {
				if err := l.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if epoch == 1 && !closed {
			return disk.CrashClone(vfs.CrashOptions{})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return disk.CrashClone(vfs.CrashOptions{})
}

func openDamaged(t *testing.T, disk *vfs.Mem) (*buffer.Set, *buffer.Log) {
	t.Helper()
	s, err := buffer.Open(context.Background(), disk, "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "s", SegmentBytes: 16 << 10}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log("s")
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func segments(t *testing.T, disk *vfs.Mem) []vfs.Info {
	t.Helper()
	all, err := disk.List("log/s")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// outcome reads a damaged log: at least `want` records must have survived, each unchanged and in order, the rest is in
// gaps, and the log goes on. It returns how many survived.
func outcome(t *testing.T, disk *vfs.Mem, what string, want int) (survived int) {
	t.Helper()
	s, l := openDamaged(t, disk)
	all, err := buffertest.ReadAll(l)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	last := int64(-1)
	for i := range all {
		if all[i].Gap != nil {
			continue
		}
		if r := &all[i].Record; r.Num <= last || r.Num != int64(all[i].Offset) {
			t.Fatalf("%s: record %d at offset %d behind %d", what, r.Num, all[i].Offset, last)
		}
		last = all[i].Record.Num
		survived++
	}
	if survived < want {
		t.Fatalf("%s: %d records survived, want %d", what, survived, want)
	}
	id, err := l.Define(record.Series{Name: "count", Type: record.TypeInt})
	if err != nil {
		t.Fatal(err)
	}
	r := record.Record{Kind: record.KindObservation, Series: id, Clock: record.ClockApp, Type: record.TypeInt, Num: 1000}
	if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{r}}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := l.Sync(context.Background()); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	again, err := buffertest.ReadAll(l)
	if err != nil || len(again) != len(all)+1 {
		t.Fatalf("%s: %d items, then %d: %v", what, len(all), len(again), err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	s, l = openDamaged(t, disk)
	if err := buffertest.Verify(l); err != nil {
		t.Fatalf("%s: opened again: %v", what, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return survived
}

func poke(t *testing.T, disk *vfs.Mem, name string, f func(h vfs.File) error) {
	t.Helper()
	h, err := disk.OpenRW(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f(h); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBitFlips flips a bit of every byte: at most the batches of one commit are lost, and never without a gap unless
// they are the very last, unwitnessed ones.
func TestBitFlips(t *testing.T) {
	for _, closed := range []bool{true, false} {
		whole := victim(t, closed)
		for n, info := range segments(t, whole) {
			size := min(info.Size, 4096)
			for at := int64(0); at < size; at++ {
				disk := whole.CrashClone(vfs.CrashOptions{})
				poke(t, disk, path.Join("log/s", info.Name), func(h vfs.File) error {
					var b [1]byte
					if _, err := h.ReadAt(b[:], at); err != nil {
						return err
					}
					b[0] ^= 1 << (at % 8)
					_, err := h.WriteAt(b[:], at)
					return err
				})
				outcome(t, disk, fmt.Sprintf("closed %v, segment %d, byte %d", closed, n, at), 2*records-4)
			}
		}
	}
}

// TestZeroedBlocks zeroes 256 bytes at a time.
func TestZeroedBlocks(t *testing.T) {
	whole := victim(t, true)
	for n, info := range segments(t, whole) {
		for at := int64(0); at < info.Size; at += 256 {
			disk := whole.CrashClone(vfs.CrashOptions{})
			poke(t, disk, path.Join("log/s", info.Name), func(h vfs.File) error {
				_, err := h.WriteAt(make([]byte, min(256, info.Size-at)), at)
				return err
			})
			outcome(t, disk, fmt.Sprintf("segment %d, 256 bytes at %d", n, at), 2*records-24)
		}
	}
}

// TestTruncated cuts the first segment at every 100th byte; the second says that it was whole.
func TestTruncated(t *testing.T) {
	whole := victim(t, true)
	info := segments(t, whole)[0]
	for at := int64(0); at < info.Size; at += 100 {
		disk := whole.CrashClone(vfs.CrashOptions{})
		poke(t, disk, path.Join("log/s", info.Name), func(h vfs.File) error { return h.Truncate(at) })
		outcome(t, disk, fmt.Sprintf("cut at %d", at), records)
	}
}

func TestFiles(t *testing.T) {
	whole := victim(t, true)
	names := segments(t, whole)
	first, second := path.Join("log/s", names[0].Name), path.Join("log/s", names[1].Name)
	cases := []struct {
		name string
		do   func(d *vfs.Mem) error
		want int
	}{
		{"first missing", func(d *vfs.Mem) error { return d.Remove(first) }, records},
		{"renamed", func(d *vfs.Mem) error {
			return d.Rename(first, strings.Replace(first, "0000000000000000", "00000000000000ff", 1))
		}, 2 * records},
		{"duplicated", func(d *vfs.Mem) error {
			b, err := vfs.ReadFile(d, second, 1<<20)
			if err != nil {
				return err
			}
			h, err := d.Create(strings.Replace(second, ".seg", ".1.seg", 1))
			if err != nil {
				return err
			}
			_, err = h.WriteAt(b, 0)
			return err
		}, 2 * records},
		{"strange files", func(d *vfs.Mem) error {
			_, err := d.Create("log/s/notes.txt")
			return err
		}, 2 * records},
	}
	for _, c := range cases {
		disk := whole.CrashClone(vfs.CrashOptions{})
		if err := c.do(disk); err != nil {
			t.Fatal(c.name, err)
		}
		if n := outcome(t, disk, c.name, c.want); n != c.want {
			t.Fatalf("%s: %d records survived, want %d", c.name, n, c.want)
		}
	}
}

// TestZeroedPages zeroes each page of a segment of many: only what stood in it is lost.
func TestZeroedPages(t *testing.T) {
	whole := vfs.NewMem()
	s, l := openDamaged(t, whole)
	id, err := l.Define(record.Series{Name: "count", Type: record.TypeInt})
	if err != nil {
		t.Fatal(err)
	}
	const all, perCommit = 400, 4
	for i := range int64(all) {
		r := record.Record{Kind: record.KindObservation, Series: id, Time: i, Clock: record.ClockApp, Type: record.TypeInt, Num: i,
			Data: &record.Data{Detail: fmt.Appendf(nil, "%x", i*i*7919*7919)}}
		if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{r}}); err != nil {
			t.Fatal(err)
		}
		if i%perCommit == perCommit-1 {
			if err := l.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info := segments(t, whole)[0]
	if len(segments(t, whole)) != 1 || info.Size < 3*vfs.PageSize/2 {
		t.Fatalf("%d bytes", info.Size)
	}
	each := all * vfs.PageSize / int(info.Size) // records a page
	for at := int64(0); at < info.Size; at += vfs.PageSize {
		disk := whole.CrashClone(vfs.CrashOptions{})
		poke(t, disk, path.Join("log/s", info.Name), func(h vfs.File) error {
			_, err := h.WriteAt(make([]byte, min(vfs.PageSize, info.Size-at)), at)
			return err
		})
		outcome(t, disk, fmt.Sprintf("page at %d", at), all-each-4*perCommit)
	}
}
