package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/internal/api"
)

const npuYAML = `# written by the demo
state_dir: %[1]s/npu-state
run_dir: %[1]s/npu
agent_run_dir: %[1]s/run
monitor: 2s
acl: %[2]s
dcmi: %[3]s
models:
  - name: cold-rooms
    path: %[1]s/window.om
    version: "1"
    output: {kind: anomaly, labels: [cpu, temperature], threshold: 8, chart: true}
windows:
  - {name: cold-rooms, model: cold-rooms, series: [cpu.busy, temperature], length: 4, every: 1s}
`

// castNPU adds the NPU worker on a stand-in for the vendor's library, where a C compiler can make one; elsewhere the
// demo plays without it and says so.
func (s *stage) castNPU() error {
	libs, err := standin.Cached(standin.Options{})
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Printf("The demo plays without the simulated NPU: %s (apt install gcc libc6-dev).\n", why)
		return nil
	}
	for name, data := range map[string][]byte{"npu.yaml": fmt.Appendf(nil, npuYAML, s.dir, libs.ACL, libs.DCMI), "window.om": standin.Anomaly(2, 4).Bytes()} {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o644); err != nil {
			return err
		}
	}
	s.npu = &program{name: "edge-npu", log: filepath.Join(s.dir, "npu.log"), args: []string{"run", "--config", filepath.Join(s.dir, "npu.yaml")}}
	return nil
}

// observeNPU looks at the worker and at its newest score in the box's own log.
func (s *stage) observeNPU(ctx context.Context, v *view) {
	st, err := api.NewNPUClient(filepath.Join(s.dir, "npu")).Status(ctx)
	if err != nil {
		return
	}
	v.npu = st
	if v.status == nil {
		return
	}
	_, err = s.api.Tail(ctx, "events", 120, false, func(r *api.Record) error {
		if r.Name == "npu.score" {
			c := *r
			c.Value = append([]byte(nil), r.Value...)
			v.score = &c
		}
		return nil
	})
	if err != nil {
		v.score = nil
	}
}

// scoreText is the newest score, "-" before the first.
func (v view) scoreText() string {
	if v.score == nil {
		return "-"
	}
	return string(v.score.Value[:min(5, len(v.score.Value))])
}

// npu is one line of the screen.
func (s *screen) npu(v view) string {
	if v.npu == nil || len(v.npu.Models) == 0 {
		return ""
	}
	m := v.npu.Models[0]
	score := v.scoreText()
	chip := ""
	for _, c := range v.npu.Chips {
		chip = fmt.Sprintf("   %s %.0f C", c.Name, c.Gauges["temperature"])
	}
	return fmt.Sprintf("\nNPU (simulated)%s   model %s %s: anomaly score %s, %d windows, p50 %.1f ms\n", chip, m.Name, m.State, score, m.Done, m.P50)
}
