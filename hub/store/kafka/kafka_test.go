package kafka_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/storetest"
)

var prefixes atomic.Int64

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t testing.TB, o kafka.Options) *kafka.Store {
	t.Helper()
	if o.Shards == 0 {
		o.Shards, o.Partitions = 4, 4
	}
	s, err := kafka.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	c := cluster(t)
	fresh := func() kafka.Options {
		return kafka.Options{Brokers: c.ListenAddrs(), Prefix: fmt.Sprint("t", prefixes.Add(1))}
	}
	for _, f := range []kafka.Format{kafka.FormatJSON, kafka.FormatProtobuf, kafka.FormatRaw} {
		t.Run(string(f), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				o := fresh()
				o.Format = f
				return open(t, o)
			})
		})
	}
	storetest.RunLeases(t, func(t *testing.T) (a, b store.Store) {
		o := fresh()
		return open(t, o), open(t, o)
	})
}

// TestManyGaps: a box that drops a part of what it has every few minutes, for months, has thousands of gaps in one epoch: more than
// one record can hold.
func TestManyGaps(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), Prefix: fmt.Sprint("t", prefixes.Add(1))}
	s := open(t, o)
	h := storetest.NewHistory("box", "telemetry", 1)
	apply := func(changes ...store.Change) {
		t.Helper()
		res, err := s.Commit(t.Context(), changes)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range res {
			if !r.Applied {
				t.Fatalf("not applied: the store is at %d", r.Position.Next)
			}
		}
	}
	want := map[record.Offset]bool{}
	apply(h.Create(1))
	var gaps []record.Gap
	for range 10 {
		c := h.Gaps(1000)
		for _, g := range c.Gaps {
			want[g.From] = true
		}
		gaps = append(gaps, c.Gaps...)
		apply(c, h.Rows(1))
	}
	check := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, o)
		st, err := s.Positions(t.Context(), "box")
		if err != nil {
			t.Fatal(err)
		}
		got := st.Positions[0].Gaps
		if len(got) != len(want) || !slices.IsSortedFunc(got, func(a, b record.Gap) int { return cmp.Compare(a.From, b.From) }) {
			t.Fatalf("%d gaps are read, want %d, in order", len(got), len(want))
		}
		for _, g := range got {
			if !want[g.From] || g.Len() != 1 {
				t.Fatalf("gap [%d,%d) is read", g.From, g.To)
			}
		}
	}
	check()
	// Those in front are filled, so that others move up; then nearly all.
	for n, list := range [][]record.Gap{gaps[:1], gaps[5000:5003], gaps[3:1000], gaps[1000:2000], gaps[2000:3000], gaps[6000:7000], gaps[7000:8000],
		gaps[8000:9000], gaps[9000:]} {
		apply(h.Fill(list))
		for _, g := range list {
			delete(want, g.From)
		}
		if n == 1 || n == 4 {
			check()
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
