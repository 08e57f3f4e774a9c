package npu

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"
	"strconv"

	"github.com/edgelog/edgelog/ascend/acl"
)

// tensorOut is one output of one item.
type tensorOut struct {
	info acl.Tensor
	data []byte
}

// floats reads the elements as numbers.
func (t tensorOut) floats() ([]float64, error) {
	size := t.info.Type.Size()
	if size == 0 || len(t.data)%size != 0 {
		return nil, fmt.Errorf("output %s has elements of an unknown type", t.info.Name)
	}
	out := make([]float64, len(t.data)/size)
	for i := range out {
		b := t.data[i*size:]
		switch t.info.Type {
		case acl.Float32:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		case acl.Float64:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		case acl.Float16:
			out[i] = half(binary.LittleEndian.Uint16(b))
		case acl.Int8:
			out[i] = float64(int8(b[0]))
		case acl.UInt8, acl.Bool:
			out[i] = float64(b[0])
		case acl.Int16:
			out[i] = float64(int16(binary.LittleEndian.Uint16(b)))
		case acl.UInt16:
			out[i] = float64(binary.LittleEndian.Uint16(b))
		case acl.Int32:
			out[i] = float64(int32(binary.LittleEndian.Uint32(b)))
		case acl.UInt32:
			out[i] = float64(binary.LittleEndian.Uint32(b))
		case acl.Int64:
			out[i] = float64(int64(binary.LittleEndian.Uint64(b)))
		case acl.UInt64:
			out[i] = float64(binary.LittleEndian.Uint64(b))
		}
	}
	return out, nil
}

// half reads a number of IEEE 754 binary16.
func half(h uint16) float64 {
	e, f := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(f, -24)
	switch e {
	case 0:
	case 31:
		v = math.Inf(1)
		if f != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(f+1024, e-25)
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}

// outcome is a decoded result: its body and the numbers that may be charted.
type outcome struct {
	body   map[string]any
	text   string // for people, one phrase
	charts []chart
}

type chart struct {
	name, label, unit string
	value             float64
}

// decode turns the outputs of one item into what they mean. A number that is none (NaN) is an error.
func decode(o Output, outs []tensorOut) (*outcome, error) {
	if len(outs) == 0 {
		return nil, fmt.Errorf("the model has no output")
	}
	v, err := outs[0].floats()
	if err != nil {
		return nil, err
	}
	if len(v) == 0 {
		return nil, fmt.Errorf("output %s is empty", outs[0].info.Name)
	}
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("output %s: element %d is not a number", outs[0].info.Name, i)
		}
	}
	switch o.Kind {
	case KindClassification:
		return classify(o, v), nil
	case KindRegression:
		return regress(o, v), nil
	case KindDetection:
		return detect(o, v)
	case KindAnomaly:
		return anomaly(o, v, outs)
	}
	n := min(len(v), MaxRaw)
	return &outcome{body: map[string]any{"values": v[:n], "elements": len(v), "name": outs[0].info.Name}, text: fmt.Sprintf("%d values", len(v))}, nil
}

func label(labels []string, i int) string {
	if i >= 0 && i < len(labels) {
		return labels[i]
	}
	return fmt.Sprintf("class %d", i)
}

// round keeps the digits that a float32 has, of small and of large numbers.
func round(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 7, 64), 64)
	if err != nil {
		return x
	}
	return y
}

func classify(o Output, v []float64) *outcome {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return v[order[a]] > v[order[b]] })
	var top []map[string]any
	for _, i := range order[:min(o.Top, len(order))] {
		top = append(top, map[string]any{"class": i, "label": label(o.Labels, i), "score": round(v[i])})
	}
	best := order[0]
	return &outcome{body: map[string]any{"top": top}, text: fmt.Sprintf("%s %.3g", label(o.Labels, best), v[best]),
		charts: []chart{{"npu.confidence", "", "1", v[best]}, {"npu.class", "", "1", float64(best)}}}
}

func regress(o Output, v []float64) *outcome {
	out := &outcome{}
	var list []map[string]any
	for i, x := range v[:min(len(v), MaxRaw)] {
		name, unit := fmt.Sprintf("value %d", i), ""
		if i < len(o.Labels) {
			name = o.Labels[i]
		}
		if i < len(o.Units) {
			unit = o.Units[i]
		}
		list = append(list, map[string]any{"name": name, "value": round(x), "unit": unit})
		if i < MaxTop {
			out.charts = append(out.charts, chart{"npu.value", name, unit, x})
		}
	}
	out.body = map[string]any{"values": list}
	out.text = fmt.Sprintf("%v %.6g %v", list[0]["name"], v[0], list[0]["unit"])
	return out
}

type box struct {
	x1, y1, x2, y2, score float64
	class                 int
}

func (a box) iou(b box) float64 {
	w, h := math.Min(a.x2, b.x2)-math.Max(a.x1, b.x1), math.Min(a.y2, b.y2)-math.Max(a.y1, b.y1)
	if w <= 0 || h <= 0 {
		return 0
	}
	area := func(c box) float64 { return (c.x2 - c.x1) * (c.y2 - c.y1) }
	return w * h / (area(a) + area(b) - w*h)
}

// detect reads rows of x1, y1, x2, y2, score, class, and keeps of those that overlap the strongest of each class.
func detect(o Output, v []float64) (*outcome, error) {
	if len(v)%6 != 0 {
		return nil, fmt.Errorf("a detection has rows of 6 numbers; %d is not a multiple", len(v))
	}
	var all []box
	for row := 0; len(v) > 0; row, v = row+1, v[6:] {
		b := box{v[0], v[1], v[2], v[3], v[4], 0}
		if b.score < o.Threshold || b.score <= 0 || b.x2 <= b.x1 || b.y2 <= b.y1 { // also rows that fill the tensor up
			continue
		}
		if v[5] < 0 || v[5] > maxClass || v[5] != math.Trunc(v[5]) {
			return nil, fmt.Errorf("detection in row %d has the class %g", row, v[5])
		}
		b.class = int(v[5])
		all = append(all, b)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].score > all[j].score })
	var kept []box
next:
	for _, b := range all {
		for _, k := range kept {
			if k.class == b.class && k.iou(b) > o.IoU {
				continue next
			}
		}
		if kept = append(kept, b); len(kept) == MaxBoxes {
			break
		}
	}
	list := []map[string]any{}
	for _, b := range kept {
		list = append(list, map[string]any{"label": label(o.Labels, b.class), "class": b.class, "score": round(b.score), "box": []float64{round(b.x1), round(b.y1), round(b.x2), round(b.y2)}})
	}
	text := fmt.Sprintf("%d found", len(kept))
	if len(kept) > 0 {
		text += fmt.Sprintf(", first %s %.3g", label(o.Labels, kept[0].class), kept[0].score)
	}
	return &outcome{body: map[string]any{"boxes": list}, text: text, charts: []chart{{"npu.found", "", "1", float64(len(kept))}}}, nil
}

func anomaly(o Output, v []float64, outs []tensorOut) (*outcome, error) {
	score := v[0]
	is := score > o.Threshold
	out := &outcome{body: map[string]any{"score": round(score), "threshold": o.Threshold, "anomaly": is}, charts: []chart{{"npu.score", "", "1", score}}}
	out.text = fmt.Sprintf("score %.3g", score)
	if is {
		out.text += fmt.Sprintf(", ANOMALY above %.3g", o.Threshold)
	}
	if len(outs) > 1 {
		each, err := outs[1].floats()
		if err != nil {
			return nil, err
		}
		by := map[string]float64{}
		for i, x := range each[:min(len(each), MaxSeries)] {
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				by[label(o.Labels, i)] = round(x)
			}
		}
		out.body["by_series"] = by
	}
	return out, nil
}
