package record_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

// samplesPerSecond states the figure that the goals are in, for batches of n samples.
func samplesPerSecond(b *testing.B, n int) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(0, "ns/op")
}

func benchBatches() map[string][]record.Record {
	full := sweeps(163, everySecond)
	floats := make([]record.Record, 0, len(full))
	for i, r := range full {
		r.Type, r.Num = record.TypeFloat, int64(math.Float64bits(math.Sin(float64(i)/700)*20))
		floats = append(floats, r)
	}
	c := cases()
	return map[string][]record.Record{"full": full, "sixty": sweeps(60, everySecond), "sweep": sweeps(1, everySecond),
		"floats": floats[:6000], "mixed": c["mixed"], "faults": c["faults"], "json": c["json"]}
}

var benchNames = []string{"full", "sixty", "sweep", "floats", "mixed", "faults", "json"}

func BenchmarkEncode(b *testing.B) {
	batches := benchBatches()
	for _, name := range benchNames {
		b.Run(name, func(b *testing.B) {
			var e record.Encoder
			var body []byte
			recs := batches[name]
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if body, _, _, err = e.Encode(body[:0], recs, record.CodecColumns); err != nil {
					b.Fatal(err)
				}
			}
			samplesPerSecond(b, len(recs))
			b.ReportMetric(float64(len(body))/float64(len(recs)), "B/sample")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	batches := benchBatches()
	for _, name := range benchNames {
		for _, chain := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/chain=%t", name, chain), func(b *testing.B) {
				var e record.Encoder
				recs := batches[name]
				body, used, rawLen, err := e.Encode(nil, recs, record.CodecColumns)
				if err != nil {
					b.Fatal(err)
				}
				var d record.Decoder
				var out []record.Record
				b.ReportAllocs()
				for b.Loop() {
					if chain {
						out, _, err = d.DecodeChain(out[:0], 0, used, uint32(rawLen), uint32(len(recs)), body)
					} else {
						out, err = d.Decode(out[:0], used, uint32(rawLen), uint32(len(recs)), body)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				samplesPerSecond(b, len(recs))
			})
		}
	}
}
