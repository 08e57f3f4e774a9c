package npu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
	"github.com/edgelog/edgelog/internal/api"
)

// item is one input.
type item struct {
	ref    ref
	at     time.Time
	read   func() ([]byte, error)
	record bool                // write the result into the log
	done   func(api.NPUResult) // called once: when the result is durable, or will not be recorded
	drop   func(reason string) // called instead of done, if the item was never begun
}

// errFull is returned where the queue of a model is full and the newest item is dropped.
var errFull = errors.New("queue of the model is full")

// States of a model.
const (
	stateLoading = "loading"
	stateReady   = "ready"
	stateFailed  = "failed"
)

// generation is one version of a model with its sessions.
type generation struct {
	m        Model
	sum      string
	selfTest string
	info     acl.Info
	intake   *intake
	maxBatch int
	sessions []*session
	jobs     chan *job
	stop     context.CancelFunc
	ended    sync.WaitGroup
	begun    atomic.Bool    // it was at work: a fault of its sessions is the device's, not one of loading
	users    sync.WaitGroup // batches formed for it; only the runner's generation gets more, under its lock
}

// processor is why the processor decodes the model's pictures, "" if the device does.
func (g *generation) processor() string {
	for _, s := range g.sessions {
		if why := s.processor.Load(); why != nil {
			return *why
		}
	}
	return ""
}

// runner is one model: its queue, its batches, its sessions.
type runner struct {
	w    *Worker
	name string
	wake chan struct{}
	prep chan struct{} // a place for each batch that is bound and not finished

	mu       sync.Mutex
	queue    []*item
	gen      *generation // nil until the first one is ready
	want     Model       // as the configuration has it
	state    string
	err      string
	hopeless bool // it failed for a reason that does not go away by itself
	refused  string
	stats    modelStats
}

type modelStats struct {
	done, bad, batches uint64
	device, left       uint64 // pictures that the media units decoded, and could not
	dropped            map[string]uint64
	latency            [latencySamples]float64 // ms
	n                  int
	last               string
}

func newRunner(w *Worker, m Model) *runner {
	return &runner{w: w, name: m.Name, want: m, state: stateLoading, wake: make(chan struct{}, 1), prep: make(chan struct{}, 8),
		stats: modelStats{dropped: map[string]uint64{}}}
}

// offer puts an item into the queue. With DropOldest there is always room; with DropNewest it may be errFull.
func (r *runner) offer(it *item) error {
	r.mu.Lock()
	var old *item
	if len(r.queue) >= r.want.Queue {
		r.stats.dropped["queue full"]++
		if r.want.Overload == DropNewest {
			r.mu.Unlock()
			return errFull
		}
		old, r.queue = r.queue[0], r.queue[1:]
	}
	r.queue = append(r.queue, it)
	r.mu.Unlock()
	if old != nil && old.drop != nil {
		old.drop("queue full")
	}
	r.kick()
	return nil
}

func (r *runner) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// room is how many items may still be offered.
func (r *runner) room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want.Queue - len(r.queue)
}

// take waits for a batch: until it is full or its first item has waited long enough. It counts as a user of its generation.
func (r *runner) take(ctx context.Context) (items []*item, g *generation) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		wait := time.Hour
		if g = r.gen; g != nil && r.state == stateReady && len(r.queue) > 0 {
			if wait = g.m.Batch.Wait - time.Since(r.queue[0].at); len(r.queue) >= g.maxBatch || wait <= 0 {
				n := min(len(r.queue), g.maxBatch)
				items = append(items, r.queue[:n]...)
				r.queue = slices.Delete(r.queue, 0, n)
				g.users.Add(1)
				r.mu.Unlock()
				return items, g
			}
		}
		r.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil, nil
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// run forms batches until ctx ends, then waits for those under way.
func (r *runner) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		items, g := r.take(ctx)
		if items == nil {
			return nil
		}
		select {
		case r.prep <- struct{}{}:
		case <-ctx.Done():
			g.users.Done()
			return nil
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer g.users.Done()
			defer func() { <-r.prep }()
			var kept, shown []*item
			for _, it := range items {
				if it.record {
					kept = append(kept, it)
				} else {
					shown = append(shown, it)
				}
			}
			if len(kept) > 0 {
				if msg := r.w.bind(ctx, r.name, kept); msg != nil {
					r.work(ctx, g, msg)
				}
			}
			if len(shown) > 0 {
				r.work(ctx, g, &message{model: r.name, items: shown})
			}
		}()
	}
}

// work prepares the inputs of a message and has them executed; it returns when the results stand in the message.
func (r *runner) work(ctx context.Context, g *generation, msg *message) {
	n := len(msg.items)
	device := g.processor() == ""
	b := &batch{items: msg.items, data: make([][]byte, n), wrong: make([]error, n), sums: make([]string, n), job: &job{in: make([]*feed, n)}}
	for i, it := range msg.items {
		data, err := it.read()
		if err == nil {
			b.data[i], b.sums[i] = data, digest(data)
			b.job.in[i], err = g.intake.prepare(data, device && !msg.plain)
		}
		b.wrong[i] = err
	}
	if r.fit(ctx, g, b, b.job) && r.repair(ctx, g, b) {
		r.results(g, msg, b)
	}
}

// batch is a message on its way through the device.
type batch struct {
	items []*item
	data  [][]byte // as it came
	wrong []error  // why an item has no result
	sums  []string
	job   *job
	left  int // pictures that the media units could not decode and the processor did
}

// plain has the processor decode the pictures of a job.
func (b *batch) plain(g *generation, j *job) {
	for i, f := range j.in {
		if f != nil && f.jpeg != nil {
			j.in[i], b.wrong[i] = g.intake.prepare(b.data[i], false)
		}
	}
}

// execute gives a job to the sessions until it has succeeded, or failed for good; false if the worker ends.
func (r *runner) execute(ctx context.Context, g *generation, b *batch, j *job) bool {
	finished := make(chan struct{}, maxTries+1)
	j.finish = func(*job) { finished <- struct{}{} }
	for {
		j.err = nil
		select {
		case g.jobs <- j:
		case <-ctx.Done():
			return false // it stays bound, and is done after the next start
		}
		select {
		case <-finished:
		case <-ctx.Done():
			select { // the session ends what it has begun
			case <-finished:
			case <-time.After(g.m.Deadline):
				return false
			}
		}
		if deadly(j.err) || errors.Is(j.err, context.Canceled) {
			return false
		}
		class := acl.ClassOf(j.err)
		if j.tries++; j.err == nil || j.tries >= maxTries || class == acl.ClassCaller || class == acl.ClassMemory && g.smaller(j.items()) > 0 {
			return true
		}
		b.plain(g, j) // perhaps it was the media units that failed
	}
}

// fit is execute, in parts where the job is larger than the model's batch, or than what the device has memory for.
func (r *runner) fit(ctx context.Context, g *generation, b *batch, j *job) bool {
	size := r.largest(g)
	if n := j.items(); n <= size {
		if !r.execute(ctx, g, b, j) {
			return false
		}
		if size = g.smaller(n); acl.ClassOf(j.err) != acl.ClassMemory || size == 0 {
			return true
		}
		r.mu.Lock()
		g.maxBatch = min(g.maxBatch, size)
		r.mu.Unlock()
	}
	parts := j.parts(size)
	for _, p := range parts {
		if !r.fit(ctx, g, b, p) {
			return false
		}
	}
	for i, wrong := range j.join(parts) {
		if wrong != nil {
			b.wrong[i] = fmt.Errorf("%w: %w", errDevice, wrong)
		}
	}
	return true
}

func (r *runner) largest(g *generation) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.maxBatch
}

// smaller is the next batch below the one that is executed for n items, 0 if there is none.
func (g *generation) smaller(n int) (best int) {
	for _, b := range g.info.Batches {
		if b < gear(g.info, n) {
			best = max(best, b)
		}
	}
	return best
}

// errDevice marks an item whose execution failed.
var errDevice = errors.New("device")

// repair executes once more, decoded by the processor, what the media units could not decode.
func (r *runner) repair(ctx context.Context, g *generation, b *batch) bool {
	if b.job.err != nil {
		return true
	}
	second := &job{in: make([]*feed, len(b.items))}
	for i, why := range b.job.again {
		if why == nil {
			continue
		}
		if second.in[i], b.wrong[i] = g.intake.prepare(b.data[i], false); second.in[i] != nil {
			b.left++
		}
	}
	if b.left == 0 {
		return true
	}
	if !r.fit(ctx, g, b, second) {
		return false
	}
	for i, f := range second.in {
		switch {
		case f == nil:
		case second.err != nil:
			b.wrong[i] = fmt.Errorf("%w: %w", errDevice, second.err)
		default:
			b.job.in[i], b.job.out[i] = f, second.out[i]
		}
	}
	return true
}

// results decodes the outputs and completes the message.
func (r *runner) results(g *generation, msg *message, b *batch) {
	now := time.Now()
	o, j := g.m.Output, b.job
	device := 0
	var lost []string // frames without a result
	for i, it := range msg.items {
		err := b.wrong[i]
		if err == nil && j.err != nil {
			err = fmt.Errorf("%w: %w", errDevice, j.err)
		}
		var out *outcome
		if err == nil {
			out, err = decode(o, j.out[i])
		}
		where := ""
		if j.in[i] != nil {
			where = j.in[i].where
		}
		if err == nil && where == onDevice {
			device++
		}
		if err != nil && it.ref.Kind == refFrame {
			lost = append(lost, it.ref.Name)
		}
		ms := float64(now.Sub(it.at).Microseconds()) / 1000
		msg.add(r.w.record(g, it, out, err, ms, j, b.sums[i], where))
		r.count(ms, err)
	}
	r.mu.Lock()
	r.stats.batches++
	r.stats.device += uint64(device)
	r.stats.left += uint64(b.left)
	r.mu.Unlock()
	if msg.seq != 0 && len(lost) > 0 {
		if err := r.w.journal.forget(msg.seq, lost); err != nil {
			r.w.fatal(err)
			return
		}
	}
	r.w.complete(msg)
}

func (r *runner) count(ms float64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.done++
	r.stats.latency[r.stats.n%latencySamples] = ms
	r.stats.n++
	if err != nil {
		r.stats.bad++
		r.stats.last = cut(err.Error())
	}
}

// supervise brings the wanted model up, keeps its sessions alive, and changes to a new one when the configuration
// asks for it. Changes come through want.
func (r *runner) supervise(ctx context.Context, changes <-chan Model) error {
	defer func() {
		if g := r.current(); g != nil {
			g.stop()
			g.ended.Wait()
		}
	}()
	for delay := modelRetryFirst; ; {
		m := r.wanted()
		err := r.bring(ctx, m)
		if ctx.Err() != nil {
			return nil
		}
		var again <-chan time.Time
		if err != nil && !errors.Is(err, errModel) { // the device may come back; a bad file stays bad
			again = time.After(delay)
			delay = min(2*delay, modelRetryEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case next := <-changes:
			r.mu.Lock()
			r.want = next
			r.mu.Unlock()
			delay = modelRetryFirst
		case <-again:
		}
	}
}

func (r *runner) wanted() Model {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want
}

func (r *runner) current() *generation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gen
}

// bring loads a model beside the one at work, tests it, and changes over between two batches; or keeps the old one
// and says why.
func (r *runner) bring(ctx context.Context, m Model) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	g := &generation{m: m, jobs: make(chan *job, 1), stop: stop}
	var err error
	for range m.Concurrency {
		s := newSession(r.w.lib, r.w.c.Device, m, g.jobs, r.w.fatal)
		if r.w.mediaOff != "" {
			s.noMedia = errors.New(r.w.mediaOff)
		}
		g.sessions = append(g.sessions, s)
		r.w.watchSession(s, true)
		g.ended.Add(1)
		go func() {
			defer g.ended.Done()
			defer r.w.watchSession(s, false)
			r.keep(run, g, s)
		}()
		select {
		case err = <-s.ready:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		g.info, g.intake, g.sum, g.selfTest, g.maxBatch = s.info, s.intake, s.m.SHA256, s.selfTest, s.maxBatch()
	}
	old := r.current()
	if err != nil {
		stop()
		g.ended.Wait()
		r.mu.Lock()
		if old != nil {
			r.refused = cut(err.Error())
		} else {
			r.state, r.err, r.hopeless = stateFailed, cut(err.Error()), errors.Is(err, errModel)
		}
		r.mu.Unlock()
		r.w.modelRefused(m, err, old != nil)
		return err
	}
	g.begun.Store(true)
	r.mu.Lock()
	r.gen, r.state, r.err, r.refused = g, stateReady, "", ""
	r.mu.Unlock()
	r.kick()
	r.w.modelReady(g)
	if old != nil { // batches that were formed for it end on it
		r.w.retire(func() {
			old.users.Wait() // none waits for ever: it has its sessions, or the worker ends
			old.stop()
			old.ended.Wait()
		})
	}
	return nil
}

// keep runs a session again after a fault of the device, at most a few times in a row: then the process restarts. It does
// so for an old generation, too, as long as batches need it.
func (r *runner) keep(ctx context.Context, g *generation, s *session) {
	for row := 0; ; {
		begun := time.Now()
		err := s.run(ctx)
		if ctx.Err() != nil || err == nil || !g.begun.Load() {
			return
		}
		if errors.Is(err, errModel) {
			r.fail(ctx, g, err)
			return
		}
		r.w.deviceFault(g.m, err)
		if time.Since(begun) > time.Minute {
			row = 0
		}
		smaller := acl.ClassOf(err) == acl.ClassMemory && g.smaller(r.largest(g)) > 0 // the next try is another one
		if row++; smaller {
			row = 0
		}
		if row > rebuildsInRow {
			r.w.fatal(fmt.Errorf("model %s: %d faults in a row: %w", g.m.Name, row, err))
			return
		}
		s.m.SHA256 = g.m.SHA256
		s.ready = make(chan error, 1)
	}
}

// fail is the end of a generation whose model cannot be loaded any more: what is bound to it gets bad results.
func (r *runner) fail(ctx context.Context, g *generation, err error) {
	r.mu.Lock()
	now := r.gen == g
	if now {
		r.state, r.err, r.hopeless = stateFailed, cut(err.Error()), true
	}
	r.mu.Unlock()
	if now {
		r.w.modelRefused(g.m, err, false)
	}
	for {
		select {
		case j := <-g.jobs:
			j.err, j.tries = err, maxTries
			j.finish(j)
		case <-ctx.Done():
			return
		}
	}
}

func (r *runner) status() api.NPUModel {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.stats
	m := api.NPUModel{Name: r.name, Version: r.want.Version, State: r.state, Error: r.err, Done: s.done, Bad: s.bad, Queue: len(r.queue), QueueMax: r.want.Queue,
		Batches: s.batches, LastError: s.last, Refused: r.refused, Dropped: map[string]uint64{}}
	for k, v := range s.dropped {
		m.Dropped[k] = v
	}
	if g := r.gen; g != nil {
		m.Version, m.SHA256, m.SelfTest, m.MaxBatch = g.m.Version, g.sum, g.selfTest, g.maxBatch
		m.OnDevice, m.LeftToProcessor = s.device, s.left
		switch {
		case g.intake.target.width == 0:
		case g.processor() == "":
			m.Media = onDevice
		default:
			m.Media = onProcessor + ": " + g.processor()
		}
	}
	l := slices.Clone(s.latency[:min(s.n, latencySamples)])
	slices.Sort(l)
	at := func(q float64) float64 {
		if len(l) == 0 {
			return 0
		}
		return l[min(int(q*float64(len(l))), len(l)-1)]
	}
	m.P50, m.P90, m.P99 = at(0.5), at(0.9), at(0.99)
	return m
}
