package sim_test

import (
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// TestStoodInside: a record that only its box names is excused where the hub stood strictly inside the box's gap, and
// nowhere else.
func TestStoodInside(t *testing.T) {
	for _, c := range []struct {
		name     string
		gap      record.Range
		rows     record.Range // another history's, at the hub
		hub      record.Range // the gap that the hub names
		record   record.Offset
		want     bool
		noHubGap bool
	}{
		{name: "inside", gap: record.Range{From: 4, To: 9}, rows: record.Range{From: 0, To: 7}, hub: record.Range{From: 7, To: 9}, record: 4, want: true},
		{name: "last one below", gap: record.Range{From: 4, To: 9}, rows: record.Range{From: 0, To: 7}, hub: record.Range{From: 7, To: 9}, record: 6, want: true},
		{name: "at the end, where the chain is known", gap: record.Range{From: 4, To: 7}, rows: record.Range{From: 0, To: 7}, hub: record.Range{From: 7, To: 9}, record: 4},
		{name: "at the beginning, where the chain is known", gap: record.Range{From: 4, To: 9}, rows: record.Range{From: 0, To: 4}, hub: record.Range{From: 4, To: 9}, record: 4},
		{name: "the hub names nothing", gap: record.Range{From: 4, To: 9}, rows: record.Range{From: 0, To: 9}, record: 4, noHubGap: true},
		{name: "a hole below the hub's gap", gap: record.Range{From: 4, To: 9}, rows: record.Range{From: 0, To: 5}, hub: record.Range{From: 7, To: 9}, record: 4},
	} {
		stored := map[place]bool{}
		for o := c.rows.From; o < c.rows.To; o++ {
			stored[place{"telemetry", 1, o}] = true
		}
		q := &store.Position{}
		if !c.noHubGap {
			q.Gaps = []record.Gap{{Epoch: 1, Range: c.hub, Reason: record.ReasonRetention}}
		}
		if got := stoodInside(c.gap, place{"telemetry", 1, c.record}, stored, q); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestForkKnowsWhatHasMoved: a copy of a disk has no record where the original had moved it away from, and has all others.
func TestForkKnowsWhatHasMoved(t *testing.T) {
	l := newLedger()
	disk := l.newLineage()
	nums := l.mint("telemetry", 2, false, disk)
	for i, n := range nums {
		l.found(n, place{"telemetry", 1, record.Offset(4 + i)}, disk)
	}
	l.leave("telemetry", 1, 5, disk)
	l.fork(disk)
	for i, want := range []bool{false, true} {
		if got := l.entries[nums[i]].isLeft(place{"telemetry", 1, record.Offset(4 + i)}); got != want {
			t.Errorf("record at %d: moved away %v, want %v", 4+i, got, want)
		}
	}
}
