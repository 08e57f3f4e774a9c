package cli_test

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// npuBox is a healthy box with a worker on a stand-in.
func npuBox() *box {
	b := healthyBox()
	b.status.NPU = &api.NPUSummary{State: api.NPUOnline, Simulated: true, Chips: 2, ChipsOK: 2, Temperature: number(47.4), Load: number(3.0), Models: 2, Ready: 2, Done: 12345}
	return b
}

func TestStatusOfTheNPU(t *testing.T) {
	for name, k := range map[string]struct {
		npu  api.NPUSummary
		want []string
	}{
		"well":     {api.NPUSummary{State: api.NPUOnline, Chips: 1, ChipsOK: 1, Models: 1, Ready: 1}, []string{"NPU       1 chip ok   1 of 1 models ready   0 inferences"}},
		"troubled": {api.NPUSummary{State: api.NPUOnline, Chips: 2, ChipsOK: 1, Temperature: number(88.0), Load: number(100.0), Models: 3, Ready: 1, Done: 9, Bad: 2, Waiting: 7, Dropped: 1234, Restarts: 1}, []string{"1 of 2 chips ok   88 °C, load 100 %", "1 of 3 models ready", "2 bad", "7 waiting", "1,234 dropped", "1 restart"}},
		"no chip":  {api.NPUSummary{State: api.NPUOnline, Models: 1}, []string{"NPU       no chip seen   0 of 1 models ready"}},
		"silent":   {api.NPUSummary{State: api.NPUSilent}, []string{"NPU       edge-npu does not answer   systemctl status edge-npu"}},
	} {
		b := healthyBox()
		b.status.NPU = &k.npu
		_, out, _ := run{args: []string{"status", "--socket", filepath.Join(serve(t, b), "view.sock")}, style: utf8}.do(t)
		for _, w := range k.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is missing in\n%s", name, w, out)
			}
		}
	}
}

// The worker's own screen says who decodes pictures.
func TestNPUScreen(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, api.NPUSocket))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.NPUStatus{SchemaVersion: api.SchemaVersion, Started: ago(time.Hour), Version: "0.4.2", Simulated: true, Chips: []api.NPUChip{}, Faults: []api.NPUFault{}, Models: []api.NPUModel{
			{Name: "gate", State: "ready", Media: "device", OnDevice: 1234, LeftToProcessor: 5},
			{Name: "yard", State: "ready", Media: "processor: switched off in the configuration"}, {Name: "pump", State: "ready"}}})
	})}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	defer func() { srv.Close(); <-done }()
	_, out, _ := run{args: []string{"npu", "--npu-dir", dir}, style: utf8}.do(t)
	for _, want := range []string{"gate: pictures are decoded by the device (1,234, 5 left to the processor)", "yard: pictures are decoded by the processor (switched off in the\n  configuration)", "NPU SIMULATED"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "pump: pictures") {
		t.Error(out)
	}
}

func TestNPUSummary(t *testing.T) {
	s := api.NPUStatus{Simulated: true, Waiting: 2, Restarts: 1,
		Chips:  []api.NPUChip{{Health: "ok", Gauges: map[string]float64{"temperature": 40, "utilization.aicore": 90}}, {Health: "critical", Gauges: map[string]float64{"temperature": 70}}},
		Models: []api.NPUModel{{State: "ready", Done: 5, Bad: 1, Queue: 3, Dropped: map[string]uint64{"queue full": 4}}, {State: "failed"}}}
	want := api.NPUSummary{State: api.NPUOnline, Simulated: true, Chips: 2, ChipsOK: 1, Temperature: number(70.0), Load: number(90.0), Models: 2, Ready: 1, Done: 5, Bad: 1, Waiting: 5, Dropped: 4, Restarts: 1}
	if got := *s.Summary(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.Chips = []api.NPUChip{{Health: "unknown", Gauges: map[string]float64{}}}
	if got := s.Summary(); got.Temperature != nil || got.Load != nil {
		t.Errorf("a chip that tells nothing: %+v", got)
	}
}

func number(x float64) *float64 { return &x }
