package npu

import (
	"context"

	"github.com/edgelog/edgelog/ascend/acl"
)

// deviceQueue is what a session has queued on the device.
type deviceQueue struct {
	busy []*slot // oldest first
	free []*slot
}

// serve runs jobs until ctx ends, then ends those under way. On an error the jobs that it had are told of it.
func (s *session) serve(ctx context.Context, slots []*slot) (err error) {
	q := &deviceQueue{free: slots}
	defer func() {
		for _, t := range q.busy {
			if t.job != nil {
				t.job.err = err
				t.job.finish(t.job)
				t.job = nil
			}
		}
	}()
	for {
		j, ended := s.next(ctx, q)
		if ended {
			return nil
		}
		if j != nil {
			err = s.begin(q, j)
		} else {
			err = s.end(q)
		}
		if err != nil {
			return err
		}
	}
}

// next is a job to queue: it is waited for while the device is idle, else taken if there is a slot and one has come. Nil:
// the oldest is to be waited for.
func (s *session) next(ctx context.Context, q *deviceQueue) (j *job, ended bool) {
	switch {
	case len(q.busy) == 0:
		s.leave()
		select {
		case j = <-s.jobs:
		case <-ctx.Done():
			return nil, true
		}
		s.enter()
	case len(q.free) > 0:
		select {
		case j = <-s.jobs:
		default:
		}
	}
	return j, false
}

// begin queues a job on the device. One that is wrong itself is given back with its error.
func (s *session) begin(q *deviceQueue, j *job) error {
	t := q.free[0]
	var before *slot
	if len(q.busy) > 0 {
		before = q.busy[len(q.busy)-1]
	}
	q.free, q.busy = q.free[1:], append(q.busy, t)
	err := s.submit(t, before, j)
	if acl.ClassOf(err) != acl.ClassCaller {
		return err
	}
	if err := t.clear(s.m.Deadline); err != nil { // what was queued of it ends first
		return err
	}
	j.err = err
	j.finish(j)
	t.job = nil
	q.busy, q.free = q.busy[:len(q.busy)-1], append(q.free, t)
	return nil
}

// end waits for the oldest job and gives it back.
func (s *session) end(q *deviceQueue) error {
	t := q.busy[0]
	if err := s.collect(t); err != nil {
		return err
	}
	j := t.done()
	q.busy, q.free = q.busy[1:], append(q.free, t)
	if len(q.busy) == 0 { // nobody waits for it
		if err := t.event.Close(); err != nil {
			return err
		}
		t.event = nil
	}
	j.finish(j)
	if len(q.busy) > 0 {
		s.call.begin()
	}
	return nil
}
