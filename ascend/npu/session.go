package npu

import (
	"bytes"
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
	in     []*feed // per item; nil: this item is not executed
	out    [][]tensorOut
	again  []error // per item: the media units could not decode its picture; its outputs mean nothing
	err    error
	tries  int
	device time.Duration // from launch to result
	batch  int
	finish func(*job) // called once for each time it is given to a session, on the session's goroutine
}

// items counts those that are executed.
func (j *job) items() (n int) {
	for _, f := range j.in {
		if f != nil {
			n++
		}
	}
	return n
}

// parts are jobs of at most so many items each, at the places that they have.
func (j *job) parts(size int) (out []*job) {
	n := 0
	for i, f := range j.in {
		if f == nil {
			continue
		}
		if n%size == 0 {
			out = append(out, &job{in: make([]*feed, len(j.in))})
		}
		out[len(out)-1].in[i] = f
		n++
	}
	return out
}

// join makes the outcome of a job of that of its parts, and returns the error of each item whose part failed.
func (j *job) join(parts []*job) []error {
	wrong := make([]error, len(j.in))
	j.err, j.device, j.batch = nil, 0, 0
	j.out, j.again = make([][]tensorOut, len(j.in)), make([]error, len(j.in))
	for _, h := range parts {
		j.device, j.batch = j.device+h.device, max(j.batch, h.batch)
		for i, f := range h.in {
			switch {
			case f == nil:
			case h.err != nil:
				wrong[i] = h.err
			default:
				j.in[i], j.out[i], j.again[i] = f, h.out[i], h.again[i]
			}
		}
	}
	return wrong
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

	c         *acl.Context           // of the goroutine
	events    bool                   // executions can be ordered across streams
	info      acl.Info               // after ready
	intake    *intake                // after ready
	media     error                  // after ready: why the processor decodes pictures; nil if the device does
	processor atomic.Pointer[string] // why the processor decodes pictures; nil: the device does
	noMedia   error                  // the media units failed before: they are not used
	selfTest  string                 // after ready
	loading   atomic.Bool
	since     atomic.Int64 // unix nanoseconds when the call under way began, 0: none
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
	in     []*acl.Host // by input; nil where it is constant
	outs   []*acl.Host
	media  *media // nil: the processor decodes pictures
	stream *acl.Stream
	event  *acl.Event // its execution has ended; made for one execution and waited for once
	waited *acl.Event // what its execution waits for
	job    *job       // under way
	last   *job       // ended
	feeds  []*feed    // of the job under way, without the bad ones
	begun  time.Time
	batch  int
	aipp   int // the batch whose preprocessing is set
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
	model, err := s.loadWith(c, data)
	if acl.ClassOf(err) == acl.ClassModel || acl.ClassOf(err) == acl.ClassCaller {
		return nil, fmt.Errorf("%w: %w", errModel, err)
	}
	if err != nil {
		return nil, err
	}
	s.info = model.Info
	if s.intake, err = newIntake(s.info, s.m.Input); err == nil && len(s.info.Outputs) == 0 {
		err = errors.New("it has no output")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", errModel, s.m.Path, err), model.Close())
	}
	return model, nil
}

// loadWith gives the runtime the model's priority, where it was configured.
func (s *session) loadWith(c *acl.Context, data []byte) (*acl.Model, error) {
	if s.m.Priority > 0 {
		m, err := c.LoadWith(data, acl.LoadOptions{Priority: s.m.Priority})
		if !errors.Is(err, acl.ErrUnsupported) {
			return m, err
		}
	}
	return c.Load(data)
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
			err = s.inputs(c, t)
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

// inputs takes pinned memory for what items bring, and fills the constant inputs once and for all.
func (s *session) inputs(c *acl.Context, t *slot) error {
	for i, n := range s.intake.bytes {
		if s.intake.fixed[i] == nil {
			h, err := c.MallocHost(max(n*s.info.Batch(), 1))
			if t.in = append(t.in, h); err != nil {
				return err
			}
			continue
		}
		t.in = append(t.in, nil)
		if err := t.b.Inputs[i].Upload(bytes.Repeat(s.intake.fixed[i], s.info.Batch())); err != nil {
			return err
		}
	}
	return nil
}

func (t *slot) close() error {
	var err error
	if t.stream != nil {
		err = t.stream.Kill()
	}
	err = errors.Join(err, t.waited.Close(), t.event.Close(), t.media.close(), t.b.Close())
	for _, h := range t.in {
		err = errors.Join(err, h.Free())
	}
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
func (s *session) gear(n int) int { return gear(s.info, n) }

func gear(info acl.Info, n int) int {
	for _, b := range info.Batches {
		if b >= n {
			return b
		}
	}
	return info.Batch()
}

// submit queues a job on the slot's own stream, behind the execution before it: a model never runs twice at once.
func (s *session) submit(t, before *slot, j *job) error {
	t.job, t.begun, t.batch = j, time.Now(), 0
	t.feeds = t.feeds[:0]
	for _, f := range j.in {
		if f != nil {
			t.feeds = append(t.feeds, f)
		}
	}
	if len(t.feeds) == 0 {
		return nil
	}
	batch := s.gear(len(t.feeds))
	if err := t.b.SetBatch(batch); err != nil {
		return err
	}
	if err := s.preprocess(t, batch); err != nil {
		return err
	}
	t.batch = batch
	if err := s.upload(t, batch); err != nil {
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

// upload queues the inputs: what the items bring, and the pictures that the media units decode.
func (s *session) upload(t *slot, batch int) error {
	for _, i := range s.intake.open {
		n, whole := s.intake.bytes[i], 0
		for k, f := range t.feeds {
			if f.jpeg == nil {
				copy(t.in[i].Bytes[k*n:(k+1)*n], f.parts[i])
				whole++
			}
		}
		if whole == 0 { // only pictures for the media units
			continue
		}
		clear(t.in[i].Bytes[len(t.feeds)*n : batch*n])
		if err := t.stream.UploadAsync(t.b.Inputs[i], t.in[i], batch*n); err != nil {
			return err
		}
	}
	if t.media == nil {
		return nil
	}
	i := s.intake.open[0]
	return t.media.queue(t.stream, t.feeds, t.b.Inputs[i], s.intake.bytes[i])
}

// clear waits until nothing of the slot is on the device; the execution before it has ended then, too.
func (t *slot) clear(deadline time.Duration) error {
	err := errors.Join(t.stream.Sync(deadline), t.waited.Close(), t.event.Close())
	t.waited, t.event = nil, nil
	return err
}

// preprocess describes the pictures to a model with dynamic preprocessing; once for each batch size in a row.
func (s *session) preprocess(t *slot, batch int) error {
	if len(s.intake.open) != 1 || !s.info.Inputs[s.intake.open[0]].DynamicAIPP || t.aipp == batch {
		return nil
	}
	mean, scale := float32(s.m.Input.Mean), float32(s.m.Input.Scale)
	p := acl.Preprocessing{Format: acl.ImageRGB888, Width: s.intake.target.width, Height: s.intake.target.height,
		Min: [4]float32{mean, mean, mean}, VarReci: [4]float32{scale, scale, scale, 1}}
	if err := t.b.SetPreprocessing(p, batch); err != nil {
		return err
	}
	t.aipp = batch
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
	j.out, j.again = make([][]tensorOut, len(j.in)), make([]error, len(j.in))
	k := 0
	for i, in := range j.in {
		if in == nil {
			continue
		}
		for o, info := range s.info.Outputs {
			n := info.Bytes / s.info.Batch()
			j.out[i] = append(j.out[i], tensorOut{info, append([]byte(nil), t.outs[o].Bytes[k*n:(k+1)*n]...)})
		}
		if in.jpeg != nil {
			if j.again[i] = errNoMedia; t.media != nil {
				j.again[i] = t.media.outcome(k)
			}
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
				if acl.ClassOf(err) == acl.ClassCaller { // only this job is wrong; what was queued of it ends first
					if err := t.clear(s.m.Deadline); err != nil {
						return err
					}
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
	input := s.intake.empty()
	if s.m.Golden != nil {
		data, err := os.ReadFile(s.m.Golden.Input)
		if err == nil {
			input, err = s.intake.prepare(data, false)
		}
		if err != nil {
			return fmt.Errorf("%w: golden sample: %w", errModel, err)
		}
	}
	j := &job{in: []*feed{input}}
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
