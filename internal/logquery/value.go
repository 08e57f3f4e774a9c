package logquery

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
)

// series is a definition as the JSON of its records repeats it.
type series struct {
	name, key, unit string
	labels          json.RawMessage
	match           bool
}

// series looks a definition up once for each epoch. Marks have none and match only queries without a series.
func (w *walk) series(id record.SeriesID) *series {
	if s := w.known[id]; s != nil {
		return s
	}
	s := &series{match: w.q.Series == ""}
	if def, ok := w.src.Series(w.epoch, id); ok && id != 0 {
		s.name, s.key, s.unit = def.Name, def.Key(), def.Unit
		s.labels = labelsJSON(def.Labels)
		s.match = Match(w.q.Series, s.key)
	}
	w.known[id] = s
	return s
}

// Match reports whether a series with this key is meant by the text: all if it is empty, else each that has it
// within its key.
func Match(text, key string) bool { return strings.Contains(key, text) }

func labelsJSON(labels []record.Label) json.RawMessage {
	if len(labels) == 0 {
		return nil
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(l.Key))
		b.WriteByte(':')
		b.Write(quote(l.Value))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote is a JSON string; invalid UTF-8 is replaced.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // cannot fail: it is a string
		return []byte(`""`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Value is a record's value as JSON: a number, true or false, a text, an object or list, or null. Decimals keep their
// digits; infinities and bytes (hexadecimal) are texts.
func Value(r *record.Record) json.RawMessage {
	switch r.Type.Base() {
	case record.TypeInt, record.TypeDecimal, record.TypeBool:
		return r.AppendText(nil)
	case record.TypeFloat:
		f := math.Float64frombits(uint64(r.Num))
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return quote(strconv.FormatFloat(f, 'g', -1, 64))
		}
		return strconv.AppendFloat(nil, f, 'g', -1, 64)
	case record.TypeString:
		return quote(string(r.Value()))
	case record.TypeJSON:
		if json.Valid(r.Value()) {
			return bytes.Clone(r.Value())
		}
		return quote(string(r.Value()))
	case record.TypeBytes:
		return quote(hex.EncodeToString(r.Value()))
	}
	return json.RawMessage("null")
}
