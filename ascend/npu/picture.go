package npu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"

	"github.com/edgelog/edgelog/ascend/acl"
)

// maxPixels of a picture that is decoded.
const maxPixels = 64 << 20

// tensorOf makes the input of one item from what came in: a JPEG picture for a model that takes pictures, else the
// bytes of the tensor.
func tensorOf(data []byte, t acl.Tensor, in Input) ([]byte, error) {
	want := t.Items() * t.Type.Size()
	if len(data) >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF {
		return pictureTensor(data, t, in)
	}
	if len(data) != want {
		return nil, fmt.Errorf("input %s wants %d bytes (%v of %s) or a JPEG picture, %d bytes came", t.Name, want, t.Dims, t.Type, len(data))
	}
	return data, nil
}

// pictureTensor decodes a JPEG on the processor, scales it to the model's size and lays it out as the model wants.
func pictureTensor(data []byte, t acl.Tensor, in Input) ([]byte, error) {
	h, w, planar, err := pictureShape(t)
	if err != nil {
		return nil, err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	if c.Width*c.Height > maxPixels {
		return nil, fmt.Errorf("decode picture: %d by %d pixels are too many", c.Width, c.Height)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode picture: %w", err)
	}
	rgb := scale(img, w, h)
	n := w * h
	if t.Type == acl.UInt8 && !planar {
		return rgb, nil
	}
	out := make([]byte, 3*n*t.Type.Size())
	for i, v := range rgb {
		at := i
		if planar {
			at = i%3*n + i/3
		}
		if t.Type == acl.UInt8 {
			out[at] = v
		} else {
			binary.LittleEndian.PutUint32(out[at*4:], math.Float32bits(float32((float64(v)-in.Mean)*in.Scale)))
		}
	}
	return out, nil
}

// pictureShape finds height and width of a picture input.
func pictureShape(t acl.Tensor) (h, w int, planar bool, err error) {
	if len(t.Dims) == 4 && (t.Type == acl.UInt8 || t.Type == acl.Float32) {
		switch {
		case t.Format == acl.NHWC && t.Dims[3] == 3 && t.Dims[1] > 0 && t.Dims[2] > 0:
			return int(t.Dims[1]), int(t.Dims[2]), false, nil
		case t.Format == acl.NCHW && t.Dims[1] == 3 && t.Dims[2] > 0 && t.Dims[3] > 0:
			return int(t.Dims[2]), int(t.Dims[3]), true, nil
		}
	}
	return 0, 0, false, fmt.Errorf("input %s (%v of %s) does not take pictures of three colours", t.Name, t.Dims, t.Type)
}

// scale gives RGB bytes of w by h: the nearest pixel of each.
func scale(img image.Image, w, h int) []byte {
	out := make([]byte, 0, 3*w*h)
	b := img.Bounds()
	y, isYCC := img.(*image.YCbCr)
	g, isGray := img.(*image.Gray)
	for j := range h {
		sy := b.Min.Y + j*b.Dy()/h
		for i := range w {
			sx := b.Min.X + i*b.Dx()/w
			switch {
			case isYCC:
				c := y.COffset(sx, sy)
				r, gr, bl := color.YCbCrToRGB(y.Y[y.YOffset(sx, sy)], y.Cb[c], y.Cr[c])
				out = append(out, r, gr, bl)
			case isGray:
				v := g.GrayAt(sx, sy).Y
				out = append(out, v, v, v)
			default:
				r, gr, bl, _ := img.At(sx, sy).RGBA()
				out = append(out, byte(r>>8), byte(gr>>8), byte(bl>>8))
			}
		}
	}
	return out
}
