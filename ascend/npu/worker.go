// Package npu is the worker around an Ascend device: models, batches, inputs, and their results as records of the box's
// own log.
//
// The worker is an ordinary local producer of the agent. Before it works on inputs it binds a sequence number to them
// in a journal on its disk, so that killed at any moment it loses no result that was acknowledged and sends none twice.
// A fault of the device is met in steps: the execution is tried again in a new context, then the worker process ends
// and is started again by systemd; the agent is never touched, and declares what the worker's status says.
//
// Only one goroutine at a time is inside the library for each session; a watchdog outside ends the process when a call
// does not come back.
package npu

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/internal/api"
	"golang.org/x/sync/errgroup"
)

// Options of a Worker.
type Options struct {
	Config  *Config
	Library *acl.Library // loaded and initialised; nil with LibraryError
	Version string
	Log     *slog.Logger
	// LibraryError is why there is no library; the worker then says so in its status, and does nothing else.
	LibraryError error
	// Exit ends the process at once. It is called when only a new process helps.
	Exit func(code int)
}

// Worker is made by New and run by Run.
type Worker struct {
	o       Options
	c       *Config
	lib     *acl.Library
	log     *slog.Logger
	agent   *api.Client
	journal *journal
	out     *outbox
	started time.Time
	runners map[string]*runner
	changes map[string]chan Model
	monitor *monitor
	notes   chan []api.IngestRecord
	retired sync.WaitGroup

	mu       sync.Mutex
	sessions map[*session]bool
	faults   map[string]api.NPUFault // by code and key
	restarts int
	restart  string
	last     string
	mediaOff string // why this process does without the media units: they ended the last one
	version  acl.Versions
	dying    bool
	untold   uint64               // records without input that found no room
	rebuilt  map[string]time.Time // models whose session was made anew, and when the last time
	claimed  map[string]bool      // files that are bound or queued
}

// New opens the journal and reads why the last process ended.
func New(o Options) (*Worker, error) {
	w := &Worker{o: o, c: o.Config, lib: o.Library, log: o.Log, agent: api.NewClient(o.Config.AgentRunDir), started: time.Now().UTC(),
		notes: make(chan []api.IngestRecord, maxNotes), runners: map[string]*runner{}, changes: map[string]chan Model{}, sessions: map[*session]bool{}, faults: map[string]api.NPUFault{}, rebuilt: map[string]time.Time{}, claimed: map[string]bool{}}
	if o.Exit == nil {
		w.o.Exit = os.Exit
	}
	var err error
	if w.journal, err = openJournal(o.Config.StateDir); err != nil {
		return nil, err
	}
	w.readRestart()
	if w.lib != nil {
		w.version = w.lib.Versions()
	}
	for _, m := range o.Config.Models {
		w.runners[m.Name] = newRunner(w, m)
		w.changes[m.Name] = make(chan Model, 1)
	}
	w.monitor = newMonitor(w)
	return w, nil
}

func (w *Worker) simulated() bool { return w.lib != nil && w.lib.Simulated() != "" }
func (w *Worker) runtime() string {
	if w.version.CANN != "" {
		return w.version.CANN
	}
	return w.version.Runtime
}

// Run works until ctx ends. What was begun is finished first, as far as the agent takes it.
func (w *Worker) Run(ctx context.Context) error {
	defer w.journal.close()
	defer func() {
		if err := w.journal.settle(w.fileDirs()); err != nil {
			w.log.Warn("finished files are put away again at the next start", "err", err)
		}
	}()
	server, err := newServer(w)
	if err != nil {
		return err
	}
	g, run := errgroup.WithContext(ctx)
	start := func(name string, part func(context.Context) error) { startPart(g, run, name, part) }
	start("socket", server.run)
	watching := make(chan error, 1)
	if w.lib == nil {
		w.raise("N002", "device", "NPU", w.o.LibraryError.Error())
		for _, r := range w.runners {
			r.mu.Lock()
			r.state, r.err = stateFailed, "no NPU runtime"
			r.mu.Unlock()
		}
		watching <- nil
	} else {
		go func() { watching <- w.monitor.run(run) }()
		start("watchdog", w.watch)
		start("work", w.work)
	}
	<-run.Done()
	err = g.Wait()
	w.retired.Wait()
	select {
	case <-watching:
	case <-time.After(monitorPatience): // a call that hangs cannot be waited for; the process ends without it
		w.log.Error("a call into the management library has not come back")
	}
	return err
}

// startPart runs one part of the worker in g until ctx ends. Its error ends the others, and says whose it is.
func startPart(g *errgroup.Group, ctx context.Context, name string, part func(context.Context) error) {
	g.Go(func() error {
		if err := part(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// work waits for the agent, finishes what the last process left, and then begins with new inputs.
func (w *Worker) work(ctx context.Context) error {
	left, err := w.reconcile(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	g, inner := errgroup.WithContext(inner)
	start := func(name string, part func(context.Context) error) { startPart(g, inner, name, part) }
	start("delivery", w.out.run)
	for name, r := range w.runners {
		start("model "+name, func(ctx context.Context) error { return r.supervise(ctx, w.changes[name]) })
	}
	if err := w.redo(inner, left); err != nil {
		cancel()
		_ = g.Wait()
		return err
	}
	for name, r := range w.runners {
		start("batches "+name, r.run)
	}
	for _, f := range w.c.Files {
		start("files "+f.Dir, func(ctx context.Context) error { return w.watchFiles(ctx, f) })
	}
	for _, win := range w.c.Windows {
		start("window "+win.Name, func(ctx context.Context) error { return w.followWindow(ctx, win) })
	}
	start("notes", w.writeNotes)
	return g.Wait()
}

// retire runs f beside the worker; Run waits for it.
func (w *Worker) retire(f func()) {
	w.retired.Add(1)
	go func() { defer w.retired.Done(); f() }()
}

// Reload changes to a new configuration: models that changed are loaded beside the old ones and tested. Everything else
// waits for a restart; the answer lists it.
func (w *Worker) Reload(c *Config) (waits []string) {
	old := map[string]Model{}
	for _, m := range w.c.Models {
		old[m.Name] = m
	}
	for _, m := range c.Models {
		if w.runners[m.Name] == nil {
			waits = append(waits, "model "+m.Name+" is new")
			continue
		}
		if !reflect.DeepEqual(w.runners[m.Name].wanted(), m) {
			select {
			case <-w.changes[m.Name]:
			default:
			}
			w.changes[m.Name] <- m
		}
		delete(old, m.Name)
	}
	for name := range old {
		waits = append(waits, "model "+name+" is gone")
	}
	a, b := *w.c, *c
	a.Models, b.Models = nil, nil
	if !reflect.DeepEqual(a, b) {
		waits = append(waits, "inputs, places and monitoring")
	}
	return waits
}
