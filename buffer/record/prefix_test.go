package record_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

// noise is text that nothing compresses.
func noise(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

func TestEncodePrefix(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var numbers, texts, repeats, wordy []record.Record
	for range 20000 {
		numbers = append(numbers, observation(rng.IntN(1e9), record.SeriesID(rng.IntN(1e6)), record.TypeInt, int64(rng.Uint64())))
	}
	for i := range 300 {
		texts = append(texts, text(i, 1, record.TypeBytes, noise(rng, 1+rng.IntN(2000)), ""))
		wordy = append(wordy, text(i, 1, record.TypeString, strings.Repeat("the quick brown fox ", 20+i), ""))
	}
	long := text(1, 1, record.TypeBytes, noise(rng, record.MaxRecordBytes-100), "")
	for range 200 { // each repeat takes nothing, all together too much
		repeats = append(repeats, long)
	}
	unit := []record.Record{}
	for i := range 40 {
		unit = append(unit, text(i, 1, record.TypeBytes, noise(rng, 1100), ""))
	}
	var every7 []int
	for i := 7; i <= 300; i += 7 {
		every7 = append(every7, i)
	}
	every7 = append(every7, 300)
	for _, c := range []struct {
		name    string
		recs    []record.Record
		borders []int
	}{
		{"numbers", numbers, nil}, {"texts", texts, nil}, {"texts in units", texts, every7}, {"repeats", repeats, nil}, {"wordy", wordy, nil},
		{"large record", []record.Record{long, long, long}, nil}, {"large units", append(unit, unit...), []int{40, 80}},
	} {
		for _, codec := range []record.Codec{record.CodecPlain, record.CodecColumns, record.CodecColumnsZ} {
			var e record.Encoder
			var d record.Decoder
			rest, at, bodies := c.recs, 0, 0
			for len(rest) > 0 {
				var borders []int
				for _, b := range c.borders {
					if b > at {
						borders = append(borders, b-at)
					}
				}
				body, used, rawLen, n, err := e.EncodePrefix(nil, rest, codec, borders)
				if err != nil || n == 0 || len(body) > record.MaxBodyBytes || rawLen > record.MaxRawBytes {
					t.Fatalf("%s: %d of %d records in %d bytes: %v", c.name, n, len(rest), len(body), err)
				}
				if codec == record.CodecPlain && used != codec {
					t.Fatalf("%s: codec %d used", c.name, used)
				}
				got, err := d.Decode(nil, used, uint32(rawLen), uint32(n), body)
				if err != nil {
					t.Fatal(c.name, err)
				}
				equal(t, rest[:n], got)
				rest, at, bodies = rest[n:], at+n, bodies+1
				onBorder := len(c.borders) == 0
				for _, b := range c.borders {
					onBorder = onBorder || b == at
				}
				if !onBorder {
					t.Fatalf("%s: a body ends at %d, within a unit", c.name, at)
				}
			}
			t.Logf("%s, codec %d: %d bodies", c.name, codec, bodies)
		}
	}
}

func TestTooLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var e record.Encoder
	recs := []record.Record{text(1, 1, record.TypeBytes, noise(rng, 40000), ""), text(1, 1, record.TypeBytes, noise(rng, 40000), "")}
	for _, c := range []record.Codec{record.CodecPlain, record.CodecColumns} {
		if _, _, _, err := e.Encode(nil, recs, c); !errors.Is(err, record.ErrBodyTooLarge) {
			t.Errorf("codec %d: %v", c, err)
		}
		if _, _, _, _, err := e.EncodePrefix(nil, recs, c, []int{2}); !errors.Is(err, record.ErrBodyTooLarge) {
			t.Errorf("a unit of 80 kB: %v", err)
		}
	}
	for _, n := range []int{0, record.MaxBatchRecords + 1} {
		if _, _, _, err := e.Encode(nil, make([]record.Record, n), record.CodecColumns); !errors.Is(err, record.ErrBodyTooLarge) {
			t.Errorf("%d records: %v", n, err)
		}
	}
}

// TestDecodeBounds gives the decoder lengths and codecs that cannot be.
func TestDecodeBounds(t *testing.T) {
	var e record.Encoder
	var d record.Decoder
	recs := sweeps(2, everySecond)
	body, used, _, err := e.Encode(nil, recs, record.CodecColumns)
	if err != nil {
		t.Fatal(err)
	}
	n, raw := uint32(len(recs)), uint32(len(body))
	for _, c := range []struct {
		codec    record.Codec
		raw, cnt uint32
		body     []byte
	}{
		{used, raw, 0, body}, {used, raw, n + 1, body}, {used, raw, n - 1, body}, {used, raw, record.MaxBatchRecords + 1, body},
		{used, raw + 1, n, body}, {used, raw - 1, n, body}, {3, raw, n, body}, {record.CodecColumnsZ, raw, n, body},
		{used, raw + 1, n, append(body[:raw:raw], 0)}, {record.CodecPlain, raw, n, body}, {used, 0, 1, nil},
		{used, record.MaxRawBytes + 1, n, body}, {used, record.MaxBodyBytes + 1, n, make([]byte, record.MaxBodyBytes+1)},
	} {
		if _, err := d.Decode(nil, c.codec, c.raw, c.cnt, c.body); !errors.Is(err, record.ErrBody) {
			t.Errorf("codec %d, raw %d, count %d, %d bytes: %v", c.codec, c.raw, c.cnt, len(c.body), err)
		}
	}
	if got, err := d.Decode(recs[:0:0], used, raw, n, body); err != nil {
		t.Error("after all this:", err)
	} else {
		equal(t, recs, got)
	}
}

// TestSizes pins what is promised of the sizes.
func TestSizes(t *testing.T) {
	var e record.Encoder
	c := cases()
	for _, g := range []struct {
		name string
		most float64 // bytes a record, without header
	}{
		{"one sweep", 1.15}, {"sixty sweeps", 0.35}, {"own stamps", 0.9}, {"faults", 0.5}, {"bools", 0.2}, {"one number", 24}, {"one event", 50},
	} {
		body, _, _, err := e.Encode(nil, c[g.name], record.CodecColumns)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(len(body)) / float64(len(c[g.name])); got > g.most {
			t.Errorf("%s: %.3f bytes a record, at most %.3f", g.name, got, g.most)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var e record.Encoder
	var d record.Decoder
	for _, name := range []string{"sixty sweeps", "one sweep", "mixed", "faults", "floats"} {
		recs := cases()[name]
		var body []byte
		var out []record.Record
		round := func() {
			var used record.Codec
			var raw int
			var err error
			if body, used, raw, err = e.Encode(body[:0], recs, record.CodecColumns); err == nil {
				out, _, err = d.DecodeChain(out[:0], 0, used, uint32(raw), uint32(len(recs)), body)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		round()
		if n := testing.AllocsPerRun(20, round); n > 0 {
			t.Errorf("%s: %v allocations a batch", name, n)
		}
	}
}
