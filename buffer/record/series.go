package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Label is one key and value of a series. Keys are [a-z_][a-z0-9_]*.
type Label struct{ Key, Value string }

// Series is what is observed. Its identity is Name and Labels, taken from the thing itself (ROM id, register),
// not from its place in the configuration.
type Series struct {
	Name   string  // [a-z][a-z0-9_.]*, ≤ 128 bytes: "temperature", "cpu.busy"
	Labels []Label // sorted by key, keys unique, at most MaxLabels
	Unit   string  // UCUM where one exists: "Cel", "%", "By", "s"; "" for none
	Type   Type    // type of good values, decimals included
}

// Definition gives a series its id within an epoch. It takes no offset, is idempotent by (epoch, id) and never
// gets a second meaning.
type Definition struct {
	ID     SeriesID
	Series Series
}

// ErrDefinition is wrapped by every refusal of a series definition.
var ErrDefinition = errors.New("bad series definition")

// Key is the identity as text, also the form that people read: name{key="value",…}.
func (s Series) Key() string {
	if len(s.Labels) == 0 {
		return s.Name
	}
	var b strings.Builder
	b.WriteString(s.Name)
	b.WriteByte('{')
	for i, l := range s.Labels {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", l.Key, l.Value)
	}
	b.WriteByte('}')
	return b.String()
}

// Label is the value of the label with that key, "" if there is none.
func (s Series) Label(key string) string {
	for _, l := range s.Labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// Normalize sorts the labels and checks every bound; it returns an error that wraps ErrDefinition.
func (s *Series) Normalize() error {
	if !validName(s.Name) {
		return fmt.Errorf("%w: name %q: a name begins with a-z and goes on with a-z, 0-9, underscore and dot", ErrDefinition, s.Name)
	}
	if len(s.Labels) > MaxLabels {
		return fmt.Errorf("%w: %s has %d labels, at most %d", ErrDefinition, s.Name, len(s.Labels), MaxLabels)
	}
	if !sort.SliceIsSorted(s.Labels, func(i, j int) bool { return s.Labels[i].Key < s.Labels[j].Key }) {
		s.Labels = append([]Label(nil), s.Labels...)
		sort.Slice(s.Labels, func(i, j int) bool { return s.Labels[i].Key < s.Labels[j].Key })
	}
	for i, l := range s.Labels {
		if !validLabelKey(l.Key) || !utf8.ValidString(l.Value) || i > 0 && s.Labels[i-1].Key == l.Key {
			return fmt.Errorf("%w: label %q of %s: a label's key has a-z 0-9 _, does not begin with a digit and is there once", ErrDefinition, l.Key, s.Name)
		}
	}
	if !s.Type.Valid() || !utf8.ValidString(s.Unit) {
		return fmt.Errorf("%w: type or unit of %s", ErrDefinition, s.Name)
	}
	if n := len(AppendDefinition(nil, Definition{Series: *s})); n > MaxDefinitionBytes {
		return fmt.Errorf("%w: %s takes %d bytes, at most %d", ErrDefinition, s.Name, n, MaxDefinitionBytes)
	}
	return nil
}

func validName(n string) bool {
	if n == "" || len(n) > 128 || n[0] < 'a' || n[0] > 'z' {
		return false
	}
	for i := range len(n) {
		c := n[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func validLabelKey(k string) bool {
	if k == "" || len(k) > 64 || k[0] >= '0' && k[0] <= '9' {
		return false
	}
	for i := range len(k) {
		c := k[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// AppendDefinition appends the definition in its byte form, the same in segments and frames:
//
//	uvarint id | u8 type | str name | str unit | uvarint labels | labels × (str key, str value)
//	str: uvarint length, bytes
func AppendDefinition(dst []byte, d Definition) []byte {
	dst = binary.AppendUvarint(dst, uint64(d.ID))
	dst = append(dst, byte(d.Series.Type))
	dst = appendStr(dst, d.Series.Name)
	dst = appendStr(dst, d.Series.Unit)
	dst = binary.AppendUvarint(dst, uint64(len(d.Series.Labels)))
	for _, l := range d.Series.Labels {
		dst = appendStr(dst, l.Key)
		dst = appendStr(dst, l.Value)
	}
	return dst
}

func appendStr(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// ParseDefinition reads one definition and returns what follows it. The result is normalised and within bounds.
func ParseDefinition(b []byte) (Definition, []byte, error) {
	var d Definition
	bad := func(what string) (Definition, []byte, error) {
		return Definition{}, nil, fmt.Errorf("%w: %s", ErrDefinition, what)
	}
	id, b, ok := cutUvarint(b)
	if !ok || id == 0 || id > MaxSeriesPerEpoch || len(b) == 0 {
		return bad("id")
	}
	d.ID, d.Series.Type, b = SeriesID(id), Type(b[0]), b[1:]
	if d.Series.Name, b, ok = cutStr(b); !ok {
		return bad("name")
	}
	if d.Series.Unit, b, ok = cutStr(b); !ok {
		return bad("unit")
	}
	n, b, ok := cutUvarint(b)
	if !ok || n > MaxLabels {
		return bad("labels")
	}
	for range n {
		var l Label
		if l.Key, b, ok = cutStr(b); !ok {
			return bad("label key")
		}
		if l.Value, b, ok = cutStr(b); !ok {
			return bad("label value")
		}
		d.Series.Labels = append(d.Series.Labels, l)
	}
	if err := d.Series.Normalize(); err != nil {
		return Definition{}, nil, err
	}
	return d, b, nil
}

func cutUvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

func cutStr(b []byte) (string, []byte, bool) {
	n, b, ok := cutUvarint(b)
	if !ok || n > MaxDefinitionBytes || n > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// ValidProducer reports whether s can name a producer: 1 to MaxProducerName of a-z A-Z 0-9 . _ : -
func ValidProducer(s string) bool {
	if s == "" || len(s) > MaxProducerName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return true
}

// ValidStream reports whether s can name a stream: [a-z0-9-]{1,32}.
func ValidStream(s string) bool {
	if s == "" || len(s) > MaxStreamName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
