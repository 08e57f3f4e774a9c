package npu

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
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

// smaller is the next batch below the one that is executed for n items, 0 if there is none.
func (g *generation) smaller(n int) (best int) {
	for _, b := range g.info.Batches {
		if b < gear(g.info, n) {
			best = max(best, b)
		}
	}
	return best
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
