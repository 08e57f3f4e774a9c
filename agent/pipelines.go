package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

const pipelineDir = "pipelines" // below data_dir: a checkpoint each

// pipelines runs what is configured to compute on the log.
type pipelines struct {
	a       *Agent
	changed chan struct{}

	idle []string // that could not be started; Run's own

	mu      sync.Mutex // guards running
	running []*pipelineRun
}

// pipelineRun is one that runs.
type pipelineRun struct {
	def    pipeline.Definition
	runner *pipeline.Runner
	stop   context.CancelFunc
	done   chan struct{}
}

func newPipelines(a *Agent) *pipelines { return &pipelines{a: a, changed: make(chan struct{}, 1)} }

// reconfigure asks Run to compare what runs with the configuration.
func (x *pipelines) reconfigure() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// Run keeps the configured pipelines running until ctx ends, and returns when each has saved its state.
func (x *pipelines) Run(ctx context.Context) error {
	for {
		x.adapt(ctx)
		select {
		case <-ctx.Done():
			x.end(x.take(func(*pipelineRun) bool { return true }))
			return nil
		case <-x.changed:
		}
	}
}

// take removes those for which f is true from what runs, and returns them.
func (x *pipelines) take(f func(*pipelineRun) bool) (out []*pipelineRun) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running = slices.DeleteFunc(x.running, func(p *pipelineRun) bool {
		if f(p) {
			out = append(out, p)
			return true
		}
		return false
	})
	return out
}

func (x *pipelines) end(list []*pipelineRun) {
	for _, p := range list {
		p.stop()
	}
	for _, p := range list {
		<-p.done
	}
}

// adapt stops what is gone or changed, then starts what is new: a definition's state is saved before the next one reads it.
func (x *pipelines) adapt(ctx context.Context) {
	want := pipeline.Of(x.a.configuration())
	gone := x.take(func(p *pipelineRun) bool {
		return !slices.ContainsFunc(want, func(d pipeline.Definition) bool { return reflect.DeepEqual(d, p.def) })
	})
	x.end(gone)
	for _, p := range gone {
		x.idle = append(x.idle, p.def.Name)
	}
	for _, name := range x.idle {
		x.a.faults.clear(health.PipelineRefused, name)
		x.a.faults.clear(health.PipelineWaits, name)
		x.a.faults.clear(health.PipelineFailed, name)
	}
	x.idle = x.idle[:0]
	for _, d := range want {
		if x.runs(d.Name) {
			continue
		}
		if err := x.start(ctx, d); err != nil {
			x.idle = append(x.idle, d.Name)
			x.a.faults.raise(health.PipelineFailed, d.Name, "pipeline "+d.Name, err.Error())
		}
	}
}

func (x *pipelines) runs(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.ContainsFunc(x.running, func(p *pipelineRun) bool { return p.def.Name == name })
}

func (x *pipelines) start(ctx context.Context, d pipeline.Definition) error {
	in, err := x.stream(d.From)
	if err != nil {
		return err
	}
	out, err := x.stream(d.To)
	if err != nil {
		return err
	}
	dataDir := x.a.o.Config.DataDir // needs a restart to change
	dir := filepath.Join(dataDir, pipelineDir)
	if err := x.a.o.FS.MkdirAll(dir); err != nil {
		return fmt.Errorf("make directory of checkpoints: %w", err)
	}
	if err := x.a.o.FS.SyncDir(dataDir); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("make directory of checkpoints durable: %w", err)
	}
	p := &pipelineRun{def: d, done: make(chan struct{})}
	p.runner = pipeline.NewRunner(pipeline.Options{Definition: d, In: in, Out: out, FS: x.a.o.FS, Dir: dir, Random: random, Events: x.events(&d)})
	var run context.Context
	run, p.stop = context.WithCancel(ctx)
	go func() {
		defer close(p.done)
		if err := p.runner.Run(run); err != nil {
			x.a.faults.raise(health.PipelineFailed, d.Name, "pipeline "+d.Name, err.Error())
		}
	}()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running = append(x.running, p)
	return nil
}

func (x *pipelines) stream(name string) (*buffer.Log, error) {
	l, err := x.a.set.Log(name)
	if errors.Is(err, buffer.ErrNoStream) {
		return nil, fmt.Errorf("stream %s is new: it is opened at the next restart", name)
	}
	return l, err
}

// events turns what a pipeline reports into faults and log lines.
func (x *pipelines) events(d *pipeline.Definition) pipeline.Events {
	f, name, subject := x.a.faults, d.Name, "pipeline "+d.Name
	standing := func(code health.Code) func(error) {
		return func(err error) {
			if err == nil {
				f.clear(code, name)
			} else {
				f.raise(code, name, subject, err.Error())
			}
		}
	}
	start := "with the newest record"
	if d.Earliest {
		start = "with the oldest record"
	}
	return pipeline.Events{
		Began: func(how pipeline.Beginning, why string) {
			switch how {
			case pipeline.BeganBehind:
				f.note(health.PipelineAnew, name, subject, "goes on behind its last result: "+why)
			case pipeline.BeganAnew:
				f.note(health.PipelineAnew, name, subject, "begins anew "+start+": "+why)
			case pipeline.BeganChanged:
				f.log.Info("pipeline has another definition and begins anew", "pipeline", name, "start", start)
			default:
				f.log.Info("pipeline runs", "pipeline", name, "resumed", how == pipeline.BeganResumed)
			}
		},
		Gap: func(r record.Range) {
			f.note(health.PipelineGap, name, subject, fmt.Sprintf("%s of stream %s were gone", term.Count(r.Len(), "record"), d.From))
		},
		Blocked: standing(health.PipelineWaits),
		Failed:  standing(health.PipelineFailed),
		Refused: func(series string, err error) {
			f.raise(health.PipelineRefused, name, subject, strings.TrimSpace("left out: "+series)+": "+err.Error())
		},
		Counted: func(late, untimed, left uint64) {
			if late > 0 {
				f.note(health.PipelineLate, name, subject, "readings came when their window was closed")
			}
			if untimed > 0 {
				f.note(health.PipelineLate, name+"/time", subject, "the time of readings is not known, or is more than a day ahead")
			}
			if left > 0 {
				f.raise(health.PipelineRefused, name, subject, fmt.Sprintf("it matches more than %d series", pipeline.MaxSeries))
			}
		},
	}
}

// list is what stands in the status, in the order of the configuration.
func (x *pipelines) list() []api.Pipeline {
	x.mu.Lock()
	running := slices.Clone(x.running)
	x.mu.Unlock()
	var out []api.Pipeline
	for _, d := range pipeline.Of(x.a.configuration()) {
		p := api.Pipeline{Name: d.Name, Text: d.Text(), From: d.From, Series: d.Series, To: d.To, Kind: "window", State: api.PipelineFailing, Error: "it does not run"}
		if d.Alarm != nil {
			p.Kind, p.Severity = "alarm", d.Alarm.Severity
		}
		for _, r := range running {
			if r.def.Name == d.Name {
				x.fill(&p, r, r.runner.Status())
			}
		}
		out = append(out, p)
	}
	return out
}

func (x *pipelines) fill(p *api.Pipeline, r *pipelineRun, s pipeline.Status) {
	p.State, p.Error = api.PipelineOK, ""
	switch {
	case s.Failed != "":
		p.State, p.Error = api.PipelineFailing, s.Failed
	case s.Blocked != "":
		p.State, p.Error = api.PipelineWaits, s.Blocked
	}
	p.Next, p.Lag, p.Followed, p.Records, p.Results = uint64(s.Next), s.Lag, s.Series, s.Records, s.Stats.Results
	p.Missing, p.Late, p.Untimed, p.Left, p.Raised = s.Missing, s.Late, s.Untimed, s.Left, s.Raised
	if p.Lag > 0 && s.Now != 0 {
		a := x.a.clock.anchor()
		now := a.UTC + bootTime() - a.BootTime
		p.LagSeconds = max(time.Duration(now-s.Now).Seconds(), 0)
	}
	for _, l := range s.Standing {
		one := api.PipelineAlarm{Series: l.Series, Text: r.def.Alarm.Text}
		if l.Since != 0 {
			one.Since = time.Unix(0, l.Since).UTC()
		}
		p.Alarms = append(p.Alarms, one)
	}
}
