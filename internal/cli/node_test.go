package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/internal/api"
)

// lines are nodes made of values.
type lines struct {
	asked []string
	fail  string // of a flash
}

func (l *lines) Nodes() *api.Nodes {
	return &api.Nodes{SchemaVersion: 1, Device: "box-17", Time: now.UTC(), Lines: []api.NodeLine{{Name: "cellar", Port: "/dev/ttyUSB0", Baud: 9600, Stream: "telemetry",
		Nodes: []api.Node{
			{Name: "aquarium", Unit: 5, State: api.NodeOnline, Heard: ago(300 * time.Millisecond).UTC(), Chip: "ATmega328P", Version: "1.2.0", Serial: 4711, Boots: 17,
				Cause: "watchdog", Incarnation: "00000011a1b2c3d4", Taken: 10422, Durable: 10420, Queue: 48, Fill: 2, Events: 104220, Rate: 1.25,
				Lost: map[string]uint64{"overflow": 12, "reset": 96}, Resets: 3, Timeouts: 4, Damaged: 1, TimeError: 0.012, TimeWorst: 0.04, DriftPPM: -32, ClockState: "runs", ClockOff: -0.5,
				Sensors: []api.NodeSensor{{ROM: "28-0000055f1c3a", Value: 24.5625, Quality: "good", Age: 3}, {ROM: "28-0000055f1c3b", Quality: "bad:absent", Age: 255, Errors: 9}},
				Outputs: map[string]bool{"heater": true, "fan": false}, SettingsOK: true, Flash: "stk500v1",
				Settings: []api.NodeSetting{{Name: "heater_on", Value: "24.5", Unit: "°C", Declared: "24.5"}, {Name: "report", Value: "10", Unit: "s"}}},
			{Name: "climate", Unit: 6, State: api.NodeOffline, Error: "no answer in time", Since: ago(3 * time.Hour).UTC(), Heard: ago(3 * time.Hour).UTC(), Chip: "STC89C52", Version: "1.1.0", Queue: 20},
		},
		Found: []api.FoundNode{{Unit: 247, Chip: "STM32F1", Version: "1.2.0"}}}}}
}

func (l *lines) Change(_ context.Context, name string, r *api.NodeRequest, _ string) (*api.NodeDone, error) {
	b, _ := json.Marshal(r)
	l.asked = append(l.asked, name+" "+string(b))
	if name == "kitchen" {
		return nil, fmt.Errorf("%w: no node %q in the configuration", control.ErrNotFound, name)
	}
	return &api.NodeDone{SchemaVersion: 1, Node: name, Text: "done"}, nil
}

func (l *lines) Flash(ctx context.Context, name string, o api.FlashOrder, image []byte, step func(api.FlashProgress), _ string) (*api.FlashProgress, error) {
	l.asked = append(l.asked, fmt.Sprintf("flash %s %s %d", name, o.Want, len(image)))
	for i := range 4 {
		step(api.FlashProgress{Phase: "write", Done: i * 100, Total: 400})
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return &api.FlashProgress{Chip: "ATmega328P", Bytes: len(image), Version: "1.3.0", Seconds: 2, Error: l.fail}, nil
}

func serveNodes(t *testing.T, l *lines) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	b := healthyBox()
	s, err := control.New(control.Options{RunDir: dir, View: b, Records: b, Operator: b, Ingester: b, Nodes: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return dir
}

func TestNodePages(t *testing.T) {
	dir := serveNodes(t, &lines{})
	code, out, _ := run{args: []string{"node", "list", "--run-dir", dir}}.do(t)
	if code != 3 {
		t.Errorf("exit %d", code)
	}
	golden(t, "node-list.txt", out, 80)
	code, out, _ = run{args: []string{"node", "show", "aquarium", "--run-dir", dir}}.do(t)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	golden(t, "node-show.txt", out, 80)
	var j struct {
		SchemaVersion int    `json:"schema_version"`
		Line          string `json:"line"`
		Durable       int    `json:"durable_sequence"`
	}
	_, out, _ = run{args: []string{"node", "show", "aquarium", "--json", "--run-dir", dir}}.do(t)
	if err := json.Unmarshal([]byte(out), &j); err != nil || j.SchemaVersion != 1 || j.Line != "cellar" || j.Durable != 10420 {
		t.Errorf("%v %+v", err, j)
	}
	for line, want := range map[string]string{"node show ": "climate", "node set climate heater_m": "heater_min_off"} {
		words := append([]string{"__complete", "--run-dir", dir}, strings.Split(line, " ")...)
		if code, out, errs := (run{args: words}).do(t); code != 0 || !strings.Contains(out, want) {
			t.Errorf("completing %q: exit %d %s%s, want %s", line, code, out, errs, want)
		}
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"node show aquarum", 2, `did you mean "aquarium"`}, {"node shw", 2, `did you mean "show"`}, {"node show", 2, "which one"},
		{"node", 0, "edgectl node flash"}, {"help node", 0, "--want VERSION"},
	} {
		code, out, errs := run{args: append(strings.Fields(c.args), "--run-dir", dir)}.do(t)
		if c.args == "node" || c.args == "help node" {
			code, out, errs = run{args: strings.Fields(c.args)}.do(t)
		}
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}

func TestNodeSet(t *testing.T) {
	l := &lines{}
	dir := serveNodes(t, l)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"aquarium heater_on=24.5 report=30", 0, `aquarium {"settings":{"heater_on":"24.5","report":"30"}}`},
		{"aquarium clock=now", 0, `aquarium {"clock":true}`},
		{"aquarium output.fan=on output.heater=off --for 10m", 0, `aquarium {"outputs":{"fan":true,"heater":false},"for_seconds":600}`},
		{"aquarium command=reset", 0, `aquarium {"command":"reset"}`},
		{"aquarium output.fan=on", 2, "for how long"}, {"aquarium output.fan=high --for 1m", 2, "on or off"}, {"aquarium heater_on", 2, "not KEY=VALUE"},
		{"aquarium clock=now report=3", 2, "one kind at a time"}, {"kitchen report=3", 1, "no node \"kitchen\""},
	} {
		code, out, errs := run{args: append(append([]string{"node", "set"}, strings.Fields(c.args)...), "--run-dir", dir)}.do(t)
		said := out + errs
		if c.code == 0 && len(l.asked) > 0 {
			said = l.asked[len(l.asked)-1]
		}
		if code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit %d, %s", c.args, code, said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, api.ControlSocket)); err != nil {
		t.Error(err)
	}
}

func TestNodeFlash(t *testing.T) {
	l := &lines{}
	dir := serveNodes(t, l)
	files := fstest.MapFS{"node.hex": {Data: []byte(":040000000C943400" + "28\n:00000001FF\n")}, "bad.hex": {Data: []byte(":04000000\n")}}
	do := func(r run) (int, string) {
		r.files = files
		r.args = append([]string{"node", "flash"}, append(r.args, "--run-dir", dir)...)
		code, out, errs := r.do(t)
		return code, out + errs
	}
	if code, said := do(run{args: []string{"aquarium", "/node.hex"}}); code != 2 || !strings.Contains(said, "add --yes") || len(l.asked) > 0 {
		t.Errorf("nobody was asked: %d %s", code, said)
	}
	if code, said := do(run{args: []string{"aquarium", "/node.hex"}, tty: true, stdin: "no\n"}); code != 1 || !strings.Contains(said, "nothing was changed") || len(l.asked) > 0 {
		t.Errorf("no: %d %s", code, said)
	}
	if code, said := do(run{args: []string{"aquarium", "/bad.hex", "--yes"}}); code != 1 || !strings.Contains(said, "line 1") {
		t.Errorf("bad file: %d %s", code, said)
	}
	if code, said := do(run{args: []string{"climate", "/node.hex", "--yes"}}); code != 2 || !strings.Contains(said, "no flash block") {
		t.Errorf("no bootloader: %d %s", code, said)
	}
	code, said := do(run{args: []string{"aquarium", "/node.hex", "--want", "1.3.0"}, tty: true, stdin: "aquarium\n"})
	if code != 0 || !strings.Contains(said, "it is back with version 1.3.0") || len(l.asked) != 1 || !strings.HasPrefix(l.asked[0], "flash aquarium 1.3.0 ") {
		t.Errorf("%d %s %v", code, said, l.asked)
	}
	l.fail = "verify: flash differs from the image; run the update again"
	if code, said := do(run{args: []string{"aquarium", "/node.hex", "--yes"}}); code != 1 || !strings.Contains(said, "run the update again") {
		t.Errorf("%d %s", code, said)
	}
	if code, said := do(run{args: []string{"aquarium", "/node.hex", "--yes", "--json"}}); code != 1 || !strings.Contains(said, `"error": "verify`) {
		t.Errorf("%d %s", code, said)
	}
}
