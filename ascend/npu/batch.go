package npu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
)

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
