package pipeline_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer/record"
)

// TestStampsThatCannotBe: a device's stamp that is wrong by years, met while the box does not know the time, does not
// silence its series for good.
func TestStampsThatCannotBe(t *testing.T) {
	node := func(ns int64) record.Record {
		r := at(1, 0, 1)
		r.Time, r.Clock = ns, record.ClockLine
		return r
	}
	for name, wrong := range map[string]int64{"years ahead": t0 + 86400*400*second, "2116": 1<<62 - 1, "the greatest": math.MaxInt64,
		"the least": math.MinInt64, "nearly the least": math.MinInt64 + 1, "1970": 1, "before 1970": -86400 * second} {
		t.Run(name, func(t *testing.T) {
			d := minutes(pipeline.Count)
			d.Window.Size, d.Window.Late = 2*d.Window.Every, 10*1e9
			c := pipeline.NewCore(d, rooms.resolve)
			got := run(c, boot("b", 0, t0, record.SourceSystem), node(wrong), anchor("b", 10*second, t0+10*second, 1, record.SourceNTP),
				node(t0+20*second), node(t0+80*second), at(2, 300, 1), node(t0+320*second), at(2, 420, 1), node(t0+500*second))
			for _, want := range []int{0, 60, 300} { // the windows that begin there
				if !slices.ContainsFunc(got, func(l string) bool {
					return strings.Contains(l, fmt.Sprintf(" +%ds ", want)) && strings.Contains(l, `rom="28-1"`)
				}) {
					t.Errorf("no window at +%ds in %q", want, got)
				}
			}
		})
	}
}
