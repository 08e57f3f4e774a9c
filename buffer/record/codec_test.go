package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

// sweeps is n sweeps of 100 DS18B20-like sensors: walks in steps of 1/16 °C, one stamp a sweep at 1 ms.
func sweeps(n int, step func(sweep int) int64) []record.Record {
	rng := rand.New(rand.NewPCG(1, 2))
	level := make([]int64, 100)
	for i := range level {
		level[i] = 337 + int64(rng.IntN(64)) - 32
	}
	t := int64(86_400_123_000_000)
	recs := make([]record.Record, 0, n*100)
	for s := range n {
		for i := range level {
			recs = append(recs, record.Record{Time: t, Num: level[i] * 625, Series: record.SeriesID(i + 1),
				Kind: record.KindObservation, Type: record.Decimal(4), Clock: record.ClockBoot})
			level[i] += int64(rng.IntN(3)) - 1
		}
		t += step(s)
	}
	return recs
}

func everySecond(int) int64 { return 1_000_000_000 }

func observation(i int, series record.SeriesID, typ record.Type, num int64) record.Record {
	return record.Record{Time: int64(i) * 1e9, Num: num, Series: series, Kind: record.KindObservation, Type: typ, Clock: record.ClockBoot}
}

func text(i int, series record.SeriesID, typ record.Type, value, detail string) record.Record {
	r := observation(i, series, typ, 0)
	r.Data = &record.Data{Value: []byte(value)}
	if detail != "" {
		r.Data.Detail = []byte(detail)
	}
	return r
}

// cases are batches of every shape that the log meets.
func cases() map[string][]record.Record {
	rng := rand.New(rand.NewPCG(3, 4))
	m := map[string][]record.Record{
		"one sweep":     sweeps(1, everySecond),
		"sixty sweeps":  sweeps(60, everySecond),
		"full batch":    sweeps(163, everySecond),
		"one number":    {observation(1, 7, record.Decimal(4), 210625)},
		"one event":     {text(1, 9, record.TypeJSON, `{"event":"door","open":true}`, "")},
		"zero record":   {{}},
		"extreme":       nil,
		"mixed":         nil,
		"floats":        nil,
		"float decimal": nil,
		"bools":         nil,
		"faults":        sweeps(20, everySecond),
		"own stamps":    sweeps(60, everySecond),
		"json":          nil,
		"few floats":    nil,
		"random series": nil,
		"wide kinds":    {{Kind: 200, Clock: 100, Quality: 255, Series: math.MaxUint32}, {Kind: 1, Clock: 1}},
	}
	for i, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, math.MinInt64 + 1, 1 << 62, -1 << 62, 625, -625} {
		for j := range 12 {
			m["extreme"] = append(m["extreme"], observation(i*j, record.SeriesID(j), record.TypeInt, v+int64(j)*v))
		}
	}
	types := []record.Type{record.TypeNone, record.TypeInt, record.TypeFloat, record.Decimal(0), record.Decimal(9), record.TypeBool}
	for i := range 3000 {
		series := record.SeriesID(rng.IntN(40))
		typ := types[rng.IntN(len(types))]
		num := int64(rng.Uint64() >> rng.IntN(64))
		switch typ {
		case record.TypeNone:
			num = 0
		case record.TypeBool:
			num &= 1
		case record.TypeFloat:
			num = int64(math.Float64bits(float64(num)))
		}
		r := observation(i/3, series, typ, num)
		r.Quality = record.Quality(rng.IntN(3))
		m["mixed"] = append(m["mixed"], r)
		if i%7 == 0 {
			m["mixed"] = append(m["mixed"], text(i, series, record.TypeString, fmt.Sprint("state ", i%5), ""))
		}
		f := float64(i%100*(i%77)) / 7
		m["floats"] = append(m["floats"], observation(i/4, record.SeriesID(i%4+1), record.TypeFloat, int64(math.Float64bits(f))))
		f = float64(int(f*100)) / 100
		m["float decimal"] = append(m["float decimal"], observation(i/4, record.SeriesID(i%4+1), record.TypeFloat, int64(math.Float64bits(f))))
		m["few floats"] = append(m["few floats"], observation(i, 1, record.TypeFloat, int64(math.Float64bits([]float64{1.0 / 3, -2.0 / 3, 0}[rng.IntN(3)]))),
			observation(i, 2, record.TypeInt, []int64{0, 1 << 30, 77777}[rng.IntN(3)]),
			observation(i, 3, record.TypeFloat, int64(math.Float64bits([]float64{0.1, 1234567.8, -99999.9}[rng.IntN(3)]))))
		m["bools"] = append(m["bools"], observation(i, 1, record.TypeBool, int64(i/100&1)))
		m["random series"] = append(m["random series"], observation(i, record.SeriesID(rng.IntN(1000)*7), record.TypeInt, int64(rng.IntN(100))))
		if i < 400 {
			m["json"] = append(m["json"], text(i, 3, record.TypeJSON, fmt.Sprintf(`{"latency_ms":%d,"file":"img-%06d.jpg"}`, i%17, i*13), ""))
		}
	}
	m["floats"] = append(m["floats"], observation(1, 2, record.TypeFloat, math.MinInt64), observation(1, 2, record.TypeFloat, int64(math.Float64bits(math.Inf(-1)))))
	for i := range m["faults"] {
		if i%97 == 0 {
			r := &m["faults"][i]
			r.Type, r.Num, r.Quality = record.TypeNone, 0, record.QualityCRC
			r.Data = &record.Data{Detail: []byte{0x50, 0x05, byte(i), 0x46, 0x7f}}
		}
	}
	for i := range m["own stamps"] {
		m["own stamps"][i].Time += int64(i%100)*3_000_000 + int64(rng.IntN(3)-1)*1_000_000
	}
	return m
}

func equal(t *testing.T, want, got []record.Record) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d records became %d", len(want), len(got))
	}
	var a, b []byte
	for i := range want {
		a, b = want[i].AppendCanonical(a[:0]), got[i].AppendCanonical(b[:0])
		if !bytes.Equal(a, b) {
			t.Fatalf("record %d:\nwant %x\ngot  %x", i, a, b)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var e record.Encoder
	var d record.Decoder
	for name, recs := range cases() {
		for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
			t.Run(fmt.Sprint(name, " ", c), func(t *testing.T) {
				rest, chain := recs, uint64(42)
				var all []record.Record
				for len(rest) > 0 {
					prefix := []byte("frame")
					body, used, rawLen, n, err := e.EncodePrefix(prefix, rest, c, nil)
					if err != nil {
						t.Fatal(err)
					}
					body = body[len(prefix):]
					t.Logf("%d records, codec %d: %d bytes, %.3f a record (raw %d)", n, used, len(body), float64(len(body))/float64(n), rawLen)
					var got []record.Record
					got, chain, err = d.DecodeChain(nil, chain, used, uint32(rawLen), uint32(n), body)
					if err != nil {
						t.Fatal(err)
					}
					equal(t, rest[:n], got)
					all, rest = append(all, rest[:n]...), rest[n:]
					for i := 0; i < len(body) && n < 200; i++ {
						if _, err := d.Decode(nil, used, uint32(i), uint32(n), body[:i]); !errors.Is(err, record.ErrBody) {
							t.Fatalf("a body cut at %d of %d: %v", i, len(body), err)
						}
					}
				}
				if want := record.FoldChain(42, all); chain != want {
					t.Fatalf("chain %x, want %x", chain, want)
				}
			})
		}
	}
}
