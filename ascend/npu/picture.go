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

// pictureTensor decodes a JPEG on the processor, scales it to the model's size and lays it out as the model wants. raw
// leaves the values as they are: the device applies mean and scale.
func pictureTensor(data []byte, to target, in Input, raw bool) ([]byte, error) {
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
	part := section(img.Bounds(), to, in.Fit)
	if to.nv12 {
		return nv12(img, part, to), nil
	}
	rgb := colours(img, part, to.width, to.height)
	n := to.width * to.height
	if !to.floats && !to.planar || raw {
		return rgb, nil
	}
	size := 1
	if to.floats {
		size = 4
	}
	out := make([]byte, 3*n*size)
	for i, v := range rgb {
		at := i
		if to.planar {
			at = i%3*n + i/3
		}
		if to.floats {
			binary.LittleEndian.PutUint32(out[at*4:], math.Float32bits(float32((float64(v)-in.Mean)*in.Scale)))
		} else {
			out[at] = v
		}
	}
	return out, nil
}

// section is the part of a picture that the model sees, the same as the media units cut out.
func section(b image.Rectangle, to target, fit string) image.Rectangle {
	if fit != FitCrop {
		return b
	}
	r, err := acl.Centre(b.Dx()&^1, b.Dy()&^1, to.width, to.height)
	if err != nil { // too small for a region: the whole
		return b
	}
	x, y := r.Place()
	w, h := r.Size()
	return image.Rect(x, y, x+w, y+h).Add(b.Min)
}

// plane is one channel of a picture.
type plane struct {
	pix    []byte
	stride int
	part   image.Rectangle // of pix, what is seen
}

// scale fills every step-th byte of out with the plane scaled to w by h, bilinear between the centres of the pixels.
func (p plane) scale(out []byte, step, w, h int) {
	type weight struct{ a, b, f int } // two places, and how much of 256 is the second's
	weights := func(from, n, to int) []weight {
		list := make([]weight, to)
		for i := range list {
			pos := max(((2*i+1)*n*256/to-256)/2, 0)
			list[i] = weight{from + min(pos>>8, n-1), from + min(pos>>8+1, n-1), pos & 255}
		}
		return list
	}
	xs, ys := weights(p.part.Min.X, p.part.Dx(), w), weights(p.part.Min.Y, p.part.Dy(), h)
	at := 0
	for _, y := range ys {
		a, b := p.pix[y.a*p.stride:], p.pix[y.b*p.stride:]
		for _, x := range xs {
			top := int(a[x.a])*(256-x.f) + int(a[x.b])*x.f
			low := int(b[x.a])*(256-x.f) + int(b[x.b])*x.f
			out[at] = byte((top*(256-y.f) + low*y.f + 1<<15) >> 16)
			at += step
		}
	}
}

// planes are Y, Cb and Cr of a picture; false for a picture of another kind.
func planes(img image.Image, part image.Rectangle) (out [3]plane, ok bool) {
	y, is := img.(*image.YCbCr)
	if !is {
		return out, false
	}
	origin := y.Bounds().Min
	part = part.Sub(origin)
	out[0] = plane{y.Y, y.YStride, part}
	fx, fy := 1, 1
	switch y.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		fx = 2
	case image.YCbCrSubsampleRatio420:
		fx, fy = 2, 2
	case image.YCbCrSubsampleRatio440:
		fy = 2
	case image.YCbCrSubsampleRatio411:
		fx = 4
	case image.YCbCrSubsampleRatio410:
		fx, fy = 4, 2
	}
	small := image.Rect(part.Min.X/fx, part.Min.Y/fy, max((part.Max.X+fx-1)/fx, part.Min.X/fx+1), max((part.Max.Y+fy-1)/fy, part.Min.Y/fy+1))
	out[1], out[2] = plane{y.Cb, y.CStride, small}, plane{y.Cr, y.CStride, small}
	return out, true
}

// colours gives RGB bytes of w by h.
func colours(img image.Image, part image.Rectangle, w, h int) []byte {
	out := make([]byte, 3*w*h)
	if p, ok := planes(img, part); ok {
		for i := range p {
			p[i].scale(out[i:], 3, w, h)
		}
		for i := 0; i < len(out); i += 3 {
			out[i], out[i+1], out[i+2] = color.YCbCrToRGB(out[i], out[i+1], out[i+2])
		}
		return out
	}
	if g, ok := img.(*image.Gray); ok {
		plane{g.Pix, g.Stride, part.Sub(g.Bounds().Min)}.scale(out, 3, w, h)
		for i := 0; i < len(out); i += 3 {
			out[i+1], out[i+2] = out[i], out[i]
		}
		return out
	}
	for j := range h { // four colours: the nearest pixel
		for i := range w {
			r, g, b, _ := img.At(part.Min.X+i*part.Dx()/w, part.Min.Y+j*part.Dy()/h).RGBA()
			copy(out[(j*w+i)*3:], []byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)})
		}
	}
	return out
}

// nv12 gives two planes: Y, then Cb and Cr of every second pixel and row.
func nv12(img image.Image, part image.Rectangle, to target) []byte {
	n := to.width * to.height
	out := make([]byte, n/2*3)
	if p, ok := planes(img, part); ok {
		p[0].scale(out, 1, to.width, to.height)
		p[1].scale(out[n:], 2, to.width/2, to.height/2)
		p[2].scale(out[n+1:], 2, to.width/2, to.height/2)
		return out
	}
	rgb := colours(img, part, to.width, to.height)
	for i := range n {
		y, cb, cr := color.RGBToYCbCr(rgb[3*i], rgb[3*i+1], rgb[3*i+2])
		out[i] = y
		if x, row := i%to.width, i/to.width; x%2 == 0 && row%2 == 0 {
			at := n + row/2*to.width + x
			out[at], out[at+1] = cb, cr
		}
	}
	return out
}
