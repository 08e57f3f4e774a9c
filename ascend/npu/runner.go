package npu

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// States of a model.
const (
	stateLoading = "loading"
	stateReady   = "ready"
	stateFailed  = "failed"
)

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
