// Package record is the vocabulary of Edgelog: what one entry of a stream is, how its bytes are folded into the
// chain that lets two ends compare histories, and how many of them become one encoded body.
//
// A stream is an ordered log of records. A record is identified by (stream, epoch, offset): an epoch is what one
// opening of the log wrote, an offset is dense and never used twice within an epoch. Everything here is a value;
// nothing in this package touches a disk, a clock or a network.
package record

import (
	"fmt"
	"math"
	"strconv"
)

// Offset numbers the records of one stream, densely, across its epochs. Ranges are half-open.
type Offset uint64

// Epoch is the random 64-bit identity of what one opening of a log appended to one stream. 0 means "none".
type Epoch uint64

// String is the 16-digit hexadecimal form used in every place that people or programs see.
func (e Epoch) String() string { return fmt.Sprintf("%016x", uint64(e)) }

// ParseEpoch reads the form that String writes.
func ParseEpoch(s string) (Epoch, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("epoch %q: want 16 hexadecimal digits", s)
	}
	return Epoch(v), nil
}

// Range is the offsets From ≤ o < To.
type Range struct{ From, To Offset }

// Len is the number of offsets in the range, 0 for an empty or inverted one.
func (r Range) Len() uint64 {
	if r.To <= r.From {
		return 0
	}
	return uint64(r.To - r.From)
}

// Contains reports whether o lies in the range.
func (r Range) Contains(o Offset) bool { return r.From <= o && o < r.To }

// SeriesID names a series within one epoch; ids start at 1. Marks have series 0.
type SeriesID uint32

// Kind tells observations from marks.
type Kind uint8

// The kinds. The numbers are part of the canonical bytes and never change.
const (
	KindObservation Kind = 1 // a reading of a series
	KindBoot        Kind = 2 // first record of an epoch: boot id, clock state (see BootMark)
	KindAnchor      Kind = 3 // a correspondence of boot time and UTC (see Anchor)
	KindConfig      Kind = 4 // the configuration changed: a json object
)

func (k Kind) String() string {
	switch k {
	case KindObservation:
		return "observation"
	case KindBoot:
		return "boot"
	case KindAnchor:
		return "anchor"
	case KindConfig:
		return "config"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Type is a value type in the low four bits; for TypeDecimal the high four bits hold the number of decimals, 0–9.
type Type uint8

// The value types. The numbers are part of the canonical bytes and never change.
const (
	TypeNone    Type = 0 // no value; the quality says why
	TypeInt     Type = 1 // int64
	TypeFloat   Type = 2 // IEEE 754 double, bit-exact; never NaN
	TypeDecimal Type = 3 // Num / 10^decimals, exact; build with Decimal
	TypeBool    Type = 4 // Num is 0 or 1
	TypeString  Type = 5 // UTF-8 in Data.Value
	TypeJSON    Type = 6 // a JSON object or array in Data.Value
	TypeBytes   Type = 7 // any bytes in Data.Value
)

// Decimal is the type of a decimal with n decimals, 0–9; a larger n panics, because it is a bug of the caller.
func Decimal(n int) Type {
	if n < 0 || n > MaxDecimals {
		panic("record: decimals out of range: " + strconv.Itoa(n))
	}
	return TypeDecimal | Type(n)<<4
}

// Base is the type without its decimals.
func (t Type) Base() Type { return t & 0x0f }

// Decimals is the number of decimals of a decimal type, 0 for all others.
func (t Type) Decimals() int { return int(t >> 4) }

// InData reports whether the value lies in Data.Value rather than in Num.
func (t Type) InData() bool { return t == TypeString || t == TypeJSON || t == TypeBytes }

// Valid reports whether t is one of the types above, with decimals only where they belong.
func (t Type) Valid() bool {
	if t.Base() == TypeDecimal {
		return t.Decimals() <= MaxDecimals
	}
	return t <= TypeBytes
}

func (t Type) String() string {
	switch t.Base() {
	case TypeNone:
		return "none"
	case TypeInt:
		return "int"
	case TypeFloat:
		return "float"
	case TypeDecimal:
		return "decimal" + strconv.Itoa(t.Decimals())
	case TypeBool:
		return "bool"
	case TypeString:
		return "string"
	case TypeJSON:
		return "json"
	case TypeBytes:
		return "bytes"
	}
	return "type " + strconv.Itoa(int(t))
}

// Clock says what Record.Time counts.
type Clock uint8

// The clocks. The numbers are part of the canonical bytes and never change.
const (
	ClockBoot     Clock = 1 // ns of CLOCK_BOOTTIME of the boot that the epoch's boot mark names; corrected by anchors
	ClockLine     Clock = 2 // ns since 1970 UTC, asserted by line protocol; never corrected
	ClockSparkplg Clock = 3 // ns since 1970 UTC, asserted by a Sparkplug payload
	ClockNode     Clock = 4 // ns since 1970 UTC, asserted by a microcontroller node
	ClockApp      Clock = 5 // ns since 1970 UTC, asserted by a local producer
)

// Asserted reports whether the clock is an asserted UTC, not boot time.
func (c Clock) Asserted() bool { return c >= ClockLine && c <= ClockApp }

// Stamp is when something was observed. It is made in one place on the box and given to agent/collect.
type Stamp struct {
	Time  int64 // ns, see Clock
	Clock Clock
}

// Data holds what does not fit a Record's numbers: a value of variable length, and the optional detail
// (raw bytes of a bad reading, or context).
type Data struct {
	Value  []byte // for TypeString, TypeJSON, TypeBytes; ≤ MaxRecordBytes
	Detail []byte // ≤ MaxDetailBytes
}

// Record is one entry that takes an offset. It is 32 bytes; a numeric record without detail has Data nil.
// A Record that a decoder or reader yields refers to memory of that decoder: copy what must outlive the next call.
type Record struct {
	Time    int64 // ns, see Clock
	Num     int64 // int, decimal's integer, float's bits, bool's 0 or 1; else 0
	Data    *Data // nil if neither value bytes nor detail
	Series  SeriesID
	Kind    Kind
	Quality Quality
	Type    Type
	Clock   Clock
}

// Float makes a float record value; NaN becomes none with quality QualityNaN if q was good.
func (r *Record) Float(v float64) {
	if math.IsNaN(v) {
		r.Type, r.Num = TypeNone, 0
		if !r.Quality.Bad() {
			r.Quality = QualityNaN
		}
		return
	}
	r.Type, r.Num = TypeFloat, int64(math.Float64bits(v))
}

// Float64 is the value as a float64 and whether it has a numeric one (int, float, decimal, bool).
func (r *Record) Float64() (float64, bool) {
	switch r.Type.Base() {
	case TypeInt, TypeBool:
		return float64(r.Num), true
	case TypeFloat:
		return math.Float64frombits(uint64(r.Num)), true
	case TypeDecimal:
		return float64(r.Num) / pow10[r.Type.Decimals()], true
	}
	return 0, false
}

var pow10 = [MaxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// Value is the value bytes of a string, json or bytes record, nil for others.
func (r *Record) Value() []byte {
	if r.Data == nil {
		return nil
	}
	return r.Data.Value
}

// Detail is the optional detail, nil if none.
func (r *Record) Detail() []byte {
	if r.Data == nil {
		return nil
	}
	return r.Data.Detail
}

// AppendText appends the value as people read it: "21.0625", "true", the text of a string; "-" for none.
func (r *Record) AppendText(dst []byte) []byte {
	switch r.Type.Base() {
	case TypeInt:
		return strconv.AppendInt(dst, r.Num, 10)
	case TypeFloat:
		return strconv.AppendFloat(dst, math.Float64frombits(uint64(r.Num)), 'g', -1, 64)
	case TypeDecimal:
		return AppendDecimal(dst, r.Num, r.Type.Decimals())
	case TypeBool:
		return strconv.AppendBool(dst, r.Num != 0)
	case TypeString, TypeJSON:
		return append(dst, r.Value()...)
	case TypeBytes:
		for _, b := range r.Value() {
			dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
		}
		return dst
	}
	return append(dst, '-')
}

const hexDigits = "0123456789abcdef"

// AppendDecimal appends num / 10^decimals exactly, with all its decimals: 210625, 4 → "21.0625".
func AppendDecimal(dst []byte, num int64, decimals int) []byte {
	u := uint64(num)
	if num < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var buf [20]byte
	s := strconv.AppendUint(buf[:0], u, 10)
	if decimals == 0 {
		return append(dst, s...)
	}
	if len(s) <= decimals {
		dst = append(dst, '0', '.')
		for i := len(s); i < decimals; i++ {
			dst = append(dst, '0')
		}
		return append(dst, s...)
	}
	dst = append(dst, s[:len(s)-decimals]...)
	dst = append(dst, '.')
	return append(dst, s[len(s)-decimals:]...)
}

// Draft is one sweep of a bus or one message of a producer: the unit that gets one contiguous Range and, for a
// producer, lies in one batch. Append copies it.
type Draft struct {
	Records  []Record
	Producer *ProducerPosition // nil for sensors
}

// ProducerPosition is how far a producer has come: the message Sequence of this Incarnation is taken.
// The incarnation lives exactly as long as the producer's sequence counter.
type ProducerPosition struct {
	Name        string // [a-zA-Z0-9._:-]{1,64}
	Incarnation uint64
	Sequence    uint64
}

// ProducerSpan says which offsets one producer message took.
type ProducerSpan struct {
	ProducerPosition
	Range
}
