package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cli"
)

func pipelineBox() *box {
	b := healthyBox()
	b.status.Pipelines = []api.Pipeline{
		{Name: "means", Kind: "window", Text: "10m mean, min, max", From: "telemetry", Series: "temp*", To: "rollups", State: api.PipelineOK,
			Next: 104882113, Followed: 24, Records: 2000000, Results: 41472},
		{Name: "too-warm", Kind: "alarm", Text: "above 8, clear 7, for 10m", From: "telemetry", To: "alarms", State: api.PipelineOK, Severity: "critical",
			Lag: 1200, LagSeconds: 14, Results: 31, Raised: 1,
			Alarms: []api.PipelineAlarm{{Series: `temperature{name="cold room 2"}`, Since: ago(66 * time.Minute).UTC(), Text: "close the door, or call the service"}}},
		{Name: "silent", Kind: "alarm", Text: "without a value", From: "telemetry", To: "alarms", State: api.PipelineWaits, Error: "log is full", Severity: "warning", Results: 4, Raised: 20},
	}
	b.records = []api.Record{
		{Stream: "alarms", Kind: "observation", Time: ago(66 * time.Minute).UTC(), Name: "temperature.alarm", Series: `temperature.alarm{name="cold room 2",pipeline="too-warm"}`, Type: "json", Quality: "good",
			Labels: []byte(`{"name":"cold room 2","pipeline":"too-warm"}`), Value: []byte(`{"alarm":"raised","severity":"critical","text":"close the door","value":8.4375,"unit":"Cel","above":8}`)},
		{Stream: "alarms", Kind: "observation", Time: ago(time.Minute).UTC(), Name: "door.alarm", Series: `door.alarm{pipeline="silent"}`, Type: "json", Quality: "good",
			Labels: []byte(`{"pipeline":"silent"}`), Value: []byte(`{"alarm":"cleared","severity":"warning","value":true}`)},
		{Stream: "rollups", Kind: "observation", Time: ago(20 * time.Minute).UTC(), Name: "temperature.mean", Series: `temperature.mean{pipeline="means"}`, Type: "decimal4", Unit: "Cel",
			Labels: []byte(`{"pipeline":"means"}`), Value: []byte("4.1250"), Quality: "uncertain", Detail: "322062616420286261643a637263292c20676170"},
	}
	return b
}

func TestPipelines(t *testing.T) {
	dir := serve(t, pipelineBox())
	for file, args := range map[string][]string{"status-pipelines.txt": {"status"}, "pipeline.txt": {"pipeline"}, "tail-alarms.txt": {"tail", "alarms"}, "help-pipeline.txt": {"help", "pipeline"}} {
		code, out, stderr := run{args: append([]string{"--run-dir", dir}, args...), style: utf8}.do(t)
		if code != cli.ExitOK || stderr != "" {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
		width := 80
		if args[0] == "tail" {
			width = 0
		}
		golden(t, file, out, width)
	}
	code, out, _ := run{args: []string{"pipeline", "--json", "--run-dir", dir}}.do(t)
	var v struct {
		Pipelines []api.Pipeline
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != cli.ExitOK || len(v.Pipelines) != 3 || v.Pipelines[1].Raised != 1 {
		t.Errorf("exit %d, %v:\n%s", code, err, out)
	}
	if _, out, _ := (run{args: []string{"pipeline", "--run-dir", serve(t, healthyBox())}}).do(t); !strings.Contains(out, "no pipeline is configured") {
		t.Error(out)
	}
}

// TestTryPipelines runs a configuration over the log of a dead box, which stays as it is.
func TestTryPipelines(t *testing.T) {
	data := deadBox(t)
	before := listing(t, data)
	file := filepath.Join(t.TempDir(), "agent.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("device: x\nuplink: {mqtt: {broker: ssl://h:8883, ca_file: not-here.crt}}\nstreams: {rollups: {}}\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(args ...string) (int, string, string) {
		return run{args: append(args, "--run-dir", data, "--dir", data, "--config", file), style: utf8, host: config.OS{}}.do(t)
	}
	write(`pipelines:
  - name: means
    from: {series: "temp*"}
    window: {size: 10m, compute: [mean, count]}
    stream: rollups
  - {name: cold, from: {series: temperature}, alarm: {below: -17.999, clear: -17.998}}
`)
	code, out, stderr := do("pipeline", "try", "--since", "7d")
	if code != cli.ExitOK || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "pipeline-try.txt", out, 0)
	code, out, _ = do("pipeline", "try", "--since", "7d", "--name", "cold", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != cli.ExitOK || len(lines) != 3 || !strings.Contains(lines[1], `"alarm":"cleared"`) || !strings.Contains(lines[2], `"end":true,"records":2`) {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if code, _, stderr = do("pipeline", "try", "--since", "7d", "--limit", "3"); code != cli.ExitOK || !strings.Contains(stderr, "stopped after 3 records") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, stderr = do("pipeline", "try", "--name", "mean"); code != cli.ExitUsage || !strings.Contains(stderr, `did you mean "means"?`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if after := listing(t, data); after != before {
		t.Errorf("the log directory changed:\n%s\n%s", before, after)
	}
	write("pipelines: [{name: a, from: {}, window: {size: 7s, every: 2s, compute: [meen]}, stream: rollups}]\n")
	if code, _, stderr = do("pipeline", "try"); code != cli.ExitError || !strings.Contains(stderr, `agent.yaml:4:`) || !strings.Contains(stderr, `did you mean "mean"?`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
