package acl

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"strings"
	"testing"
	"time"
)

// The pictures of testdata were made with cjpeg of libjpeg-turbo 2.1, of 80 by 64 pixels (restart: 77 by 51), in each sampling
// that the unit takes and in two codings that it refuses.
func testPicture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".jpg")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bench is a channel, a stream and memory for one picture of at most 256 by 256.
type bench struct {
	c       *Context
	ch      *Channel
	s       *Stream
	host    *Host
	data    *MediaBuffer
	mem     *MediaBuffer
	decoded *Decoded
}

func newBench(c *Context) *bench {
	b := &bench{c: c}
	var err error
	b.ch, err = c.NewChannel()
	must(err)
	b.s, err = c.NewStream()
	must(err)
	b.host, err = c.MallocHost(1 << 16)
	must(err)
	b.data, err = c.MallocMedia(1 << 16)
	must(err)
	b.mem, err = c.MallocMedia(256 * 256 * 3 / 2)
	must(err)
	b.decoded, err = c.NewDecoded(b.mem)
	must(err)
	return b
}

func (b *bench) close() error {
	return errors.Join(b.decoded.Close(), b.mem.Free(), b.data.Free(), b.host.Free(), b.s.Close(), b.ch.Close())
}

func (b *bench) decode(data []byte) error {
	info, err := b.ch.Inspect(data)
	if err != nil {
		return err
	}
	copy(b.host.Bytes, data)
	must(b.data.UploadAsync(b.s, b.host, len(data)))
	if err := b.ch.Decode(b.s, b.data, 0, len(data), info, b.decoded); err != nil {
		return err
	}
	return errors.Join(b.s.Sync(10*time.Second), b.decoded.Err())
}

// planes reads what the unit wrote: Y, then U and V interleaved.
func (b *bench) planes(p *picture) (y, uv []byte, stride int) {
	all := make([]byte, p.at.bytes())
	must(p.mem.Download(all, 0))
	n := int(p.at.stride * p.at.rows)
	return all[:n], all[n:], int(p.at.stride)
}

// The stand-in's pictures are those of Go's own decoder, which nobody here wrote: sample by sample, within a rounding step.
func TestDecodeAgainstImageJPEG(t *testing.T) {
	on(t, func(c *Context) error {
		b := newBench(c)
		for _, name := range []string{"444", "422", "420", "440", "gray", "restart"} {
			data := testPicture(t, name)
			must(b.decode(data))
			img, err := jpeg.Decode(bytes.NewReader(data))
			must(err)
			w, h := img.Bounds().Dx()&^1, img.Bounds().Dy()&^1
			gw, gh, ws, hs, f, size := b.decoded.Found()
			if gw != w || gh != h || ws != 128 || hs != 64 || f != NV12 || size != ws*hs*3/2 {
				t.Errorf("%s: found %d by %d, strides %d and %d, format %d, %d bytes", name, gw, gh, ws, hs, f, size)
			}
			y, uv, stride := b.planes(&b.decoded.picture)
			at := func(img image.Image, x, yy int) (l, u, v int) {
				if g, ok := img.(*image.Gray); ok {
					return int(g.GrayAt(x, yy).Y), 128, 128
				}
				c := img.(*image.YCbCr)
				return int(c.Y[c.YOffset(x, yy)]), int(c.Cb[c.COffset(x, yy)]), int(c.Cr[c.COffset(x, yy)])
			}
			worst := 0
			far := func(a byte, b int) { worst = max(worst, max(int(a)-b, b-int(a))) }
			for j := range h {
				for i := range w {
					l, _, _ := at(img, i, j)
					far(y[j*stride+i], l)
				}
			}
			for j := 0; j < h; j += 2 {
				for i := 0; i < w; i += 2 {
					u, v := 0, 0
					for k := range 4 {
						_, a, b := at(img, i+k%2, j+k/2)
						u, v = u+a, v+b
					}
					far(uv[j/2*stride+i], (u+2)/4)
					far(uv[j/2*stride+i+1], (v+2)/4)
				}
			}
			if worst > 2 {
				t.Errorf("%s: a sample differs by %d", name, worst)
			}
		}
		return b.close()
	})
}

// What the unit cannot do is told before anything is queued, or in the picture's own result; the stream goes on.
func TestPicturesThatAreRefused(t *testing.T) {
	on(t, func(c *Context) error {
		b := newBench(c)
		for _, name := range []string{"progressive", "arithmetic"} {
			err := b.decode(testPicture(t, name))
			if err == nil || !strings.Contains(err.Error(), "148052 UNSUPPORTED_JPEG") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := b.decode([]byte("no picture")); err == nil {
			t.Error("text was decoded")
		}
		if _, err := b.ch.Inspect(nil); !errors.Is(err, ErrLayout) {
			t.Error(err)
		}
		var small bytes.Buffer
		must(jpeg.Encode(&small, image.NewGray(image.Rect(0, 0, 31, 40)), nil))
		if err := b.decode(small.Bytes()); !errors.Is(err, ErrLayout) {
			t.Errorf("31 pixels: %v", err)
		}
		whole := testPicture(t, "restart")
		for n := len(whole) - 1; n > 700; n -= 37 { // cut short: the header is well, the data ends
			if err := b.decode(whole[:n]); n < len(whole)-2 && err == nil {
				t.Errorf("%d of %d bytes were decoded", n, len(whole))
			}
		}
		step := 1
		if os.Getenv("STANDIN_QEMU") != "" { // slow
			step = 23
		}
		for i := 0; i < len(whole); i += step { // no damage may harm the process
			bad := append([]byte(nil), whole...)
			bad[i] ^= 0x55
			_ = b.decode(bad)
		}
		must(b.decode(whole))
		return b.close()
	})
}

func TestScaleCropAndColour(t *testing.T) {
	on(t, func(c *Context) error {
		b := newBench(c)
		must(b.decode(testPicture(t, "444")))
		y, _, stride := b.planes(&b.decoded.picture)
		nv12, err := LayoutScaled(NV12, 40, 32)
		must(err)
		rgbLayout, err := LayoutScaled(RGB888, 40, 32)
		must(err)
		mem, err := c.MallocMedia(nv12.Bytes())
		must(err)
		rgbMem, err := c.MallocMedia(rgbLayout.Bytes())
		must(err)
		half, err := c.NewScaled(mem, nv12)
		must(err)
		rgb, err := c.NewScaled(rgbMem, rgbLayout)
		must(err)
		// Half the size: each sample is the mean of four.
		must(b.ch.Resize(b.s, b.decoded, half))
		must(b.s.Sync(10 * time.Second))
		must(half.Err())
		hy, huv, hs := b.planes(&half.picture)
		for j := range 32 {
			for i := range 40 {
				sum := 0
				for k := range 4 {
					sum += int(y[(2*j+k/2)*stride+2*i+k%2])
				}
				if d := int(hy[j*hs+i]) - (sum+2)/4; d < -1 || d > 1 {
					t.Fatalf("half size: %d at %d, %d, want %d", hy[j*hs+i], i, j, (sum+2)/4)
				}
			}
		}
		// Colours: the usual formula for JPEG, U and V bilinear between the centres of their pixels.
		chroma := func(x, y, which int) float64 {
			fx, fy := max((float64(x)-0.5)/2, 0), max((float64(y)-0.5)/2, 0)
			x0, y0 := int(fx), int(fy)
			x1, y1, dx, dy := min(x0+1, 19), min(y0+1, 15), fx-float64(x0), fy-float64(y0)
			v := func(x, y int) float64 { return float64(huv[y*hs+2*x+which]) }
			return (v(x0, y0)*(1-dx)+v(x1, y0)*dx)*(1-dy) + (v(x0, y1)*(1-dx)+v(x1, y1)*dx)*dy - 128
		}
		must(b.ch.Convert(b.s, half, rgb))
		must(b.s.Sync(10 * time.Second))
		pixels := make([]byte, rgbLayout.Bytes())
		must(rgbMem.Download(pixels, 0))
		for _, p := range [][2]int{{0, 0}, {20, 16}, {21, 17}, {7, 30}, {39, 31}} {
			l, u, v := float64(hy[p[1]*hs+p[0]]), chroma(p[0], p[1], 0), chroma(p[0], p[1], 1)
			for k, want := range []float64{l + 1.402*v, l - 0.344136*u - 0.714136*v, l + 1.772*u} {
				if got := float64(pixels[p[1]*int(rgbLayout.stride)+p[0]*3+k]); got-min(max(want, 0), 255) > 1 || min(max(want, 0), 255)-got > 1 {
					t.Errorf("channel %d at %v is %v, want %v", k, p, got, want)
				}
			}
		}
		// A region of the same size is cut out as it is; one of another size is scaled.
		r, err := NewRegion(20, 16, 40, 32)
		must(err)
		k, err := c.NewCut(r)
		must(err)
		must(b.ch.Crop(b.s, b.decoded, k, r, half))
		must(b.s.Sync(10 * time.Second))
		cy, _, _ := b.planes(&half.picture)
		for j := range 32 {
			if !bytes.Equal(cy[j*hs:j*hs+40], y[(16+j)*stride+20:(16+j)*stride+60]) {
				t.Fatalf("row %d of the region differs", j)
			}
		}
		middle, err := Centre(80, 64, 40, 32)
		must(err)
		want(t, "the whole has the same proportions", middle, Region{0, 79, 0, 63})
		must(b.ch.Crop(b.s, b.decoded, k, middle, half))
		must(b.s.Sync(10 * time.Second))
		again, _, _ := b.planes(&half.picture)
		if !bytes.Equal(again, hy) {
			t.Error("the whole as a region is another picture than the whole")
		}
		// Into a buffer, without the ends of the rows.
		buf, err := c.Malloc(rgbLayout.Packed()+7, NormalOnly)
		must(err)
		must(rgb.CopyTo(b.s, buf, 7))
		must(b.s.Sync(10 * time.Second))
		packed := make([]byte, buf.Size)
		must(buf.Download(packed))
		want(t, "second row", packed[7+120:7+126], pixels[rgbLayout.stride:rgbLayout.stride+6])
		if err := rgb.CopyTo(b.s, buf, 8); err == nil {
			t.Error("a copy beyond the end was queued")
		}
		return errors.Join(buf.Free(), k.Close(), half.Close(), rgb.Close(), mem.Free(), rgbMem.Free(), b.close())
	})
}

// Every rule of alignment is met by what the constructors give, and what they refuse cannot be written down.
func TestLayouts(t *testing.T) {
	for w := 30; w <= 300; w++ {
		l, err := LayoutDecoded(w, 50)
		if (w < 32) != (err != nil) {
			t.Errorf("%d pixels: %v", w, err)
		}
		if err == nil && (l.stride%64 != 0 || l.rows%16 != 0 || int(l.stride) < w || l.width%2 != 0 || l.bytes() != l.stride*l.rows*3/2) {
			t.Errorf("decoded %d: %+v", w, l)
		}
		for _, f := range []PixelFormat{NV12, RGB888} {
			l, err := LayoutScaled(f, w, 50)
			if (w%2 != 0) != (err != nil) {
				t.Errorf("%d pixels: %v", w, err)
			}
			per := uint32(1)
			if f == RGB888 {
				per = 3
			}
			if err == nil && (l.stride%(16*per) != 0 || l.stride < l.width*per || l.rows%2 != 0) {
				t.Errorf("scaled %d: %+v", w, l)
			}
		}
	}
	for _, bad := range [][2]int{{8193, 100}, {100, 8193}, {31, 100}, {-1, 5}} {
		if _, err := LayoutDecoded(bad[0], bad[1]); !errors.Is(err, ErrLayout) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, bad := range [][2]int{{8, 8}, {10, 5}, {4098, 100}, {11, 8}, {12, 9}} {
		if _, err := LayoutScaled(NV12, bad[0], bad[1]); !errors.Is(err, ErrLayout) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := LayoutScaled(PixelFormat(3), 32, 32); !errors.Is(err, ErrLayout) {
		t.Error(err)
	}
	for _, bad := range [][4]int{{1, 0, 20, 20}, {0, 1, 20, 20}, {0, 0, 21, 20}, {0, 0, 20, 21}, {0, 0, 8, 8}, {-2, 0, 20, 20}, {8190, 0, 20, 20}} {
		if _, err := NewRegion(bad[0], bad[1], bad[2], bad[3]); !errors.Is(err, ErrLayout) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, k := range [][4]int{{1920, 1080, 224, 224}, {1080, 1920, 224, 224}, {333, 111, 640, 640}, {64, 64, 640, 320}} {
		r, err := Centre(k[0], k[1], k[2], k[3])
		must(err)
		w, h := r.Size()
		x, y := r.Place()
		if x+w > k[0] || y+h > k[1] || w < k[0]-2 && h < k[1]-2 || float64(w*k[3])/float64(h*k[2]) > 1.05 || float64(w*k[3])/float64(h*k[2]) < 0.95 {
			t.Errorf("centre of %v: %d by %d at %d, %d", k, w, h, x, y)
		}
	}
	on(t, func(c *Context) error {
		b := newBench(c)
		must(b.decode(testPicture(t, "restart"))) // 76 by 50
		l, err := LayoutScaled(NV12, 40, 32)
		must(err)
		mem, err := c.MallocMedia(l.Bytes())
		must(err)
		s, err := c.NewScaled(mem, l)
		must(err)
		r, err := NewRegion(60, 0, 20, 20)
		must(err)
		k, err := c.NewCut(r)
		must(err)
		if err := b.ch.Crop(b.s, b.decoded, k, r, s); !errors.Is(err, ErrLayout) {
			t.Errorf("a region beyond the picture: %v", err)
		}
		if err := b.ch.Crop(b.s, b.decoded, k, Region{}, s); !errors.Is(err, ErrLayout) {
			t.Errorf("no region: %v", err)
		}
		large, err := LayoutScaled(NV12, 400, 320)
		must(err)
		if _, err := c.NewScaled(mem, large); !errors.Is(err, ErrLayout) {
			t.Errorf("memory that is too small: %v", err)
		}
		if err := b.ch.Decode(b.s, b.data, 0, 1<<20, JPEGInfo{}, b.decoded); !errors.Is(err, ErrLayout) {
			t.Errorf("no layout: %v", err)
		}
		// The unit itself refuses other memory and other formats.
		dev, err := c.Malloc(l.Bytes(), NormalOnly)
		must(err)
		class(t, c.check("set", c.a.SetPicData(s.desc, uintptr(dev.Ptr))), ClassUnknown)
		class(t, b.ch.Resize(b.s, b.decoded, s), ClassCaller)
		must(s.set(l.layout))
		class(t, b.ch.Convert(b.s, s, s), ClassCaller)
		class(t, c.check("free", c.a.Free(uintptr(mem.Ptr))), ClassCaller)
		class(t, c.check("free", c.a.FreeMedia(uintptr(dev.Ptr))), ClassCaller)
		return errors.Join(dev.Free(), k.Close(), s.Close(), mem.Free(), b.close())
	})
}

// Each fault of the media units has its class, nothing leaks, and a fresh context works after it.
func TestMediaFaults(t *testing.T) {
	data := testPicture(t, "420")
	decode := func(c *Context) error {
		ch, err := c.NewChannel()
		if err != nil {
			return err
		}
		mem, err := c.MallocMedia(1 << 17)
		if err != nil {
			return errors.Join(err, ch.Close())
		}
		s, err := c.NewStream()
		must(err)
		host, err := c.MallocHost(1 << 16)
		must(err)
		src, err := c.MallocMedia(1 << 16)
		must(err)
		d, err := c.NewDecoded(mem)
		if err == nil {
			b := &bench{c, ch, s, host, src, mem, d}
			err = b.decode(data)
		}
		if k := ClassOf(err); k == ClassTimeout || k == ClassLost {
			err = errors.Join(err, c.Abandon())
		}
		return errors.Join(err, d.Close(), src.Free(), host.Free(), s.Kill(), mem.Free(), ch.Close())
	}
	for _, f := range []struct {
		name, lines string
		class       Class
	}{
		{"no channel is left", "on acldvppCreateChannel 1 return 207012", ClassUnknown},
		{"no media memory", "on acldvppMalloc 1 return 207001", ClassMemory},
		{"no description", "on acldvppCreatePicDesc 1 return 0", ClassMemory},
		{"the decoder refuses", "on acldvppJpegDecodeAsync 1 return 100000", ClassCaller},
		{"the unit fails in a task", "on media 1 return 507018", ClassExecution},
		{"the device is lost in a task", "on media 1 return 507010", ClassLost},
	} {
		control(t, "clear")
		control(t, f.lines)
		err := again(decode)
		if err == nil {
			t.Errorf("%s: no error", f.name)
		} else if ClassOf(err) != f.class {
			t.Errorf("%s: class %v of %v, want %v", f.name, ClassOf(err), err, f.class)
		}
		control(t, "clear")
		if err := again(decode); err != nil {
			t.Fatalf("after %s: %v", f.name, err)
		}
	}
	if n := lib.Live(); n.Sum() != 0 {
		t.Errorf("left open: %+v", n)
	}
}

// The steps of a picture do not allocate.
func TestMediaDoesNotAllocate(t *testing.T) {
	on(t, func(c *Context) error {
		b := newBench(c)
		data := testPicture(t, "420")
		must(b.decode(data))
		info, err := b.ch.Inspect(data)
		must(err)
		l, err := LayoutScaled(NV12, 48, 32)
		must(err)
		mem, err := c.MallocMedia(l.Bytes())
		must(err)
		s, err := c.NewScaled(mem, l)
		must(err)
		n := testing.AllocsPerRun(20, func() {
			must(b.data.UploadAsync(b.s, b.host, len(data)))
			must(b.ch.Decode(b.s, b.data, 0, len(data), info, b.decoded))
			must(b.ch.Resize(b.s, b.decoded, s))
			must(b.s.Sync(10 * time.Second))
			must(s.Err())
		})
		if !raceDetector {
			want(t, "allocations of a picture", n, 0.0)
		}
		return errors.Join(s.Close(), mem.Free(), b.close())
	})
}

// Whatever the bytes, the decoder of the stand-in stays within its memory; the worker's tests rest on that.
func FuzzUnit(f *testing.F) {
	for _, name := range []string{"444", "422", "420", "440", "gray", "restart", "progressive"} {
		data, err := os.ReadFile("testdata/" + name + ".jpg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 1<<15 {
			return
		}
		done := make(chan error)
		go func() {
			done <- lib.Run(0, func(c *Context) error {
				b := newBench(c)
				_ = b.decode(data)
				return b.close()
			})
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
