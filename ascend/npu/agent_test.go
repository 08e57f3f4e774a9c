package npu_test

import (
	"context"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/api"
)

// The agent shows the worker in its status and declares its faults; when the worker is silent it says that, too, and when
// it is back all is well.
func TestAgentDeclares(t *testing.T) {
	b := newBox(t)
	b.colours()
	b.file("broken.om", []byte("this is not a model"))
	status := func() *api.Status {
		s, err := b.api.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	declared := func(code, text string) bool {
		for _, f := range status().Faults {
			if f.Code == code && f.Active && strings.Contains(f.Subject+" "+f.Text, text) {
				return true
			}
		}
		return false
	}
	w, stop := b.worker(b.config(strings.Replace(colours, "colours.om", "broken.om", 1)))
	b.until("the refused model in the agent's status", func() bool {
		n := status().NPU
		return n != nil && n.State == api.NPUOnline && n.Simulated && n.Chips == 1 && n.ChipsOK == 1 && n.Models == 1 && n.Ready == 0 && declared("N004", "model colours")
	})
	w.Reload(b.config(colours))
	b.until("the model that is well", func() bool { n := status().NPU; return n.Ready == 1 && !declared("N004", "") })
	if _, err := b.client().Infer(context.Background(), "colours", "frame-1", picture(red, 64)); err != nil {
		t.Fatal(err)
	}
	b.until("the inference", func() bool {
		n := status().NPU
		return n.Done == 1 && n.Bad == 0 && n.Temperature != nil && *n.Temperature == 47
	})
	stop()
	b.until("the silence", func() bool { return status().NPU.State == api.NPUSilent && declared("N001", "") })
	b.worker(b.config(colours))
	b.until("the worker's return", func() bool {
		n := status().NPU
		return n.State == api.NPUOnline && n.Ready == 1 && !declared("N001", "")
	})
}
