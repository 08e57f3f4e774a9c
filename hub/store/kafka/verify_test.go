package kafka_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
)

// TestVerify: a sound store has no faults, with gaps, skips and late rows; whatever somebody puts into or takes out of a
// topic shows.
func TestVerify(t *testing.T) {
	for _, f := range []kafka.Format{kafka.FormatJSON, kafka.FormatRaw} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			s := open(t, kafka.Options{Brokers: c.ListenAddrs(), Format: f, Partitions: 1, Shards: 1})
			defer s.Close()
			row := record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: 1, Type: record.TypeInt}
			rows := func(n int) (out []record.Record) {
				for range n {
					out = append(out, row)
				}
				return out
			}
			gap := record.Gap{Epoch: 7, Range: record.Range{From: 6, To: 10}, Reason: record.ReasonRetention}
			first := store.Change{Device: "box", Stream: "telemetry", Epoch: 7, Create: true, To: 10, ToChain: 1, Rows: rows(6), Gaps: []record.Gap{gap},
				Skips:       []store.Skip{{Range: record.Range{From: 2, To: 3}, Reason: "repeat"}},
				Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "n", Type: record.TypeInt}}}}
			gap.From = 8
			fill := store.Change{Device: "box", Stream: "telemetry", Epoch: 7, From: 10, FromChain: 1, To: 10, ToChain: 1, Late: true, RowBase: 6, Rows: rows(2),
				ShrinkGaps: []store.GapShrink{{At: 6, Now: gap}}}
			more := store.Change{Device: "box", Stream: "telemetry", Epoch: 7, From: 10, FromChain: 1, To: 13, ToChain: 2, RowBase: 10, Rows: rows(3)}
			for _, x := range []store.Change{first, fill, more} {
				if res, err := s.Commit(t.Context(), []store.Change{x}); err != nil || !res[0].Applied {
					t.Fatalf("%+v, %v", res, err)
				}
			}
			verify := func() store.VerifyReport {
				t.Helper()
				r, err := s.Verify(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if r := verify(); len(r.Faults) > 0 || r.Rows != 10 || r.Epochs != 1 {
				t.Fatalf("a sound store: %+v", r)
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("edge.telemetry"))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			put := func(device, offset string) {
				t.Helper()
				h := func(k, v string) kgo.RecordHeader { return kgo.RecordHeader{Key: k, Value: []byte(v)} }
				r := &kgo.Record{Key: []byte(device), Headers: []kgo.RecordHeader{h("device", device), h("stream", "telemetry"), h("epoch", "0000000000000007"), h("offset", offset)}}
				if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			put("box", "12")    // there already
			put("box", "2")     // skipped, and behind
			put("nobody", "0")  // of no epoch
			put("box", "10000") // as if it came meanwhile
			if r := verify(); r.Duplicates != 1 || r.Disorder != 2 || r.Misplaced != 2 || r.Missing != 0 || len(r.Faults) != 5 {
				t.Errorf("%+v", r)
			}
			// Another prefix has the positions and not the rows.
			empty := open(t, kafka.Options{Brokers: c.ListenAddrs(), Format: f, Partitions: 1, Shards: 1, Prefix: "moved"})
			defer empty.Close()
			d, err := s.Export(t.Context(), "box")
			if err != nil {
				t.Fatal(err)
			}
			if err := empty.Import(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if r, err := empty.Verify(t.Context(), nil); err != nil || len(r.Faults) > 0 {
				t.Errorf("a store with moved positions: %+v, %v", r, err)
			}
			for _, e := range d.Epochs {
				e.Removed = 0
			}
			lost := open(t, kafka.Options{Brokers: c.ListenAddrs(), Format: f, Partitions: 1, Shards: 1, Prefix: "lost"})
			defer lost.Close()
			if err := lost.Import(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			if r, err := lost.Verify(t.Context(), nil); err != nil || r.Missing != 10 || !strings.Contains(strings.Join(r.Faults, ""), "nothing explains") {
				t.Errorf("a store without its rows: %+v, %v", r, err)
			}
		})
	}
}
