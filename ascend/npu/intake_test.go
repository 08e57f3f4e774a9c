package npu

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/ascend/acl"
)

var pictureKinds = map[string]acl.Tensor{
	"bytes":           {Name: "x", Type: acl.UInt8, Format: acl.NHWC, Dims: []int64{1, 6, 10, 3}, Bytes: 180},
	"floats, planar":  {Name: "x", Type: acl.Float32, Format: acl.NCHW, Dims: []int64{1, 3, 6, 10}, Bytes: 720},
	"two planes":      {Name: "x", Type: acl.UInt8, Format: acl.NHWC, Dims: []int64{1, 9, 10, 1}, Bytes: 90, AIPP: true},
	"set at run time": {Name: "x", Type: acl.UInt8, Format: acl.NHWC, Dims: []int64{1, 6, 10, 3}, Bytes: 4096, DynamicAIPP: true},
}

// A picture of one colour is that colour at every place, whatever the layout.
func TestPictureLayouts(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 33, 47))
	for y := range 47 {
		for x := range 33 {
			img.Set(x, y, color.RGBA{200, 100, 50, 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	near := func(kind string, got byte, want int) {
		t.Helper()
		if d := int(got) - want; d < -3 || d > 3 {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
	for kind, tensor := range pictureKinds {
		k, err := newIntake(acl.Info{Inputs: []acl.Tensor{tensor}}, Input{Scale: 1, Fit: FitCrop})
		if err != nil {
			t.Fatal(err)
		}
		f, err := k.prepare(b.Bytes(), false)
		if err != nil || f.where != onProcessor {
			t.Fatal(kind, err)
		}
		p := f.parts[0]
		switch kind {
		case "two planes": // Y, U, V of (200, 100, 50): 124, 86, 182
			for i := range 60 {
				near(kind, p[i], 124)
			}
			for i := 60; i < 90; i += 2 {
				near(kind, p[i], 86)
				near(kind, p[i+1], 182)
			}
		case "floats, planar":
			v, err := tensorOut{tensor, p}.floats()
			if err != nil {
				t.Fatal(err)
			}
			for i, x := range v {
				near(kind, byte(x), []int{200, 100, 50}[i/60])
			}
		default:
			for i := range 180 {
				near(kind, p[i], []int{200, 100, 50}[i%3])
			}
		}
	}
}

func TestInputsThatAreRefused(t *testing.T) {
	for want, inputs := range map[string][]acl.Tensor{
		"no fixed size": {{Name: "x", Type: acl.Float32, Dims: []int64{1, -1}}},
		"at most 100 bytes; RGB of the network's size": {{Name: "x", Type: acl.UInt8, Format: acl.NHWC, Dims: []int64{1, 6, 10, 3}, Bytes: 100, DynamicAIPP: true}},
		"elements of uint8; possible are float32":      {{Name: "x", Type: acl.UInt8, Dims: []int64{1, 2}, Bytes: 2}, {Name: "c", Type: acl.UInt8, Dims: []int64{1, 2}, Bytes: 2}},
	} {
		in := Input{}
		if len(inputs) > 1 {
			in.Constants = map[string][]float64{"c": {1, 2}}
		}
		if _, err := newIntake(acl.Info{Inputs: inputs}, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Gradients come out in their place: what is left stays left, what is above stays above, and a cut loses the edges only.
func TestPictureIsNotTurned(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 200, 100))
	for y := range 100 {
		for x := range 200 {
			img.SetGray(x, y, color.Gray{byte(x/2 + y)})
		}
	}
	whole := colours(img, img.Bounds(), 20, 10)
	at := func(p []byte, x, y int) int { return int(p[(y*20+x)*3]) }
	for _, k := range [][3]int{{0, 0, 6}, {19, 0, 101}, {0, 9, 96}, {19, 9, 191}} { // the middle of each piece of 10 by 10: x/2+y
		if d := at(whole, k[0], k[1]) - k[2]; d < -3 || d > 3 {
			t.Errorf("at %d, %d: %d, want %d", k[0], k[1], at(whole, k[0], k[1]), k[2])
		}
	}
	part := section(img.Bounds(), target{width: 20, height: 20}, FitCrop)
	if part != image.Rect(50, 0, 150, 100) {
		t.Errorf("the centre is %v", part)
	}
}

func TestBaseline(t *testing.T) {
	for name, want := range map[string]bool{"444": true, "422": true, "420": true, "440": true, "gray": true, "restart": true, "progressive": false, "arithmetic": false} {
		data, err := os.ReadFile("../acl/testdata/" + name + ".jpg")
		if err != nil {
			t.Fatal(err)
		}
		if baseline(data) != want {
			t.Errorf("%s is taken for baseline: %v", name, !want)
		}
	}
	for _, bad := range [][]byte{nil, {0xff, 0xd8, 0xff}, {0xff, 0xd8, 0xff, 0xff, 0xff, 0xff}, {0xff, 0xd8, 0xff, 0xc0, 0, 2}, {0xff, 0xd8, 1, 2, 3, 4}} {
		if baseline(bad) {
			t.Errorf("% x is taken for baseline", bad)
		}
	}
}

// Whatever comes in is refused or has the size of the input.
func FuzzPrepare(f *testing.F) {
	for _, name := range []string{"444", "gray", "progressive", "restart"} {
		data, err := os.ReadFile("../acl/testdata/" + name + ".jpg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
	}
	f.Add(make([]byte, 180), false)
	f.Fuzz(func(t *testing.T, data []byte, cut bool) {
		if c, err := jpeg.DecodeConfig(bytes.NewReader(data)); err == nil && c.Width*c.Height > 1<<20 {
			return // the fuzzer's memory, not the worker's
		}
		for kind, tensor := range pictureKinds {
			in := Input{Scale: 1, Fit: FitStretch}
			if cut {
				in.Fit = FitCrop
			}
			k, err := newIntake(acl.Info{Inputs: []acl.Tensor{tensor}}, in)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := k.prepare(data, false); err == nil && len(f.parts[0]) != k.bytes[0] {
				t.Fatalf("%s: %d bytes, want %d", kind, len(f.parts[0]), k.bytes[0])
			}
			if f, err := k.prepare(data, true); err == nil && (f.jpeg == nil) == (f.parts[0] == nil) {
				t.Fatalf("%s: neither bytes nor a picture", kind)
			}
		}
	})
}

// A model whose sizes do not fit each other is refused: its pictures would be cut off.
func TestPictureLargerThanItsInput(t *testing.T) {
	for name, x := range pictureKinds {
		if _, err := newIntake(acl.Info{Inputs: []acl.Tensor{x}}, Input{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		x.Bytes = 48
		if _, err := newIntake(acl.Info{Inputs: []acl.Tensor{x}}, Input{}); err == nil {
			t.Errorf("%s: an input of 48 bytes is taken", name)
		}
	}
}

// What belongs to a batch as a whole is nobody's result.
func TestOutputWithoutBatch(t *testing.T) {
	info := acl.Info{Batches: []int{1, 4}, Outputs: []acl.Tensor{{Name: "y", Type: acl.Float32, Dims: []int64{4, 6}, Bytes: 96}}}
	for _, ok := range [][]int64{{4, 6}, {-1, 6}, {24}, nil} {
		if info.Outputs[0].Dims = ok; divisible(info) != nil {
			t.Error(divisible(info))
		}
	}
	for _, dims := range [][]int64{{1, 24}, {6, 4}} {
		if info.Outputs[0].Dims = dims; divisible(info) == nil {
			t.Errorf("an output of %v is divided among 4", dims)
		}
	}
	info.Batches = nil
	if err := divisible(info); err != nil { // batches of 1
		t.Error(err)
	}
}

// Numbers that begin like a picture are numbers for a model that takes no pictures.
func TestNumbersThatLookLikeAPicture(t *testing.T) {
	k, err := newIntake(acl.Info{Inputs: []acl.Tensor{{Name: "x", Type: acl.Float32, Format: acl.ND, Dims: []int64{1, 2}, Bytes: 8}}}, Input{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := k.floats([]float64{31.9809551239013671875, 1}) // ff d8 ff 41
	if err != nil || !isJPEG(data) {
		t.Fatalf("% x %v", data, err)
	}
	if f, err := k.prepare(data, true); err != nil || !bytes.Equal(f.parts[0], data) {
		t.Error(err)
	}
}
