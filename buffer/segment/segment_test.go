package segment_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

func header() *segment.Header {
	return &segment.Header{Salt: 0x41424344, Seq: 3, Opening: 9, Stream: "telemetry", Epoch: 0x1234, Parent: 0x99, ParentEnd: 50, First: 50,
		Base: 100, ChainFirst: 7, ChainBase: 8, Boot: "boot-1", State: segment.State{
			Delivered: 60, Owed: []record.Owed{{Range: record.Range{From: 20, To: 30}, Reason: record.ReasonRetention}, {Range: record.Range{From: 55, To: 60}, Reason: record.ReasonSeveral}}, Cursors: []segment.CursorPos{{Name: "kafka", Offset: 70}},
			Producers: []record.ProducerPosition{{Name: "node-1", Incarnation: 5, Sequence: 6}},
			Gaps:      []record.Gap{{Epoch: 0x99, Range: record.Range{From: 10, To: 20}, Reason: record.ReasonCorrupt, ChainFrom: 1, ChainTo: 2, TimeMin: -3, TimeMax: 4}},
			Epochs:    []segment.Epoch{{Epoch: 0x99, First: 0, End: 50, ChainFirst: 1, Boot: "boot-0"}},
			Anchors:   []record.Anchor{{Boot: "boot-1", BootTime: 5, UTC: 6, Error: 7, Source: record.SourceNTP, State: "synchronised"}},
		}}
}

func TestHeaderRoundTrip(t *testing.T) {
	h := header()
	b, err := segment.AppendHeader(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	got, n, err := segment.ParseHeader(append(b, "rest"...))
	if err != nil || n != len(b) || !reflect.DeepEqual(&got, h) {
		t.Fatalf("%d %v\n%+v\n%+v", n, err, got, *h)
	}
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 4
		if _, _, err := segment.ParseHeader(c); !errors.Is(err, segment.ErrFormat) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// write makes a file of five batches of ten records, synced one by one.
func write(t *testing.T, fs vfs.FS, seal bool) *segment.Writer {
	t.Helper()
	if err := fs.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	h := header()
	w, err := segment.Create(fs, "d", "s", h, 32<<10)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Definitions([]record.Definition{{ID: 1, Series: record.Series{Name: "a", Type: record.TypeInt}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		body := []byte{byte(i), 1, 2, 3}
		b := segment.Block{Count: 10, Base: h.Base + record.Offset(10*i), ChainBase: h.ChainBase + uint64(i), ChainEnd: h.ChainBase + uint64(i) + 1}
		b.Ext.Boot = segment.Times{Has: true, Min: int64(i), Max: int64(i + 5)}
		b.Ext.Spans = []record.ProducerSpan{{ProducerPosition: record.ProducerPosition{Name: "node-1", Incarnation: 5, Sequence: uint64(10 + i)}, Range: record.Range{From: b.Base + 1, To: b.Base + 3}}}
		if err := w.Batch(&b, body); err != nil {
			t.Fatal(err)
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if seal {
		st := h.State
		if err := w.Seal(&st); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func load(t *testing.T, fs vfs.FS) *segment.Contents {
	t.Helper()
	f, err := fs.Open("d/s")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := segment.Peek(f, "d/s")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(f, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScanAndIndexAgree(t *testing.T) {
	for _, seal := range []bool{false, true} {
		fs := vfs.NewMem()
		write(t, fs, seal)
		c := load(t, fs)
		if c.Sealed != seal || c.Scanned == seal || c.Index.End != 150 || c.Index.ChainEnd != 13 || c.Index.Boot.Max != 9 || len(c.Damage) != 0 {
			t.Fatalf("sealed %v: %+v", seal, c)
		}
		if pos, ok := c.Index.Find(149); !ok || pos == 0 {
			t.Fatal("index finds nothing")
		}
		if p := c.State.Producers[0]; !seal && p.Sequence != 14 {
			t.Fatalf("%+v", p)
		}
	}
}

func TestTornTailAndDamage(t *testing.T) {
	fs := vfs.NewMem()
	w := write(t, fs, false)
	end := w.Synced()
	f, err := fs.OpenRW("d/s")
	if err != nil {
		t.Fatal(err)
	}
	// The body of the last batch: nothing behind it says that it was durable.
	if _, err := f.WriteAt([]byte{0xff}, end-1); err != nil {
		t.Fatal(err)
	}
	if c := load(t, fs); c.Index.End != 140 || c.Torn == 0 || len(c.Damage) != 0 {
		t.Fatalf("%+v", c)
	}
	// The body of the first batch as well: later blocks do say so.
	first := load(t, fs).Index.Entries[0].Pos
	if _, err := f.WriteAt([]byte{0xff}, first+40); err != nil {
		t.Fatal(err)
	}
	c := load(t, fs)
	if len(c.Damage) != 1 || c.Damage[0].From != 100 || c.Damage[0].To != 110 || c.Damage[0].ChainFrom != 8 || c.Damage[0].ChainTo != 9 || c.Index.End != 140 {
		t.Fatalf("%+v", c)
	}
}

func TestLatch(t *testing.T) {
	mem := vfs.NewMem()
	fs := vfs.NewInject(mem)
	w := write(t, fs, false)
	before := w.Synced()
	fs.SetRules(vfs.Rule{Kind: vfs.OpSync})
	body := []byte{1}
	if err := w.Batch(&segment.Block{Count: 1, Base: 150}, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err == nil {
		t.Fatal("sync succeeded")
	}
	if err := w.Sync(); err == nil || w.Err() == nil || w.Synced() != before {
		t.Fatal("the writer is not latched")
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if c := load(t, mem); c.Index.End != 150 {
		t.Fatalf("%+v", c)
	}
}

// FuzzLoad opens any bytes as a segment: it never panics, and what it finds is within the file.
func FuzzLoad(f *testing.F) {
	for _, seal := range []bool{false, true} {
		fs := vfs.NewMem()
		write(&testing.T{}, fs, seal)
		b, err := vfs.ReadFile(fs, "d/s", 1<<20)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 4096)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		h, err := fs.Create("s")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		c, err := segment.Peek(h, "s")
		if err != nil {
			return
		}
		if err := c.Load(h, 0); err != nil {
			return
		}
		if c.EndPos > int64(len(b)) || c.Index.End < c.Index.Base {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzParseState(f *testing.F) {
	f.Add(segment.AppendState(nil, &header().State))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := segment.ParseState(b)
		if err != nil {
			return
		}
		again, err := segment.ParseState(segment.AppendState(nil, &s))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%v\n%+v\n%+v", err, s, again)
		}
	})
}
