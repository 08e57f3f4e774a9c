package npu

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/ascend/acl"
)

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

func (t *slot) done() *job {
	j := t.last
	t.last = nil
	return j
}

// clear waits until nothing of the slot is on the device; the execution before it has ended then, too.
func (t *slot) clear(deadline time.Duration) error {
	err := errors.Join(t.stream.Sync(deadline), t.waited.Close(), t.event.Close())
	t.waited, t.event = nil, nil
	return err
}
