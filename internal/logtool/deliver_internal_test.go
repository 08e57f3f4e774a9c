package logtool

import (
	"fmt"
	"testing"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestAckFileWithAFullList: an ack file lists the oldest gaps. What is above the last of a full list is not known to be
// delivered: there may be a gap that this log can fill.
func TestAckFileWithAFullList(t *testing.T) {
	list := func(n int) (gaps []record.Gap) {
		for i := range record.Offset(n) {
			gaps = append(gaps, record.Gap{Epoch: 7, Range: record.Range{From: 10 * i, To: 10*i + 5}})
		}
		return gaps
	}
	full := wire.MaxAckGaps
	for _, c := range []struct {
		what      string
		gaps, own int // that the hub has; the first of them are this log's, too
		others    int // epochs before, with a full list each
		want      record.Offset
	}{
		{"no gap", 0, 0, 0, 5000},
		{"gaps of this log", 9, 9, 0, 5000},
		{"one that it can fill", 9, 8, 0, 80},
		{"a full list", full, full, 0, 10*record.Offset(full) - 5},
		{"no room left in the ack", 0, 0, wire.MaxAckGapsTotal / full, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := &wire.Ack{}
			for i := range c.others {
				a.Positions = append(a.Positions, wire.Position{Stream: "telemetry", Epoch: record.Epoch(100 + i), Known: true, Gaps: list(full)})
			}
			a.Positions = append(a.Positions, wire.Position{Stream: "telemetry", Epoch: 7, Known: true, Next: 5001, Gaps: list(c.gaps)})
			p, all := find([]*wire.Ack{{}, a}, "telemetry", 7)
			var notes []string
			e := &buffer.EpochInfo{Epoch: 7, End: 5000}
			at, whole := position(nil, e, p, all, list(c.own), func(f string, args ...any) { notes = append(notes, fmt.Sprintf(f, args...)) })
			if at != c.want || whole != (at == 5000) || (len(notes) > 0) == whole {
				t.Errorf("counts up to %d, whole %t, want %d: %q", at, whole, c.want, notes)
			}
		})
	}
}
