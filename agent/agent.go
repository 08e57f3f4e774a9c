// Package agent is the composition root of the daemon: it builds the parts from a configuration, runs them, and stops
// them in order. It decides nothing itself.
//
// Stopping goes along the data: sources first, then the last commit, then the uplink and the control sockets. What
// was acknowledged to a source is on the disk before the program ends.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/agent/collect"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/page"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/sdnotify"
	"github.com/edgelog/edgelog/internal/version"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Options of an Agent.
type Options struct {
	Config *config.Config // loaded and checked
	File   string         // where it came from; "" if there is no file to reload
	Log    *slog.Logger
	Level  *slog.LevelVar // of Log; a reload may change it
	FS     vfs.FS         // nil: the real disk
	Recent func() string  // the last lines of Log; nil: nobody kept them
}

// Agent is the daemon. New opens everything, Run runs it.
type Agent struct {
	o         Options
	log       *slog.Logger
	clock     *clock
	faults    *faults
	set       *buffer.Set
	collector *collect.Collector
	ingest    *ingester
	control   *control.Server
	view      *viewer
	deliver   *delivery
	nodes     *nodes
	pipelines *pipelines
	updates   *updates
	desk      *updateDesk
	renewal   *renewal
	events    *events
	commands  *commands
	page      *page.Page

	npuSummary    atomic.Pointer[api.NPUSummary]
	uplinkChanged chan struct{}
	pageChanged   chan struct{}
	reloading     sync.Mutex // one reload at a time

	mu     sync.Mutex
	config *config.Config
}

// New opens the log and the sockets and checks the sources; nothing is read or sent before Run. On an error nothing
// stays open.
func New(ctx context.Context, o Options) (_ *Agent, err error) {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	a := &Agent{o: o, log: o.Log, config: o.Config, uplinkChanged: make(chan struct{}, 1), pageChanged: make(chan struct{}, 1)}
	a.faults = &faults{log: o.Log}
	if a.clock, err = newClock(); err != nil {
		return nil, err
	}
	a.restoreFaults()
	for _, d := range []struct{ key, dir string }{{"data_dir", o.Config.DataDir}, {"run_dir", o.Config.RunDir}} {
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			return nil, fmt.Errorf("make %s: %w", d.key, err)
		}
	}
	if a.set, err = a.open(ctx); err != nil {
		return nil, fmt.Errorf("open log %s: %w", o.Config.LogDir(), err)
	}
	if a.faults.unclean {
		a.faults.note(health.CrashRestart, "agent", "agent", "the log was not closed in order the last time")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.set.Close(), a.events.close())
		}
	}()
	plan, err := planOf(o.Config.Sources, a.surroundings())
	if err != nil {
		return nil, err
	}
	a.collector, err = collect.New(collect.Options{
		Log: a.stream, Stamp: a.clock.stamp, Resolution: time.Duration(stampResolution), Events: a.faults.collectEvents(),
	}, plan)
	if err != nil {
		return nil, err
	}
	a.ingest = newIngester(a.set, a.clock.stamp, o.Config.Control.Producers)
	if err := Check(o.Config); err != nil {
		return nil, err
	}
	a.nodes = newNodes(a)
	a.pipelines = newPipelines(a)
	a.deliver = newDelivery(a)
	a.updates = newUpdates(a)
	a.renewal = newRenewal(a)
	a.commands = newCommands(a)
	a.view = &viewer{config: a.configuration, file: o.File, started: time.Now().UTC(), clock: a.clock, set: a.set,
		collect: a.collector, link: a.deliver.snapshot, notAfter: a.deliver.notAfter, bytes: a.deliver.bytes, budget: a.deliver.budget.view, npu: a.npuSummary.Load, faults: a.faults}
	a.events = newEvents(a)
	a.desk = newUpdateDesk(a)
	a.view.update = a.desk.brief
	a.view.pipelines = a.pipelines.list
	a.view.tick(time.Now())
	a.page = newPage(a)
	a.control, err = control.New(control.Options{RunDir: o.Config.RunDir, ViewGroup: o.Config.Control.ViewGroup,
		OpsGroup: o.Config.Control.OpsGroup, IngestGroup: o.Config.Control.IngestGroup,
		View: a.view, Records: logquery.New(a.set), Operator: a, Ingester: a.ingest, Nodes: a.nodes, Updates: a.desk, Log: o.Log})
	return a, err
}

func (a *Agent) open(ctx context.Context) (*buffer.Set, error) {
	o := buffer.Options{Events: a.faults.bufferEvents(),
		Opening: func(string) []record.Record { return a.clock.opening(version.String()) }}
	for name, s := range a.o.Config.Streams {
		full := buffer.DropOldest
		if s.Full == config.FullBlock {
			full = buffer.Block
		}
		o.Streams = append(o.Streams, buffer.StreamOptions{Name: name, CommitInterval: s.CommitInterval, MaxBytes: int64(s.MaxBytes),
			SegmentBytes: int64(s.SegmentBytes), Full: full, MaxAge: s.MaxAge, Priority: s.Priority})
	}
	o.MinFree, o.UTC = int64(a.o.Config.Storage.MinFree), a.utc
	var err error
	if o.Keys, err = a.o.Config.Storage.Encryption.Keys(os.ReadFile); err != nil {
		return nil, err
	}
	set, err := buffer.Open(ctx, a.o.FS, a.o.Config.LogDir(), o)
	if err != nil || o.Keys.Current == nil || len(o.Keys.Older) == 0 {
		return set, err
	}
	n, err := set.Rewrap(ctx)
	if err != nil { // every segment still opens with one of the keys
		a.log.Warn("keys of the log not all rewrapped; the old key is still needed", "err", err)
	} else if n > 0 {
		a.log.Info("keys of the log rewrapped; the old key is not needed any more", "key", o.Keys.Current.ID(), "segments", n)
	}
	return set, nil
}

// utc is the present time as far as it may decide what is too old to be kept.
func (a *Agent) utc() (int64, bool) {
	t := a.clock.anchor()
	return t.UTC + bootTime() - t.BootTime, t.Good()
}

// configuration is the one in force.
func (a *Agent) configuration() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

// Run runs until ctx ends, then stops in order. It returns the first error of a part that ended before it should.
func (a *Agent) Run(ctx context.Context) error {
	defer a.log.Info("stopped")
	// The log outlives what writes to it, so that the last readings are committed; the rest ends with ctx.
	logCtx, stopLog := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLog()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, 16)
	start := func(wg *sync.WaitGroup, name string, ctx context.Context, part func(context.Context) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := part(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		}()
	}
	var writers, log, readers sync.WaitGroup
	readCtx, stopReaders := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReaders()
	start(&log, "log", logCtx, a.set.Run)
	start(&writers, "collect", run, a.collector.Run)
	start(&writers, "clock", run, a.watchClock)
	start(&writers, "nodes", run, a.nodes.Run)
	start(&writers, "pipelines", run, a.pipelines.Run)
	start(&writers, "events", run, a.events.Run)
	start(&readers, "control", readCtx, a.control.Run)
	start(&readers, "uplink", readCtx, a.deliver.Run)
	start(&readers, "watchdog", readCtx, a.watch)
	start(&readers, "view", readCtx, a.keepView)
	start(&readers, "npu", readCtx, a.watchNPU)
	start(&readers, "update", readCtx, a.updates.Run)
	start(&readers, "renewal", readCtx, a.renewal.Run)
	start(&readers, "commands", readCtx, a.commands.Run)
	start(&readers, "page", readCtx, a.page.Run)
	a.ready()
	<-run.Done()
	a.notify(sdnotify.Stopping)
	writers.Wait()
	stopReaders()
	readers.Wait()
	stopLog()
	log.Wait()
	err := errors.Join(a.set.Close(), a.events.close())
	a.saveFaults()
	select {
	case first := <-errs:
		return first
	default:
		return err
	}
}

func (a *Agent) ready() {
	for _, note := range a.control.Notes() {
		a.log.Warn(note)
	}
	c := a.configuration()
	a.log.Info("ready", "device", c.Device, "version", version.String(), "sources", len(c.Sources), "data", c.DataDir)
	if c.Uplink.To() == "" {
		a.faults.raise(health.NoUplink, "uplink", "uplink", "records stay on this box")
	}
	a.notify(sdnotify.Ready + "\n" + sdnotify.Status(a.sentence()))
}

// watchClock writes an anchor to every stream of this opening when the clock's state changes, and keeps its fault.
func (a *Agent) watchClock(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if a.clock.anchor().Good() {
			a.faults.clear(health.ClockFree, "clock")
		} else {
			a.faults.raise(health.ClockFree, "clock", "clock", a.clock.free())
		}
		if anchor, changed := a.clock.changed(); changed {
			a.mark(ctx, record.KindAnchor, anchor)
			a.log.Info("clock", "source", anchor.Source, "state", anchor.State, "error_ms", anchor.Error/1e6)
			if anchor.State == "stepped" {
				a.faults.note(health.ClockStepped, "clock", "clock", "the system clock was set")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// mark appends a mark to every stream that this opening has written to; others get it with their boot mark.
func (a *Agent) mark(ctx context.Context, kind record.Kind, v any) {
	r, err := record.MarkRecord(kind, a.clock.stamp(), v)
	if err != nil {
		a.log.Error("mark not written", "err", err)
		return
	}
	for _, l := range a.set.Logs() {
		if l.Info().Epoch == 0 {
			continue
		}
		if _, err := l.Append(ctx, record.Draft{Records: []record.Record{r}}); err != nil {
			a.log.Warn("mark not written", "stream", l.Name(), "err", err)
		}
	}
}

// keepView keeps the view's differences over time and publishes the latest values.
func (a *Agent) keepView(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	j, judged := judge{raise: a.faults.raise, clear: a.faults.clear}, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			a.view.tick(now)
			if now.Sub(judged) >= judgeEvery {
				judged = now
				a.look(&j, now)
			}
			a.desk.refresh(now)
			a.deliver.publishValues(ctx, now, func(most int) ([]byte, error) { return valuesJSON(a.view.Status(), a.view.Sensors(), most) })
		}
	}
}

func (a *Agent) setLevel(name string) {
	if a.o.Level == nil {
		return
	}
	var l slog.Level
	if l.UnmarshalText([]byte(name)) == nil { // the configuration was checked
		a.o.Level.Set(l)
	}
}

// stream gives collect one stream of the log.
func (a *Agent) stream(name string) (collect.Log, error) {
	l, err := a.set.Log(name)
	if err != nil {
		return nil, err
	}
	return collectLog{l}, nil
}

// collectLog fits a *buffer.Log to collect: tickets by interface, errors by collect's names.
type collectLog struct{ *buffer.Log }

func (l collectLog) Define(s record.Series) (record.SeriesID, error) {
	id, err := l.Log.Define(s)
	if errors.Is(err, buffer.ErrFull) { // the epoch has all the series that it may have
		err = fmt.Errorf("%w: %w", collect.ErrSeriesLimit, err)
	}
	return id, err
}

func (l collectLog) Append(ctx context.Context, d record.Draft) (collect.Ticket, error) {
	t, err := l.Log.Append(ctx, d)
	if err == nil {
		return t, nil
	}
	switch {
	case errors.Is(err, buffer.ErrRepeated):
		return t, collect.ErrRepeated
	case errors.Is(err, buffer.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", collect.ErrTooLarge, err)
	case errors.Is(err, buffer.ErrFull):
		return nil, fmt.Errorf("%w: %w", collect.ErrFull, err)
	case errors.Is(err, buffer.ErrStopped):
		return nil, fmt.Errorf("%w: %w", collect.ErrStopped, err)
	}
	return nil, err
}

var _ control.Operator = (*Agent)(nil)
var _ control.Viewer = (*viewer)(nil)
var _ control.Ingester = (*ingester)(nil)
var _ control.Nodes = (*nodes)(nil)
