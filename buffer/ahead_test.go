package buffer_test

import (
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestNextSegmentIsReserved: a disk that gets full while a segment fills does not stop intake at its end; the space that
// is held is given back at close, and what a power cut leaves of it is nothing.
func TestNextSegmentIsReserved(t *testing.T) {
	disk := vfs.NewMem()
	s, l := open(t, disk, buffer.StreamOptions{MaxBytes: 1 << 20, SegmentBytes: 16 << 10, Full: buffer.Block})
	id := define(t, l)
	held := func(d *vfs.Mem) (n int) {
		list, err := d.List("log/telemetry")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if strings.HasSuffix(f.Name, ".tmp") {
				n++
			}
		}
		return n
	}
	i := 0
	add := func() error {
		i++
		return put(t, l, record.Draft{Records: []record.Record{text(id, i, 2000)}})
	}
	for held(disk) == 0 && i < 10 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Info().Segments; n != 1 || i >= 10 {
		t.Fatalf("%d segments after %d appends: nothing was reserved ahead", n, i)
	}
	u, err := disk.Usage("log")
	if err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(int64(u.Total - u.Free)) // others have filled it
	for l.Info().Segments == 1 {
		if err := add(); err != nil {
			t.Fatalf("append %d, the first segment full: %v", i, err)
		}
	}
	// The machine goes off here, and there.
	for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepAll} {
		clone := disk.CrashClone(vfs.CrashOptions{Keep: keep})
		clone.SetCapacity(0)
		again, m := open(t, clone, buffer.StreamOptions{SegmentBytes: 16 << 10})
		if in := m.Info(); in.Durable != l.Info().Durable || held(clone) != 0 {
			t.Fatalf("%+v, %d held", in, held(clone))
		}
		verify(t, m)
		closeSet(t, again)
	}
	disk.SetCapacity(0)
	for held(disk) == 0 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, l)
	closeSet(t, s)
	if held(disk) != 0 {
		t.Fatal("the space is still held after close")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
