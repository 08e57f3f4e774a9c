package npu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/ascend/acl"
)

// feed is the prepared input of one item.
type feed struct {
	parts [][]byte // one for each input of the model; nil where the input is constant or the picture fills it
	jpeg  []byte   // a picture that the media units decode; nil: parts has everything
	where string   // where its picture was decoded, "" for other inputs
}

// Places where a picture is decoded and scaled.
const (
	onDevice    = "device"
	onProcessor = "processor"
)

// intake is how the bytes of an item become the inputs of a model: some inputs are constants of the configuration, the
// others are what the item brings. It does not change after it was made.
type intake struct {
	in     Input
	inputs []acl.Tensor
	bytes  []int    // of one item, by input
	fixed  [][]byte // of one item, by input; nil where the item brings it
	open   []int    // the inputs that the item brings
	target target   // of a picture; only where one input is open
}

// target is the picture that a model's input takes.
type target struct {
	width, height int // 0: the model takes no pictures
	nv12          bool
	planar        bool // colour by colour
	floats        bool
}

func newIntake(info acl.Info, in Input) (*intake, error) {
	k := &intake{in: in, inputs: info.Inputs}
	unknown := make([]string, 0, len(in.Constants))
	for name := range in.Constants {
		unknown = append(unknown, name)
	}
	for i, t := range info.Inputs {
		n := t.Bytes / info.Batch()
		if t.DynamicAIPP {
			if n = t.Items(); n > t.Bytes/info.Batch() { // its picture comes as RGB of the network's size
				return nil, fmt.Errorf("input %s was compiled for pictures of at most %d bytes; RGB of the network's size has %d", t.Name, t.Bytes/info.Batch(), n)
			}
		}
		if n <= 0 || t.Type.Size() == 0 {
			return nil, fmt.Errorf("input %s (%v of %s) has no fixed size (besides the batch)", t.Name, t.Dims, t.Type)
		}
		k.bytes = append(k.bytes, n)
		values, is := in.Constants[t.Name]
		if !is {
			k.fixed, k.open = append(k.fixed, nil), append(k.open, i)
			continue
		}
		unknown = slices.DeleteFunc(unknown, func(s string) bool { return s == t.Name })
		b, err := constant(values, t, n)
		if err != nil {
			return nil, err
		}
		k.fixed = append(k.fixed, b)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("constants: the model has no input %s", strings.Join(unknown, ", "))
	}
	if len(k.open) == 0 {
		return nil, errors.New("every input is a constant")
	}
	if len(k.open) == 1 {
		i := k.open[0]
		k.target = pictureTarget(info.Inputs[i])
		if need := k.target.bytes(); need > k.bytes[i] {
			return nil, fmt.Errorf("input %s has %d bytes, and a picture of %d by %d %d", info.Inputs[i].Name, k.bytes[i], k.target.width, k.target.height, need)
		}
	}
	return k, nil
}

// constant is values as the n bytes of a tensor.
func constant(values []float64, t acl.Tensor, n int) ([]byte, error) {
	if len(values)*t.Type.Size() != n {
		return nil, fmt.Errorf("constants: input %s takes %d values, the configuration has %d", t.Name, n/t.Type.Size(), len(values))
	}
	out := make([]byte, 0, n)
	for _, v := range values {
		switch t.Type {
		case acl.Float32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
		case acl.Int32:
			out = binary.LittleEndian.AppendUint32(out, uint32(int32(v)))
		case acl.Int64:
			out = binary.LittleEndian.AppendUint64(out, uint64(int64(v)))
		default:
			return nil, fmt.Errorf("constants: input %s has elements of %s; possible are float32, int32 and int64", t.Name, t.Type)
		}
	}
	return out, nil
}

// bytes of one picture, 0 if there is none.
func (t target) bytes() int {
	switch n := t.width * t.height; {
	case t.floats:
		return 12 * n
	case t.nv12:
		return n / 2 * 3
	default:
		return 3 * n
	}
}

// pictureTarget finds out which picture an input takes.
func pictureTarget(t acl.Tensor) target {
	if len(t.Dims) != 4 || slices.Contains(t.Dims[1:], -1) || t.Type != acl.UInt8 && t.Type != acl.Float32 {
		return target{}
	}
	d := t.Dims
	switch {
	case t.Format == acl.NHWC && d[3] == 3, t.DynamicAIPP && t.Format == acl.NHWC:
		return target{width: int(d[2]), height: int(d[1]), floats: t.Type == acl.Float32 && !t.DynamicAIPP}
	case t.Format == acl.NCHW && d[1] == 3:
		return target{width: int(d[3]), height: int(d[2]), floats: t.Type == acl.Float32 && !t.DynamicAIPP, planar: !t.DynamicAIPP}
	case t.AIPP && t.Type == acl.UInt8 && d[3] == 1 && d[1]%3 == 0: // two planes of YUV420SP: the dims are those of the buffer
		return target{width: int(d[2]), height: int(d[1]) / 3 * 2, nv12: true}
	}
	return target{}
}

func isJPEG(data []byte) bool {
	return len(data) >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF
}

// prepare makes the inputs of one item from what came in: a JPEG picture for a model that takes pictures, else the bytes
// of the inputs, one behind the other. With media, a picture that the units can decode is left to them.
func (k *intake) prepare(data []byte, media bool) (*feed, error) {
	f := &feed{parts: make([][]byte, len(k.inputs))}
	want := 0
	for _, i := range k.open {
		want += k.bytes[i]
	}
	if isJPEG(data) && (len(data) != want || k.target.width > 0) { // numbers may look so, too
		if k.target.width == 0 {
			return nil, fmt.Errorf("input %s does not take pictures of three colours", k.describe())
		}
		if media && baseline(data) {
			f.jpeg, f.where = data, onDevice
			return f, nil
		}
		b, err := pictureTensor(data, k.target, k.in, k.inputs[k.open[0]].DynamicAIPP)
		if err != nil {
			return nil, err
		}
		f.parts[k.open[0]], f.where = b, onProcessor
		return f, nil
	}
	if len(data) != want {
		return nil, fmt.Errorf("input %s wants %d bytes or a JPEG picture, %d bytes came", k.describe(), want, len(data))
	}
	for _, i := range k.open {
		f.parts[i], data = data[:k.bytes[i]], data[k.bytes[i]:]
	}
	return f, nil
}

// empty is an item of zeros.
func (k *intake) empty() *feed {
	f := &feed{parts: make([][]byte, len(k.inputs))}
	for _, i := range k.open {
		f.parts[i] = make([]byte, k.bytes[i])
	}
	return f
}

func (k *intake) describe() string {
	var list []string
	for _, i := range k.open {
		t := k.inputs[i]
		list = append(list, fmt.Sprintf("%s (%v of %s)", t.Name, t.Dims, t.Type))
	}
	return strings.Join(list, " + ")
}

// floats is values as the bytes of the inputs that an item brings.
func (k *intake) floats(v []float64) ([]byte, error) {
	n := 0
	for _, i := range k.open {
		if k.inputs[i].Type != acl.Float32 {
			return nil, fmt.Errorf("input %s takes no float32", k.inputs[i].Name)
		}
		n += k.bytes[i] / 4
	}
	if n != len(v) {
		return nil, fmt.Errorf("input %s takes %d values, the window has %d", k.describe(), n, len(v))
	}
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
	}
	return out, nil
}

// baseline reports whether a JPEG picture is of the coding that media units take: sequential, Huffman, 8 bits.
func baseline(data []byte) bool {
	for at := 2; at+4 <= len(data); {
		if data[at] != 0xFF {
			return false
		}
		m, n := data[at+1], int(data[at+2])<<8|int(data[at+3])
		switch {
		case m == 0xFF:
			at++
			continue
		case m == 0xC0:
			return at+4 < len(data) && data[at+4] == 8
		case m >= 0xC1 && m <= 0xCF && m != 0xC4 && m != 0xC8, m == 0xDA, m == 0xD9:
			return false
		}
		at += 2 + n
	}
	return false
}
