package npu

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"sync"

	"github.com/edgelog/edgelog/ascend/acl"
)

// media is the way of a slot's pictures through the media units: decoded, cut and scaled, turned into the model's colours,
// and copied to their place in its input, all behind one another on the slot's stream. The memory is used again for each
// picture; only the descriptions, which hold the outcome, are as many as a batch has items.
type media struct {
	c       *acl.Context
	ch      *acl.Channel
	to      target
	fit     string
	size    acl.ScaledLayout // in the decoder's format
	colour  acl.ScaledLayout // in the model's, where that is another
	host    *acl.Host        // the JPEG data of a batch
	src     *acl.MediaBuffer
	raw     *acl.MediaBuffer // one decoded picture
	scaled  *acl.MediaBuffer
	rgb     *acl.MediaBuffer
	cut     *acl.Cut
	pending []picture
}

// picture holds the descriptions of one picture on its way.
type picture struct {
	decoded *acl.Decoded
	scaled  *acl.Scaled
	rgb     *acl.Scaled
	err     error // before anything was queued
}

const mediaAlign = 128 // of JPEG data in media memory

// newMedia prepares the way for pictures of a model; an error says why there is none.
func newMedia(c *acl.Context, to target, fit string, batch int) (_ *media, err error) {
	if to.width == 0 || to.floats || to.planar {
		return nil, fmt.Errorf("%w: the media units give bytes, pixel by pixel or YUV", acl.ErrLayout)
	}
	m := &media{c: c, to: to, fit: fit}
	if m.size, err = acl.LayoutScaled(acl.NV12, to.width, to.height); err != nil {
		return nil, err
	}
	if m.colour, err = acl.LayoutScaled(acl.RGB888, to.width, to.height); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.ch, err = c.NewChannel(); err != nil {
		return nil, err
	}
	if m.scaled, err = c.MallocMedia(m.size.Bytes()); err != nil {
		return nil, err
	}
	if m.rgb, err = c.MallocMedia(m.colour.Bytes()); err != nil {
		return nil, err
	}
	whole, err := acl.NewRegion(0, 0, acl.MinDecode, acl.MinDecode)
	if err != nil {
		return nil, err
	}
	if m.cut, err = c.NewCut(whole); err != nil {
		return nil, err
	}
	if err := m.room(mediaAlign, acl.MinDecode*acl.MinDecode*3); err != nil {
		return nil, err
	}
	m.pending = make([]picture, batch)
	for i := range m.pending {
		p := &m.pending[i]
		if p.decoded, err = c.NewDecoded(m.raw); err == nil {
			if p.scaled, err = c.NewScaled(m.scaled, m.size); err == nil && !to.nv12 {
				p.rgb, err = c.NewScaled(m.rgb, m.colour)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// room makes the memory large enough for so many bytes of JPEG data and of a decoded picture. Nothing runs on it.
func (m *media) room(data, decoded int) (err error) {
	if m.src == nil || m.src.Size < data {
		err := errors.Join(m.src.Free(), m.host.Free())
		if m.src, m.host = nil, nil; err != nil {
			return err
		}
		data = (data/mediaStep + 1) * mediaStep
		if m.src, err = m.c.MallocMedia(data); err != nil {
			return err
		}
		if m.host, err = m.c.MallocHost(data); err != nil {
			return err
		}
	}
	if m.raw == nil || m.raw.Size < decoded {
		err := m.raw.Free()
		if m.raw = nil; err != nil {
			return err
		}
		if m.raw, err = m.c.MallocMedia(decoded); err != nil {
			return err
		}
		for i := range m.pending {
			m.pending[i].decoded.Use(m.raw)
		}
	}
	return nil
}

// queue puts the pictures of a batch on the stream: each is copied into dst at its place. A picture that the units cannot
// have is noted in its own outcome; an error is one of the device.
func (m *media) queue(s *acl.Stream, feeds []*feed, dst *acl.Buffer, item int) error {
	infos := make([]acl.JPEGInfo, len(feeds))
	data, decoded := 0, 0
	for i, f := range feeds {
		p := &m.pending[i]
		if p.err = nil; f.jpeg == nil {
			continue
		}
		if infos[i], p.err = m.ch.Inspect(f.jpeg); p.err == nil && infos[i].Width*infos[i].Height > maxMediaPixels {
			p.err = fmt.Errorf("%w: %d by %d pixels are left to the processor", acl.ErrLayout, infos[i].Width, infos[i].Height)
		}
		if p.err == nil {
			data += (len(f.jpeg) + mediaAlign - 1) / mediaAlign * mediaAlign
			decoded = max(decoded, infos[i].Layout.Bytes())
		}
	}
	if data == 0 {
		return nil
	}
	if err := m.room(data, decoded); acl.ClassOf(err) == acl.ClassMemory { // the processor has room
		for i, f := range feeds {
			if p := &m.pending[i]; f.jpeg != nil && p.err == nil {
				p.err = err
			}
		}
		return nil
	} else if err != nil {
		return err
	}
	at := 0
	for i, f := range feeds {
		if f.jpeg != nil && m.pending[i].err == nil {
			at += (copy(m.host.Bytes[at:], f.jpeg) + mediaAlign - 1) / mediaAlign * mediaAlign
		}
	}
	if err := m.src.UploadAsync(s, m.host, at); err != nil {
		return err
	}
	at = 0
	for i, f := range feeds {
		p := &m.pending[i]
		if f.jpeg == nil || p.err != nil {
			continue
		}
		err := m.ch.Decode(s, m.src, at, len(f.jpeg), infos[i], p.decoded)
		at += (len(f.jpeg) + mediaAlign - 1) / mediaAlign * mediaAlign
		if err == nil {
			err = m.one(s, p, infos[i], dst, i*item)
		}
		if acl.ClassOf(err) == acl.ClassCaller || errors.Is(err, acl.ErrLayout) { // this picture only
			p.err, err = err, nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// one queues what comes after the decoding of a picture.
func (m *media) one(s *acl.Stream, p *picture, info acl.JPEGInfo, dst *acl.Buffer, at int) error {
	w, h := info.Layout.Size()
	part, err := acl.Centre(w, h, m.to.width, m.to.height)
	if m.fit == FitCrop && err == nil {
		err = m.ch.Crop(s, p.decoded, m.cut, part, p.scaled)
	} else {
		err = m.ch.Resize(s, p.decoded, p.scaled)
	}
	if err != nil {
		return err
	}
	last := p.scaled
	if p.rgb != nil {
		last = p.rgb
		if err := m.ch.Convert(s, p.scaled, p.rgb); err != nil {
			return err
		}
	}
	return last.CopyTo(s, dst, at)
}

// outcome is what became of picture i, when the stream has been synchronised.
func (m *media) outcome(i int) error {
	p := &m.pending[i]
	if p.err != nil {
		return p.err
	}
	last := p.scaled
	if p.rgb != nil {
		last = p.rgb
	}
	if err := p.decoded.Err(); err != nil {
		return err
	}
	return last.Err()
}

func (m *media) close() (err error) {
	if m == nil {
		return nil
	}
	for i := range m.pending {
		p := &m.pending[i]
		err = errors.Join(err, p.decoded.Close(), p.scaled.Close(), p.rgb.Close())
	}
	return errors.Join(err, m.cut.Close(), m.rgb.Free(), m.scaled.Free(), m.raw.Free(), m.src.Free(), m.host.Free(), m.ch.Close())
}

// errSwitchedOff is why a configuration leaves pictures to the processor.
var errSwitchedOff = errors.New("switched off in the configuration")

// errNoMedia is a picture for the media units in a session that has lost them.
var errNoMedia = errors.New("the media units are not used any more")

// errMedia is a failure of the media units themselves.
var errMedia = errors.New("media units failed")

// openMedia gives the slots their way through the media units and compares a picture of theirs with the processor's. What
// speaks against it is kept in s.media, and the processor decodes; an error is one after which the device must be used anew.
func (s *session) openMedia(slots []*slot) error {
	defer func() {
		var why *string
		if s.media != nil {
			text := cut(s.media.Error())
			why = &text
		}
		s.processor.Store(why)
	}()
	s.media = errSwitchedOff
	if s.m.Input.Media == MediaOff || s.intake.target.width == 0 {
		return nil
	}
	if s.media = s.noMedia; s.media != nil {
		return nil
	}
	if s.media = s.tryMedia(slots); s.media == nil {
		return nil
	}
	var err error
	for _, t := range slots {
		err = errors.Join(err, t.media.close())
		t.media = nil
	}
	switch acl.ClassOf(s.media) {
	case acl.ClassTimeout, acl.ClassExecution, acl.ClassContext:
		return fmt.Errorf("%w: %w", errMedia, s.media)
	case acl.ClassLost:
		return s.media
	}
	return err
}

func (s *session) tryMedia(slots []*slot) (err error) {
	for _, t := range slots {
		if t.media, err = newMedia(s.c, s.intake.target, s.m.Input.Fit, s.info.Batch()); err != nil {
			return err
		}
	}
	i, t := s.intake.open[0], slots[0]
	n := s.intake.bytes[i]
	want, err := pictureTensor(sample(), s.intake.target, s.m.Input, true)
	if err != nil {
		return err
	}
	if err := t.media.queue(t.stream, []*feed{{jpeg: sample()}}, t.b.Inputs[i], n); err != nil {
		return err
	}
	if err := t.stream.Sync(s.m.Deadline + hungGrace); err != nil {
		return err
	}
	if err := t.media.outcome(0); err != nil {
		return err
	}
	got := make([]byte, n)
	if err := t.b.Inputs[i].Download(got); err != nil {
		return err
	}
	return compare(got, want)
}

// sample is a picture whose every part has another colour, smooth so that different scaling gives the same.
var sample = sync.OnceValue(func() []byte {
	const w, h = 320, 240
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{byte(x * 255 / w), byte(y * 255 / h), byte(255 - (x+y)*255/(w+h)), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
})

// How far the units may be from the processor, of 255: another way to scale is, another colour space is not.
const (
	sampleMean = 4
	sampleMost = 40
)

// compare tells whether two tensors show the same picture.
func compare(device, processor []byte) error {
	sum, most := 0, 0
	for i := range processor {
		d := int(device[i]) - int(processor[i])
		d = max(d, -d)
		sum, most = sum+d, max(most, d)
	}
	if mean := float64(sum) / float64(len(processor)); mean > sampleMean || most > sampleMost {
		return fmt.Errorf("a test picture comes out otherwise than on the processor: %.1f of 255 on average, %d at most", mean, most)
	}
	return nil
}
