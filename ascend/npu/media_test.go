package npu_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/edgelog/edgelog/ascend/npu"
	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/internal/api"
)

// photo is a picture of w by h in which every place has another colour.
func photo(w, h int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{byte(128 + 100*math.Sin(float64(x)/40)), byte(y * 255 / h), byte(128 + 100*math.Cos(float64(x+y)/60)), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 92}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// seen is a model that gives back the 16 by 16 pixels that its network sees.
func seen(aipp standin.AIPP, batches ...uint64) *standin.Model {
	const n = 16 * 16 * 3
	batch := int64(1)
	if len(batches) > 0 {
		batch = -1
	}
	return &standin.Model{Inputs: []standin.Tensor{{Name: "image", Type: standin.UInt8, Format: standin.NHWC, Dims: []int64{batch, 16, 16, 3}, AIPP: aipp, Scale: 1, Source: 4096}},
		Outputs: []standin.Tensor{{Name: "seen", Format: standin.ND, Dims: []int64{batch, n}}}, Ops: []standin.Op{{Kind: standin.Identity, In: n, Out: n}}, Batches: batches}
}

func (b *box) model(name string) api.NPUModel {
	b.t.Helper()
	s, err := b.client().Status(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range s.Models {
		if m.Name == name {
			return m
		}
	}
	b.t.Fatalf("no model %s in %s", name, b.statusText())
	return api.NPUModel{}
}

// raw is the answer of a raw model as numbers.
func (b *box) raw(model string, data []byte) []float64 {
	b.t.Helper()
	res, err := b.client().Infer(context.Background(), model, "", data)
	if err != nil || res.Quality != "good" {
		b.t.Fatalf("%+v %v", res, err)
	}
	var v struct{ Values []float64 }
	if err := json.Unmarshal(res.Result, &v); err != nil {
		b.t.Fatal(err)
	}
	return v.Values
}

// For every kind of picture input and both ways of fitting, what the network sees is the same picture whether the device
// or the processor decoded it.
func TestDeviceAndProcessorSeeTheSame(t *testing.T) {
	b := newBox(t)
	b.file("plain.om", seen(standin.StaticAIPP).Bytes())
	b.file("yuv.om", seen(standin.StaticYUVAIPP).Bytes())
	b.file("dynamic.om", seen(standin.DynamicAIPP).Bytes())
	var models strings.Builder
	models.WriteString("models:\n")
	kinds := []string{"plain", "yuv", "dynamic"}
	for _, kind := range kinds {
		for _, fit := range []string{"stretch", "crop"} {
			for _, media := range []string{"auto", "off"} {
				fmt.Fprintf(&models, "  - {name: %[1]s-%[2]s-%[3]s, path: %[1]s.om, output: {kind: raw}, input: {fit: %[2]s, media: %[3]s", kind, fit, media)
				if kind == "dynamic" {
					models.WriteString(", mean: 100.5, scale: 0.5")
				}
				models.WriteString("}}\n")
			}
		}
	}
	b.worker(b.config(models.String()))
	pictures := map[string][]byte{"wide": photo(400, 200), "tall": photo(130, 222), "odd": photo(333, 111), "exact": photo(64, 64)}
	for _, kind := range kinds {
		for _, fit := range []string{"stretch", "crop"} {
			device, processor := kind+"-"+fit+"-auto", kind+"-"+fit+"-off"
			b.ready(device)
			b.ready(processor)
			if m := b.model(device); m.Media != "device" {
				t.Errorf("%s: pictures are decoded by %q", device, m.Media)
			}
			if m := b.model(processor); !strings.HasPrefix(m.Media, "processor: switched off") {
				t.Errorf("%s: pictures are decoded by %q", processor, m.Media)
			}
			for name, data := range pictures {
				got, want := b.raw(device, data), b.raw(processor, data)
				scale := 1.0
				if kind == "dynamic" {
					scale = 0.5
				}
				sum, most := 0.0, 0.0
				for i := range want {
					d := math.Abs(got[i]-want[i]) / scale
					sum, most = sum+d, max(most, d)
				}
				if len(got) != 768 || sum/768 > 8 || most > 40 { // the device halves the chroma first
					t.Errorf("%s of a %s picture: %d values, %.1f off on average, %.0f at most", device, name, len(got), sum/768, most)
				}
				lo, hi := want[0], want[0]
				for _, v := range want {
					lo, hi = min(lo, v), max(hi, v)
				}
				if (hi-lo)/scale < 100 {
					t.Errorf("%s of a %s picture shows nothing: %v to %v", processor, name, lo, hi)
				}
			}
			if m := b.model(device); m.OnDevice != 4 || m.LeftToProcessor != 0 {
				t.Errorf("%s: %d pictures on the device, %d left", device, m.OnDevice, m.LeftToProcessor)
			}
		}
	}
	stretched, cropped, off := b.raw("plain-stretch-auto", pictures["wide"]), b.raw("plain-crop-auto", pictures["wide"]), 0.0
	for i := range stretched {
		off += math.Abs(stretched[i]-cropped[i]) / 768
	}
	if off < 16 {
		t.Errorf("a wide picture is seen alike stretched and cropped (%.1f off on average)", off)
	}
	if v := b.raw("dynamic-stretch-off", photo(64, 64)); v[0] < (0-100.5)*0.5 || v[0] > (255-100.5)*0.5 {
		t.Errorf("mean and scale are not applied: %v", v[0])
	}
}

const wide = `models:
  - name: colours
    path: colours.om
    output: {kind: classification, labels: [red, green, blue], top: 1}
    batch: {max: 4, wait: 20ms}
    %s
`

// Pictures that the units cannot decode are decoded by the processor, in the same batch as others; only what nobody can
// decode is a bad record.
func TestPicturesThatTheDeviceCannotDecode(t *testing.T) {
	b := newBox(t)
	b.file("colours.om", standin.Classifier(16, 16, 1, 4).Bytes())
	b.worker(b.config(fmt.Sprintf(wide, "") + "files:\n  - {dir: in, model: colours}\n"))
	b.ready("colours")
	progressive, err := os.ReadFile("../acl/testdata/progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	cut := picture(blue, 64)
	for name, data := range map[string][]byte{"device.jpg": picture(red, 64), "small.jpg": picture(green, 16), "progressive.jpg": progressive,
		"cut.jpg": cut[:len(cut)-60], "odd.jpg": picture(blue, 65)} {
		b.file("in/"+name, data)
	}
	b.until("5 results", func() bool { return len(b.records("npu.inference")) == 5 })
	by := map[string]string{}
	for _, r := range b.records("npu.inference") {
		var body struct {
			By     string `json:"decoded_by"`
			Result struct{ Top []struct{ Label string } }
			Input  struct{ Ref string }
		}
		if r.Quality != "good" {
			by["bad"] = r.Quality
			continue
		}
		if err := json.Unmarshal(r.Value, &body); err != nil {
			t.Fatal(err)
		}
		by[body.Input.Ref[strings.LastIndex(body.Input.Ref, "/")+1:]] = body.By + " " + body.Result.Top[0].Label
	}
	for name, want := range map[string]string{"device.jpg": "device red", "small.jpg": "processor green", "odd.jpg": "device blue", "bad": "bad:malformed"} {
		if by[name] != want {
			t.Errorf("%s: %q, want %q", name, by[name], want)
		}
	}
	if !strings.HasPrefix(by["progressive.jpg"], "processor ") {
		t.Errorf("progressive.jpg: %q", by["progressive.jpg"])
	}
	if m := b.model("colours"); m.OnDevice != 2 || m.LeftToProcessor != 1 {
		t.Errorf("%d on the device, %d left to the processor", m.OnDevice, m.LeftToProcessor)
	}
}

// Faults of the media units cost no picture: the processor decodes, and the status says why.
func TestMediaUnitsFail(t *testing.T) {
	for _, f := range []struct{ name, before, during, media string }{
		{"no channel at the start", "on acldvppCreateChannel * return 207012", "", "processor: acldvppCreateChannel: 207012"},
		{"no media memory at the start", "on acldvppMalloc * return 207001", "", "processor: acldvppMalloc: 207001"},
		{"other colours", "set media_wrong 1", "", "processor: a test picture comes out otherwise"},
		{"a unit fails in the self-test", "on media * return 507018", "", "processor: media units failed"},
		{"a unit fails at work", "", "on media 2 return 507018", ""},
		{"the decoder refuses a picture", "", "on acldvppJpegDecodeAsync 2 return 100000", "device"},
		{"no description", "", "on acldvppJpegGetImageInfoV2 1 return 500001", "device"},
		{"media memory runs out at work", "", "on acldvppMalloc 1 return 207001", "device"},
		{"media memory runs out between two parts", "", "on acldvppMalloc 2 return 207018", "device"},
	} {
		t.Run(f.name, func(t *testing.T) {
			b := newBox(t)
			b.file("colours.om", standin.Classifier(16, 16, 1, 4).Bytes())
			c := b.config(fmt.Sprintf(wide, ""))
			_, stop := b.workerWith(c, "set media_wrong 0;"+f.before)
			b.ready("colours")
			if f.during != "" {
				if m := b.model("colours"); m.Media != "device" {
					t.Fatalf("pictures are decoded by %q", m.Media)
				}
				control(f.during)
			}
			errs := make(chan error, 12)
			for i := range 12 {
				go func() {
					want := []string{"red", "green", "blue"}[i%3]
					res, err := b.client().Infer(context.Background(), "colours", fmt.Sprint("frame-", i), picture([]color.Color{red, green, blue}[i%3], 64+300*(i%2)))
					if err == nil && (res.Quality != "good" || !strings.Contains(string(res.Result), want)) {
						err = fmt.Errorf("%s: %s %s, want %s", res.Quality, res.Result, res.Error, want)
					}
					errs <- err
				}()
			}
			for range 12 {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if n := len(b.records("npu.inference")); n != 12 {
				t.Errorf("%d records of 12 pictures", n)
			}
			if m := b.model("colours"); !strings.HasPrefix(m.Media, f.media) || m.Bad != 0 {
				t.Errorf("decoded by %q, %d bad", m.Media, m.Bad)
			}
			stop()
			control("clear;set media_wrong 0")
		})
	}
}

// Units that hang end the process; the next one does without them, and says so. Nothing is lost.
func TestMediaUnitsHang(t *testing.T) {
	b := newBox(t)
	b.file("colours.om", standin.Classifier(16, 16, 1, 4).Bytes())
	b.config(fmt.Sprintf(wide, "deadline: 3s") + "files:\n  - {dir: in, model: colours, after: delete}\n")
	b.file("in/1.jpg", picture(red, 64))
	b.rules("on media * sleep 100000")
	_, done := b.process()
	if code := <-done; code != npu.ExitDevice {
		t.Errorf("exit code %d", code)
	}
	cmd, done := b.process()
	b.ready("colours")
	b.until("the result", func() bool { return len(b.refs()) == 1 })
	if m := b.model("colours"); !strings.HasPrefix(m.Media, "processor: the last process ended on them") {
		t.Errorf("decoded by %q", m.Media)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != 0 {
		t.Errorf("the worker then ended with %d", code)
	}
}

// Models with several inputs: constants of the configuration, and what an item brings, one behind the other.
func TestSeveralInputs(t *testing.T) {
	b := newBox(t)
	b.file("sum.om", standin.Sum(3, 2).Bytes())
	b.worker(b.config(`models:
  - {name: all, path: sum.om, output: {kind: regression, labels: [sum]}, priority: 3}
  - {name: constant, path: sum.om, output: {kind: regression, labels: [sum]}, input: {constants: {b: [100, 200]}}}
  - {name: short, path: sum.om, output: {kind: raw}, input: {constants: {b: [1]}}}
  - {name: unknown, path: sum.om, output: {kind: raw}, input: {constants: {c: [1, 2]}}}
  - {name: nothing, path: sum.om, output: {kind: raw}, input: {constants: {a: [1, 2, 3], b: [1, 2]}}}
windows:
  - {name: w, model: all, series: [x, y, z, v, u], length: 2, every: 10ms}
`))
	b.ready("all")
	b.ready("constant")
	ask := func(model string, v ...float32) string {
		var data bytes.Buffer
		for _, x := range v {
			data.Write([]byte{byte(math.Float32bits(x)), byte(math.Float32bits(x) >> 8), byte(math.Float32bits(x) >> 16), byte(math.Float32bits(x) >> 24)})
		}
		res, err := b.client().Infer(context.Background(), model, "", data.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return string(res.Result) + res.Error
	}
	if got := ask("all", 1, 2, 3, 10, 20); got != `{"values":[{"name":"sum","unit":"","value":36}]}` {
		t.Error(got)
	}
	for range 3 { // a constant stays
		if got := ask("constant", 1, 2, 3); got != `{"values":[{"name":"sum","unit":"","value":306}]}` {
			t.Error(got)
		}
	}
	if got := ask("all", 1, 2, 3); !strings.Contains(got, "a ([1 3] of float32) + b ([1 2] of float32) wants 20 bytes") {
		t.Error(got)
	}
	for name, want := range map[string]string{"short": "input b takes 2 values, the configuration has 1", "unknown": "no input c", "nothing": "every input is a constant"} {
		b.until("the refusal of "+name, func() bool { return strings.Contains(b.model(name).Error, want) })
	}
}
