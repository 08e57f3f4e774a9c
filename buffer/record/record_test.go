package record_test

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strings"
	"testing"
	"unsafe"

	"github.com/edgelog/edgelog/buffer/record"
)

func TestRecordIs32Bytes(t *testing.T) {
	if n := unsafe.Sizeof(record.Record{}); n > 32 && bits.UintSize == 64 {
		t.Errorf("a record takes %d bytes", n)
	}
}

// TestDigestOfCanonicalBytes computes the digest as CHAIN.md states it, from the canonical bytes alone.
func TestDigestOfCanonicalBytes(t *testing.T) {
	mum := func(a, b uint64) uint64 {
		hi, lo := bits.Mul64(a, b)
		return hi ^ lo
	}
	recs, _ := vectorRecords()
	for _, c := range cases() {
		recs = append(recs, c[:min(len(c), 500)]...)
	}
	for n := range 40 { // every padding, split in every way
		for v := range n {
			recs = append(recs, text(n, 1, record.TypeBytes, strings.Repeat("v", v), strings.Repeat("d", n-v)))
		}
	}
	chain := uint64(0)
	for i := range recs {
		b := recs[i].AppendCanonical(nil)
		if len(b) != recs[i].CanonicalLen() || len(b)%8 != 0 {
			t.Fatalf("record %d: %d bytes, CanonicalLen %d", i, len(b), recs[i].CanonicalLen())
		}
		w := func(k int) uint64 { return binary.LittleEndian.Uint64(b[8*k:]) }
		h := mum(mum(w(0)^0x6a09e667f3bcc909, w(1)^0xbb67ae8584caa73b)^0x3c6ef372fe94f82b, w(2)^0xa54ff53a5f1d36f1)
		for k := 3; k < len(b)/8; k++ {
			h = mum(h^0x3c6ef372fe94f82b, w(k)^0xa54ff53a5f1d36f1)
		}
		if h != recs[i].Digest() {
			t.Fatalf("record %d: digest %x, of its bytes %x", i, recs[i].Digest(), h)
		}
		chain = (bits.RotateLeft64(chain, 29) ^ h) * 0x510e527fade682d1
	}
	if got := record.FoldChain(0, recs); got != chain {
		t.Fatalf("chain %x, want %x", got, chain)
	}
}

func TestEmptyDataIsNone(t *testing.T) {
	a, b := observation(1, 1, record.TypeInt, 5), observation(1, 1, record.TypeInt, 5)
	b.Data = &record.Data{Detail: []byte{}}
	if a.Digest() != b.Digest() || a.CanonicalLen() != b.CanonicalLen() {
		t.Error("an empty detail counts")
	}
}

func TestCheck(t *testing.T) {
	good := []record.Record{{}, observation(1, 1, record.TypeBool, 1), text(1, 1, record.TypeString, "grün", ""),
		text(1, 1, record.TypeBytes, strings.Repeat("x", record.MaxRecordBytes-32), "")}
	for i := range good {
		if err := good[i].Check(); err != nil {
			t.Errorf("good record %d: %v", i, err)
		}
	}
	nan := int64(math.Float64bits(math.NaN()))
	value := observation(1, 1, record.TypeInt, 1)
	value.Data = &record.Data{Value: []byte("x")}
	for what, r := range map[string]record.Record{
		"NaN": observation(1, 1, record.TypeFloat, nan), "negative NaN": observation(1, 1, record.TypeFloat, nan|math.MinInt64),
		"bool 2": observation(1, 1, record.TypeBool, 2), "type": {Type: 8}, "decimals": {Type: record.TypeDecimal | 10<<4},
		"decimals of an int": {Type: record.TypeInt | 1<<4}, "number of none": {Num: 1}, "number of string": {Num: 1, Type: record.TypeString},
		"value of an int": value, "clock": {Clock: 0x80}, "long detail": text(1, 1, record.TypeBytes, "", strings.Repeat("x", record.MaxDetailBytes+1)),
		"long value": text(1, 1, record.TypeBytes, strings.Repeat("x", record.MaxRecordBytes-31), ""),
	} {
		if err := r.Check(); !errors.Is(err, record.ErrRecord) {
			t.Errorf("%s: %v", what, err)
		}
		for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
			for _, recs := range [][]record.Record{{r}, {{Type: r.Type, Clock: r.Clock & 0x7f}, r, r}} {
				var e record.Encoder
				if body, _, _, err := e.Encode(nil, recs, c); !errors.Is(err, record.ErrRecord) {
					t.Errorf("%s with codec %d: encoded as %x, %v", what, c, body, err)
				}
			}
		}
	}
	s := text(1, 1, record.TypeString, "\xff", "")
	if err := s.Check(); !errors.Is(err, record.ErrRecord) {
		t.Errorf("string that is not UTF-8: %v", err)
	}
}

func TestValues(t *testing.T) {
	float := func(v float64) record.Record {
		var r record.Record
		r.Float(v)
		return r
	}
	for want, r := range map[string]record.Record{
		"21.0625": observation(0, 1, record.Decimal(4), 210625), "-0.0625": observation(0, 1, record.Decimal(4), -625),
		"-9223372036.854775808": observation(0, 1, record.Decimal(9), math.MinInt64), "7": observation(0, 1, record.Decimal(0), 7),
		"0.000000001": observation(0, 1, record.Decimal(9), 1), "-5": observation(0, 1, record.TypeInt, -5), "0.1": float(0.1), "+Inf": float(math.Inf(1)),
		"true": observation(0, 1, record.TypeBool, 1), "-": {}, "open": text(0, 1, record.TypeString, "open", ""),
		"00ff": text(0, 1, record.TypeBytes, "\x00\xff", ""),
	} {
		if got := string(r.AppendText(nil)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	nan := float(math.NaN())
	if nan.Type != record.TypeNone || nan.Quality != record.QualityNaN {
		t.Errorf("NaN became %v, %v", nan.Type, nan.Quality)
	}
	bad := record.Record{Quality: record.QualityCRC}
	if bad.Float(math.NaN()); bad.Quality != record.QualityCRC {
		t.Errorf("NaN replaced %v by %v", record.QualityCRC, bad.Quality)
	}
	r := observation(0, 1, record.Decimal(4), 210625)
	if v, ok := r.Float64(); !ok || v != 21.0625 {
		t.Errorf("%v, %t", v, ok)
	}
	if _, ok := bad.Float64(); ok {
		t.Error("none has a number")
	}
}

func TestEpochAndRange(t *testing.T) {
	e, err := record.ParseEpoch(record.Epoch(0xabc).String())
	if err != nil || e != 0xabc {
		t.Errorf("%v, %v", e, err)
	}
	for _, s := range []string{"", "abc", "0000000000000abcd", "000000000000000g"} {
		if _, err := record.ParseEpoch(s); err == nil {
			t.Errorf("%q was taken for an epoch", s)
		}
	}
	for _, c := range []struct {
		r   record.Range
		len uint64
	}{{record.Range{3, 5}, 2}, {record.Range{5, 5}, 0}, {record.Range{6, 5}, 0}} {
		if c.r.Len() != c.len {
			t.Errorf("%v: %d", c.r, c.r.Len())
		}
	}
	if r := (record.Range{From: 3, To: 5}); r.Contains(2) || !r.Contains(3) || !r.Contains(4) || r.Contains(5) {
		t.Error("Contains")
	}
}

func TestQualities(t *testing.T) {
	seen := map[string]record.Quality{}
	for q := range 256 {
		s := record.Quality(q).String()
		if other, ok := seen[s]; ok {
			t.Errorf("%d and %d are both %q", q, other, s)
		}
		seen[s] = record.Quality(q)
		if got := strings.HasPrefix(s, "bad"); got != record.Quality(q).Bad() || got != (q >= 128) {
			t.Errorf("%d is %q", q, s)
		}
	}
	all := record.Qualities()
	if len(all) < 20 || all[0] != record.QualityGood {
		t.Errorf("Qualities() = %v", all)
	}
}
