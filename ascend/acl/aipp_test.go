package acl

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/edgelog/edgelog/ascend/standin"
)

// seen is a model that gives back what its network sees of a picture of h by w.
func seen(h, w int, batches ...uint64) *standin.Model {
	n := h * w * 3
	batch := int64(1)
	if len(batches) > 0 {
		batch = -1
	}
	return &standin.Model{Inputs: []standin.Tensor{{Name: "image", Type: standin.UInt8, Format: standin.NHWC, Dims: []int64{batch, int64(h), int64(w), 3}, AIPP: standin.DynamicAIPP, Source: 4096}},
		Outputs: []standin.Tensor{{Name: "seen", Format: standin.ND, Dims: []int64{batch, int64(n)}}}, Ops: []standin.Op{{Kind: standin.Identity, In: n, Out: n}}, Batches: batches}
}

func look(c *Context, m *Model, p Preprocessing, picture []byte) ([]float32, error) {
	b, err := m.Bind()
	if err != nil {
		return nil, err
	}
	s, err := c.NewStream()
	must(err)
	out := make([]byte, m.Info.Outputs[0].Bytes)
	if err = b.SetPreprocessing(p, 1); err == nil {
		must(b.Inputs[0].Upload(picture))
		if err = b.Launch(s); err == nil {
			err = errors.Join(s.Sync(10*time.Second), b.Outputs[0].Download(out))
		}
	}
	return toFloats(out), errors.Join(err, s.Close(), b.Close())
}

// Each step of dynamic preprocessing against values computed by hand.
func TestDynamicAIPP(t *testing.T) {
	on(t, func(c *Context) error {
		m, err := c.Load(seen(2, 2).Bytes())
		must(err)
		in := m.Info.Inputs[0]
		want(t, "dynamic", in.DynamicAIPP, true)
		want(t, "inputs", len(m.Info.Inputs), 1)
		want(t, "room for a picture", in.Bytes, 4096)
		rgb := []byte{ // 3 by 2
			10, 20, 30, 40, 50, 60, 70, 80, 90,
			11, 21, 31, 41, 51, 61, 71, 81, 91}
		for _, k := range []struct {
			name string
			p    Preprocessing
			in   []byte
			want []float32
		}{
			{"crop", Preprocessing{Format: ImageRGB888, Width: 3, Height: 2, Crop: [4]int{1, 0, 2, 2}}, rgb, []float32{40, 50, 60, 70, 80, 90, 41, 51, 61, 71, 81, 91}},
			{"swap", Preprocessing{Format: ImageRGB888, Width: 3, Height: 2, Crop: [4]int{0, 0, 2, 2}, SwapRB: true}, rgb, []float32{30, 20, 10, 60, 50, 40, 31, 21, 11, 61, 51, 41}},
			{"mean, min and variance", Preprocessing{Format: ImageRGB888, Width: 3, Height: 2, Crop: [4]int{0, 0, 2, 2}, Mean: [4]int16{10, 20, 30}, Min: [4]float32{0.5, 0, 0}, VarReci: [4]float32{2, 0.5, 0}},
				rgb, []float32{-1, 0, 0, 59, 15, 30, 1, 0.5, 1, 61, 15.5, 31}},
			{"padding", Preprocessing{Format: ImageRGB888, Width: 3, Height: 2, Crop: [4]int{2, 0, 1, 1}, Pad: [4]int{1, 0, 0, 1}}, rgb, []float32{0, 0, 0, 0, 0, 0, 70, 80, 90, 0, 0, 0}},
			{"alpha first", Preprocessing{Format: ImageXRGB8888, Width: 2, Height: 2, AlphaFirst: true}, []byte{9, 1, 2, 3, 9, 4, 5, 6, 9, 7, 8, 9, 9, 10, 11, 12}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
			{"grey", Preprocessing{Format: ImageGray, Width: 2, Height: 2}, []byte{1, 2, 3, 4}, []float32{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}},
			// Y 100, 110, 120, 130, U 148 (+20), V 118 (-10): R = Y + 359·V/256, G = Y - 88·U/256 - 183·V/256, B = Y + 454·U/256.
			{"colours", Preprocessing{Format: ImageYUV420SP, Width: 2, Height: 2, Colours: &FullRange601}, []byte{100, 110, 120, 130, 148, 118}, []float32{85, 100, 135, 95, 110, 145, 105, 120, 155, 115, 130, 165}},
		} {
			got, err := look(c, m, k.p, k.in)
			if err != nil {
				t.Errorf("%s: %v", k.name, err)
				continue
			}
			for i := range k.want {
				if math.Abs(float64(got[i]-k.want[i])) > 1 && k.name == "colours" || k.name != "colours" && got[i] != k.want[i] {
					t.Errorf("%s: %v, want %v", k.name, got, k.want)
					break
				}
			}
		}
		// The scaling of the preprocessing has sizes of its own: 32 by 32 to 16 by 16, every second pixel.
		large, err := c.Load(seen(16, 16).Bytes())
		must(err)
		pic := make([]byte, 32*32)
		for i := range pic {
			pic[i] = byte(i / 32 * 2)
		}
		got, err := look(c, large, Preprocessing{Format: ImageGray, Width: 32, Height: 32, Scale: [2]int{16, 16}}, pic)
		must(err)
		want(t, "scaled rows", []float32{got[0], got[16*3], got[15*16*3]}, []float32{0, 4, 60})
		_, err = look(c, m, Preprocessing{Format: ImageRGB888, Width: 3, Height: 2}, rgb)
		if err == nil {
			t.Error("a size that is not the network's was executed")
		}
		_, err = look(c, m, Preprocessing{Format: ImageRGB888, Width: 100, Height: 100}, rgb)
		if err == nil {
			t.Error("a picture larger than the model allows was taken")
		}
		_, err = look(c, m, Preprocessing{Format: 99, Width: 3, Height: 2}, rgb)
		class(t, err, ClassCaller)
		// A batch, with the older of the two functions that set it.
		newer := c.a.SetAIPPByInput
		c.a.SetAIPPByInput = nil
		defer func() { c.a.SetAIPPByInput = newer }()
		batch, err := c.Load(seen(2, 2, 1, 4).Bytes())
		must(err)
		want(t, "gears beside the preprocessing", batch.Info.Batches, []int{1, 4})
		b, err := batch.Bind()
		must(err)
		s, err := c.NewStream()
		must(err)
		must(b.SetBatch(4))
		class(t, b.Launch(s), ClassCaller) // the preprocessing is not set
		must(b.SetPreprocessing(Preprocessing{Format: ImageGray, Width: 2, Height: 2}, 4))
		must(b.Inputs[0].Upload([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}))
		must(b.Launch(s))
		must(s.Sync(10 * time.Second))
		out := make([]byte, batch.Info.Outputs[0].Bytes)
		must(b.Outputs[0].Download(out))
		want(t, "first pixels of the batch", []float32{toFloats(out)[0], toFloats(out)[12], toFloats(out)[36]}, []float32{1, 5, 13})
		plain, err := c.Load(standin.Doubler(2).Bytes())
		must(err)
		pb, err := plain.Bind()
		must(err)
		if err := pb.SetPreprocessing(Preprocessing{}, 1); !errors.Is(err, ErrUnsupported) {
			t.Errorf("a model without preprocessing: %v", err)
		}
		return errors.Join(pb.Close(), plain.Close(), s.Close(), b.Close(), batch.Close(), large.Close(), m.Close())
	})
}

// A picture input with compiled colours has 12 bits a pixel, and its buffer is laid out so.
func TestStaticYUV(t *testing.T) {
	on(t, func(c *Context) error {
		model := standin.Classifier(2, 2)
		model.Inputs[0].AIPP = standin.StaticYUVAIPP
		m, err := c.Load(model.Bytes())
		must(err)
		in := m.Info.Inputs[0]
		want(t, "bytes", in.Bytes, 6)
		want(t, "dims of the buffer", in.Dims, []int64{1, 3, 2, 1})
		dims, err := m.PictureDims(0)
		must(err)
		want(t, "dims of the network", dims, []int64{1, 2, 2, 3})
		out, err := run(c, m, []byte{76, 76, 76, 76, 85, 255}, 1) // red
		must(err)
		if p := toFloats(out); p[0] < 0.9 {
			t.Errorf("red is seen as %v", p)
		}
		return m.Close()
	})
}

func TestLoadWithConfiguration(t *testing.T) {
	on(t, func(c *Context) error {
		data := standin.Doubler(4).Bytes()
		for _, o := range []LoadOptions{{}, {Priority: 7}, {Priority: 3, Own: true}} {
			m, err := c.LoadWith(data, o)
			must(err)
			out, err := run(c, m, floats(1, -2, 3.5, 0), 1)
			want(t, "result", toFloats(out), []float32{2, -4, 7, 0})
			must(errors.Join(err, m.Close()))
		}
		_, err := c.LoadWith(data, LoadOptions{Priority: 8})
		class(t, err, ClassCaller)
		_, err = c.LoadWith(data[:len(data)-8], LoadOptions{})
		class(t, err, ClassModel)
		if _, err := c.LoadWith(nil, LoadOptions{}); err == nil {
			t.Error("nothing was loaded as a model")
		}
		control(t, "on aclmdlLoadWithConfig 1 return 245000")
		_, err = c.LoadWith(data, LoadOptions{Own: true})
		class(t, err, ClassMemory)
		control(t, "clear")
		return nil
	})
}

// A model with two inputs: both have their place, in the runtime's order.
func TestSeveralInputs(t *testing.T) {
	on(t, func(c *Context) error {
		model := standin.Sum(3, 2)
		m, err := c.Load(model.Bytes())
		must(err)
		want(t, "inputs", len(m.Info.Inputs), 2)
		b, err := m.Bind()
		must(err)
		s, err := c.NewStream()
		must(err)
		must(b.Inputs[0].Upload(floats(1, 2, 3)))
		must(b.Inputs[1].Upload(floats(10, 20)))
		must(b.Launch(s))
		must(s.Sync(10 * time.Second))
		out := make([]byte, 4)
		must(b.Outputs[0].Download(out))
		want(t, "sum", toFloats(out), []float32{36})
		extra, err := c.Malloc(64, NormalOnly)
		must(err)
		must(extra.Upload(floats(100, 200)))
		must(b.Point(1, extra))
		must(b.Launch(s))
		must(s.Sync(10 * time.Second))
		must(b.Outputs[0].Download(out))
		want(t, "sum with another buffer", toFloats(out), []float32{306})
		if err := b.Point(2, extra); err == nil {
			t.Error("an input that is not there was pointed elsewhere")
		}
		return errors.Join(extra.Free(), s.Close(), b.Close(), m.Close())
	})
}
