package standin

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Element types and formats of tensors, with the vendor's numbers.
const (
	Float   = 0
	Float16 = 1
	Int32   = 3
	UInt8   = 4

	NCHW = 0
	NHWC = 1
	ND   = 2
)

// Tensor is an input or output of a model. Dims begins with the batch, -1 where it is dynamic.
type Tensor struct {
	Name   string
	Type   int32
	Format int32
	Dims   []int64
	Range  [][2]int64 // of each axis, for dynamic shapes
	AIPP   AIPP       // Dims are those of the network: n, h, w, 3 or n, 3, h, w
	Mean   float32    // of static preprocessing: (x - Mean) * Scale
	Scale  float32
	Source int64 // bytes of the largest picture, for DynamicAIPP
}

// AIPP is the preprocessing of an input.
type AIPP int32

// Kinds of preprocessing.
const (
	NoAIPP        AIPP = 0
	StaticAIPP    AIPP = 1 // the bytes are the network's elements
	StaticYUVAIPP AIPP = 2 // the bytes are a picture of YUV420SP
	DynamicAIPP   AIPP = 3 // set at run time
)

// Kinds of Op. Each works on the elements of one batch item.
const (
	Identity  = 0
	Linear    = 1 // y = Wx + b; Params: W row by row, then b
	Softmax   = 2
	ArgMax    = 3
	Threshold = 4 // Params: the threshold
	Table     = 5 // Params: length, then values
	ZScore    = 6 // Out series of In/Out values: how far the last quarter lies from the rest; Params: what is added to the deviation
)

// Op is one step.
type Op struct {
	Kind    uint32
	In, Out int // elements of a batch item
	Params  []float32
}

// Model is a stand-in model; Bytes is its container:
//
//	"EDGM" | version u32 | size u32 | crc32 of what follows | inputs, outputs, ops, gears, weights u32 | by h,w u32 |
//	16 gears of 2 u64 | tensors of 288 bytes | ops of 16 bytes | weights f32          (little-endian)
type Model struct {
	Inputs, Outputs []Tensor
	Ops             []Op
	Batches         []uint64    // gears of the dynamic batch
	Sizes           [][2]uint64 // gears of height and width, instead of Batches
}

// Bytes is the model as a file.
func (m *Model) Bytes() []byte {
	var body, weights bytes.Buffer
	put := func(v any) { _ = binary.Write(&body, binary.LittleEndian, v) } // a bytes.Buffer takes everything
	gears := [16][2]uint64{}
	n, hw := len(m.Batches), uint32(0)
	for i, b := range m.Batches {
		gears[i][0] = b
	}
	if len(m.Sizes) > 0 {
		n, hw = copy(gears[:], m.Sizes), 1
	}
	var offsets []uint32
	for _, o := range m.Ops {
		offsets = append(offsets, uint32(weights.Len()/4))
		_ = binary.Write(&weights, binary.LittleEndian, o.Params)
	}
	put([]uint32{uint32(len(m.Inputs)), uint32(len(m.Outputs)), uint32(len(m.Ops)), uint32(n), uint32(weights.Len() / 4), hw})
	put(gears)
	for _, t := range append(append([]Tensor{}, m.Inputs...), m.Outputs...) {
		var name [64]byte
		copy(name[:63], t.Name)
		var dims [8]int64
		copy(dims[:], t.Dims)
		var rng [8][2]int64
		copy(rng[:], t.Range)
		put(name)
		put([]int32{t.Type, t.Format, int32(len(t.Dims)), int32(t.AIPP)})
		put(dims)
		put(rng)
		put([]uint32{math.Float32bits(t.Mean), math.Float32bits(t.Scale)})
		put(t.Source)
	}
	for i, o := range m.Ops {
		put([]uint32{o.Kind, uint32(o.In), uint32(o.Out), offsets[i]})
	}
	body.Write(weights.Bytes())
	out := make([]byte, 0, 16+body.Len())
	out = append(out, "EDGM"...)
	out = binary.LittleEndian.AppendUint32(out, 1)
	out = binary.LittleEndian.AppendUint32(out, uint32(16+body.Len()))
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(body.Bytes()))
	return append(out, body.Bytes()...)
}

// Doubler is a model that gives each of n floats, times two; batches as given (none: one item).
func Doubler(n int, batches ...uint64) *Model {
	w := make([]float32, n*n+n)
	for i := range n {
		w[i*n+i] = 2
	}
	batch := int64(1)
	if len(batches) > 0 {
		batch = -1
	}
	return &Model{Inputs: []Tensor{{Name: "x", Format: ND, Dims: []int64{batch, int64(n)}}}, Outputs: []Tensor{{Name: "y", Format: ND, Dims: []int64{batch, int64(n)}}},
		Ops: []Op{{Kind: Linear, In: n, Out: n, Params: w}}, Batches: batches}
}

// Classifier takes RGB pictures of h by w (u8, NHWC, static AIPP) and tells which of the three colours prevails:
// classes red, green, blue.
func Classifier(h, w int, batches ...uint64) *Model {
	n := h * w * 3
	p := make([]float32, 3*n+3)
	for c := range 3 {
		for i := c; i < n; i += 3 {
			p[c*n+i] = 8 / float32(h*w)
		}
	}
	batch := int64(1)
	if len(batches) > 0 {
		batch = -1
	}
	return &Model{Inputs: []Tensor{{Name: "image", Type: UInt8, Format: NHWC, Dims: []int64{batch, int64(h), int64(w), 3}, AIPP: StaticAIPP, Scale: 1.0 / 255}},
		Outputs: []Tensor{{Name: "prob", Format: ND, Dims: []int64{batch, 3}}},
		Ops:     []Op{{Kind: Linear, In: n, Out: 3, Params: p}, {Kind: Softmax, In: 3, Out: 3}}, Batches: batches}
}

// Anomaly scores windows of so many series of length values each: the first output is the largest score, the second
// that of each series.
func Anomaly(series, length int) *Model {
	return &Model{Inputs: []Tensor{{Name: "window", Format: ND, Dims: []int64{1, int64(series), int64(length)}}},
		Outputs: []Tensor{{Name: "score", Format: ND, Dims: []int64{1, 1}}, {Name: "by_series", Format: ND, Dims: []int64{1, int64(series)}}},
		Ops:     []Op{{Kind: ZScore, In: series * length, Out: series, Params: []float32{0.05}}}}
}

// Sum adds all elements of its two inputs of a and b floats.
func Sum(a, b int) *Model {
	p := make([]float32, a+b+1)
	for i := range a + b {
		p[i] = 1
	}
	return &Model{Inputs: []Tensor{{Name: "a", Format: ND, Dims: []int64{1, int64(a)}}, {Name: "b", Format: ND, Dims: []int64{1, int64(b)}}},
		Outputs: []Tensor{{Name: "sum", Format: ND, Dims: []int64{1, 1}}}, Ops: []Op{{Kind: Linear, In: a + b, Out: 1, Params: p}}}
}
