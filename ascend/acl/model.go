package acl

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
	"unsafe"
)

// Tensor describes one input or output of a model.
type Tensor struct {
	Name   string
	Type   DataType
	Format Format
	Dims   []int64    // -1 where it is dynamic
	Bytes  int        // of the largest batch; 0 where it is fully dynamic
	Range  [][2]int64 // of each axis, where the model says it
	AIPP   bool       // static preprocessing is compiled in: Dims are those of the picture
	// Dynamic preprocessing: what comes is a picture of at most Bytes a batch, described by SetPreprocessing; Dims are
	// those of the network.
	DynamicAIPP bool
}

// Items is the number of elements of one batch item; 0 if an axis is dynamic.
func (t Tensor) Items() int {
	n := 1
	for _, d := range t.Dims[min(1, len(t.Dims)):] {
		n *= int(max(d, 0))
	}
	return n
}

// Info describes a model.
type Info struct {
	Inputs     []Tensor // without the input that takes the batch size
	Outputs    []Tensor
	Batches    []int      // gears of the dynamic batch, rising; empty if it is fixed
	Sizes      [][2]int   // gears of height and width
	Gears      [][]int64  // gears of all dims, as the runtime lists them
	Memory     ModelSizes // device memory it needs, where the runtime can tell
	gear, aipp int        // indices of the inputs that take the gear and the preprocessing, -1
	aippBytes  int        // of the latter
	order      []int      // of the runtime's inputs: index in Inputs, -1 for those two
}

// pictureInput is the runtime's index of the input with dynamic preprocessing.
func (i *Info) pictureInput() int {
	for at, k := range i.order {
		if k >= 0 && i.Inputs[k].DynamicAIPP {
			return at
		}
	}
	return -1
}

// Batch is the largest batch.
func (i *Info) Batch() int {
	if n := len(i.Batches); n > 0 {
		return i.Batches[n-1]
	}
	if len(i.Inputs) > 0 && len(i.Inputs[0].Dims) > 0 {
		return max(int(i.Inputs[0].Dims[0]), 1)
	}
	return 1
}

// ModelSizes are the bytes of device memory of a model.
type ModelSizes struct{ Work, Weights int }

// Model is a loaded model. It is executed by the stream's owner only, one execution after the other.
type Model struct {
	c    *Context
	id   uint32
	desc uintptr
	own  []*Buffer
	Info Info
}

// LoadFile loads a model from a file.
func (c *Context) LoadFile(path string) (*Model, error) {
	m := &Model{c: c}
	return m.load("aclmdlLoadFromFile", func() int32 { return c.a.LoadFromFile(path, &m.id) })
}

// Load loads a model from memory, which may be used otherwise when it returns.
func (c *Context) Load(data []byte) (*Model, error) {
	if len(data) == 0 {
		return nil, errors.New("load model: it is empty")
	}
	m := &Model{c: c}
	return m.load("aclmdlLoadFromMem", func() int32 { return c.a.LoadFromMem(unsafe.Pointer(&data[0]), uintptr(len(data)), &m.id) })
}

// Sizes asks what memory a model in a file needs.
func (c *Context) Sizes(path string) (ModelSizes, error) {
	if c.a.QuerySize == nil {
		return ModelSizes{}, fmt.Errorf("aclmdlQuerySize: %w", ErrUnsupported)
	}
	var w, v uintptr
	err := c.check("aclmdlQuerySize", c.a.QuerySize(path, &w, &v))
	return ModelSizes{int(w), int(v)}, err
}

func (c *Context) sizesOf(data []byte) (ModelSizes, error) {
	if c.a.QuerySizeFromMem == nil {
		return ModelSizes{}, fmt.Errorf("aclmdlQuerySizeFromMem: %w", ErrUnsupported)
	}
	var w, v uintptr
	err := c.check("aclmdlQuerySizeFromMem", c.a.QuerySizeFromMem(unsafe.Pointer(&data[0]), uintptr(len(data)), &w, &v))
	return ModelSizes{int(w), int(v)}, err
}

// LoadOwn loads a model from memory into device memory of its own, so that its need is known and met before.
func (c *Context) LoadOwn(data []byte) (*Model, error) {
	if len(data) == 0 {
		return nil, errors.New("load model: it is empty")
	}
	if c.a.LoadFromMemWith == nil {
		return nil, fmt.Errorf("aclmdlLoadFromMemWithMem: %w", ErrUnsupported)
	}
	need, err := c.sizesOf(data)
	if err != nil {
		return nil, err
	}
	m := &Model{c: c}
	m.Info.Memory = need
	if err := m.areas(need); err != nil {
		return nil, err
	}
	return m.load("aclmdlLoadFromMemWithMem", func() int32 {
		return c.a.LoadFromMemWith(unsafe.Pointer(&data[0]), uintptr(len(data)), &m.id, uintptr(m.own[0].Ptr), uintptr(need.Work), uintptr(m.own[1].Ptr), uintptr(need.Weights))
	})
}

// LoadFileOwn is LoadOwn for a file.
func (c *Context) LoadFileOwn(path string) (*Model, error) {
	need, err := c.Sizes(path)
	if err != nil {
		return nil, err
	}
	if c.a.LoadFromFileWith == nil {
		return nil, fmt.Errorf("aclmdlLoadFromFileWithMem: %w", ErrUnsupported)
	}
	m := &Model{c: c}
	m.Info.Memory = need
	if err := m.areas(need); err != nil {
		return nil, err
	}
	return m.load("aclmdlLoadFromFileWithMem", func() int32 {
		return c.a.LoadFromFileWith(path, &m.id, uintptr(m.own[0].Ptr), uintptr(need.Work), uintptr(m.own[1].Ptr), uintptr(need.Weights))
	})
}

// LoadOptions of LoadWith.
type LoadOptions struct {
	Priority int  // of the model's work on the device: 0 is first, 7 last
	Own      bool // the memory is taken here, as with LoadOwn
}

// Attributes and ways of loading with a configuration.
const (
	loadPriority, loadType, loadModel, loadModelSize, loadWeights, loadWeightsSize, loadWork, loadWorkSize int32 = 0, 1, 3, 4, 5, 6, 7, 8

	fromMemory, fromMemoryOwn uintptr = 3, 4
)

// LoadWith is Load with options; ErrUnsupported where the runtime has no loading with a configuration.
func (c *Context) LoadWith(data []byte, o LoadOptions) (_ *Model, err error) {
	a := c.a
	if a.CreateConfig == nil || a.SetConfig == nil || a.LoadConfigured == nil || a.DestroyConfig == nil {
		return nil, fmt.Errorf("aclmdlLoadWithConfig: %w", ErrUnsupported)
	}
	if len(data) == 0 {
		return nil, errors.New("load model: it is empty")
	}
	m := &Model{c: c}
	if o.Own {
		if m.Info.Memory, err = c.sizesOf(data); err == nil {
			err = m.areas(m.Info.Memory)
		}
		if err != nil {
			return nil, err
		}
	}
	h := a.CreateConfig()
	if h == 0 {
		return nil, errors.Join(c.check("aclmdlCreateConfigHandle", 200000), m.freeOwn())
	}
	c.l.counters.configs.Add(1)
	var pin runtime.Pinner // the library keeps the address until it has loaded
	defer func() {
		pin.Unpin()
		c.l.counters.configs.Add(-1)
		err = errors.Join(err, c.release("aclmdlDestroyConfigHandle", func() int32 { return a.DestroyConfig(h) }))
	}()
	pin.Pin(&data[0])
	priority := int32(o.Priority)
	err = c.check("aclmdlSetConfigOpt", a.SetConfig(h, loadPriority, unsafe.Pointer(&priority), unsafe.Sizeof(priority)))
	word := func(attr int32, v uintptr) {
		if err == nil {
			err = c.check("aclmdlSetConfigOpt", a.SetConfig(h, attr, unsafe.Pointer(&v), unsafe.Sizeof(v)))
		}
	}
	how := fromMemory
	if o.Own {
		how = fromMemoryOwn
		word(loadWeights, uintptr(m.own[1].Ptr))
		word(loadWeightsSize, uintptr(m.Info.Memory.Weights))
		word(loadWork, uintptr(m.own[0].Ptr))
		word(loadWorkSize, uintptr(m.Info.Memory.Work))
	}
	word(loadType, how)
	word(loadModel, uintptr(unsafe.Pointer(&data[0])))
	word(loadModelSize, uintptr(len(data)))
	if err != nil {
		return nil, errors.Join(err, m.freeOwn())
	}
	return m.load("aclmdlLoadWithConfig", func() int32 { return a.LoadConfigured(h, &m.id) })
}

func (m *Model) areas(need ModelSizes) error {
	for _, n := range []int{need.Work, need.Weights} {
		b, err := m.c.Malloc(max(n, 64), HugeFirst)
		if err != nil {
			return errors.Join(err, m.freeOwn())
		}
		m.own = append(m.own, b)
	}
	return nil
}

func (m *Model) freeOwn() error {
	var err error
	for _, b := range m.own {
		err = errors.Join(err, b.Free())
	}
	m.own = nil
	return err
}

func (m *Model) load(call string, f func() int32) (*Model, error) {
	if err := m.c.here(); err != nil {
		return nil, errors.Join(err, m.freeOwn())
	}
	if err := m.c.check(call, f()); err != nil {
		return nil, errors.Join(err, m.freeOwn())
	}
	m.c.l.counters.models.Add(1)
	info, desc, err := m.c.describe(func(desc uintptr) (string, int32) { return "aclmdlGetDesc", m.c.a.GetDesc(desc, m.id) }, m.id)
	info.Memory = m.Info.Memory
	m.Info, m.desc = info, desc
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// DescribeFile reads what a model file takes and gives, without loading it.
func (c *Context) DescribeFile(path string) (Info, error) {
	if c.a.GetDescFromFile == nil {
		return Info{}, fmt.Errorf("aclmdlGetDescFromFile: %w", ErrUnsupported)
	}
	return c.inspect(func(d uintptr) (string, int32) { return "aclmdlGetDescFromFile", c.a.GetDescFromFile(d, path) })
}

// Describe is DescribeFile for a model in memory.
func (c *Context) Describe(data []byte) (Info, error) {
	if c.a.GetDescFromMem == nil || len(data) == 0 {
		return Info{}, fmt.Errorf("aclmdlGetDescFromMem: %w", ErrUnsupported)
	}
	return c.inspect(func(d uintptr) (string, int32) {
		return "aclmdlGetDescFromMem", c.a.GetDescFromMem(d, unsafe.Pointer(&data[0]), uintptr(len(data)))
	})
}

func (c *Context) inspect(get func(uintptr) (string, int32)) (Info, error) {
	info, desc, err := c.describe(get, 0)
	if desc != 0 {
		err = errors.Join(err, c.freeDesc(desc))
	}
	return info, err
}

func (c *Context) freeDesc(desc uintptr) error {
	c.l.counters.descs.Add(-1)
	return c.release("aclmdlDestroyDesc", func() int32 { return c.a.DestroyDesc(desc) })
}

// describe fills a description; id is 0 for a model that is not loaded.
func (c *Context) describe(get func(uintptr) (string, int32), id uint32) (info Info, desc uintptr, err error) {
	a := c.a
	info.gear, info.aipp = -1, -1
	if desc = a.CreateDesc(); desc == 0 {
		return info, 0, c.check("aclmdlCreateDesc", int32(200000))
	}
	c.l.counters.descs.Add(1)
	call, code := get(desc)
	if err := c.check(call, code); err != nil {
		return info, 0, errors.Join(err, c.freeDesc(desc))
	}
	for i := range a.NumInputs(desc) {
		t := Tensor{Name: a.InputName(desc, i), Type: DataType(a.InputDataType(desc, i)), Format: Format(a.InputFormat(desc, i)), Bytes: int(a.InputSize(desc, i))}
		if t.Name == dynamicBatchInput || t.Name == dynamicAIPPInput {
			if info.order = append(info.order, -1); t.Name == dynamicBatchInput {
				info.gear = int(i)
			} else {
				info.aipp, info.aippBytes = int(i), t.Bytes
			}
			continue
		}
		info.order = append(info.order, len(info.Inputs))
		var d ioDims
		if err := c.check("aclmdlGetInputDimsV2", a.InputDimsV2(desc, i, &d)); err != nil {
			return info, desc, err
		}
		t.Dims = dimsOf(&d)
		c.details(&t, desc, i, id)
		info.Inputs = append(info.Inputs, t)
	}
	for i := range a.NumOutputs(desc) {
		t := Tensor{Name: a.OutputName(desc, i), Type: DataType(a.OutputDataType(desc, i)), Format: Format(a.OutputFormat(desc, i)), Bytes: int(a.OutputSize(desc, i))}
		var d ioDims
		if err := c.check("aclmdlGetOutputDims", a.OutputDims(desc, i, &d)); err != nil {
			return info, desc, err
		}
		t.Dims = dimsOf(&d)
		info.Outputs = append(info.Outputs, t)
	}
	return info, desc, c.gears(&info, desc)
}

// details are what only some runtimes and models tell.
func (c *Context) details(t *Tensor, desc, i uintptr, id uint32) {
	a := c.a
	var r dimsRange
	if a.InputDimsRange != nil && a.InputDimsRange(desc, i, &r) == 0 {
		for k := range min(r.Count, maxDims) {
			t.Range = append(t.Range, r.Range[k])
		}
	}
	var kind int32
	var attached uintptr
	if id != 0 && a.AippType != nil && a.AippType(id, i, &kind, &attached) == 0 {
		t.AIPP, t.DynamicAIPP = kind == aippStatic, kind == aippDynamic
	}
	if len(t.Name) == maxName-1 && a.TensorRealName != nil { // it was too long for the description
		if real := a.TensorRealName(desc, t.Name); real != "" {
			t.Name = real
		}
	}
}

func (c *Context) gears(info *Info, desc uintptr) error {
	a := c.a
	if info.gear < 0 {
		return nil
	}
	var b batchGears
	if a.DynamicBatch != nil {
		if err := c.check("aclmdlGetDynamicBatch", a.DynamicBatch(desc, &b)); err != nil {
			return err
		}
		for k := range min(b.Count, maxDims) {
			info.Batches = append(info.Batches, int(b.Batch[k]))
		}
		slices.Sort(info.Batches) // they are listed as whoever compiled the model has given them
	}
	var s hwGears
	if a.DynamicHW != nil && len(info.Batches) == 0 {
		if err := c.check("aclmdlGetDynamicHW", a.DynamicHW(desc, uintptr(info.gear), &s)); err != nil {
			return err
		}
		for k := range min(s.Count, maxDims) {
			info.Sizes = append(info.Sizes, [2]int{int(s.HW[k][0]), int(s.HW[k][1])})
		}
	}
	var n uintptr
	if a.DynamicGearCount == nil || a.DynamicDims == nil || a.DynamicGearCount(desc, allGears, &n) != 0 || n == 0 || n > maxDims {
		return nil
	}
	list := make([]ioDims, n)
	if err := c.check("aclmdlGetInputDynamicDims", a.DynamicDims(desc, allGears, &list[0], n)); err != nil {
		return err
	}
	for k := range list {
		info.Gears = append(info.Gears, dimsOf(&list[k]))
	}
	return nil
}

func dimsOf(d *ioDims) []int64 {
	return append([]int64(nil), d.Dims[:min(d.DimCount, maxDims)]...)
}

// InputIndex finds an input by name.
func (m *Model) InputIndex(name string) (int, error) {
	if m.c.a.InputIndexByName == nil {
		return 0, fmt.Errorf("aclmdlGetInputIndexByName: %w", ErrUnsupported)
	}
	var i uintptr
	err := m.c.check("aclmdlGetInputIndexByName", m.c.a.InputIndexByName(m.desc, name, &i))
	return int(i), err
}

// OutputIndex finds an output by name.
func (m *Model) OutputIndex(name string) (int, error) {
	if m.c.a.OutputIndexByName == nil {
		return 0, fmt.Errorf("aclmdlGetOutputIndexByName: %w", ErrUnsupported)
	}
	var i uintptr
	err := m.c.check("aclmdlGetOutputIndexByName", m.c.a.OutputIndexByName(m.desc, name, &i))
	return int(i), err
}

// OutputDims are the dims of an output with the batch that was set last.
func (m *Model) OutputDims(i int) ([]int64, error) {
	if m.c.a.CurOutputDims == nil {
		return m.Info.Outputs[i].Dims, nil
	}
	var d ioDims
	err := m.c.check("aclmdlGetCurOutputDims", m.c.a.CurOutputDims(m.desc, uintptr(i), &d))
	return dimsOf(&d), err
}

// PictureDims are the dims of an input as the network sees them, without static preprocessing.
func (m *Model) PictureDims(i int) ([]int64, error) {
	if m.c.a.InputDims == nil {
		return m.Info.Inputs[i].Dims, nil
	}
	var d ioDims
	err := m.c.check("aclmdlGetInputDims", m.c.a.InputDims(m.desc, uintptr(i), &d))
	return dimsOf(&d), err
}

// Close unloads the model.
func (m *Model) Close() error {
	if m == nil || m.id == 0 {
		return nil
	}
	var err error
	if m.desc != 0 {
		err = m.c.freeDesc(m.desc)
	}
	err = errors.Join(err, m.c.release("aclmdlUnload", func() int32 { return m.c.a.Unload(m.id) }), m.freeOwn())
	m.id, m.desc = 0, 0
	m.c.l.counters.models.Add(-1)
	return err
}

// ExecConfig bounds executions that wait.
type ExecConfig struct {
	c      *Context
	handle uintptr
}

// NewExecConfig makes a configuration with a time-out; ErrUnsupported where the runtime has none.
func (c *Context) NewExecConfig(timeout time.Duration) (*ExecConfig, error) {
	a := c.a
	if a.CreateExecConfig == nil || a.SetExecConfig == nil || a.ExecuteV2 == nil || a.DestroyExecConfig == nil {
		return nil, fmt.Errorf("aclmdlExecuteV2: %w", ErrUnsupported)
	}
	e := &ExecConfig{c: c, handle: a.CreateExecConfig()}
	ms := int32(max(timeout.Milliseconds(), 1))
	if err := c.check("aclmdlSetExecConfigOpt", a.SetExecConfig(e.handle, execStreamTimeout, unsafe.Pointer(&ms), unsafe.Sizeof(ms))); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close gives the configuration back.
func (e *ExecConfig) Close() error {
	return e.c.release("aclmdlDestroyExecConfigHandle", func() int32 { return e.c.a.DestroyExecConfig(e.handle) })
}
