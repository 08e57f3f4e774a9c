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

// TestSeriesThatChangesItsType: what was read before cannot be added up with what comes, and is not forgotten; other series
// have nothing to do with it.
func TestSeriesThatChangesItsType(t *testing.T) {
	both := append(world{}, rooms...)
	kelvin := rooms[0]
	kelvin.Unit = "K"
	text := rooms[1]
	text.Type = record.TypeString
	both = append(both, kelvin, text) // 7 and 8
	as := func(id record.SeriesID, seconds float64, num int64) record.Record {
		r := at(1, seconds, num)
		r.Series = id
		return r
	}
	none := as(8, 40, 0)
	none.Type = record.TypeString
	c := pipeline.NewCore(minutes(pipeline.Sum), both.resolve)
	got := run(c, boot("b", 0, t0, record.SourceNTP), at(1, 60, 1), at(1, 70, 2), at(3, 71, 0), at(2, 72, 5), as(7, 80, 3000000), as(7, 90, 1), none,
		as(7, 121, 7), at(3, 122, 0), as(7, 181, 0))
	expect(t, got,
		`8.0 +60s temperature.sum{pipeline="m",rom="28-1"} 300.0001 K uncertain (2 bad (bad:malformed), type)`,
		`8.0 +60s temp.float.sum{pipeline="m"} 0 Cel`,
		`10.0 +120s temperature.sum{pipeline="m",rom="28-1"} 0.0007 K`,
		`10.0 +120s temp.float.sum{pipeline="m"} 0 Cel`)
	if s := c.Stats(); s.Late != 0 || s.Untimed != 0 {
		t.Errorf("%+v", s)
	}
}
