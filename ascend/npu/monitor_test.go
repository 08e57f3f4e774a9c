package npu_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Faults that the driver tells of are records at once, and their end is one; of a storm a few are, and the rest is counted.
func TestDriverEvents(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.worker(b.config(colours))
	b.ready("colours")
	b.until("gauges of the chip", func() bool { return len(b.records("npu.temperature")) > 0 })
	for name, want := range map[string]string{"npu.chips": "1", "npu.chips_ok": "1", "npu.processes": "32", "npu.memory.processes": "553648128", "npu.health": "0"} { // 1 + 2 + … + 32 MiB
		if r := b.records(name); len(r) == 0 || string(r[0].Value) != want {
			t.Errorf("%s: %v, want %s", name, r, want)
		}
	}
	defer control("set pushed_events 0")
	control("set pushed_events 2")
	type event struct {
		Event, ID, Name, Text string
		Severity, Count       int
	}
	events := func() (out []event) {
		for _, r := range b.records("npu.event") {
			var e event
			if err := json.Unmarshal(r.Value, &e); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.Series, `simulated="true"`) {
				t.Errorf("series %s does not say that it is simulated", r.Series)
			}
			out = append(out, e)
		}
		return out
	}
	b.until("two events", func() bool { return len(events()) == 2 })
	if e := events(); e[0].Event == e[1].Event || e[0].ID != "0x80E01801" || e[0].Severity != 2 || e[0].Name != "stand-in event" {
		t.Errorf("%+v", e)
	}
	const storm = 400
	control("set pushed_events 400")
	b.until("the whole storm", func() bool {
		n, single := 0, -2
		for _, e := range events() {
			if e.Event == "left out" {
				n += e.Count
			} else {
				single++
			}
		}
		return n+single == storm && n > storm/2
	})
}

// A worker without the management library has no gauges and no events, and works.
func TestWithoutManagement(t *testing.T) {
	b := newBox(t)
	b.colours()
	c := b.config(colours)
	c.DCMI = "none"
	b.worker(c)
	b.ready("colours")
	if m := b.model("colours"); m.State != "ready" {
		t.Error(m)
	}
}
