package acl

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"
)

// hasMedia reports whether every function of the media units is there: without one of them none is used.
func (a *api) hasMedia() bool {
	v := reflect.ValueOf(&a.mediaAPI).Elem()
	for i := range v.NumField() {
		if v.Field(i).IsNil() {
			return false
		}
	}
	return true
}

// MediaBuffer is device memory that the media units can read and write; other device memory they refuse. It is freed by a
// function of its own, which is why it is a type of its own.
type MediaBuffer struct {
	c    *Context
	Ptr  DevPtr
	Size int
}

// MallocMedia takes media memory. It starts at a multiple of 128.
func (c *Context) MallocMedia(size int) (*MediaBuffer, error) {
	if err := c.here(); err != nil {
		return nil, err
	}
	if !c.a.hasMedia() {
		return nil, fmt.Errorf("media units: %w", ErrUnsupported)
	}
	if size <= 0 {
		return nil, fmt.Errorf("allocate %d bytes of media memory: the size must be positive", size)
	}
	var ptr uintptr
	if err := c.check("acldvppMalloc", c.a.MallocMedia(&ptr, uintptr(size))); err != nil {
		return nil, err
	}
	c.l.counters.media.Add(1)
	return &MediaBuffer{c: c, Ptr: DevPtr(ptr), Size: size}, nil
}

// Free gives the memory back.
func (b *MediaBuffer) Free() error {
	if b == nil || b.Ptr == 0 {
		return nil
	}
	p := b.Ptr
	b.Ptr = 0
	b.c.l.counters.media.Add(-1)
	return b.c.release("acldvppFree", func() int32 { return b.c.a.FreeMedia(uintptr(p)) })
}

// UploadAsync copies the first n bytes of h into the memory on the stream.
func (b *MediaBuffer) UploadAsync(s *Stream, h *Host, n int) error {
	return s.copy(uintptr(b.Ptr), b.Size, uintptr(h.ptr), len(h.Bytes), n, hostToDevice)
}

// Download copies n bytes at an offset from the memory. It does not wait for any stream.
func (b *MediaBuffer) Download(dst []byte, at int) error {
	if len(dst) == 0 || at+len(dst) > b.Size {
		return fmt.Errorf("copy %d bytes at %d from media memory of %d", len(dst), at, b.Size)
	}
	return b.c.check("aclrtMemcpy", b.c.a.MemcpyDown(unsafe.Pointer(&dst[0]), uintptr(len(dst)), uintptr(b.Ptr)+uintptr(at), uintptr(len(dst)), deviceToHost))
}

// Channel is a way to the media units: JPEG decoding and scaling. It belongs to its context, and its steps run on streams.
type Channel struct {
	c      *Context
	desc   uintptr
	resize uintptr
	open   bool
	ID     uint64
}

// Modes of a channel.
const channelScale, channelJPEG uint32 = 1, 2

// NewChannel opens a channel; ErrUnsupported where the runtime has no media units.
func (c *Context) NewChannel() (_ *Channel, err error) {
	if err := c.here(); err != nil {
		return nil, err
	}
	if !c.a.hasMedia() {
		return nil, fmt.Errorf("media units: %w", ErrUnsupported)
	}
	ch := &Channel{c: c}
	c.l.counters.channels.Add(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, ch.Close())
		}
	}()
	if ch.desc = c.a.CreateChannelDesc(); ch.desc == 0 {
		return nil, c.check("acldvppCreateChannelDesc", 200000)
	}
	if err := c.check("acldvppSetChannelDescMode", c.a.SetChannelMode(ch.desc, channelScale|channelJPEG)); err != nil {
		return nil, err
	}
	if err := c.check("acldvppCreateChannel", c.a.CreateChannel(ch.desc)); err != nil {
		return nil, err
	}
	ch.open, ch.ID = true, c.a.ChannelID(ch.desc)
	if ch.resize = c.a.CreateResize(); ch.resize == 0 {
		return nil, c.check("acldvppCreateResizeConfig", 200000)
	}
	return ch, nil
}

// Close closes the channel; nothing may be running on it.
func (ch *Channel) Close() (err error) {
	if ch == nil || ch.c == nil {
		return nil
	}
	c := ch.c
	if ch.resize != 0 {
		err = c.release("acldvppDestroyResizeConfig", func() int32 { return c.a.DestroyResize(ch.resize) })
	}
	if ch.open {
		err = errors.Join(err, c.release("acldvppDestroyChannel", func() int32 { return c.a.DestroyChannel(ch.desc) }))
	}
	if ch.desc != 0 {
		err = errors.Join(err, c.release("acldvppDestroyChannelDesc", func() int32 { return c.a.DestroyChannelDesc(ch.desc) }))
	}
	c.l.counters.channels.Add(-1)
	*ch = Channel{}
	return err
}

// JPEGInfo is what the header of a picture says.
type JPEGInfo struct {
	Width, Height, Components int
	Layout                    DecodedLayout
}

// Inspect reads the header of a JPEG picture in host memory. What the unit cannot decode is an error: then the processor
// has to do it.
func (ch *Channel) Inspect(data []byte) (info JPEGInfo, err error) {
	if len(data) == 0 {
		return info, fmt.Errorf("%w: no data", ErrLayout)
	}
	var w, h, size uint32
	var comps, sampling int32
	p, a := unsafe.Pointer(&data[0]), ch.c.a
	if err := ch.c.check("acldvppJpegGetImageInfoV2", a.JPEGInfo(p, uint32(len(data)), &w, &h, &comps, &sampling)); err != nil {
		return info, err
	}
	info = JPEGInfo{Width: int(w), Height: int(h), Components: int(comps)}
	if info.Layout, err = LayoutDecoded(info.Width, info.Height); err != nil {
		return info, err
	}
	if err := ch.c.check("acldvppJpegPredictDecSize", a.JPEGSize(p, uint32(len(data)), int32(NV12), &size)); err != nil {
		return info, err
	}
	runtime.KeepAlive(data)
	if size > info.Layout.bytes() { // this runtime aligns otherwise: its own word counts
		return info, fmt.Errorf("%w: the unit wants %d bytes for %d by %d pixels, %d were expected", ErrLayout, size, w, h, info.Layout.bytes())
	}
	return info, nil
}

// picture is a description and its memory.
type picture struct {
	c    *Context
	desc uintptr
	mem  *MediaBuffer
	at   layout
}

func (c *Context) newPicture(mem *MediaBuffer) (picture, error) {
	p := picture{c: c, mem: mem}
	if p.desc = c.a.CreatePic(); p.desc == 0 {
		return p, c.check("acldvppCreatePicDesc", 200000)
	}
	c.l.counters.pictures.Add(1)
	return p, nil
}

// set describes the picture to the library. It makes seven calls, without allocation.
func (p *picture) set(l layout) error {
	if int(l.bytes()) > p.mem.Size {
		return fmt.Errorf("%w: a picture of %d bytes in memory of %d", ErrLayout, l.bytes(), p.mem.Size)
	}
	a := p.c.a
	code := a.SetPicData(p.desc, uintptr(p.mem.Ptr)) | a.SetPicSize(p.desc, l.bytes()) | a.SetPicFormat(p.desc, int32(l.format)) | a.SetPicWidth(p.desc, l.width) |
		a.SetPicHeight(p.desc, l.height) | a.SetPicWidthStride(p.desc, l.stride) | a.SetPicHeightStride(p.desc, l.rows)
	if code != 0 {
		return p.c.check("acldvppSetPicDesc", code)
	}
	p.at = l
	return nil
}

// Close gives the description back, not the memory.
func (p *picture) Close() error {
	if p == nil || p.desc == 0 {
		return nil
	}
	h := p.desc
	p.desc = 0
	p.c.l.counters.pictures.Add(-1)
	return p.c.release("acldvppDestroyPicDesc", func() int32 { return p.c.a.DestroyPic(h) })
}

// Err is what the unit said of this picture. It is known when the stream has been synchronised.
func (p *picture) Err() error {
	if code := p.c.a.PicRetCode(p.desc); code != 0 {
		return &Error{Call: "media unit", Code: Code(code)}
	}
	return nil
}

// Found reads the description back: what the unit made of it.
func (p *picture) Found() (width, height, stride, rows int, format PixelFormat, bytes int) {
	a := p.c.a
	return int(a.PicWidth(p.desc)), int(a.PicHeight(p.desc)), int(a.PicWidthStride(p.desc)), int(a.PicHeightStride(p.desc)), PixelFormat(a.PicFormat(p.desc)), int(a.PicSize(p.desc))
}

// Close gives the description back, not the memory.
func (d *Decoded) Close() error {
	if d == nil {
		return nil
	}
	return d.picture.Close()
}

// Close gives the description back, not the memory.
func (s *Scaled) Close() error {
	if s == nil {
		return nil
	}
	return s.picture.Close()
}

// Source is a picture that can be scaled: a Decoded or a Scaled.
type Source interface{ from() *picture }

// Decoded is a picture that the JPEG unit writes.
type Decoded struct{ picture }

// Scaled is a picture that the scaling unit writes.
type Scaled struct{ picture }

func (d *Decoded) from() *picture { return &d.picture }
func (s *Scaled) from() *picture  { return &s.picture }

// NewDecoded makes a picture in mem, which may serve others before and after it.
func (c *Context) NewDecoded(mem *MediaBuffer) (*Decoded, error) {
	p, err := c.newPicture(mem)
	return &Decoded{p}, err
}

// Use gives the picture other memory; the next Decode describes it.
func (d *Decoded) Use(mem *MediaBuffer) { d.mem = mem }

// NewScaled makes a picture in mem.
func (c *Context) NewScaled(mem *MediaBuffer, l ScaledLayout) (*Scaled, error) {
	p, err := c.newPicture(mem)
	if err == nil {
		if err = p.set(l.layout); err != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return &Scaled{p}, err
}

// Bytes is the media memory that a picture takes.
func (l DecodedLayout) Bytes() int { return int(l.bytes()) }

// Bytes is the media memory that a picture takes.
func (l ScaledLayout) Bytes() int { return int(l.bytes()) }

// dataAlign is that of JPEG data in media memory.
const dataAlign = 128

// Decode queues the decoding of n bytes of JPEG at an offset of src, a multiple of 128.
func (ch *Channel) Decode(s *Stream, src *MediaBuffer, offset, n int, info JPEGInfo, dst *Decoded) error {
	if offset < 0 || offset%dataAlign != 0 || offset+n > src.Size || info.Layout == (DecodedLayout{}) {
		return fmt.Errorf("%w: %d bytes of JPEG at %d in memory of %d", ErrLayout, n, offset, src.Size)
	}
	if err := dst.set(info.Layout.layout); err != nil {
		return err
	}
	if code := ch.c.a.JPEGDecode(ch.desc, uintptr(src.Ptr)+uintptr(offset), uint32(n), dst.desc, s.handle); code != 0 {
		return ch.c.check("acldvppJpegDecodeAsync", code)
	}
	return nil
}

// Resize queues the scaling of the whole picture; both have the same format.
func (ch *Channel) Resize(s *Stream, src Source, dst *Scaled) error {
	if code := ch.c.a.Resize(ch.desc, src.from().desc, dst.desc, ch.resize, s.handle); code != 0 {
		return ch.c.check("acldvppVpcResizeAsync", code)
	}
	return nil
}

// Cut is a region as the library holds it, made once and set for each picture.
type Cut struct {
	c    *Context
	desc uintptr
}

// NewCut makes a region of the library.
func (c *Context) NewCut(r Region) (*Cut, error) {
	if !c.a.hasMedia() {
		return nil, fmt.Errorf("media units: %w", ErrUnsupported)
	}
	h := c.a.CreateRegion(r.left, r.right, r.top, r.bottom)
	if h == 0 {
		return nil, c.check("acldvppCreateRoiConfig", 200000)
	}
	c.l.counters.regions.Add(1)
	return &Cut{c, h}, nil
}

// Close gives the region back.
func (k *Cut) Close() error {
	if k == nil || k.desc == 0 {
		return nil
	}
	h := k.desc
	k.desc = 0
	k.c.l.counters.regions.Add(-1)
	return k.c.release("acldvppDestroyRoiConfig", func() int32 { return k.c.a.DestroyRegion(h) })
}

// Crop queues the cutting out of a region and its scaling to the size of dst; without scaling where the sizes are equal.
func (ch *Channel) Crop(s *Stream, src Source, k *Cut, r Region, dst *Scaled) error {
	if !r.inside(src.from().at) {
		return fmt.Errorf("%w: the region is not inside the picture", ErrLayout)
	}
	if code := ch.c.a.SetRegion(k.desc, r.left, r.right, r.top, r.bottom); code != 0 {
		return ch.c.check("acldvppSetRoiConfig", code)
	}
	w, h := r.Size()
	if dw, dh := dst.at.Size(); w == dw && h == dh {
		if code := ch.c.a.Crop(ch.desc, src.from().desc, dst.desc, k.desc, s.handle); code != 0 {
			return ch.c.check("acldvppVpcCropAsync", code)
		}
		return nil
	}
	if code := ch.c.a.CropResize(ch.desc, src.from().desc, dst.desc, k.desc, ch.resize, s.handle); code != 0 {
		return ch.c.check("acldvppVpcCropResizeAsync", code)
	}
	return nil
}

// Convert queues the change of the colour format; both have the same size.
func (ch *Channel) Convert(s *Stream, src, dst *Scaled) error {
	if code := ch.c.a.ConvertColour(ch.desc, src.desc, dst.desc, s.handle); code != 0 {
		return ch.c.check("acldvppVpcConvertColorAsync", code)
	}
	return nil
}

// CopyTo queues the copy of the pixels, without the ends of the rows, into a buffer at an offset.
func (p *Scaled) CopyTo(s *Stream, dst *Buffer, offset int) error {
	l := p.at
	if offset+l.Packed() > dst.Size {
		return fmt.Errorf("copy a picture of %d bytes to %d in a buffer of %d", l.Packed(), offset, dst.Size)
	}
	row, rows := int(l.width), int(l.height)
	if l.format.packed() {
		row *= 3
	}
	if l.format.planar() {
		rows = rows / 2 * 3 // the second plane follows the first without a gap: rows are the height
	}
	per := rows
	if row == int(l.stride) {
		row, per = row*rows, 1
	}
	for i := range per {
		to, from := uintptr(dst.Ptr)+uintptr(offset+i*row), uintptr(p.mem.Ptr)+uintptr(i*int(l.stride))
		if code := s.c.a.MemcpyAsync(to, uintptr(row), from, uintptr(row), deviceToDevice, s.handle); code != 0 {
			return s.c.check("aclrtMemcpyAsync", code)
		}
	}
	return nil
}
