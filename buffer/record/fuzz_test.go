package record_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

// FuzzDecode gives any bytes to the decoder: it refuses them, or what it yields is well formed and survives a round trip.
func FuzzDecode(f *testing.F) {
	var e record.Encoder
	for _, recs := range cases() {
		recs = recs[:min(len(recs), 300)]
		for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
			body, used, rawLen, err := e.Encode(nil, recs, c)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(used), uint32(rawLen), uint32(len(recs)), body)
		}
	}
	var d, d2 record.Decoder
	f.Fuzz(func(t *testing.T, codec byte, rawLen, count uint32, body []byte) {
		c := record.Codec(codec % 4)
		if c < record.CodecColumnsZ {
			rawLen = uint32(len(body))
		}
		recs, err := d.Decode(nil, c, rawLen, count, body)
		if err != nil {
			if !errors.Is(err, record.ErrBody) {
				t.Fatalf("not ErrBody: %v", err)
			}
			return
		}
		if len(recs) != int(count) {
			t.Fatalf("%d records, want %d", len(recs), count)
		}
		again, used, raw, n, err := e.EncodePrefix(nil, recs, record.CodecColumns, nil)
		if err != nil {
			t.Fatalf("cannot encode what was decoded: %v", err)
		}
		got, err := d2.Decode(nil, used, uint32(raw), uint32(n), again)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, recs[:n], got)
	})
}

// recordsFrom makes well-formed records out of any bytes; few bytes make many records of similar kind.
func recordsFrom(b []byte) []record.Record {
	types := []record.Type{record.TypeNone, record.TypeInt, record.TypeFloat, record.Decimal(2), record.TypeBool, record.TypeString,
		record.TypeJSON, record.TypeBytes, record.Decimal(9)}
	var recs []record.Record
	var r record.Record
	for len(b) >= 4 && len(recs) < 2000 {
		op, n, x := b[0], int(b[1])%50, int64(int16(binary.LittleEndian.Uint16(b[2:])))
		b = b[4:]
		r.Series, r.Kind, r.Clock = record.SeriesID(op>>4), record.KindObservation, record.ClockBoot
		r.Type, r.Data = types[int(op&15)%len(types)], nil
		if op&0x20 != 0 && len(b) >= 8 {
			x = int64(binary.LittleEndian.Uint64(b))
			b = b[8:]
		}
		for i := range n + 1 {
			r.Time += x * 1000
			r.Num = r.Num*int64(op&3) + x*int64(i)
			switch r.Type.Base() {
			case record.TypeInt, record.TypeDecimal:
			case record.TypeBool:
				r.Num &= 1
			case record.TypeFloat:
				if f := float64(r.Num) / 100; op&0x40 != 0 || math.IsNaN(math.Float64frombits(uint64(r.Num))) {
					r.Num = int64(math.Float64bits(f))
				}
			default:
				r.Num = 0
			}
			if r.Type.InData() {
				r.Data = &record.Data{Value: b[:min(len(b), i)]}
			} else if op&0x80 != 0 && i%5 == 0 {
				r.Data = &record.Data{Detail: b[:min(len(b), 8)]}
			} else {
				r.Data = nil
			}
			r.Quality = record.Quality(x >> (i & 7) & 1)
			out := r
			if op&0x10 != 0 {
				out.Series += record.SeriesID(i)
			}
			recs = append(recs, out)
		}
	}
	return recs
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("\x11\x20\x01\x00\x12\x30\x02\x00"))
	f.Add([]byte("\x31\x2f\x71\x02\x00\x00\x00\x00\x00\x00\x00\x80\x05\x10\x00\x00abcdefgh"))
	f.Add([]byte("\xf2\x30\x05\x00\x62\x31\x07\x01\x84\x10\x00\x01\x13\x2c\xff\xff"))
	var e record.Encoder
	var d record.Decoder
	f.Fuzz(func(t *testing.T, b []byte) {
		recs := recordsFrom(b)
		if len(recs) == 0 {
			return
		}
		for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
			rest, chain := recs, uint64(0)
			for len(rest) > 0 {
				body, used, rawLen, n, err := e.EncodePrefix(nil, rest, c, nil)
				if err != nil {
					t.Fatal(err)
				}
				var got []record.Record
				if got, chain, err = d.DecodeChain(nil, chain, used, uint32(rawLen), uint32(n), body); err != nil {
					t.Fatal(err)
				}
				equal(t, rest[:n], got)
				rest = rest[n:]
			}
			if chain != record.FoldChain(0, recs) {
				t.Fatal("chain differs")
			}
		}
	})
}

func FuzzParseDefinition(f *testing.F) {
	for _, s := range goodSeries() {
		f.Add(record.AppendDefinition(nil, record.Definition{ID: 3, Series: s}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		def, rest, err := record.ParseDefinition(b)
		if err != nil {
			if !errors.Is(err, record.ErrDefinition) {
				t.Fatalf("not ErrDefinition: %v", err)
			}
			return
		}
		again, tail, err := record.ParseDefinition(append(record.AppendDefinition(nil, def), rest...))
		if err != nil || again.ID != def.ID || again.Series.Key() != def.Series.Key() || len(tail) != len(rest) {
			t.Fatalf("%v became %v, %v", def, again, err)
		}
	})
}

// FuzzAnchorOf gives any bytes as the body of a mark: an anchor names its boot, and a timeline takes it.
func FuzzAnchorOf(f *testing.F) {
	f.Add([]byte(`{"boot":"b1","boot_time_ns":5,"utc_ns":1700000000000000000,"error_ns":1000,"source":"ntp","state":"synchronised"}`))
	f.Add([]byte(`{"boot":"","utc_ns":-1e99}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []record.Kind{record.KindBoot, record.KindAnchor} {
			a, ok := record.AnchorOf(&record.Record{Kind: kind, Type: record.TypeJSON, Data: &record.Data{Value: b}})
			if !ok {
				continue
			}
			if a.Boot == "" {
				t.Fatalf("%+v", a)
			}
			var l record.Timeline
			l.Add(a)
		}
	})
}
