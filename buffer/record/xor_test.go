package record_test

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
)

// xorChunk is the length in bytes of a chunk in Prometheus' XOR encoding (tsdb/chunkenc/xor.go): ms stamps as change of
// difference, values as xor with the one before.
func xorChunk(ts []int64, v []float64) int {
	n := 16 // number of samples
	lead, trail, difference := -1, 0, int64(0)
	for i := range v {
		switch i {
		case 0:
			n += 8*6 + 64
			continue
		case 1:
			difference = ts[1] - ts[0]
			n += 8 * ((bits.Len64(uint64(difference)) + 6) / 7)
		default:
			d := ts[i] - ts[i-1]
			switch dod := d - difference; {
			case dod == 0:
				n++
			case dod >= -8191 && dod <= 8192:
				n += 2 + 14
			case dod >= -65535 && dod <= 65536:
				n += 3 + 17
			case dod >= -524287 && dod <= 524288:
				n += 4 + 20
			default:
				n += 4 + 64
			}
			difference = d
		}
		x := math.Float64bits(v[i]) ^ math.Float64bits(v[i-1])
		l, t := min(bits.LeadingZeros64(x), 31), bits.TrailingZeros64(x)
		switch {
		case x == 0:
			n++
		case lead >= 0 && l >= lead && t >= trail:
			n += 2 + 64 - lead - trail
		default:
			lead, trail = l, t
			n += 2 + 5 + 6 + 64 - l - t
		}
	}
	return (n + 7) / 8
}

// TestAgainstXor compares one series, stamps included, with XOR chunks of 120 samples: never larger, at most half of them
// for decimals.
func TestAgainstXor(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	often := func(n int, yes, no float64) float64 {
		if rng.IntN(n) == 0 {
			return yes
		}
		return no
	}
	var e record.Encoder
	for name, g := range map[string]struct {
		most float64
		next func(last float64) float64
	}{
		"decimal noise":       {0.5, func(float64) float64 { return math.Round(500+100*rng.NormFloat64()) / 10 }},
		"decimal walk":        {0.5, func(p float64) float64 { return math.Round(p*100+float64(rng.IntN(9)-4)) / 100 }},
		"constant":            {0.7, func(float64) float64 { return 7.3 }},
		"binary":              {0.5, func(float64) float64 { return float64(rng.IntN(2)) }},
		"counter":             {0.8, func(p float64) float64 { return p + float64(rng.IntN(1000)) }},
		"noise":               {1, func(float64) float64 { return 50 + 10*rng.NormFloat64() }},
		"both signs":          {1, func(float64) float64 { return rng.NormFloat64() }},
		"walk":                {1, func(p float64) float64 { return p + rng.NormFloat64()*0.01 }},
		"float32":             {1, func(float64) float64 { return float64(float32(rng.Float64())) }},
		"rarely new":          {1, func(p float64) float64 { return often(50, rng.Float64(), p) }},
		"sometimes new":       {1, func(p float64) float64 { return often(5, rng.Float64(), p) }},
		"zeros and noise":     {1, func(float64) float64 { return often(3, rng.Float64()*100, 0) }},
		"decimals and noise":  {1, func(float64) float64 { return often(30, rng.Float64(), float64(rng.IntN(100))/10) }},
		"thirds":              {1, func(float64) float64 { return float64(rng.IntN(300)) / 3 }},
		"powers of two":       {1, func(float64) float64 { return math.Ldexp(1, rng.IntN(60)-30) }},
		"few wide values":     {1, func(float64) float64 { return []float64{0.1, 1e300, -10.0 / 3, 0}[rng.IntN(4)] }},
		"two wide values":     {1, func(float64) float64 { return float64(1+rng.IntN(2)) / 3 }},
		"infinities and zero": {1, func(float64) float64 { return math.Inf(rng.IntN(2)*2-1) * float64(1-rng.IntN(2)*2) }},
	} {
		for _, n := range []int{120, 3000} {
			for _, jitter := range []int64{0, 3} {
				rng = rand.New(rand.NewPCG(uint64(n), uint64(jitter))) // the same data in every run
				stamps, values := make([]int64, n), make([]float64, n)
				recs := make([]record.Record, n)
				last := 20.0
				for i := range n {
					last = g.next(last)
					stamps[i], values[i] = 1_700_000_000_000+int64(i)*15_000+rng.Int64N(2*jitter+1)-jitter, last
					recs[i] = observation(0, 1, record.TypeFloat, int64(math.Float64bits(last)))
					recs[i].Time = stamps[i] * 1e6
				}
				xor := 0
				for i := 0; i < n; i += 120 {
					xor += xorChunk(stamps[i:min(n, i+120)], values[i:min(n, i+120)])
				}
				body, _, _, err := e.Encode(nil, recs, record.CodecColumns)
				if err != nil {
					t.Fatal(err)
				}
				ratio := float64(len(body)) / float64(xor)
				t.Logf("%s × %d, jitter %d ms: %d bytes, XOR %d, ratio %.2f", name, n, jitter, len(body), xor, ratio)
				if ratio > g.most {
					t.Errorf("%s × %d, jitter %d ms: %d bytes, XOR %d, ratio %.2f, at most %.2f", name, n, jitter, len(body), xor, ratio, g.most)
				}
			}
		}
	}
}
