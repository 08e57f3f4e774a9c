package kafka_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/hub/store/kafka"
)

// TestPartitionsAdded: a stream's topic gets more partitions under a running hub, and the hub is started again. Positions do
// not depend on where rows lie: each record is there once. Order holds before and after, not across (docs/stores.md).
func TestPartitionsAdded(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), Shards: 4, Partitions: 1}
	x := &sender{t: t, s: open(t, o)}
	some := func() {
		for range 10 {
			x.one()
		}
	}
	some()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, n := range []int{3, 8} {
		r, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), n, "edge.telemetry")
		if err == nil {
			err = r.Error()
		}
		if err != nil {
			t.Fatalf("%d partitions: %v", n, err)
		}
		some()
		if err := x.s.Close(); err != nil {
			t.Fatal(err)
		}
		x.s = open(t, o)
		st, err := x.s.Positions(t.Context(), "box")
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Positions) != 1 || st.Positions[0].Next != x.next || st.Positions[0].ChainNext != x.chain {
			t.Fatalf("with %d partitions the positions are %+v, want one at %d", n, st.Positions, x.next)
		}
		some()
	}
	defer x.s.Close()
	got := rows(t, c, "edge.telemetry", int(x.next))
	slices.SortFunc(got, func(a, b string) int {
		i, _ := strconv.Atoi(a)
		k, _ := strconv.Atoi(b)
		return i - k
	})
	for i, o := range got {
		if o != fmt.Sprint(i) {
			t.Fatalf("record %d in the place of %d: %v", i, i, got)
		}
	}
	if len(got) != int(x.next) {
		t.Errorf("the topic has %d records, the position is %d", len(got), x.next)
	}
	r, err := x.s.Verify(t.Context(), nil)
	if err != nil || r.Duplicates+r.Missing+r.Misplaced > 0 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}
