package agent

import (
	"context"
	"fmt"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

// Reload reads the configuration file again: plan, check all, apply. A file that is refused leaves everything as it
// is, with a fault. No record is lost and no epoch changes. It implements control.Operator together with Ack.
func (a *Agent) Reload(ctx context.Context, by string) (*api.Reload, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	out := &api.Reload{SchemaVersion: api.SchemaVersion, Applied: []string{}, Restart: []string{}}
	if a.o.File == "" {
		out.Error = "the agent runs without a configuration file"
		return out, nil
	}
	now, err := config.Load(a.o.File, config.OS{})
	if err == nil {
		err = Check(now)
	}
	if err != nil {
		a.faults.raise(health.ReloadFailed, "config", a.o.File, err.Error())
		out.Error = err.Error()
		return out, nil
	}
	old := a.configuration()
	plan := config.NewPlan(old, now)
	if err := a.apply(ctx, plan, now); err != nil {
		a.faults.raise(health.ReloadFailed, "config", a.o.File, err.Error())
		out.Error = err.Error()
		return out, nil
	}
	a.faults.clear(health.ReloadFailed, "config")
	for _, c := range plan.Live {
		out.Applied = append(out.Applied, c.Path+" "+c.Text)
	}
	for _, c := range plan.Restart {
		out.Restart = append(out.Restart, c.Path+" "+c.Text)
	}
	if len(out.Restart) > 0 {
		a.faults.raise(health.RestartNeeded, "config", a.o.File, fmt.Sprintf("%d changes wait for a restart, the first: %s", len(out.Restart), out.Restart[0]))
	} else {
		a.faults.clear(health.RestartNeeded, "config")
	}
	a.log.Info("configuration reloaded", "by", by, "applied", len(out.Applied), "restart", len(out.Restart))
	if !plan.Empty() {
		a.mark(ctx, record.KindConfig, map[string]any{"event": "reload", "by": by, "applied": out.Applied, "needs_restart": out.Restart})
	}
	return out, nil
}

// apply makes the live part of a plan true. The sources come first: they are the only step that can be refused.
func (a *Agent) apply(ctx context.Context, plan config.Plan, now *config.Config) error {
	old := a.configuration()
	merged := *now // what needs a restart stays as it is
	merged.Device, merged.DataDir, merged.RunDir, merged.Streams = old.Device, old.DataDir, old.RunDir, old.Streams
	merged.Update, merged.Sources = old.Update, plan.Sources
	merged.Control.ViewGroup, merged.Control.OpsGroup, merged.Control.IngestGroup = old.Control.ViewGroup, old.Control.OpsGroup, old.Control.IngestGroup
	if len(plan.StartSources) > 0 || len(plan.StopSources) > 0 {
		p, err := planOf(plan.Sources, a.surroundings())
		if err != nil {
			return err
		}
		if err := a.collector.Reconfigure(ctx, p); err != nil {
			return fmt.Errorf("sources: %w", err)
		}
		for _, name := range plan.StopSources {
			for _, code := range []health.Code{health.SourceDead, health.SourceMissed, health.RecordRefused} {
				a.faults.clear(code, name)
			}
		}
	}
	a.mu.Lock()
	a.config = &merged
	a.mu.Unlock()
	if plan.Producers {
		a.ingest.configure(merged.Control.Producers)
	}
	if plan.Nodes {
		a.nodes.reconfigure()
	}
	if plan.Pipelines {
		a.pipelines.reconfigure()
	}
	if plan.LogLevel {
		a.setLevel(merged.Log.Level)
	}
	if plan.HTTP {
		select {
		case a.pageChanged <- struct{}{}:
		default: // as below
		}
	}
	if plan.Uplink {
		select {
		case a.uplinkChanged <- struct{}{}:
		default: // a change waits already; it will see this one
		}
	}
	return nil
}

// Ack acknowledges a fault.
func (a *Agent) Ack(id uint64, by string) (api.Fault, error) {
	f, err := a.faults.acknowledge(id, by)
	if err != nil {
		return api.Fault{}, fmt.Errorf("%w: fault %d", control.ErrNotFound, id)
	}
	return api.FaultOf(f), nil
}
