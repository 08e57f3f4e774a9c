package cli_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cli"
)

// npuServer answers on a worker's socket in a directory.
func npuServer(t *testing.T, status *api.NPUStatus, results map[string]api.NPUResult) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, api.NPUSocket))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/npu", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(status) })
	mux.HandleFunc("POST /v1/infer/{model}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("ref") {
			t.Error("npu run would record")
		}
		res, known := results[r.PathValue("model")]
		if !known {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(api.Problem{Code: api.CodeNotFound, Error: "there is no model \"" + r.PathValue("model") + "\""})
			return
		}
		_ = json.NewEncoder(w).Encode(res)
	})
	srv := &http.Server{Handler: mux}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return dir
}

// Everything that a field engineer asks of the NPU is on one screen, worst first, and in the JSON.
func TestNPUScreenShowsEverything(t *testing.T) {
	s := &api.NPUStatus{SchemaVersion: api.SchemaVersion, Started: ago(time.Hour), Version: "0.4.2", Simulated: true, CANN: "8.1.RC1", Driver: "24.1.rc1", Durable: 1234, Waiting: 3, Restarts: 2, Untold: 17,
		LastError: "gate: device: aclrtSynchronizeStreamWithTimeout: 507015",
		Chips: []api.NPUChip{{ID: "0/0", Name: "310P3", Health: "ok", Gauges: map[string]float64{"temperature": 47, "board_power": 42.1, "utilization.aicore": 63, "memory.used": 1 << 30, "memory.total": 24 << 30}},
			{ID: "1/0", Name: "310P3", Health: "critical", Gauges: map[string]float64{}}},
		Models: []api.NPUModel{{Name: "gate", Version: "7", State: "ready", SelfTest: "passed", Done: 98765, Bad: 4, Queue: 12, QueueMax: 256, Dropped: map[string]uint64{"queue full": 31}, P50: 12.34, P99: 45.67}},
		Faults: []api.NPUFault{{Code: "N011", Key: "1/0", Subject: "NPU chip 1/0", Text: "health critical 0x80E01801"}}}
	dir := npuServer(t, s, nil)
	code, out, _ := run{args: []string{"npu", "--npu-dir", dir}, style: utf8}.do(t)
	if code != cli.ExitDegraded {
		t.Errorf("exit %d", code)
	}
	golden(t, "npu.txt", out, 80)
	code, out, _ = run{args: []string{"npu", "--json", "--npu-dir", dir}, style: utf8}.do(t)
	var again api.NPUStatus
	if err := json.Unmarshal([]byte(out), &again); err != nil || code != cli.ExitDegraded || again.Models[0].P99 != 45.67 || again.Untold != 17 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
	if code, _, stderr := (run{args: []string{"npu", "--npu-dir", t.TempDir()}}).do(t); code != cli.ExitUnreachable || !strings.Contains(stderr, "systemctl status edge-npu") {
		t.Errorf("without a worker: exit %d, %s", code, stderr)
	}
}

// What a model says of files, in words for each kind of output and as JSON; a file without a result ends with an error.
func TestNPURun(t *testing.T) {
	result := func(text string) api.NPUResult {
		return api.NPUResult{SchemaVersion: api.SchemaVersion, Simulated: true, Quality: "good", Result: json.RawMessage(text)}
	}
	dir := npuServer(t, nil, map[string]api.NPUResult{
		"gate":  result(`{"top":[{"class":1,"label":"open","score":0.91},{"class":0,"label":"shut","score":0.09}]}`),
		"yard":  result(`{"boxes":[{"label":"truck","class":2,"score":0.8,"box":[1,2,3,4]}]}`),
		"pump":  result(`{"score":9.5,"threshold":4,"anomaly":true}`),
		"meter": result(`{"values":[{"name":"level","value":3.25,"unit":"m"}]}`),
		"raw":   result(`{"values":[1,2.5],"elements":2}`),
		"empty": result(`{"boxes":[]}`),
		"bad":   {Quality: "bad:malformed", Error: "input image wants 3072 bytes"},
	})
	file := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(file, []byte("picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"gate": "a.jpg   open 0.91, shut 0.09   SIMULATED", "yard": "truck 0.8", "pump": "score 9.5, ANOMALY", "meter": "level 3.25", "raw": "1, 2.5", "empty": "nothing found"} {
		if code, out, stderr := (run{args: []string{"npu", "run", "--npu-dir", dir, "--model", model, file}, style: utf8}).do(t); code != cli.ExitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s%s, want %q", model, code, out, stderr, want)
		}
	}
	code, out, stderr := run{args: []string{"npu", "run", "--npu-dir", dir, "--model", "bad", file, file}, style: utf8}.do(t)
	if code != cli.ExitError || !strings.Contains(out, "bad:malformed: input image wants 3072 bytes") || !strings.Contains(stderr, "2 of 2 files gave no result") {
		t.Errorf("exit %d, %s%s", code, out, stderr)
	}
	code, out, _ = run{args: []string{"npu", "run", "--json", "--npu-dir", dir, "--model", "pump", file}, style: utf8}.do(t)
	var line struct {
		File    string
		Quality string
		Result  struct{ Score float64 }
	}
	if err := json.Unmarshal([]byte(out), &line); err != nil || code != cli.ExitOK || line.File != "a.jpg" || line.Result.Score != 9.5 {
		t.Errorf("exit %d, %v, %s", code, err, out)
	}
	if code, _, stderr := (run{args: []string{"npu", "run", "--npu-dir", dir, "--model", "none", file}}).do(t); code != cli.ExitError || !strings.Contains(stderr, "there is no model") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if code, _, _ := (run{args: []string{"npu", "run", "--npu-dir", dir, file}}).do(t); code != cli.ExitUsage {
		t.Errorf("without a model: exit %d", code)
	}
}

// Each result of the NPU is one readable line of the tail; one whose input gave none says why.
func TestTailOfInferences(t *testing.T) {
	b := healthyBox()
	record := func(name, value, quality string) api.Record {
		return api.Record{Stream: "events", Epoch: "00000000000000aa", Kind: "observation", Time: ago(time.Minute).UTC(), Name: name, Type: "json", Series: name + `{model="gate"}`,
			Labels: json.RawMessage(`{"model":"gate","simulated":"true"}`), Value: []byte(value), Quality: quality}
	}
	b.records = []api.Record{
		record("npu.inference", `{"schema":1,"kind":"classification","text":"open 0.91","input":{"kind":"file","ref":"/srv/in/a.jpg"},"latency_ms":12.34}`, "good"),
		record("npu.failed", `{"schema":1,"error":"input image wants 3072 bytes","input":{"kind":"file","ref":"/srv/in/b.jpg"}}`, "good"),
		record("npu.model", `{"schema":1,"text":"model gate version 7 is at work, self-test: passed"}`, "good"),
	}
	_, out, _ := run{args: []string{"tail", "events", "--run-dir", serve(t, b)}, style: utf8}.do(t)
	for _, want := range []string{"npu.inference gate open 0.91 a.jpg 12.3 ms simulated\n", "npu.failed gate input image wants 3072 bytes b.jpg simulated\n", "npu.model gate model gate version 7 is at work, self-test: passed simulated\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}
