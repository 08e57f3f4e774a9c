package npu

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

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
