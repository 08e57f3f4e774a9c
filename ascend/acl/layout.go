package acl

import (
	"errors"
	"fmt"
)

// PixelFormat is how the media units order the bytes of a picture.
type PixelFormat int32

// Formats used here: two planes of 12 bits a pixel (Y, then U and V interleaved, or V and U), and three bytes a pixel.
const (
	NV12   PixelFormat = 1
	NV21   PixelFormat = 2
	RGB888 PixelFormat = 12
	BGR888 PixelFormat = 13
)

func (f PixelFormat) planar() bool { return f == NV12 || f == NV21 }
func (f PixelFormat) packed() bool { return f == RGB888 || f == BGR888 }

// Limits of the media units of a 310P (CANN's application guide; docs/ascend.md lists the pages). Pixels, or bytes of a stride.
const (
	MinDecode      = 32   // width and height that the JPEG unit takes
	MaxDecode      = 8192 // of the JPEG unit, and of an input of the scaling unit
	MinScaleWidth  = 10
	MinScaleHeight = 6
	MaxScale       = 4096 // width and height that the scaling unit gives
	decodeStride   = 64   // multiples, by unit
	decodeRows     = 16
	scaleStride    = 16
	minStride      = 32
)

// ErrLayout is a picture or region that the media units cannot have.
var ErrLayout = errors.New("not possible for the media unit")

func alignUp(v, to uint32) uint32 { return (v + to - 1) / to * to }

// layout is the place of a picture in memory. It comes only from the two functions below, so that a stride that is not
// aligned cannot be written down.
type layout struct {
	format        PixelFormat
	width, height uint32 // pixels
	stride        uint32 // bytes of a row
	rows          uint32 // of the first plane
}

// bytes of the picture's memory.
func (l layout) bytes() uint32 {
	if l.format.planar() {
		return l.stride * l.rows / 2 * 3
	}
	return l.stride * l.rows
}

// Packed is the number of bytes of the pixels alone, without the ends of the rows.
func (l layout) Packed() int {
	if l.format.planar() {
		return int(l.width * l.height / 2 * 3)
	}
	return int(l.width*l.height) * 3
}

// Size is width and height in pixels.
func (l layout) Size() (width, height int) { return int(l.width), int(l.height) }

// DecodedLayout is that of a picture that the JPEG unit writes: NV12, odd sizes rounded down.
type DecodedLayout struct{ layout }

// LayoutDecoded finds the layout for a JPEG picture of that size.
func LayoutDecoded(width, height int) (DecodedLayout, error) {
	if width < MinDecode || height < MinDecode || width > MaxDecode || height > MaxDecode {
		return DecodedLayout{}, fmt.Errorf("%w: the JPEG unit takes %d to %d pixels, this has %d by %d", ErrLayout, MinDecode, MaxDecode, width, height)
	}
	w, h := uint32(width), uint32(height)
	return DecodedLayout{layout{NV12, w &^ 1, h &^ 1, alignUp(w, decodeStride), alignUp(h, decodeRows)}}, nil
}

// ScaledLayout is that of a picture that the scaling unit writes.
type ScaledLayout struct{ layout }

// LayoutScaled finds the layout for a picture of that size and format.
func LayoutScaled(f PixelFormat, width, height int) (ScaledLayout, error) {
	switch {
	case !f.planar() && !f.packed():
		return ScaledLayout{}, fmt.Errorf("%w: format %d", ErrLayout, f)
	case width < MinScaleWidth || height < MinScaleHeight || width > MaxScale || height > MaxScale:
		return ScaledLayout{}, fmt.Errorf("%w: the scaling unit gives %d by %d to %d by %d pixels, not %d by %d", ErrLayout, MinScaleWidth, MinScaleHeight, MaxScale, MaxScale, width, height)
	case width%2 != 0 || height%2 != 0:
		return ScaledLayout{}, fmt.Errorf("%w: width and height are even, not %d by %d", ErrLayout, width, height)
	}
	stride := max(alignUp(uint32(width), scaleStride), minStride)
	if f.packed() {
		stride = max(alignUp(uint32(width), scaleStride), minStride) * 3
	}
	return ScaledLayout{layout{f, uint32(width), uint32(height), stride, uint32(height)}}, nil
}

// Region is a part of a picture: its left and upper edges are even, its right and lower ones odd, as the unit wants them.
type Region struct{ left, right, top, bottom uint32 }

// NewRegion makes a region; x, y and the sizes are even.
func NewRegion(x, y, width, height int) (Region, error) {
	if x < 0 || y < 0 || width < MinScaleWidth || height < MinScaleHeight || x+width > MaxDecode || y+height > MaxDecode {
		return Region{}, fmt.Errorf("%w: region of %d by %d at %d, %d", ErrLayout, width, height, x, y)
	}
	if (x|y|width|height)&1 != 0 {
		return Region{}, fmt.Errorf("%w: place and size of a region are even, not %d by %d at %d, %d", ErrLayout, width, height, x, y)
	}
	return Region{uint32(x), uint32(x + width - 1), uint32(y), uint32(y + height - 1)}, nil
}

// Centre is the largest region of a picture of width by height with the proportions of a picture of toWidth by toHeight.
func Centre(width, height, toWidth, toHeight int) (Region, error) {
	w, h := width, height
	if w*toHeight > h*toWidth {
		w = h * toWidth / toHeight
	} else {
		h = w * toHeight / toWidth
	}
	w, h = w&^1, h&^1
	return NewRegion((width-w)/2&^1, (height-h)/2&^1, w, h)
}

// Size is width and height in pixels.
func (r Region) Size() (width, height int) {
	return int(r.right - r.left + 1), int(r.bottom - r.top + 1)
}

// Place is the left upper corner.
func (r Region) Place() (x, y int) { return int(r.left), int(r.top) }

func (r Region) inside(l layout) bool {
	return r != Region{} && r.right < l.width && r.bottom < l.height
}
