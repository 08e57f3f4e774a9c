package kafka_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// everything is one of each: rows of several types, a gap and how it is filled, a repeat, a dead letter, a clock that becomes known
// late.
func everything() []store.Change {
	row := func(o int64, s record.SeriesID, typ record.Type, num int64) record.Record {
		return record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: s, Time: 1_790_000_000e9 + o*1e6, Type: typ, Num: num}
	}
	defs := []record.Definition{
		{ID: 1, Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "rom", Value: "28-2f5eaea77800"}}}},
		{ID: 2, Series: record.Series{Name: "door", Type: record.TypeString}},
	}
	boot := row(2, 1, record.Decimal(4), 210625)
	boot.Clock, boot.Time = record.ClockBoot, 7e9
	text := row(1, 2, record.TypeString, 0)
	text.Data = &record.Data{Value: []byte("of\"fen"), Detail: []byte{1, 2}}
	bad := row(3, 1, record.TypeNone, 0)
	bad.Quality = record.QualityTimeout
	all := []record.Record{row(0, 1, record.Decimal(4), -5000), text, boot, bad, row(4, 1, record.Decimal(4), 1), row(5, 1, record.Decimal(4), 2), row(6, 1, record.Decimal(4), 3), row(7, 1, record.Decimal(4), 4)}
	chain := make([]uint64, len(all)+1)
	for i := range all {
		chain[i+1] = record.Mix(chain[i], all[i].Digest())
	}
	change := func(from, to record.Offset) store.Change {
		return store.Change{Device: "box-17", Stream: "telemetry", Epoch: 0x5c0e8a1f9d2b4477, From: from, FromChain: chain[from], RowBase: from, To: to, ToChain: chain[to], Rows: all[from:to], Definitions: defs}
	}
	first := change(0, 4)
	first.Create, first.Boot = true, "b1"
	gap := change(4, 6)
	gap.Rows = nil
	gap.Gaps = []record.Gap{{Epoch: gap.Epoch, Range: record.Range{From: 4, To: 6}, Reason: record.ReasonRetention, ChainFrom: chain[4], ChainTo: chain[6], TimeMin: 1, TimeMax: 2}}
	late := change(4, 5)
	late.From, late.FromChain, late.To, late.ToChain, late.Late = 6, chain[6], 6, chain[6], true
	left := gap.Gaps[0]
	left.From, left.ChainFrom = 5, chain[5]
	late.ShrinkGaps = []store.GapShrink{{At: 4, Now: left}}
	last := change(6, 8)
	last.Skips = []store.Skip{{Range: record.Range{From: 6, To: 7}, Reason: "repeat"}, {Range: record.Range{From: 7, To: 8}, Reason: "dead-letter"}}
	last.DeadLetters = []store.DeadLetter{{Offset: 7, Reason: "text is not UTF-8", Canonical: []byte("canonical")}}
	last.Anchors = []record.Anchor{{Boot: "b1", BootTime: 10e9, UTC: 1_790_000_100e9, Error: 5e6, Source: record.SourceNTP}}
	return []store.Change{first, gap, late, last}
}

// TestRecords shows every record that the hub writes beside PREFIX-offsets, with key and headers, in each format.
func TestRecords(t *testing.T) {
	for _, f := range []kafka.Format{kafka.FormatJSON, kafka.FormatRaw} {
		t.Run(string(f), func(t *testing.T) {
			c := cluster(t)
			s := open(t, kafka.Options{Brokers: c.ListenAddrs(), Format: f, Shards: 1, Partitions: 1})
			for _, x := range everything() {
				if res, err := s.Commit(t.Context(), []store.Change{x}); err != nil || !res[0].Applied {
					t.Fatalf("%+v, %v", res, err)
				}
			}
			s.Close()
			var out strings.Builder
			for _, topic := range []string{"edge.telemetry", "edge.telemetry.late", "edge.gaps", "edge.dead-letters", "edge.times", "edge.series"} {
				fmt.Fprintf(&out, "%s\n", topic)
				each(t, c, topic, func(r *kgo.Record) {
					show(t, &out, r, f == kafka.FormatRaw && strings.HasPrefix(topic, "edge.telemetry"))
				})
			}
			file := "testdata/records-" + string(f) + ".txt"
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || out.String() != string(want) {
				t.Errorf("the records are not those of %s (%v); run with -rewrite and read the diff\n%s", file, err, out.String())
			}
		})
	}
}

// each calls f with the committed records of a topic of one partition.
func each(t *testing.T, c *kfake.Cluster, topic string, f func(*kgo.Record)) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Offset == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := 0; n == 0 && ctx.Err() == nil; { // all of it is committed and far below one fetch
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			n++
			f(r)
		})
	}
}

func show(t *testing.T, out *strings.Builder, r *kgo.Record, raw bool) {
	t.Helper()
	var heads []string
	head := map[string]string{}
	for _, h := range r.Headers {
		heads = append(heads, h.Key+"="+string(h.Value))
		head[h.Key] = string(h.Value)
	}
	fmt.Fprintf(out, "  %s  %s\n", r.Key, strings.Join(heads, " "))
	if !raw {
		fmt.Fprintf(out, "    %s\n", r.Value)
		return
	}
	number := func(key string) int {
		n, err := strconv.Atoi(head[key])
		if err != nil {
			t.Fatalf("header %s: %v", key, err)
		}
		return n
	}
	var dec record.Decoder
	recs, err := dec.Decode(nil, record.Codec(number("codec")), uint32(number("raw_length")), uint32(number("count")), r.Value)
	if err != nil {
		t.Fatal(err)
	}
	for i := range recs {
		fmt.Fprintf(out, "    %d: series %d, t %d, %s %s, %s\n", number("offset")+i, recs[i].Series, recs[i].Time, recs[i].Type, recs[i].AppendText(nil), recs[i].Quality)
	}
}

// TestCompression: every codec that the configuration offers is what stands in the topic.
func TestCompression(t *testing.T) {
	for name, want := range map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4, "": 4} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t)
			s := open(t, kafka.Options{Brokers: c.ListenAddrs(), Compression: name, Shards: 1, Partitions: 1})
			defer s.Close()
			x := &sender{t: t, s: s}
			change := x.change()
			for range 400 { // worth compressing
				change.Rows = append(change.Rows, change.Rows[0])
			}
			change.To += 400
			if res, err := s.Commit(t.Context(), []store.Change{change}); err != nil || !res[0].Applied {
				t.Fatalf("%+v, %v", res, err)
			}
			var got []uint8
			each(t, c, "edge.telemetry", func(r *kgo.Record) { got = append(got, r.Attrs.CompressionType()) })
			slices.Sort(got)
			if got = slices.Compact(got); len(got) != 1 || got[0] != want {
				t.Errorf("compression %v, want %d", got, want)
			}
		})
	}
}

// TestTopicsMade: topics are made as the configuration says.
func TestTopicsMade(t *testing.T) {
	c := cluster(t, kfake.NumBrokers(3))
	o := kafka.Options{Brokers: c.ListenAddrs(), Shards: 3, Partitions: 5, ReplicationFactor: 3, MinInsync: 2, Retention: 48 * time.Hour, RetentionBytes: 1 << 30}
	s := open(t, o)
	defer s.Close()
	x := &sender{t: t, s: s}
	x.one()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for topic, want := range map[string]string{
		"edge-offsets":   "3 partitions, 3 replicas, compact, 2 in sync, retention - and -",
		"edge-leases":    "1 partitions, 3 replicas, compact, 2 in sync, retention - and -",
		"edge.telemetry": "5 partitions, 3 replicas, delete, 2 in sync, retention 172800000 and 1073741824",
	} {
		m, err := adm.Metadata(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		all, err := adm.DescribeTopicConfigs(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		rc, err := all.On(topic, nil)
		if err != nil {
			t.Fatal(err)
		}
		value := func(key string) string {
			for _, e := range rc.Configs {
				if e.Key == key && e.Value != nil && e.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
					return *e.Value
				}
			}
			return "-"
		}
		p := m.Topics[topic].Partitions
		got := fmt.Sprintf("%d partitions, %d replicas, %s, %s in sync, retention %s and %s", len(p), p.NumReplicas(), value("cleanup.policy"), value("min.insync.replicas"),
			value("retention.ms"), value("retention.bytes"))
		if got != want {
			t.Errorf("%s: %s, want %s", topic, got, want)
		}
	}
}

// TestTopicsRefused: a topic that is there and would lose what it is given is refused, with the reason.
func TestTopicsRefused(t *testing.T) {
	c := cluster(t, kfake.NumBrokers(3))
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for topic, x := range map[string]struct {
		replicas int16
		config   [2]string
		reason   string
	}{
		"edge.telemetry":    {3, [2]string{"cleanup.policy", "compact"}, "replace each other"},
		"edge.gaps":         {1, [2]string{"cleanup.policy", "delete"}, "1 replicas, replication_factor is 3"},
		"edge.dead-letters": {3, [2]string{"min.insync.replicas", "1"}, "min.insync.replicas 1"},
		"edge.times":        {3, [2]string{"max.message.bytes", "1000"}, "max.message.bytes 1000"},
		"edge-offsets":      {3, [2]string{"cleanup.policy", "compact,delete"}, "positions must never go"},
		"edge-leases":       {3, [2]string{"cleanup.policy", "delete"}, "must be compact"},
	} {
		t.Run(topic, func(t *testing.T) {
			prefix := "p" + fmt.Sprint(prefixes.Add(1))
			name := strings.Replace(topic, "edge", prefix, 1)
			n := int32(2)
			if topic == "edge-leases" {
				n = 1
			}
			two := "2"
			config := map[string]*string{"min.insync.replicas": &two, x.config[0]: &x.config[1]}
			resp, err := kadm.NewClient(cl).CreateTopic(t.Context(), n, x.replicas, config, name)
			if err != nil || resp.Err != nil {
				t.Fatal(err, resp.Err)
			}
			s, err := kafka.Open(t.Context(), kafka.Options{Brokers: c.ListenAddrs(), Prefix: prefix, Shards: 2, Partitions: 2, ReplicationFactor: 3, MinInsync: 2})
			if err == nil {
				defer s.Close()
				for _, ch := range everything() {
					if _, err = s.Commit(t.Context(), []store.Change{ch}); err != nil {
						break
					}
				}
			}
			if err == nil || !strings.Contains(err.Error(), x.reason) || !strings.Contains(err.Error(), name) {
				t.Errorf("%v, want an error with %q", err, x.reason)
			}
		})
	}
}
