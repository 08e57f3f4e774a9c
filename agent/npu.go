package agent

import (
	"context"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
)

const (
	npuEvery   = 2 * time.Second  // between two looks at the worker
	npuPatient = 15 * time.Second // so long it may be silent: it restarts itself
)

// watchNPU declares what the NPU worker says of itself, and its silence. The worker is a process of its own: whatever
// happens to it ends here as a line of the status.
func (a *Agent) watchNPU(ctx context.Context) error {
	tick := time.NewTicker(npuEvery)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c := a.configuration().NPU
		if c == nil {
			heard = time.Now()
			a.npuFaults(nil)
			a.faults.clear(health.NPUWorkerGone, "npu")
			a.npuSummary.Store(nil)
			continue
		}
		s, err := api.NewNPUClient(c.RunDir).Status(ctx)
		switch {
		case err == nil:
			heard = time.Now()
			a.faults.clear(health.NPUWorkerGone, "npu")
			a.npuFaults(s.Faults)
			a.npuSummary.Store(s.Summary())
		case ctx.Err() == nil && time.Since(heard) > npuPatient:
			a.npuFaults(nil)
			a.npuSummary.Store(&api.NPUSummary{State: api.NPUSilent})
			a.faults.raise(health.NPUWorkerGone, "npu", "edge-npu", err.Error())
		}
	}
}

// npuFaults raises the worker's faults and ends those that it does not name any more. Other codes than its own are not
// taken from it.
func (a *Agent) npuFaults(list []api.NPUFault) {
	now := map[health.Code]map[string]bool{}
	for _, f := range list {
		code := health.Code(f.Code)
		if len(f.Code) != 4 || f.Code[0] != 'N' {
			continue
		}
		if _, known := health.Lookup(code); !known {
			continue
		}
		if now[code] == nil {
			now[code] = map[string]bool{}
		}
		now[code][f.Key] = true
		a.faults.raise(code, f.Key, f.Subject, f.Text)
	}
	for _, d := range health.Table() {
		if d.Code[0] == 'N' && d.Code != health.NPUWorkerGone {
			a.faults.ClearExcept(time.Now(), d.Code, now[d.Code])
		}
	}
}
