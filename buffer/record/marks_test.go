package record_test

import (
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

const second = int64(1e9)

func anchor(boot string, bootTime, utc, width int64, source record.ClockSource) record.Anchor {
	return record.Anchor{Boot: boot, BootTime: bootTime, UTC: utc, Error: width, Source: source}
}

func TestMarks(t *testing.T) {
	m := record.BootMark{Anchor: anchor("b1", 5, 100, 1, record.SourceNTP), Resolution: 1e6, Agent: "v1"}
	r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 5, Clock: record.ClockBoot}, m)
	if err != nil || r.Check() != nil {
		t.Fatal(err, r.Check())
	}
	if a, ok := record.AnchorOf(&r); !ok || a != m.Anchor {
		t.Errorf("%+v, %t", a, ok)
	}
	r.Data.Value = r.Data.Value[:10]
	if _, ok := record.AnchorOf(&r); ok {
		t.Error("a damaged mark was taken")
	}
	for _, b := range []string{`{"boot":"a\u0000b","source":"ntp"}`, `{"boot":"` + strings.Repeat("x", 3000) + `"}`, `{"boot":"b1","source":"n\u0000"}`,
		`{"boot":"b1","state":"\ud800"}`, `{"boot":"b 1"}`} {
		r.Data.Value = []byte(b)
		if a, ok := record.AnchorOf(&r); ok {
			t.Errorf("%.40s was taken: %.40q", b, a.Boot)
		}
	}
	o := observation(1, 1, record.TypeJSON, 0)
	if _, ok := record.AnchorOf(&o); ok {
		t.Error("an observation was taken for a mark")
	}
	if _, err := record.MarkRecord(record.KindConfig, record.Stamp{}, func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestTimeline(t *testing.T) {
	type step struct {
		a       record.Anchor
		shift   int64
		changed bool
	}
	steps := []step{
		{anchor("a", 0, 1000*second, 10, record.SourceNTP), 0, true},
		{anchor("a", 60*second, 1061*second, 20, record.SourceNTP), 0, false},     // a worse one
		{anchor("a", 60*second, 1060*second+5, 5, record.SourceGPS), 5, true},     // a better one
		{anchor("b", 0, 10*second, 0, record.SourceSystem), 0, true},              // a guess only: 1970
		{anchor("b", 30*second, 41*second, 0, record.SourceSystem), second, true}, // the guess moved
		{anchor("c", 0, 2000*second, 10, record.SourceHub), 0, true},
		{anchor("c", second, 0, 0, record.SourceSystem), 0, false}, // a guess does not replace a good anchor
	}
	var tl record.Timeline
	for i, s := range steps {
		if shift, changed := tl.Add(s.a); shift != s.shift || changed != s.changed {
			t.Errorf("step %d: shift %d, %t; want %d, %t", i, shift, changed, s.shift, s.changed)
		}
	}
	for _, c := range []struct {
		boot string
		at   record.Stamp
		want record.Time
		ok   bool
	}{
		{"a", record.Stamp{Time: second, Clock: record.ClockBoot}, record.Time{UTC: 1001*second + 5}, true},
		{"c", record.Stamp{Time: second, Clock: record.ClockBoot}, record.Time{UTC: 2001 * second}, true},
		// b lies between the end of a as far as it was seen and the start of c.
		{"b", record.Stamp{Time: second, Clock: record.ClockBoot}, record.Time{UTC: 1061*second + 5, Error: 910*second - 5}, true},
		{"x", record.Stamp{Time: second, Clock: record.ClockBoot}, record.Time{}, false},
		{"x", record.Stamp{Time: 77, Clock: record.ClockLine}, record.Time{UTC: 77}, true},
	} {
		if got, ok := tl.At(c.boot, c.at); got != c.want || ok != c.ok {
			t.Errorf("%s at %v: %+v, %t; want %+v", c.boot, c.at, got, ok, c.want)
		}
	}
	if a, ok := tl.Anchored("a"); !ok || a.Source != record.SourceGPS {
		t.Errorf("%+v, %t", a, ok)
	}
	if _, ok := tl.Anchored("b"); ok {
		t.Error("a guess anchors")
	}
	var alone record.Timeline
	alone.Add(anchor("b", 0, 10*second, 0, record.SourceSystem))
	if got, ok := alone.At("b", record.Stamp{Time: 1, Clock: record.ClockBoot}); !ok || got != (record.Time{UTC: 10*second + 1, Error: record.UnknownError}) {
		t.Errorf("%+v, %t", got, ok)
	}
}
