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
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/internal/api"
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

// ExitDevice is the exit code of a worker that a new process shall replace.
const ExitDevice = 75

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
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	start := func(name string, part func(context.Context) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := part(run); err != nil && run.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		}()
	}
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
	wg.Wait()
	w.retired.Wait()
	select {
	case <-watching:
	case <-time.After(monitorPatience): // a call that hangs cannot be waited for; the process ends without it
		w.log.Error("a call into the management library has not come back")
	}
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// work waits for the agent, finishes what the last process left, and then begins with new inputs.
func (w *Worker) work(ctx context.Context) error {
	left, err := w.reconcile(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	start := func(name string, ctx context.Context, part func(context.Context) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := part(ctx); err != nil && ctx.Err() == nil {
				errs <- fmt.Errorf("%s: %w", name, err)
				cancel()
			}
		}()
	}
	start("delivery", inner, w.out.run)
	for name, r := range w.runners {
		start("model "+name, inner, func(ctx context.Context) error { return r.supervise(ctx, w.changes[name]) })
	}
	if err := w.redo(inner, left); err != nil {
		cancel()
		wg.Wait()
		return err
	}
	for name, r := range w.runners {
		start("batches "+name, inner, r.run)
	}
	for _, f := range w.c.Files {
		start("files "+f.Dir, inner, func(ctx context.Context) error { return w.watchFiles(ctx, f) })
	}
	for _, win := range w.c.Windows {
		start("window "+win.Name, inner, func(ctx context.Context) error { return w.followWindow(ctx, win) })
	}
	start("notes", inner, w.writeNotes)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// bind gives a message its sequence, when there is room for it; nil if the worker ends.
func (w *Worker) bind(ctx context.Context, model string, items []*item) *message {
	if !w.out.wait(ctx, func() uint64 { next, _ := w.journal.position(); return next }, MaxWaiting) {
		return nil
	}
	e := entry{Model: model}
	for _, it := range items {
		e.Refs = append(e.Refs, it.ref)
	}
	seq, err := w.journal.bind(e)
	if err != nil {
		w.fatal(err) // what is not bound must not be worked on
		return nil
	}
	return &message{seq: seq, model: model, items: items}
}

// complete hands a finished message to the outbox; one that is not recorded is answered at once.
func (w *Worker) complete(m *message) {
	if m.seq == 0 {
		w.answer(m)
		return
	}
	w.out.put(m)
}

func (w *Worker) answer(m *message) {
	for i, it := range m.items {
		if it.done != nil && i < len(m.results) {
			it.done(m.results[i])
		}
	}
}

// acked is called when a message is on the agent's disk: its files are put away, and then who waits is answered.
func (w *Worker) acked(m *message) error {
	for _, it := range m.items {
		if it.ref.Kind == refFile {
			w.putAway(it.ref)
		}
	}
	if err := w.journal.done(m.seq, w.fileDirs()); err != nil {
		return err
	}
	w.answer(m)
	return nil
}

// tell has records written that have no input; those that find no room are left out and counted.
func (w *Worker) tell(records ...api.IngestRecord) {
	select {
	case w.notes <- records:
	default:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.untold += uint64(len(records))
	}
}

// writeNotes binds and sends what tell was given.
func (w *Worker) writeNotes(ctx context.Context) error {
	for {
		select {
		case records := <-w.notes:
			w.note(ctx, records...)
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Worker) note(ctx context.Context, records ...api.IngestRecord) {
	if w.out == nil || len(records) == 0 {
		return
	}
	text, err := json.Marshal(records)
	if err != nil || !w.out.wait(ctx, func() uint64 { next, _ := w.journal.position(); return next }, MaxWaiting) {
		return
	}
	seq, err := w.journal.bind(entry{Note: text})
	if err != nil {
		w.fatal(err)
		return
	}
	w.out.put(&message{seq: seq, records: records})
}

// fatal writes down why and ends the process: only a new one can use the device.
func (w *Worker) fatal(why error) {
	w.mu.Lock()
	again := w.dying
	w.dying = true
	n := w.restarts + 1
	w.mu.Unlock()
	if again {
		return
	}
	w.log.Error("the worker ends, to be started again", "err", why)
	text, err := json.Marshal(restartNote{Count: n, Why: cut(why.Error()), At: time.Now().UTC(), Media: errors.Is(why, errMedia)})
	if err == nil {
		err = os.WriteFile(filepath.Join(w.c.StateDir, "restart"), text, 0o640)
	}
	if err != nil {
		w.log.Error("reason of the restart not kept", "err", err)
	}
	w.o.Exit(ExitDevice)
}

type restartNote struct {
	Count int       `json:"count"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Media bool      `json:"media,omitempty"` // the media units were at fault
}

// restartShown is how long a restart, or a session made anew, is shown as a fault.
const restartShown = 10 * time.Minute

func (w *Worker) readRestart() {
	text, err := os.ReadFile(filepath.Join(w.c.StateDir, "restart"))
	var n restartNote
	if err != nil || json.Unmarshal(text, &n) != nil {
		return
	}
	w.restarts, w.restart = n.Count, n.Why
	if n.Media {
		w.mediaOff = "the last process ended on them: " + n.Why
	}
	if time.Since(n.At) < restartShown {
		w.raise("N003", "worker", "edge-npu", fmt.Sprintf("restarted at %s after: %s", n.At.Format(time.RFC3339), n.Why))
	}
}

// watch ends the process when a call into the library does not come back.
func (w *Worker) watch(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			w.mu.Lock()
			var worst *session
			for s := range w.sessions {
				if s.stuck(now) > s.limit() && worst == nil {
					worst = s
				}
			}
			if time.Since(w.started) > restartShown {
				delete(w.faults, "N003/worker")
			}
			w.mu.Unlock()
			w.forgetRebuilds(now)
			w.monitor.hung(now)
			if worst != nil {
				w.fatal(fmt.Errorf("model %s: a call into the runtime has not come back for %s", worst.m.Name, worst.stuck(now).Truncate(time.Millisecond)))
			}
		}
	}
}

// forgetRebuilds ends the faults of models that have worked since their session was made anew.
func (w *Worker) forgetRebuilds(now time.Time) {
	var over []string
	w.mu.Lock()
	for model, at := range w.rebuilt {
		if now.Sub(at) > restartShown {
			over = append(over, model)
			delete(w.rebuilt, model)
		}
	}
	w.mu.Unlock()
	for _, model := range over {
		w.clear("N005", model)
	}
}

func (w *Worker) watchSession(s *session, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on {
		w.sessions[s] = true
	} else {
		delete(w.sessions, s)
	}
}

func (w *Worker) raise(code, key, subject, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.faults[code+"/"+key]; !known {
		w.log.Warn(text, "code", code, "subject", subject)
	}
	w.last = cut(text)
	w.faults[code+"/"+key] = api.NPUFault{Code: code, Key: key, Subject: subject, Text: cut(text)}
}

func (w *Worker) clear(code, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, known := w.faults[code+"/"+key]; known {
		if w.last == f.Text {
			w.last = ""
		}
		delete(w.faults, code+"/"+key)
		w.log.Info("over", "code", code, "key", key)
	}
}

// retire runs f beside the worker; Run waits for it.
func (w *Worker) retire(f func()) {
	w.retired.Add(1)
	go func() { defer w.retired.Done(); f() }()
}

func (w *Worker) modelReady(g *generation) {
	w.clear("N004", g.m.Name)
	w.clear("N005", g.m.Name)
	w.log.Info("model ready", "model", g.m.Name, "version", g.m.Version, "sha256", g.sum, "self_test", g.selfTest, "batch", g.maxBatch)
	w.tell(w.noteRecord("npu.model", g.m.Name, fmt.Sprintf("model %s version %s is at work, self-test: %s", g.m.Name, g.m.Version, g.selfTest),
		map[string]any{"event": "ready", "version": g.m.Version, "sha256": g.sum, "self_test": g.selfTest, "max_batch": g.maxBatch}))
}

// modelRefused tells that a model is not taken; old says whether another version goes on working.
func (w *Worker) modelRefused(m Model, err error, old bool) {
	if errors.Is(err, context.Canceled) {
		return
	}
	code, subject := "N004", "model "+m.Name
	text := "cannot be used: " + err.Error()
	if old {
		text = "version " + m.Version + " was refused, the old one goes on: " + err.Error()
	}
	if !errors.Is(err, errModel) {
		code = "N005"
		w.mu.Lock()
		delete(w.rebuilt, m.Name) // it lasts until the model is at work
		w.mu.Unlock()
	}
	w.raise(code, m.Name, subject, text)
	w.tell(w.noteRecord("npu.model", m.Name, text, map[string]any{"event": "refused", "version": m.Version, "old_one_works": old}))
}

func (w *Worker) deviceFault(m Model, err error) {
	if deadly(err) {
		return // the process ends, and the next one tells
	}
	w.raise("N005", m.Name, "model "+m.Name, "the device failed and is used anew: "+err.Error())
	w.mu.Lock()
	w.rebuilt[m.Name] = time.Now()
	w.mu.Unlock()
	w.tell(w.noteRecord("npu.device", m.Name, "the device failed and is used anew: "+err.Error(), map[string]any{"event": "rebuilt"}))
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
