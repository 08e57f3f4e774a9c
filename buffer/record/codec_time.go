package record

import (
	"encoding/binary"
	"math/bits"
)

// The stamps are runs of equal times in arrival order (one sweep has one stamp):
//
//	uvarint R | if 1 < R < count: column of R−1 run lengths (the last one follows)
//	u8 k | mode<<4: all times are divided by 10^k, k ≤ 9
//	mode 0: column of R times
//	mode 1: uvarint L, column of the first L times, column of R−L differences from the time L runs before
//
// Sensors with stamps of their own repeat with the period of their sweep, which the lag takes out.
const (
	timeDirect = 0
	timeLagged = 1
)

func (e *Encoder) appendTimes(dst []byte, count int) []byte {
	t := e.times
	dst = binary.AppendUvarint(dst, uint64(len(t)))
	if len(t) > 1 && len(t) < count {
		dst = e.appendInts(dst, e.runs)
	}
	k := e.divideTimes()
	lag := len(e.ids)
	if lag > 1 && len(t) == count && lag <= len(t)/2 && e.lagPays(lag) {
		dst = append(dst, k|timeLagged<<4)
		dst = binary.AppendUvarint(dst, uint64(lag))
		dst = e.appendInts(dst, t[:lag])
		e.diff = grow(e.diff, len(t)-lag)
		for i := range e.diff {
			e.diff[i] = t[i+lag] - t[i]
		}
		return e.appendInts(dst, e.diff)
	}
	return e.appendInts(append(dst, k|timeDirect<<4), t)
}

// divideTimes divides all times by the greatest 10^k, k ≤ 9, that leaves no remainder.
func (e *Encoder) divideTimes() byte {
	k := byte(9)
	for _, t := range e.times {
		for t%pow10Int[k] != 0 {
			k--
		}
		if k == 0 {
			return 0
		}
	}
	for i := range e.times {
		e.times[i] /= pow10Int[k]
	}
	return k
}

// lagPays compares a sample of differences from the run before with differences from the run lag before, both
// freed of their middle by taking neighbours' differences.
func (e *Encoder) lagPays(lag int) bool {
	t := e.times
	direct, lagged := 0, 0
	for i := lag + 1; i < min(len(t), lag+512); i++ {
		direct += bits.Len64(zigzag(t[i] - t[i-1] - (t[lag]-t[0])/int64(lag)))
		lagged += bits.Len64(zigzag(t[i] - t[i-lag] - (t[lag] - t[0])))
	}
	return lagged < direct
}

var pow10Int = [10]int64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// readTimes fills d.times and d.runs.
func (d *Decoder) readTimes(r *bodyReader, count int) {
	n := r.upTo(1, count)
	d.times, d.runs = grow(d.times, n), grow(d.runs, n)
	switch {
	case n == count:
		for i := range d.runs {
			d.runs[i] = 1
		}
	case n == 1:
		d.runs[0] = int64(count)
	default:
		d.intsWithin(r, d.runs[:n-1], 1, int64(count))
		rest := int64(count)
		for _, l := range d.runs[:n-1] {
			rest -= l
		}
		if rest < 1 {
			r.fail(errRange)
		}
		d.runs[n-1] = rest
	}
	head := r.byte()
	k := head & 15
	if k > 9 {
		r.fail(errRange)
		return
	}
	switch head >> 4 {
	case timeDirect:
		d.ints(r, d.times)
	case timeLagged:
		lag := r.upTo(1, max(n-1, 1))
		if n == 1 {
			r.fail(errRange)
			return
		}
		d.ints(r, d.times[:lag])
		d.ints(r, d.times[lag:])
		for i, t := range d.times[:n-lag] {
			d.times[i+lag] += t
		}
	default:
		r.fail(errRange)
	}
	if k > 0 {
		for i := range d.times {
			d.times[i] *= pow10Int[k]
		}
	}
}
