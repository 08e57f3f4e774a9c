package npu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
)

// job is one execution: the prepared inputs of a batch, and afterwards their outputs.
type job struct {
	in     [][]byte // per item; nil: this item is bad already and is not executed
	out    [][]tensorOut
	err    error
	tries  int
	device time.Duration // from launch to result
	batch  int
	finish func(*job) // called once for each time it is given to a session, on the session's goroutine
}

// session runs one instance of a model: a goroutine that owns a context. Executions are queued on the device two deep, so
// that it need not wait for the host.
type session struct {
	lib    *acl.Library
	device int
	m      Model
	jobs   chan *job
	ready  chan error  // the outcome of loading and self-test, once
	fatal  func(error) // ends the process: the device cannot be used by it any more

	c        *acl.Context // of the goroutine
	events   bool         // executions can be ordered across streams
	info     acl.Info     // after ready
	selfTest string       // after ready
	loading  atomic.Bool
	since    atomic.Int64 // unix nanoseconds when the call under way began, 0: none
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

// slot is one place in the queue of the device.
type slot struct {
	b      *acl.Binding
	in     *acl.Host
	outs   []*acl.Host
	stream *acl.Stream
	event  *acl.Event // its execution has ended; made for one execution and waited for once
	waited *acl.Event // what its execution waits for
	job    *job       // under way
	last   *job       // ended
	begun  time.Time
	batch  int
}

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
	err := s.lib.Run(s.device, func(c *acl.Context) (err error) {
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
			err = s.prove(slots[0])
		}
		if err != nil {
			return err
		}
		s.loading.Store(false)
		s.leave()
		tell(nil)
		return s.serve(ctx, slots)
	})
	s.leave()
	tell(err)
	return err
}

func (s *session) enter() { s.since.CompareAndSwap(0, time.Now().UnixNano()) }
func (s *session) leave() { s.since.Store(0) }

// stuck tells for how long the present call lasts.
func (s *session) stuck(now time.Time) time.Duration {
	if at := s.since.Load(); at != 0 {
		return now.Sub(time.Unix(0, at))
	}
	return 0
}

// load reads the file, compares its checksum and loads it, into memory of its own where the runtime can.
func (s *session) load(c *acl.Context) (*acl.Model, error) {
	data, sum, err := readModel(s.m.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errModel, err)
	}
	if s.m.SHA256 != "" && sum != s.m.SHA256 {
		return nil, fmt.Errorf("%w: %s has sha256 %s, the configuration wants %s", errModel, s.m.Path, sum, s.m.SHA256)
	}
	s.m.SHA256 = sum
	model, err := c.Load(data)
	if acl.ClassOf(err) == acl.ClassModel || acl.ClassOf(err) == acl.ClassCaller {
		return nil, fmt.Errorf("%w: %w", errModel, err)
	}
	if err != nil {
		return nil, err
	}
	s.info = model.Info
	if len(s.info.Inputs) != 1 || s.info.Inputs[0].Items() == 0 || s.info.Inputs[0].Type.Size() == 0 || len(s.info.Outputs) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: %s has %d inputs; one input of a fixed size (besides the batch) is supported", errModel, s.m.Path, len(s.info.Inputs)), model.Close())
	}
	return model, nil
}

func readModel(path string) (data []byte, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, MaxModelBytes)); err != nil {
		return nil, "", err
	}
	h := sha256.Sum256(data)
	return data, hex.EncodeToString(h[:]), nil
}

func (s *session) slots(c *acl.Context, model *acl.Model) (out []*slot, err error) {
	n := maxInFlight
	probe, err := c.NewEvent()
	if errors.Is(err, acl.ErrUnsupported) {
		n, err = 1, nil // executions cannot be ordered, so one at a time
	}
	if err != nil {
		return nil, err
	}
	s.events = probe != nil
	if err := probe.Close(); err != nil {
		return nil, err
	}
	for len(out) < n {
		t := &slot{}
		out = append(out, t)
		t.stream, err = c.NewStream()
		if err == nil {
			t.b, err = model.Bind()
		}
		if err == nil {
			err = t.b.Verify()
		}
		if err == nil {
			t.in, err = c.MallocHost(s.info.Inputs[0].Bytes)
		}
		for _, o := range s.info.Outputs {
			var h *acl.Host
			if err == nil && o.Bytes > MaxOutputBytes {
				err = fmt.Errorf("%w: output %s has %d bytes, at most %d are possible", errModel, o.Name, o.Bytes, MaxOutputBytes)
			}
			if err == nil {
				h, err = c.MallocHost(o.Bytes)
			}
			t.outs = append(t.outs, h)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func (t *slot) close() error {
	var err error
	if t.stream != nil {
		err = t.stream.Kill()
	}
	err = errors.Join(err, t.waited.Close(), t.event.Close(), t.b.Close(), t.in.Free())
	for _, h := range t.outs {
		err = errors.Join(err, h.Free())
	}
	return err
}

// maxBatch is how many items one execution takes: what the model has and the configuration allows.
func (s *session) maxBatch() int {
	best := 1
	if len(s.info.Batches) == 0 {
		best = s.info.Batch()
	}
	for _, b := range s.info.Batches {
		if b <= s.m.Batch.Max {
			best = max(best, b)
		}
	}
	return max(min(best, s.m.Batch.Max), 1)
}

// gear is the batch that is executed for n items.
func (s *session) gear(n int) int {
	if len(s.info.Batches) == 0 {
		return s.info.Batch()
	}
	for _, b := range s.info.Batches {
		if b >= n {
			return b
		}
	}
	return s.info.Batch()
}

// submit queues a job on the slot's own stream, behind the execution before it: a model never runs twice at once.
func (s *session) submit(t, before *slot, j *job) error {
	t.job, t.begun, t.batch = j, time.Now(), 0
	item := s.info.Inputs[0].Items() * s.info.Inputs[0].Type.Size()
	n := 0
	for _, in := range j.in {
		if in != nil {
			n += copy(t.in.Bytes[n:n+item], in)
		}
	}
	if n == 0 {
		return nil
	}
	batch := s.gear(n / item)
	clear(t.in.Bytes[n : batch*item])
	if err := t.b.SetBatch(batch); err != nil {
		return err
	}
	t.batch = batch
	if err := t.stream.UploadAsync(t.b.Inputs[0], t.in, batch*item); err != nil {
		return err
	}
	if before != nil && before.event != nil {
		t.waited = before.event
		before.event = nil // the one that waits closes it
		if err := t.stream.Wait(t.waited); err != nil {
			return err
		}
	}
	if err := t.b.Launch(t.stream); err != nil {
		return err
	}
	if s.events {
		var err error
		if t.event, err = s.c.NewEvent(); err == nil {
			err = t.event.Record(t.stream)
		}
		if err != nil {
			return err
		}
	}
	for i, o := range s.info.Outputs {
		if err := t.stream.DownloadAsync(t.outs[i], t.b.Outputs[i], o.Bytes/s.info.Batch()*batch); err != nil {
			return err
		}
	}
	return nil
}

// collect waits for the slot's execution and hands its outputs out.
func (s *session) collect(t *slot) error {
	j := t.job
	if t.batch > 0 {
		if err := t.stream.Sync(s.m.Deadline); err != nil {
			return err
		}
	}
	if err := t.waited.Close(); err != nil {
		return err
	}
	t.waited = nil
	j.device, j.batch = time.Since(t.begun), t.batch
	j.out = make([][]tensorOut, len(j.in))
	k := 0
	for i, in := range j.in {
		if in == nil {
			continue
		}
		for o, info := range s.info.Outputs {
			n := info.Bytes / s.info.Batch()
			j.out[i] = append(j.out[i], tensorOut{info, append([]byte(nil), t.outs[o].Bytes[k*n:(k+1)*n]...)})
		}
		k++
	}
	t.job, t.last = nil, j
	return nil
}

// serve runs jobs until ctx ends, then ends those under way. On an error the jobs that it had are told of it.
func (s *session) serve(ctx context.Context, slots []*slot) (err error) {
	var queue []*slot // oldest first
	free := slots
	defer func() {
		for _, t := range queue {
			if t.job != nil {
				t.job.err = err
				t.job.finish(t.job)
				t.job = nil
			}
		}
	}()
	for {
		var j *job
		switch {
		case len(queue) == 0:
			s.leave()
			select {
			case j = <-s.jobs:
			case <-ctx.Done():
				return nil
			}
			s.enter()
		case len(free) > 0:
			select {
			case j = <-s.jobs:
			default:
			}
		}
		if j != nil {
			t := free[0]
			var before *slot
			if len(queue) > 0 {
				before = queue[len(queue)-1]
			}
			free, queue = free[1:], append(queue, t)
			if err := s.submit(t, before, j); err != nil {
				if acl.ClassOf(err) == acl.ClassCaller { // only this job is wrong; nothing of it was begun
					j.err = err
					j.finish(j)
					t.job = nil
					queue, free = queue[:len(queue)-1], append(free, t)
					continue
				}
				return err
			}
			continue
		}
		t := queue[0]
		if err := s.collect(t); err != nil {
			return err
		}
		j, queue, free = t.done(), queue[1:], append(free, t)
		if len(queue) == 0 { // nobody waits for it
			if err := t.event.Close(); err != nil {
				return err
			}
			t.event = nil
		}
		j.finish(j)
		if len(queue) > 0 {
			s.since.Store(time.Now().UnixNano())
		}
	}
}

// prove warms the model up and runs its golden sample.
func (s *session) prove(t *slot) error {
	item := s.info.Inputs[0].Items() * s.info.Inputs[0].Type.Size()
	input := make([]byte, item)
	if s.m.Golden != nil {
		data, err := os.ReadFile(s.m.Golden.Input)
		if err == nil {
			input, err = tensorOf(data, s.info.Inputs[0], s.m.Input)
		}
		if err != nil {
			return fmt.Errorf("%w: golden sample: %w", errModel, err)
		}
	}
	j := &job{in: [][]byte{input}}
	if err := s.submit(t, nil, j); err != nil {
		return err
	}
	if err := s.collect(t); err != nil {
		return err
	}
	t.done()
	err := t.event.Close()
	if t.event = nil; err != nil {
		return err
	}
	s.selfTest = "none"
	if s.m.Golden == nil {
		return nil
	}
	got, err := j.out[0][0].floats()
	if err != nil {
		return fmt.Errorf("%w: golden sample: %w", errModel, err)
	}
	if len(got) != len(s.m.Golden.Output) {
		return fmt.Errorf("%w: golden sample: %d values came, %d are expected", errModel, len(got), len(s.m.Golden.Output))
	}
	for i, want := range s.m.Golden.Output {
		if d := math.Abs(got[i] - want); !(d <= s.m.Golden.Tolerance) {
			return fmt.Errorf("%w: golden sample: value %d is %g, expected %g ± %g", errModel, i, got[i], want, s.m.Golden.Tolerance)
		}
	}
	s.selfTest = "passed"
	return nil
}

func (t *slot) done() *job {
	j := t.last
	t.last = nil
	return j
}

// limit is how long one call may last: the deadline, which the runtime keeps itself, and some time to come back.
func (s *session) limit() time.Duration {
	if s.loading.Load() {
		return loadLimit
	}
	return s.m.Deadline + hungGrace
}

// try loads the model, runs its golden sample and unloads it.
func (s *session) try() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.run(ctx); err != nil {
		return err
	}
	return <-s.ready
}
