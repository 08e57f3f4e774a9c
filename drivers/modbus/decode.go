package modbus

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// kind is what the bits of a register mean.
type kind int

const (
	kindUint kind = iota
	kindInt
	kindFloat
	kindBool
	kindString
	kindBCD
)

// types are the names that a profile may give, with their meaning and width in registers.
var types = map[string]struct {
	kind  kind
	words int
}{
	"uint16": {kindUint, 1}, "int16": {kindInt, 1}, "uint32": {kindUint, 2}, "int32": {kindInt, 2},
	"uint64": {kindUint, 4}, "int64": {kindInt, 4}, "float32": {kindFloat, 2}, "float64": {kindFloat, 4},
	"bool": {kindBool, 1}, "string": {kindString, 0}, "bcd16": {kindBCD, 1}, "bcd32": {kindBCD, 2},
}

func kindOf(g *Register) (kind, int, error) {
	t, ok := types[g.Type]
	if !ok {
		return 0, 0, fmt.Errorf("type %q: want uint16, int16, uint32, int32, uint64, int64, float32, float64, bool, string, bcd16 or bcd32", g.Type)
	}
	switch {
	case (t.kind == kindBool) != (g.table.bits() || g.Bit != nil):
		return 0, 0, errors.New("bool goes with coils, discrete inputs, or a bit of a register")
	case g.Bit != nil && (g.table.bits() || *g.Bit < 0 || *g.Bit > 15):
		return 0, 0, fmt.Errorf("bit %d: want 0 to 15 of a register", *g.Bit)
	case t.kind == kindString && (g.Length < 1 || g.Length > 64):
		return 0, 0, errors.New("a string needs a length of 1 to 64 registers")
	case t.kind != kindString && g.Length != 0:
		return 0, 0, errors.New("length belongs to strings")
	case (t.kind == kindBool || t.kind == kindString) && (g.Scale != "" || g.Offset != ""):
		return 0, 0, errors.New("scale and offset belong to numbers")
	case t.kind == kindString:
		return t.kind, g.Length, nil
	}
	return t.kind, t.words, nil
}

// decimal is num / 10^digits.
type decimal struct {
	num    int64
	digits int
}

// parseDecimal reads "0.1", "-40", "2.50"; empty text is def. Zeros at the end count as digits: "0.10" has two.
func parseDecimal(text string, def decimal) (decimal, error) {
	if text == "" {
		return def, nil
	}
	whole, frac, _ := strings.Cut(text, ".")
	if len(frac) > record.MaxDecimals || strings.ContainsAny(frac, "+-") || whole+frac == "" {
		return decimal{}, fmt.Errorf("%q is not a decimal number", text)
	}
	n, err := strconv.ParseInt(whole+frac, 10, 64)
	return decimal{n, len(frac)}, err
}

func (d decimal) float() float64 {
	return float64(d.num) / math.Pow10(d.digits)
}

func (g *Register) valueType() record.Type {
	switch g.kind {
	case kindFloat:
		return record.TypeFloat
	case kindBool:
		return record.TypeBool
	case kindString:
		return record.TypeString
	}
	if d := max(g.scale.digits, g.offset.digits); d > 0 {
		return record.Decimal(d)
	}
	return record.TypeInt
}

// raw joins registers into one number, high word and high byte first unless the device sends the low one first.
func (g *Register) raw(regs []uint16) uint64 {
	var v uint64
	for i := range regs {
		w := regs[i]
		if g.little {
			w = regs[len(regs)-1-i]
		}
		if g.swapped {
			w = bits.ReverseBytes16(w)
		}
		v = v<<16 | uint64(w)
	}
	return v
}

// Decode turns the registers of one reading into a sample: value, or the reason why there is none with the registers
// as detail. regs has as many words as the type says.
func (g *Register) Decode(regs []uint16) drivers.Sample {
	s := drivers.Sample{Quantity: g.position, Type: g.typ}
	bad := func(q record.Quality) drivers.Sample {
		return drivers.Sample{Quantity: g.position, Quality: q, Detail: fmt.Appendf(nil, "%s %d: %04x", g.Table, g.Address, regs)}
	}
	if len(regs) != g.words {
		return bad(record.QualityMalformed)
	}
	if g.kind == kindString {
		for _, w := range regs {
			if g.swapped {
				w = bits.ReverseBytes16(w)
			}
			s.Value = append(s.Value, byte(w>>8), byte(w))
		}
		s.Value = bytes.TrimRight(s.Value, "\x00 ")
		if !utf8.Valid(s.Value) {
			return bad(record.QualityMalformed)
		}
		return s
	}
	raw := g.raw(regs)
	if g.hasNone && raw == g.none {
		return bad(record.QualityNaN)
	}
	switch g.kind {
	case kindBool:
		if g.Bit != nil {
			raw >>= *g.Bit
		}
		s.Num = int64(raw & 1)
		return s
	case kindFloat:
		v := math.Float64frombits(raw)
		if g.words == 2 {
			v = float64(math.Float32frombits(uint32(raw)))
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return bad(record.QualityNaN)
		}
		if g.scale != (decimal{1, 0}) || g.offset.num != 0 {
			v = v*g.scale.float() + g.offset.float()
		}
		s.Num = int64(math.Float64bits(v))
		return s
	}
	n, q := g.integer(raw)
	if q.Bad() {
		return bad(q)
	}
	if s.Num, q = g.scaled(n); q.Bad() {
		return bad(q)
	}
	return s
}

// integer reads the raw bits as a whole number.
func (g *Register) integer(raw uint64) (int64, record.Quality) {
	switch g.kind {
	case kindInt:
		shift := 64 - 16*g.words
		return int64(raw<<shift) >> shift, record.QualityGood
	case kindBCD:
		var n int64
		for i := 16*g.words - 4; i >= 0; i -= 4 {
			digit := raw >> i & 15
			if digit > 9 {
				return 0, record.QualityMalformed
			}
			n = 10*n + int64(digit)
		}
		return n, record.QualityGood
	}
	if raw > math.MaxInt64 {
		return 0, record.QualityOverflow
	}
	return int64(raw), record.QualityGood
}

// scaled is n·scale + offset in units of the type's last decimal, exactly or not at all.
func (g *Register) scaled(n int64) (int64, record.Quality) {
	d := g.typ.Decimals()
	v, ok := times(n, g.scale.num)
	for range d - g.scale.digits {
		var fits bool
		v, fits = times(v, 10)
		ok = ok && fits
	}
	o := g.offset.num
	for range d - g.offset.digits {
		var fits bool
		o, fits = times(o, 10)
		ok = ok && fits
	}
	sum := v + o
	if !ok || (v > 0 && o > 0 && sum < 0) || (v < 0 && o < 0 && sum >= 0) {
		return 0, record.QualityOverflow
	}
	return sum, record.QualityGood
}

func times(a, b int64) (int64, bool) {
	neg := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	switch {
	case hi != 0 || lo > 1<<63 || lo == 1<<63 && !neg:
		return 0, false
	case neg:
		return int64(-lo), true
	}
	return int64(lo), true
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
