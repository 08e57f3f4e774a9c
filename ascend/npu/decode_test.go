package npu

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/ascend/acl"
)

func f32(v ...float64) []tensorOut {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return []tensorOut{{acl.Tensor{Name: "out", Type: acl.Float32}, b}}
}

func body(t *testing.T, o *outcome, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o.body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestClassification(t *testing.T) {
	o := Output{Kind: KindClassification, Labels: []string{"open", "closed"}, Top: 3}
	out, err := decode(o, f32(0.125, 0.5, 0.25, 0.125))
	if got := body(t, out, err); got != `{"top":[{"class":1,"label":"closed","score":0.5},{"class":2,"label":"class 2","score":0.25},{"class":0,"label":"open","score":0.125}]}` {
		t.Error(got) // of equal scores the lower class comes first
	}
	if out.text != "closed 0.5" {
		t.Error(out.text)
	}
	if want := []chart{{"npu.confidence", "", "1", 0.5}, {"npu.class", "", "1", 1}}; !reflect.DeepEqual(out.charts, want) {
		t.Error(out.charts)
	}
}

func TestRegression(t *testing.T) {
	o := Output{Kind: KindRegression, Labels: []string{"flow", "pressure"}, Units: []string{"m3/h", "bar"}}
	out, err := decode(o, f32(12.5, -0.25, 1e-7))
	if got := body(t, out, err); got != `{"values":[{"name":"flow","unit":"m3/h","value":12.5},{"name":"pressure","unit":"bar","value":-0.25},{"name":"value 2","unit":"","value":1e-7}]}` {
		t.Error(got) // seven digits in the record
	}
	if out.text != "flow 12.5 m3/h" {
		t.Error(out.text)
	}
	if len(out.charts) != 3 || out.charts[0] != (chart{"npu.value", "flow", "m3/h", 12.5}) || out.charts[1] != (chart{"npu.value", "pressure", "bar", -0.25}) || out.charts[2].value != float64(float32(1e-7)) {
		t.Error(out.charts) // the series has the whole number
	}
	many := make([]float64, MaxRaw+5)
	if out, err = decode(o, f32(many...)); err != nil || len(out.charts) != MaxTop {
		t.Error(len(out.charts), err)
	}
}

// Overlaps by hand: intersection over union.
func TestOverlap(t *testing.T) {
	for _, k := range []struct {
		a, b box
		want float64
	}{
		{box{x1: 0, y1: 0, x2: 10, y2: 10}, box{x1: 0, y1: 0, x2: 10, y2: 10}, 1},
		{box{x1: 0, y1: 0, x2: 10, y2: 10}, box{x1: 1, y1: 1, x2: 11, y2: 11}, 81.0 / 119},         // 9·9 of 100+100-81
		{box{x1: 0, y1: 0, x2: 10, y2: 10}, box{x1: 5, y1: 0, x2: 15, y2: 10}, 50.0 / 150},         // half
		{box{x1: 0, y1: 0, x2: 10, y2: 10}, box{x1: 2, y1: 2, x2: 4, y2: 7}, 10.0 / 100},           // inside
		{box{x1: 0, y1: 0, x2: 10, y2: 10}, box{x1: 10, y1: 0, x2: 20, y2: 10}, 0},                 // touching
		{box{x1: 0, y1: 0, x2: 1, y2: 1}, box{x1: 5, y1: 5, x2: 6, y2: 6}, 0},                      // apart
		{box{x1: 0.1, y1: 0.1, x2: 0.3, y2: 0.5}, box{x1: 0.2, y1: 0.1, x2: 0.4, y2: 0.5}, 1. / 3}, // in parts of the picture
	} {
		if got := k.a.iou(k.b); math.Abs(got-k.want) > 1e-12 || math.Abs(k.b.iou(k.a)-got) > 1e-15 {
			t.Errorf("%v and %v overlap by %v, want %v", k.a, k.b, got, k.want)
		}
	}
}

// Boxes after suppression, computed by hand.
func TestDetection(t *testing.T) {
	type row = [6]float64
	a := row{0, 0, 10, 10, 0.9, 0}
	shifted := row{1, 1, 11, 11, 0.8, 0} // overlaps a by 0.6807
	far := row{8, 8, 18, 18, 0.7, 0}     // overlaps a by 4/196, shifted by 9/191
	other := row{0, 0, 10, 10, 0.6, 1}   // as a, of another class
	third := row{5, 0, 15, 10, 0.5, 0}   // overlaps a by exactly 1/3
	for _, k := range []struct {
		name string
		o    Output
		rows []row
		want []row
	}{
		{"the weaker of two goes", Output{IoU: 0.5}, []row{shifted, a}, []row{a}},
		{"both stay where the limit is above their overlap", Output{IoU: 0.7}, []row{shifted, a}, []row{a, shifted}},
		{"classes do not hide each other", Output{IoU: 0.5}, []row{other, a}, []row{a, other}},
		{"an overlap of the limit itself stays", Output{IoU: 1.0 / 3}, []row{a, third}, []row{a, third}},
		{"and goes below it", Output{IoU: 0.33}, []row{a, third}, []row{a}},
		{"what went hides nothing", Output{IoU: 0.04}, []row{a, shifted, far}, []row{a, far}},
		{"weak ones are left out", Output{IoU: 0.5, Threshold: 0.65}, []row{a, other, far}, []row{a, far}},
		{"rows that fill the tensor up", Output{IoU: 0.5}, []row{a, {0, 0, 0, 0, 0, -1}, {0, 0, 5, 5, -1, -1}, {5, 5, 4, 8, 0.9, 0}}, []row{a}},
		{"nothing", Output{IoU: 0.5, Threshold: 0.99}, []row{a}, nil},
		{"parts of the picture", Output{IoU: 0.3}, []row{{0.1, 0.1, 0.3, 0.5, 0.5, 2}, {0.2, 0.1, 0.4, 0.5, 0.75, 2}}, []row{{0.2, 0.1, 0.4, 0.5, 0.75, 2}}},
	} {
		k.o.Kind, k.o.Labels = KindDetection, []string{"truck", "car"}
		var flat []float64
		for _, r := range k.rows {
			flat = append(flat, r[:]...)
		}
		out, err := decode(k.o, f32(flat...))
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		var want []string
		for _, r := range k.want {
			want = append(want, fmt.Sprintf("%s %g %v", label(k.o.Labels, int(r[5])), r[4], r[:4]))
		}
		var got []string
		for _, b := range out.body["boxes"].([]map[string]any) {
			got = append(got, fmt.Sprintf("%s %g %v", b["label"], b["score"], b["box"]))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", k.name, got, want)
		}
		if out.charts[0].value != float64(len(want)) || !strings.HasPrefix(out.text, fmt.Sprintf("%d found", len(want))) {
			t.Errorf("%s: charted %v, told as %q", k.name, out.charts, out.text)
		}
	}
	crowd := make([]float64, 0, 6*(MaxBoxes+20))
	for i := range MaxBoxes + 20 {
		crowd = append(crowd, float64(2*i), 0, float64(2*i+1), 1, 0.5, 0)
	}
	if out, err := decode(Output{Kind: KindDetection, IoU: 0.5}, f32(crowd...)); err != nil || len(out.body["boxes"].([]map[string]any)) != MaxBoxes {
		t.Error("a crowd:", err)
	}
	for want, rows := range map[string][]float64{"rows of 6 numbers": {1, 2, 3, 4, 5}, "element 3 is not a number": {1, 2, 3, math.NaN(), 5, 6},
		"class 0.5": {0, 0, 1, 1, 1, 0.5}, "class -1": {0, 0, 1, 1, 1, -1}, "class 1.0000": {0, 0, 1, 1, 1, 1e30}} {
		if _, err := decode(Output{Kind: KindDetection}, f32(rows...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", rows, err, want)
		}
	}
}

func TestAnomalyAndRaw(t *testing.T) {
	o := Output{Kind: KindAnomaly, Threshold: 4, Labels: []string{"cpu"}}
	out, err := decode(o, append(f32(4.5), f32(4.5, 0.25, math.Inf(1))...))
	if got := body(t, out, err); got != `{"anomaly":true,"by_series":{"class 1":0.25,"cpu":4.5},"score":4.5,"threshold":4}` {
		t.Error(got)
	}
	if out.text != "score 4.5, ANOMALY above 4" {
		t.Error(out.text)
	}
	out, err = decode(o, f32(4)) // the threshold itself is none
	if got := body(t, out, err); got != `{"anomaly":false,"score":4,"threshold":4}` {
		t.Error(got)
	}
	out, err = decode(Output{Kind: KindRaw}, f32(make([]float64, MaxRaw+1)...))
	if err != nil || len(out.body["values"].([]float64)) != MaxRaw || out.body["elements"] != MaxRaw+1 {
		t.Error(err)
	}
	for _, bad := range [][]tensorOut{nil, f32(), f32(math.Inf(-1)), {{acl.Tensor{Type: acl.TypeUndefined}, []byte{1}}}, {{acl.Tensor{Type: acl.Float32}, []byte{1, 2, 3}}}} {
		for _, kind := range []string{KindClassification, KindRegression, KindDetection, KindRaw, KindAnomaly} {
			if _, err := decode(Output{Kind: kind, Top: 1}, bad); err == nil {
				t.Errorf("%s of %v gave no error", kind, bad)
			}
		}
	}
}

// Elements of every type, little-endian.
func TestElements(t *testing.T) {
	for _, k := range []struct {
		kind acl.DataType
		data []byte
		want []float64
	}{
		{acl.Float32, []byte{0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1}, []float64{1, -10}},
		{acl.Float64, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, []float64{1.5}},
		{acl.Float16, []byte{0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b, 0x55, 0x35}, []float64{1, -2, math.Ldexp(1, -24), 65504, 0.333251953125}},
		{acl.Int8, []byte{0xff, 0x7f}, []float64{-1, 127}}, {acl.UInt8, []byte{0xff}, []float64{255}}, {acl.Bool, []byte{1, 0}, []float64{1, 0}},
		{acl.Int16, []byte{0xfe, 0xff}, []float64{-2}}, {acl.UInt16, []byte{0xfe, 0xff}, []float64{65534}},
		{acl.Int32, []byte{0xfd, 0xff, 0xff, 0xff}, []float64{-3}}, {acl.UInt32, []byte{0, 0, 0, 0x80}, []float64{1 << 31}},
		{acl.Int64, []byte{0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []float64{-4}}, {acl.UInt64, []byte{0, 0, 0, 0, 1, 0, 0, 0}, []float64{1 << 32}},
	} {
		got, err := tensorOut{acl.Tensor{Type: k.kind}, k.data}.floats()
		if err != nil || !reflect.DeepEqual(got, k.want) {
			t.Errorf("%s: %v %v, want %v", k.kind, got, err, k.want)
		}
	}
	for h, want := range map[uint16]float64{0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8000: 0, 0x0400: math.Ldexp(1, -14), 0x03ff: math.Ldexp(1023, -24)} {
		if got := half(h); got != want {
			t.Errorf("half %04x is %v, want %v", h, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("half NaN")
	}
}

func FuzzDecode(f *testing.F) {
	for _, o := range f32(0, 0, 10, 10, 0.9, 0, 1, 1, 11, 11, 0.8, 0) {
		f.Add(byte(2), o.data, 0.5, 0.1)
	}
	f.Add(byte(0), []byte{0, 0, 0x80, 0x3f}, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, kind byte, data []byte, iou, threshold float64) {
		kinds := []string{KindClassification, KindRegression, KindDetection, KindRaw, KindAnomaly}
		o := Output{Kind: kinds[int(kind)%len(kinds)], Top: 5, IoU: iou, Threshold: threshold}
		types := []acl.DataType{acl.Float32, acl.Float16, acl.Int8, acl.Int64, acl.Float64}
		for _, typ := range types {
			out, err := decode(o, []tensorOut{{acl.Tensor{Type: typ}, data}, {acl.Tensor{Type: acl.UInt8}, data}})
			if err != nil {
				continue
			}
			if _, err := json.Marshal(out.body); err != nil {
				t.Fatalf("a result that cannot be written: %v", err)
			}
			list, is := out.body["boxes"].([]map[string]any)
			for i := range list {
				if is && i > 0 && list[i]["score"].(float64) > list[i-1]["score"].(float64) {
					t.Fatal("boxes are not in the order of their scores")
				}
			}
		}
	})
}

// Small and large values keep their digits in the record.
func TestDigits(t *testing.T) {
	for x, want := range map[float64]float64{2.5e-8: 2.5e-8, 0.12345678: 0.1234568, -1e300: -1e300, math.MaxFloat64: 1.797693e308, 0: 0, 5e-324: 5e-324, 123456789: 123456800} {
		if got := round(x); got != want {
			t.Errorf("%g is %g, want %g", x, got, want)
		}
	}
}
