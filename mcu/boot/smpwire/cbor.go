package smpwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// CBOR (RFC 8949) as SMP uses it: maps with text keys over numbers, bytes, text, booleans, lists and maps.

// ErrCBOR is wrapped by every refusal of a CBOR item.
var ErrCBOR = errors.New("bad CBOR")

const (
	cborDepth = 8
	cborItems = 4096 // of one answer
)

// Pair is one entry of a map that is written; []Pair keeps their order.
type Pair struct {
	Key   string
	Value any
}

func cborHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major<<5|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major<<5|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major<<5|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major<<5|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major<<5|27), n)
}

// AppendCBOR writes int, bool, string, []byte, []Pair and []any of these.
func AppendCBOR(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		if v < 0 {
			return cborHead(dst, 1, uint64(-1-v))
		}
		return cborHead(dst, 0, uint64(v))
	case bool:
		if v {
			return append(dst, 0xf5)
		}
		return append(dst, 0xf4)
	case string:
		return append(cborHead(dst, 3, uint64(len(v))), v...)
	case []byte:
		return append(cborHead(dst, 2, uint64(len(v))), v...)
	case []Pair:
		dst = cborHead(dst, 5, uint64(len(v)))
		for _, p := range v {
			dst = AppendCBOR(AppendCBOR(dst, p.Key), p.Value)
		}
		return dst
	case []any:
		dst = cborHead(dst, 4, uint64(len(v)))
		for _, x := range v {
			dst = AppendCBOR(dst, x)
		}
		return dst
	}
	panic(fmt.Sprintf("smpwire: CBOR of %T", v))
}

type cborReader struct {
	b     []byte
	items int
}

// ParseCBOR reads one item that fills b: int64, bool, string, []byte, []any, map[string]any or nil.
func ParseCBOR(b []byte) (any, error) {
	r := &cborReader{b: b}
	v, err := r.item(0)
	if err == nil && len(r.b) > 0 {
		err = fmt.Errorf("%w: %d bytes follow", ErrCBOR, len(r.b))
	}
	return v, err
}

func (r *cborReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.b)) {
		return nil, fmt.Errorf("%w: cut short", ErrCBOR)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out, nil
}

// head reads a major type with its number; open says that the length is indefinite.
func (r *cborReader) head() (major byte, n uint64, open bool, err error) {
	first, err := r.take(1)
	if err != nil {
		return 0, 0, false, err
	}
	major, low := first[0]>>5, first[0]&31
	switch {
	case low < 24:
		return major, uint64(low), false, nil
	case low <= 27:
		b, err := r.take(1 << (low - 24))
		if err != nil {
			return 0, 0, false, err
		}
		for _, c := range b {
			n = n<<8 | uint64(c)
		}
		return major, n, false, nil
	case low == 31:
		return major, 0, true, nil
	}
	return 0, 0, false, fmt.Errorf("%w: byte %#02x", ErrCBOR, first[0])
}

// ended reports and takes the break of an indefinite length.
func (r *cborReader) ended() bool {
	if len(r.b) > 0 && r.b[0] == 0xff {
		r.b = r.b[1:]
		return true
	}
	return false
}

func (r *cborReader) item(depth int) (any, error) {
	if r.items++; depth > cborDepth || r.items > cborItems {
		return nil, fmt.Errorf("%w: too deep or too many items", ErrCBOR)
	}
	start := r.b
	major, n, open, err := r.head()
	if err != nil {
		return nil, err
	}
	if open && major != 4 && major != 5 {
		return nil, fmt.Errorf("%w: text or bytes of indefinite length", ErrCBOR)
	}
	switch major {
	case 0, 1:
		if n > math.MaxInt64 {
			return nil, fmt.Errorf("%w: number beyond 63 bits", ErrCBOR)
		}
		if major == 1 {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case 2, 3:
		b, err := r.take(n)
		if err != nil {
			return nil, err
		}
		if major == 2 {
			return append([]byte{}, b...), nil
		}
		if !utf8.Valid(b) {
			return nil, fmt.Errorf("%w: text is not UTF-8", ErrCBOR)
		}
		return string(b), nil
	case 4:
		return r.list(depth, n, open)
	case 5:
		return r.dict(depth, n, open)
	case 6: // a tag: what it tags counts
		return r.item(depth + 1)
	}
	switch start[0] {
	case 0xf4:
		return false, nil
	case 0xf5:
		return true, nil
	case 0xf6, 0xf7:
		return nil, nil
	}
	return nil, fmt.Errorf("%w: simple value %#02x", ErrCBOR, start[0])
}

func (r *cborReader) list(depth int, n uint64, open bool) (any, error) {
	out := []any{}
	for i := uint64(0); open || i < n; i++ {
		if open && r.ended() {
			break
		}
		v, err := r.item(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (r *cborReader) dict(depth int, n uint64, open bool) (any, error) {
	out := map[string]any{}
	for i := uint64(0); open || i < n; i++ {
		if open && r.ended() {
			break
		}
		k, err := r.item(depth + 1)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("%w: key is no text", ErrCBOR)
		}
		if out[key], err = r.item(depth + 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}
