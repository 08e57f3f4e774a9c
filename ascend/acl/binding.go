package acl

import (
	"errors"
	"fmt"
)

// Binding is a set of device buffers for one execution of a model: made once, used again and again.
type Binding struct {
	m       *Model
	Inputs  []*Buffer
	Outputs []*Buffer
	gear    *Buffer
	aipp    *Buffer
	in, out dataset
}

type dataset struct {
	handle  uintptr
	buffers []uintptr
}

// Bind takes device memory for the model's largest batch.
func (m *Model) Bind() (_ *Binding, err error) {
	b := &Binding{m: m}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	c := m.c
	for _, t := range m.Info.Inputs {
		buf, err := c.Malloc(max(t.Bytes, 64), HugeFirst)
		if err != nil {
			return nil, fmt.Errorf("memory of input %s: %w", t.Name, err)
		}
		b.Inputs = append(b.Inputs, buf)
	}
	for _, t := range m.Info.Outputs {
		buf, err := c.Malloc(max(t.Bytes, 64), HugeFirst)
		if err != nil {
			return nil, fmt.Errorf("memory of output %s: %w", t.Name, err)
		}
		b.Outputs = append(b.Outputs, buf)
	}
	if m.Info.gear >= 0 {
		if b.gear, err = c.Malloc(64, NormalOnly); err != nil {
			return nil, err
		}
	}
	if m.Info.aipp >= 0 {
		if b.aipp, err = c.Malloc(max(m.Info.aippBytes, 64), NormalOnly); err != nil {
			return nil, err
		}
	}
	var in []*Buffer
	for at, k := range m.Info.order {
		switch {
		case at == m.Info.gear:
			in = append(in, b.gear)
		case at == m.Info.aipp:
			in = append(in, b.aipp)
		default:
			in = append(in, b.Inputs[k])
		}
	}
	if b.in, err = c.dataset(in); err == nil {
		b.out, err = c.dataset(b.Outputs)
	}
	return b, err
}

func (c *Context) dataset(buffers []*Buffer) (d dataset, err error) {
	if d.handle = c.a.CreateDataset(); d.handle == 0 {
		return d, c.check("aclmdlCreateDataset", 200000)
	}
	c.l.counters.datasets.Add(1)
	for _, b := range buffers {
		h := c.a.CreateDataBuffer(uintptr(b.Ptr), uintptr(b.Size))
		if h == 0 {
			return d, c.check("aclCreateDataBuffer", 200000)
		}
		c.l.counters.buffers.Add(1)
		d.buffers = append(d.buffers, h)
		if err := c.check("aclmdlAddDatasetBuffer", c.a.AddDatasetBuffer(d.handle, h)); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (c *Context) freeDataset(d *dataset) (err error) {
	if d.handle == 0 {
		return nil
	}
	err = c.release("aclmdlDestroyDataset", func() int32 { return c.a.DestroyDataset(d.handle) })
	c.l.counters.datasets.Add(-1)
	for _, h := range d.buffers {
		err = errors.Join(err, c.release("aclDestroyDataBuffer", func() int32 { return c.a.DestroyDataBuffer(h) }))
		c.l.counters.buffers.Add(-1)
	}
	*d = dataset{}
	return err
}

// SetBatch chooses the batch of the executions that follow; it must be one of Info.Batches.
func (b *Binding) SetBatch(n int) error {
	if b.m.Info.gear < 0 {
		return nil
	}
	a := b.m.c.a
	if a.SetDynamicBatch == nil {
		return fmt.Errorf("aclmdlSetDynamicBatchSize: %w", ErrUnsupported)
	}
	if code := a.SetDynamicBatch(b.m.id, b.in.handle, uintptr(b.m.Info.gear), uint64(n)); code != 0 {
		return b.m.c.check("aclmdlSetDynamicBatchSize", code)
	}
	return nil
}

// SetSize chooses height and width; they must be one of Info.Sizes.
func (b *Binding) SetSize(h, w int) error {
	a := b.m.c.a
	if a.SetDynamicHW == nil || b.m.Info.gear < 0 {
		return fmt.Errorf("aclmdlSetDynamicHWSize: %w", ErrUnsupported)
	}
	return b.m.c.check("aclmdlSetDynamicHWSize", a.SetDynamicHW(b.m.id, b.in.handle, uintptr(b.m.Info.gear), uint64(h), uint64(w)))
}

// SetDims chooses all dims; they must be one of Info.Gears.
func (b *Binding) SetDims(dims []int64) error {
	a := b.m.c.a
	if a.SetDynamicDims == nil || b.m.Info.gear < 0 || len(dims) > maxDims {
		return fmt.Errorf("aclmdlSetInputDynamicDims: %w", ErrUnsupported)
	}
	d := ioDims{DimCount: uintptr(len(dims))}
	copy(d.Dims[:], dims)
	return b.m.c.check("aclmdlSetInputDynamicDims", a.SetDynamicDims(b.m.id, b.in.handle, uintptr(b.m.Info.gear), &d))
}

// Point makes input i of this binding read another device buffer, such as a decoded picture.
func (b *Binding) Point(i int, buf *Buffer) error {
	if b.m.c.a.UpdateDataBuffer == nil {
		return fmt.Errorf("aclUpdateDataBuffer: %w", ErrUnsupported)
	}
	for at, k := range b.m.Info.order {
		if k == i {
			return b.m.c.check("aclUpdateDataBuffer", b.m.c.a.UpdateDataBuffer(b.in.buffers[at], uintptr(buf.Ptr), uintptr(buf.Size)))
		}
	}
	return fmt.Errorf("the model has no input %d", i)
}

// Launch queues an execution on the stream and returns. It does not allocate.
func (b *Binding) Launch(s *Stream) error {
	if code := b.m.c.a.ExecuteAsync(b.m.id, b.in.handle, b.out.handle, s.handle); code != 0 {
		return b.m.c.check("aclmdlExecuteAsync", code)
	}
	return nil
}

// Execute runs the model and waits for ever; prefer Launch and Stream.Sync.
func (b *Binding) Execute() error {
	if b.m.c.a.Execute == nil {
		return fmt.Errorf("aclmdlExecute: %w", ErrUnsupported)
	}
	return b.m.c.check("aclmdlExecute", b.m.c.a.Execute(b.m.id, b.in.handle, b.out.handle))
}

// ExecuteWith runs the model on the stream and waits as long as the configuration says.
func (b *Binding) ExecuteWith(s *Stream, e *ExecConfig) error {
	return b.m.c.check("aclmdlExecuteV2", b.m.c.a.ExecuteV2(b.m.id, b.in.handle, b.out.handle, s.handle, e.handle))
}

// LaunchWith is Launch with a configuration.
func (b *Binding) LaunchWith(s *Stream, e *ExecConfig) error {
	if b.m.c.a.ExecuteAsyncV2 == nil {
		return fmt.Errorf("aclmdlExecuteAsyncV2: %w", ErrUnsupported)
	}
	return b.m.c.check("aclmdlExecuteAsyncV2", b.m.c.a.ExecuteAsyncV2(b.m.id, b.in.handle, b.out.handle, s.handle, e.handle))
}

// Verify asks the runtime whether it sees the buffers as they were given.
func (b *Binding) Verify() error {
	a := b.m.c.a
	if a.DatasetNumBuffers == nil || a.DatasetBuffer == nil || a.DataBufferAddr == nil || a.DataBufferSize == nil {
		return nil
	}
	if n := a.DatasetNumBuffers(b.out.handle); n != uintptr(len(b.Outputs)) {
		return fmt.Errorf("the runtime sees %d outputs of %d", n, len(b.Outputs))
	}
	for i, buf := range b.Outputs {
		h := a.DatasetBuffer(b.out.handle, uintptr(i))
		if a.DataBufferAddr(h) != uintptr(buf.Ptr) || a.DataBufferSize(h) != uintptr(buf.Size) {
			return fmt.Errorf("the runtime sees output %d elsewhere", i)
		}
	}
	for i, t := range b.m.Info.Outputs {
		if a.DataTypeSize != nil && int(a.DataTypeSize(int32(t.Type))) != t.Type.Size() {
			return fmt.Errorf("output %d: elements of %s have another size in this runtime", i, t.Type)
		}
	}
	return nil
}

// Close gives everything back. Nothing may be running on it.
func (b *Binding) Close() (err error) {
	if b == nil {
		return nil
	}
	c := b.m.c
	err = errors.Join(c.freeDataset(&b.in), c.freeDataset(&b.out))
	for _, list := range [][]*Buffer{b.Inputs, b.Outputs, {b.gear, b.aipp}} {
		for _, buf := range list {
			err = errors.Join(err, buf.Free())
		}
	}
	b.Inputs, b.Outputs, b.gear, b.aipp = nil, nil, nil, nil
	return err
}
