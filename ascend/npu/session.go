package npu

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
)

// session runs one instance of a model: a goroutine that owns a context. Executions are queued on the device two deep, so
// that it need not wait for the host.
type session struct {
	lib    *acl.Library
	device int
	m      Model
	jobs   chan *job
	ready  chan error  // the outcome of loading and self-test, once
	fatal  func(error) // ends the process: the device cannot be used by it any more

	c         *acl.Context           // of the goroutine
	events    bool                   // executions can be ordered across streams
	info      acl.Info               // after ready
	intake    *intake                // after ready
	media     error                  // after ready: why the processor decodes pictures; nil if the device does
	processor atomic.Pointer[string] // why the processor decodes pictures; nil: the device does
	noMedia   error                  // the media units failed before: they are not used
	selfTest  string                 // after ready
	loading   atomic.Bool
	call      underWay
}

func newSession(lib *acl.Library, device int, m Model, jobs chan *job, fatal func(error)) *session {
	return &session{lib: lib, device: device, m: m, jobs: jobs, ready: make(chan error, 1), fatal: fatal}
}

// deadly reports whether only a new process helps: a task that never ends cannot be taken back, a lost device neither.
func deadly(err error) bool {
	k := acl.ClassOf(err)
	return k == acl.ClassTimeout || k == acl.ClassLost
}

// errModel is a model that cannot be used: the file, its checksum or its self-test.
var errModel = errors.New("model refused")

// run loads the model and serves jobs until ctx ends. An error after ready is one of the device; jobs that it had are
// given back on their own with their error.
func (s *session) run(ctx context.Context) error {
	told := false
	tell := func(err error) {
		if !told {
			told = true
			s.ready <- err
		}
	}
	s.loading.Store(true)
	s.enter()
	work := func(c *acl.Context) (err error) {
		s.c = c
		model, err := s.load(c)
		if err != nil {
			return err
		}
		slots, err := s.slots(c, model)
		defer func() {
			s.enter()
			if deadly(err) {
				s.fatal(err) // the process ends here; every further call may hang
				err = errors.Join(err, c.Abandon())
			}
			for _, t := range slots {
				err = errors.Join(err, t.close())
			}
			err = errors.Join(err, model.Close())
			s.leave()
		}()
		if err == nil {
			err = s.openMedia(slots)
		}
		if err == nil {
			err = s.prove(slots[0])
		}
		if err != nil {
			return err
		}
		s.loading.Store(false)
		s.leave()
		tell(nil)
		return s.serve(ctx, slots)
	}
	err := s.lib.Run(s.device, work)
	if errors.Is(err, errMedia) && !deadly(err) { // a new context, without them
		s.noMedia = err
		err = s.lib.Run(s.device, work)
	}
	s.leave()
	tell(err)
	return err
}

func (s *session) enter() { s.call.ensure() }
func (s *session) leave() { s.call.end() }

// stuck tells for how long the present call lasts.
func (s *session) stuck(now time.Time) time.Duration {
	if at := s.call.since(); !at.IsZero() {
		return now.Sub(at)
	}
	return 0
}

// limit is how long one call may last: the deadline, which the runtime keeps itself, and some time to come back.
func (s *session) limit() time.Duration {
	if s.loading.Load() {
		return loadLimit
	}
	return s.m.Deadline + hungGrace
}
