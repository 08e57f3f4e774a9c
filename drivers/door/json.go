package door

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Mapping says how a JSON object becomes readings: each value in it is a series, named after its path with dots. The
// zero value takes everything. Paths are as in the object: "ENERGY.Power". JSON does not say how exact a number is:
// numbers are floats unless Decimals names the path; texts are texts, lists stay JSON, null is nothing.
type Mapping struct {
	Prefix   string            `yaml:"prefix"`    // before every name
	Only     []string          `yaml:"only"`      // paths to take, whole objects too; empty: all
	Drop     []string          `yaml:"drop"`      // paths to leave out
	Decimals map[string]int    `yaml:"decimals"`  // path → exact decimals, 0 for integers
	Units    map[string]string `yaml:"units"`     // path → UCUM unit
	Tags     []string          `yaml:"tags"`      // paths of texts that become labels of all other values
	Time     string            `yaml:"time"`      // path of the time of observation
	TimeUnit string            `yaml:"time_unit"` // s, ms, us, ns since 1970, or rfc3339 (default)
}

// Check finds mistakes in a mapping.
func (m *Mapping) Check() error {
	for p, d := range m.Decimals {
		if d < 0 || d > record.MaxDecimals {
			return fmt.Errorf("decimals of %s: %d, want 0 to %d", p, d, record.MaxDecimals)
		}
	}
	switch m.TimeUnit {
	case "", "s", "ms", "us", "ns", "rfc3339":
		return nil
	}
	return fmt.Errorf("time_unit %q: want s, ms, us, ns or rfc3339", m.TimeUnit)
}

// JSON appends the readings of one JSON object, or of the single value v as the series Prefix. An error means that
// nothing was appended.
func (m *Mapping) JSON(dst []Reading, text []byte, labels []record.Label) ([]Reading, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return dst, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return dst, errors.New("not JSON: more than one value")
	}
	if _, list := v.([]any); list && m.Prefix == "" {
		return dst, errors.New("a list has no names: send one object, or give the source json.prefix")
	}
	w := walk{m: m, labels: labels, out: dst, from: len(dst), seen: map[string]bool{}}
	if o, ok := v.(map[string]any); ok {
		if err := w.prepare(o); err != nil {
			return dst, err
		}
	}
	if err := w.value("", v, 0); err != nil {
		return dst[:w.from], err
	}
	return w.out, nil
}

type walk struct {
	m      *Mapping
	labels []record.Label
	at     record.Stamp
	out    []Reading
	from   int
	seen   map[string]bool
}

// prepare reads labels and time of the object.
func (w *walk) prepare(o map[string]any) error {
	for _, p := range w.m.Tags {
		switch v := lookup(o, p).(type) {
		case string:
			w.labels = Labels(w.labels, record.Label{Key: Key(p), Value: v})
		case json.Number:
			w.labels = Labels(w.labels, record.Label{Key: Key(p), Value: v.String()})
		case nil:
		default:
			return fmt.Errorf("%s is to be a label and is neither text nor number", p)
		}
	}
	if w.m.Time == "" {
		return nil
	}
	v := lookup(o, w.m.Time)
	ns, err := w.m.when(v)
	if err != nil {
		return fmt.Errorf("time %s: %w", w.m.Time, err)
	}
	w.at = record.Stamp{Time: ns, Clock: record.ClockApp}
	return nil
}

func (m *Mapping) when(v any) (int64, error) {
	digits := map[string]int{"s": 9, "ms": 6, "us": 3, "ns": 0}
	n, numeric := digits[m.TimeUnit]
	switch v := v.(type) {
	case json.Number:
		if numeric {
			t, q := Decimal(v.String(), n)
			if q.Bad() {
				return 0, fmt.Errorf("%.40s does not fit", v)
			}
			return t, nil
		}
	case string:
		if !numeric {
			t, err := time.Parse(time.RFC3339Nano, v)
			if err != nil || t.Year() < 1970 || t.Year() > 2261 {
				return 0, fmt.Errorf("%.40q is not a time as 2026-01-31T12:00:00Z", v)
			}
			return t.UnixNano(), nil
		}
	}
	return 0, errors.New("it is missing or of another form")
}

// lookup follows a path; a key that holds dots itself is found first.
func lookup(o map[string]any, path string) any {
	if v, ok := o[path]; ok {
		return v
	}
	for i := range len(path) {
		if path[i] == '.' {
			if sub, ok := o[path[:i]].(map[string]any); ok {
				if v := lookup(sub, path[i+1:]); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

func (w *walk) value(path string, v any, depth int) error {
	if path != "" && (path == w.m.Time || covers(w.m.Drop, path) || slices.Contains(w.m.Tags, path)) {
		return nil
	}
	if o, ok := v.(map[string]any); ok {
		if depth >= MaxJSONDepth {
			return fmt.Errorf("objects are nested deeper than %d", MaxJSONDepth)
		}
		keys := make([]string, 0, len(o))
		for k := range o {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			p := k
			if path != "" {
				p = path + "." + k
			}
			if err := w.value(p, o[k], depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if v == nil || len(w.m.Only) > 0 && !covers(w.m.Only, path) {
		return nil
	}
	return w.leaf(path, v)
}

// covers reports whether the path or an object above it is listed.
func covers(list []string, path string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return path == p || strings.HasPrefix(path, p+".") })
}

func (w *walk) leaf(path string, v any) error {
	if len(w.out)-w.from >= MaxJSONFields {
		return fmt.Errorf("more than %d values", MaxJSONFields)
	}
	r := Reading{At: w.at, Series: record.Series{Name: Name(w.m.Prefix, path), Labels: w.labels, Unit: w.m.Units[path]}}
	switch v := v.(type) {
	case bool:
		r.Bool(v)
	case string:
		r.String(v)
	case json.Number:
		decimals, ok := w.m.Decimals[path]
		if !ok {
			decimals = -1
		}
		r.Number(v.String(), decimals)
	default: // a list
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.Series.Type, r.Type, r.Value = record.TypeJSON, record.TypeJSON, b
		if len(b) > record.MaxRecordBytes-2*record.MaxDetailBytes {
			r.Bad(record.QualityOverflow, fmt.Sprintf("list of %d bytes", len(b)))
		}
	}
	if err := r.Series.Normalize(); err != nil {
		return err
	}
	if w.seen[r.Series.Name] {
		return fmt.Errorf("two values become the series %s", r.Series.Name)
	}
	w.seen[r.Series.Name] = true
	w.out = append(w.out, r)
	return nil
}

// Backoff is the pause before try n (from 0) of what failed: it doubles from RestartMin to RestartMax.
func Backoff(n int, first time.Duration) time.Duration {
	if first <= 0 {
		first = RestartMin
	}
	return min(time.Duration(float64(first)*math.Pow(2, float64(min(n, 30)))), max(RestartMax, first))
}
