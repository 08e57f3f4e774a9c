package acl

import (
	"errors"
	"fmt"
)

// ImageFormat is how a picture comes to a model with dynamic preprocessing.
type ImageFormat int32

// Formats of dynamic preprocessing.
const (
	ImageYUV420SP ImageFormat = 1
	ImageXRGB8888 ImageFormat = 2
	ImageRGB888   ImageFormat = 3
	ImageGray     ImageFormat = 4
)

// Colours is a change of the colour space: each channel is the sum of the row's products, over 256, plus Out.
type Colours struct {
	Matrix  [9]int16
	Out, In [3]uint8
}

// FullRange601 turns YUV of JPEG pictures into RGB.
var FullRange601 = Colours{Matrix: [9]int16{256, 0, 359, 256, -88, -183, 256, 454, 0}, In: [3]uint8{0, 128, 128}}

// Preprocessing is what a model with dynamic preprocessing (AIPP) does with its pictures: for all items of a batch alike.
// The steps come in this order: crop, scale, swap, colours, mean and variance, padding.
type Preprocessing struct {
	Format        ImageFormat
	Width, Height int // of the picture that comes
	Colours       *Colours
	SwapRB        bool // R and B, or U and V
	AlphaFirst    bool
	Crop          [4]int // x, y, width, height; none if the width is 0
	Scale         [2]int // width and height; none if the width is 0
	Pad           [4]int // top, bottom, left, right
	Mean          [4]int16
	Min           [4]float32 // taken off after Mean
	VarReci       [4]float32 // then multiplied; a 0 counts as 1
}

// SetPreprocessing sets the preprocessing of the executions that follow; ErrUnsupported if the model takes none.
func (b *Binding) SetPreprocessing(p Preprocessing, batch int) (err error) {
	c, a := b.m.c, b.m.c.a
	if b.m.Info.aipp < 0 || a.CreateAIPP == nil || a.DestroyAIPP == nil || a.SetAIPPByInput == nil && a.SetInputAIPP == nil {
		return fmt.Errorf("dynamic preprocessing: %w", ErrUnsupported)
	}
	h := a.CreateAIPP(uint64(batch))
	if h == 0 {
		return c.check("aclmdlCreateAIPP", 100000)
	}
	c.l.counters.aipp.Add(1)
	defer func() {
		c.l.counters.aipp.Add(-1)
		err = errors.Join(err, c.release("aclmdlDestroyAIPP", func() int32 { return a.DestroyAIPP(h) }))
	}()
	if err := c.fillAIPP(h, p, batch); err != nil {
		return err
	}
	if a.SetAIPPByInput != nil {
		return c.check("aclmdlSetAIPPByInputIndex", a.SetAIPPByInput(b.m.id, b.in.handle, uintptr(b.m.Info.pictureInput()), h))
	}
	return c.check("aclmdlSetInputAIPP", a.SetInputAIPP(b.m.id, b.in.handle, uintptr(b.m.Info.aipp), h))
}

// fillAIPP calls the setters; one that the runtime lacks and the picture needs is an error.
func (c *Context) fillAIPP(h uintptr, p Preprocessing, batch int) error {
	a := c.a
	one := func(on bool) int8 {
		if on {
			return 1
		}
		return 0
	}
	for i := range p.VarReci {
		if p.VarReci[i] == 0 {
			p.VarReci[i] = 1
		}
	}
	var err error
	step := func(call string, wanted, have bool, f func() int32) {
		switch {
		case err != nil || !wanted:
		case !have:
			err = fmt.Errorf("%s: %w", call, ErrUnsupported)
		default:
			err = c.check(call, f())
		}
	}
	step("aclmdlSetAIPPInputFormat", true, a.AIPPFormat != nil, func() int32 { return a.AIPPFormat(h, int32(p.Format)) })
	step("aclmdlSetAIPPSrcImageSize", true, a.AIPPSource != nil, func() int32 { return a.AIPPSource(h, int32(p.Width), int32(p.Height)) })
	step("aclmdlSetAIPPRbuvSwapSwitch", p.SwapRB, a.AIPPSwap != nil, func() int32 { return a.AIPPSwap(h, one(p.SwapRB)) })
	step("aclmdlSetAIPPAxSwapSwitch", p.AlphaFirst, a.AIPPAlphaFirst != nil, func() int32 { return a.AIPPAlphaFirst(h, one(p.AlphaFirst)) })
	if k := p.Colours; k != nil {
		m := k.Matrix
		step("aclmdlSetAIPPCscParams", true, a.AIPPColour != nil, func() int32 {
			return a.AIPPColour(h, 1, m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], k.Out[0], k.Out[1], k.Out[2], k.In[0], k.In[1], k.In[2])
		})
	}
	width, height := p.Width, p.Height
	if p.Crop[2] > 0 {
		width, height = p.Crop[2], p.Crop[3]
	}
	for i := range uint64(batch) {
		step("aclmdlSetAIPPCropParams", p.Crop[2] > 0, a.AIPPCrop != nil, func() int32 {
			return a.AIPPCrop(h, 1, int32(p.Crop[0]), int32(p.Crop[1]), int32(p.Crop[2]), int32(p.Crop[3]), i)
		})
		step("aclmdlSetAIPPScfParams", p.Scale[0] > 0, a.AIPPScale != nil, func() int32 {
			return a.AIPPScale(h, 1, int32(width), int32(height), int32(p.Scale[0]), int32(p.Scale[1]), i)
		})
		step("aclmdlSetAIPPPaddingParams", p.Pad != [4]int{}, a.AIPPPad != nil, func() int32 {
			return a.AIPPPad(h, 1, int32(p.Pad[0]), int32(p.Pad[1]), int32(p.Pad[2]), int32(p.Pad[3]), i)
		})
		step("aclmdlSetAIPPDtcPixelMean", p.Mean != [4]int16{}, a.AIPPMean != nil, func() int32 { return a.AIPPMean(h, p.Mean[0], p.Mean[1], p.Mean[2], p.Mean[3], i) })
		step("aclmdlSetAIPPDtcPixelMin", p.Min != [4]float32{}, a.AIPPMin != nil, func() int32 { return a.AIPPMin(h, p.Min[0], p.Min[1], p.Min[2], p.Min[3], i) })
		step("aclmdlSetAIPPPixelVarReci", p.VarReci != [4]float32{1, 1, 1, 1}, a.AIPPReciprocal != nil, func() int32 {
			return a.AIPPReciprocal(h, p.VarReci[0], p.VarReci[1], p.VarReci[2], p.VarReci[3], i)
		})
	}
	return err
}
