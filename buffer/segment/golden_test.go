package segment_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew; after a release that needs a new format version")

// golden writes a segment with one of everything; without a key its bytes are the same everywhere.
func golden(t *testing.T, key *segment.Key) []byte {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	st := segment.State{Delivered: 90, Cursors: []segment.CursorPos{{Name: "kafka", Offset: 70}},
		Producers: []record.ProducerPosition{{Name: "node-1", Incarnation: 0xfeedfacecafebeef, Sequence: 41}},
		Gaps:      []record.Gap{{Epoch: 6, Range: record.Range{From: 10, To: 20}, Reason: record.ReasonRetention, ChainFrom: 1, ChainTo: 2, TimeMin: -5, TimeMax: 7}},
		Epochs:    []segment.Epoch{{Epoch: 6, First: 10, End: 100, ChainFirst: 1, Boot: "boot-1"}},
		Anchors:   []record.Anchor{{Boot: "boot-2", BootTime: 5, UTC: 1_700_000_000_000_000_000, Error: 1000, Source: record.SourceNTP, State: "synchronised"}}}
	h := segment.Header{Salt: 0x5a17c0de, Seq: 3, Opening: 9, Stream: "telemetry", Epoch: 0x0123456789abcdef, Parent: 6, ParentEnd: 100, First: 100,
		Base: 110, ChainFirst: 3, ChainBase: 4, Boot: "boot-2", Moved: segment.Moved{From: 5, End: 200, Chain: 8}, State: st}
	w, err := segment.CreateEncrypted(fs, "d", "s", &h, 1<<16, key)
	if err != nil {
		t.Fatal(err)
	}
	def := record.Definition{ID: 1, Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "site", Value: "north"}}}}
	if err := w.Definitions([]record.Definition{def}); err != nil {
		t.Fatal(err)
	}
	chain := uint64(4)
	for i, codec := range []record.Codec{record.CodecPlain, record.CodecColumns} {
		var recs []record.Record
		for n := range 50 {
			recs = append(recs, record.Record{Kind: record.KindObservation, Series: 1, Time: int64(i*50+n) * 1e9, Clock: record.ClockBoot, Type: record.Decimal(4), Num: 210000 + int64(n)*625})
		}
		var enc record.Encoder
		body, used, raw, err := enc.Encode(nil, recs, codec)
		if err != nil {
			t.Fatal(err)
		}
		b := segment.Block{Codec: used, Count: 50, Base: record.Offset(110 + 50*i), ChainBase: chain, ChainEnd: record.FoldChain(chain, recs), RawLen: uint32(raw)}
		b.Ext = segment.Ext{Boot: segment.Times{Has: true, Min: recs[0].Time, Max: recs[49].Time}, HasDelivered: true, Delivered: 95, Cursors: []segment.CursorPos{{Name: "kafka", Offset: 99}},
			Spans: []record.ProducerSpan{{ProducerPosition: record.ProducerPosition{Name: "node-1", Incarnation: 0xfeedfacecafebeef, Sequence: uint64(42 + i)}, Range: record.Range{From: b.Base, To: b.Base + 50}}}}
		chain = b.ChainEnd
		if err := w.Batch(&b, body); err != nil {
			t.Fatal(err)
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.State(&st); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := w.Seal(&st); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, w.Synced())
	if _, err := w.File().ReadAt(out, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGolden: the files of format version 0 are read as what was written, and the plain one is written as it is, on
// every machine.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file string
		key  *segment.Key
	}{{"testdata/golden-v0.seg", nil}, {"testdata/golden-v0-encrypted.seg", &testKey}} {
		now := golden(t, c.key)
		if *rewrite {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.file, now, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if c.key == nil && !bytes.Equal(now, want) {
			t.Errorf("%s is not what is written now", c.file)
		}
		fs := vfs.NewMem()
		f, err := fs.Create("s")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		readGolden(t, c.file, f, c.key)
	}
}

func readGolden(t *testing.T, name string, f vfs.File, key *segment.Key) {
	t.Helper()
	c, err := segment.Peek(f, name)
	if err != nil {
		t.Fatal(err)
	}
	if c.Key, err = c.DataKey(f, &segment.Keys{Current: key}); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(f, 0); err != nil {
		t.Fatal(err)
	}
	h := &c.Header
	if !c.Sealed || c.Scanned || h.Epoch != 0x0123456789abcdef || h.Parent != 6 || h.Stream != "telemetry" || h.Moved.End != 200 || h.Boot != "boot-2" ||
		h.Encrypted != (key != nil) || c.Index.Base != 110 || c.Index.End != 210 || len(c.State.Gaps) != 1 || c.State.Producers[0].Sequence != 41 {
		t.Fatalf("%s: %+v", name, c)
	}
	if err := c.Scan(f, 0); err != nil || len(c.Notes) != 0 || c.Index.End != 210 {
		t.Fatalf("%s: %v %v", name, err, c.Notes)
	}
	b := segment.NewBlocks(f, name, h.Salt, c.Size)
	b.SetKey(c.Key)
	var dec record.Decoder
	chain, n := h.ChainBase, 0
	for pos := c.Start; pos < c.EndPos; {
		k, err := b.Header(pos)
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Body(&k)
		if err != nil {
			t.Fatal(err)
		}
		if k.Type == segment.BlockBatch {
			recs, err := dec.Decode(nil, k.Codec, k.RawLen, k.Count, body)
			if err != nil {
				t.Fatal(err)
			}
			if chain = record.FoldChain(chain, recs); chain != k.ChainEnd {
				t.Fatalf("%s: batch at %d folds to another chain", name, k.Base)
			}
			n += len(recs)
		}
		pos += k.Size
	}
	if n != 100 {
		t.Fatalf("%s: %d records", name, n)
	}
}
