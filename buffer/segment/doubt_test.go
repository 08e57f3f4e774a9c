package segment_test

import (
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestPositionBehindLostState: a state that named gaps is lost, and a batch behind it says that the position has passed them. The
// position stays where it was: what stands in these gaps again, after a disk has lied, is not delivered.
func TestPositionBehindLostState(t *testing.T) {
	for _, x := range []struct {
		name  string
		hit   int // block that is damaged: 0 none, 1 a batch, 2 the state; at its header, or its last byte
		body  bool
		whole bool // a whole state follows
		want  record.Offset
	}{
		{name: "sound", want: 120},
		{name: "the body of a batch", hit: 1, body: true, want: 120},
		{name: "the header of a batch, and the state behind it is sound", hit: 1, want: 120},
		{name: "the body of the state", hit: 2, body: true, want: 60},
		{name: "the header of the state", hit: 2, want: 60},
		{name: "the state, and a later one is sound", hit: 2, whole: true, want: 125},
	} {
		t.Run(x.name, func(t *testing.T) {
			fs := vfs.NewMem()
			w := write(t, fs, false)
			step := func(err error) {
				t.Helper()
				if err == nil {
					err = w.Sync()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			from := w.Synced()
			step(w.Batch(&segment.Block{Count: 1, Base: 150, ChainBase: 13, ChainEnd: 14}, []byte{1, 2}))
			ends := []int64{from, w.Synced()}
			st := header().State
			st.Gaps = append(st.Gaps, record.Gap{Epoch: 0x1234, Range: record.Range{From: 100, To: 110}, Reason: record.ReasonRetention})
			step(w.State(&st))
			ends = append(ends, w.Synced())
			b := segment.Block{Count: 1, Base: 151, ChainBase: 14, ChainEnd: 15}
			b.Ext.HasDelivered, b.Ext.Delivered = true, 120
			b.Ext.Owed = []record.Owed{{Range: record.Range{From: 112, To: 113}, Reason: record.ReasonRetention}}
			step(w.Batch(&b, []byte{1, 2}))
			if x.whole {
				st.Delivered = 125
				step(w.State(&st))
			}
			if x.hit > 0 {
				at := ends[x.hit-1] + 9
				if x.body {
					at = ends[x.hit] - 1
				}
				flip(t, fs, at)
			}
			c := load(t, fs)
			if c.Index.End != 152 || c.State.Delivered != x.want || (len(c.State.Owed) == 1) != (x.want == 120) {
				t.Errorf("end %d, delivered %d, owed %v; want 152, %d", c.Index.End, c.State.Delivered, c.State.Owed, x.want)
			}
		})
	}
}

// flip changes one byte of the file that write makes.
func flip(t *testing.T, fs vfs.FS, at int64) {
	t.Helper()
	f, err := fs.OpenRW("d/s")
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x20
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
