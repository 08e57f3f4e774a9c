package npu_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/edgelog/edgelog/internal/api"
)

// driver gives lines to the stand-in of the management library, which has rules of its own.
func driver(t *testing.T, lines string) {
	t.Helper()
	h, err := purego.Dlopen(libs.DCMI, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	var f func(string) int32
	purego.RegisterLibFunc(&f, h, "standin_control")
	if bad := f(lines); bad != 0 {
		t.Fatalf("the stand-in does not understand %q", lines)
	}
}

// Every gauge that the vendor's exporter has for this chip is there, with the unit that docs/ascend.md says.
func TestGaugesOfTheExporter(t *testing.T) {
	text, err := os.ReadFile("../../docs/ascend.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| the vendor's exporter |")
	table, _, _ = strings.Cut(table, "\n\n")
	b := newBox(t)
	b.colours()
	driver(t, "clear;set error_codes 3;set error_code 0x80e01801;set utilization 50;on dcmi_get_device_voltage 1 return -8006")
	defer driver(t, "clear;set error_codes 0;set error_code 0;set utilization -1")
	b.worker(b.config(colours))
	b.until("the gauges", func() bool { return len(b.records("npu.driver_errors")) > 0 && len(b.records("npu.voltage")) > 1 })
	exporter := []string{"machine_npu_nums", "machine_card_nums", "machine_healthy_npu_nums", "machine_unhealthy_npu_nums", "machine_unknown_npu_nums", "npu_exporter_version_info", "node_base_info",
		"npu_chip_info_voltage", "npu_chip_info_power", "npu_chip_info_temperature", "npu_chip_info_aicore_current_freq", "npu_chip_info_health_status", "npu_chip_info_name", "npu_chip_info_error_code",
		"npu_chip_info_process_info", "npu_chip_info_process_info_num", "npu_chip_info_serial_number", "npu_chip_info_product_type", "npu_chip_info_utilization", "npu_chip_info_vector_utilization",
		"npu_chip_info_overall_utilization", "npu_chip_info_total_memory", "npu_chip_info_used_memory"}
	for _, name := range exporter {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("docs/ascend.md does not say what stands for %s", name)
		}
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[2], "`npu.") {
			continue
		}
		rows++
		unit := strings.TrimSpace(cells[3])
		for i, name := range strings.Split(cells[2], "`") {
			if i%2 == 0 || !strings.HasPrefix(name, "npu.") {
				continue
			}
			r := b.records(name)
			if len(r) == 0 {
				t.Errorf("no record of %s", name)
			} else if unit != "-" && r[0].Unit != unit {
				t.Errorf("%s has the unit %q, docs/ascend.md says %q", name, r[0].Unit, unit)
			}
		}
	}
	if rows < 15 {
		t.Errorf("%d rows name gauges", rows)
	}
	all := 0
	if _, err := b.api.Query(context.Background(), api.Query{Stream: "events"}, func(r *api.Record) error {
		if strings.HasPrefix(r.Name, "npu.") {
			if all++; !strings.Contains(r.Series, `simulated="true"`) {
				t.Errorf("%s does not say that it is simulated", r.Series)
			}
		}
		return nil
	}); err != nil || all < 40 {
		t.Error(all, err)
	}
}

// What a chip does not have has no series, also of its health and errors; what it should have and does not answer is a bad
// reading. None is a number.
func TestChipThatDoesNotAnswer(t *testing.T) {
	b := newBox(t)
	b.colours()
	driver(t, "clear;on dcmi_get_device_health * return -8255;on dcmi_get_device_errorcode_v2 * return -8255;on dcmi_get_device_resource_info * return -8255")
	defer driver(t, "clear")
	_, stop := b.worker(b.config(colours))
	b.until("gauges", func() bool { return len(b.records("npu.temperature")) > 0 })
	chip := func() (health string, faults int) {
		s, err := b.client().Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Faults {
			if f.Code == "N011" {
				faults++
			}
		}
		if len(s.Chips) > 0 {
			health = s.Chips[0].Health
		}
		return health, faults
	}
	if h, n := chip(); h != "unknown" || n != 0 {
		t.Errorf("health %s, %d faults", h, n)
	}
	for _, name := range []string{"npu.health", "npu.errors", "npu.processes", "npu.memory.processes"} {
		if r := b.records(name); len(r) != 0 {
			t.Errorf("%s, which the driver does not have, is %s", name, r[0].Value)
		}
	}
	if r := b.records("npu.chips_unknown"); len(r) == 0 || string(r[0].Value) != "1" {
		t.Errorf("%v", r)
	}
	stop()
	driver(t, "clear;on dcmi_get_device_health * return -8005;on dcmi_get_device_errorcode_v2 * return -8006;on dcmi_get_device_resource_info * return -8005")
	b.worker(b.config(colours))
	b.until("bad readings", func() bool { return len(b.records("npu.health")) > 0 && len(b.records("npu.memory.processes")) > 0 })
	for _, name := range []string{"npu.health", "npu.errors", "npu.processes", "npu.memory.processes"} {
		for _, r := range b.records(name) {
			if r.Quality != "bad:device" || string(r.Value) != "null" {
				t.Errorf("%s is %s, %s", name, r.Value, r.Quality)
			}
		}
	}
	b.until("the fault", func() bool { h, n := chip(); return h == "unknown" && n == 1 })
}

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
