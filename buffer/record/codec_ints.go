package record

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Orders of prediction.
const (
	orderNone   = 0 // minus the first value (of a value class: minus the least)
	orderDelta  = 1 // minus the value before
	orderDelta2 = 2 // the change of the difference
	orderLinear = 3 // a constant difference: no stream of residuals
	orderMask   = 3
	scaledFlag  = 4 // residuals were divided by a common divisor
)

// A column of n integers (n is known to the reader):
//
//	n = 0: nothing     n = 1: svarint v0
//	else: u8 order | scaledFlag, [uvarint divisor], svarint v0, order 2 and 3: svarint first difference (divided),
//	      order 0 to 2: blocks of n−1 residuals
//
// All arithmetic wraps around at 64 bits.
func (e *Encoder) appendInts(dst []byte, v []int64) []byte {
	if len(v) == 0 {
		return dst
	}
	if len(v) == 1 {
		return appendSvarint(dst, v[0])
	}
	g := divisor(0, v)
	order, _ := chooseOrder(v)
	if g > 1 {
		dst = append(dst, byte(order|scaledFlag))
		dst = binary.AppendUvarint(dst, g)
	} else {
		g = 1
		dst = append(dst, byte(order))
	}
	s := newScale(g)
	dst = appendSvarint(dst, v[0])
	slope := s.divide(v[1] - v[0])
	if order >= orderDelta2 {
		dst = appendSvarint(dst, slope)
	}
	if order == orderLinear {
		return dst
	}
	e.res = grow(e.res, len(v)-1)
	s.residuals(e.res, v, order, slope)
	return e.appendBlocks(dst, e.res)
}

// residuals writes the len(v)−1 residuals of orders 0 to 2 against the first value.
func (s scale) residuals(dst, v []int64, order int, slope int64) {
	switch order {
	case orderNone:
		for i, x := range v[1:] {
			dst[i] = s.divide(x - v[0])
		}
	case orderDelta:
		prev := v[0]
		for i, x := range v[1:] {
			dst[i] = s.divide(x - prev)
			prev = x
		}
	case orderDelta2:
		prev := v[0]
		for i, x := range v[1:] {
			d := s.divide(x - prev)
			dst[i] = d - slope
			prev, slope = x, d
		}
	}
}

// integrate turns residuals into values: v[0] is the first value, res[i-1] belongs to v[i]; res may be v[1:].
func integrate(v, res []int64, order int, g uint64, slope int64) {
	x, m := v[0], int64(g)
	out := v[1:]
	switch order {
	case orderNone:
		for i, r := range res[:len(out)] {
			out[i] = x + r*m
		}
	case orderDelta:
		for i, r := range res[:len(out)] {
			x += r * m
			out[i] = x
		}
	case orderDelta2:
		for i, r := range res[:len(out)] {
			slope += r
			x += slope * m
			out[i] = x
		}
	case orderLinear:
		for i := range out {
			x += slope * m
			out[i] = x
		}
	}
}

// ints reads a column of len(dst) integers.
func (d *Decoder) ints(r *bodyReader, dst []int64) {
	if len(dst) == 0 {
		return
	}
	if len(dst) == 1 {
		dst[0] = r.svarint()
		return
	}
	head := r.byte()
	order, g := int(head&orderMask), uint64(1)
	if head&^(orderMask|scaledFlag) != 0 {
		r.fail(errRange)
	}
	if head&scaledFlag != 0 {
		g = r.uvarint()
	}
	dst[0] = r.svarint()
	slope := int64(0)
	if order >= orderDelta2 {
		slope = r.svarint()
	}
	if order != orderLinear {
		d.blocks(r, dst[1:])
	}
	if r.err != nil {
		clear(dst)
		return
	}
	integrate(dst, dst[1:], order, g, slope)
}

// intsWithin reads a column whose values must lie in [lo, hi].
func (d *Decoder) intsWithin(r *bodyReader, dst []int64, lo, hi int64) {
	d.ints(r, dst)
	for _, v := range dst {
		if v < lo || v > hi {
			r.fail(errRange)
			return
		}
	}
}

// chooseOrder estimates the bits that each order takes. Orders 1 and 2 are charged for being sums of lengths
// where blocks have one width. A column of less than two is not asked for.
func chooseOrder(v []int64) (order, cost int) {
	lo, hi := v[0], v[0]
	first := v[1] - v[0]
	prev, slope := v[0], first
	cost1, cost2, linear := 0, 0, true
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
		d := x - prev
		dd := d - slope
		cost1 += bits.Len64(zigzag(d))
		cost2 += bits.Len64(zigzag(dd))
		linear = linear && dd == 0
		prev, slope = x, d
	}
	n := len(v) - 1
	if linear {
		return orderLinear, 0
	}
	cost0 := n * bits.Len64(uint64(hi)-uint64(lo))
	cost1 += n
	cost2 += n + n/4
	switch {
	case cost0 <= cost1 && cost0 <= cost2:
		return orderNone, cost0
	case cost1 <= cost2:
		return orderDelta, cost1
	}
	return orderDelta2, cost2
}

// scale divides exactly by a divisor: a shift, then a multiplication by the inverse of its odd part modulo 2^64.
type scale struct {
	g, inverse uint64
	shift      uint
	limit      int64 // greatest exact quotient: a larger one agrees with its product only modulo 2^64
}

func newScale(g uint64) scale {
	s := scale{g: g, shift: uint(bits.TrailingZeros64(g)), limit: int64(math.MaxInt64 / g)}
	odd := g >> s.shift
	inv := odd // right to 3 bits; each step doubles that
	for range 5 {
		inv *= 2 - odd*inv
	}
	s.inverse = inv
	return s
}

// divide is d / g where g divides d.
func (s scale) divide(d int64) int64 { return int64(uint64(d>>s.shift) * s.inverse) }

// exact reports whether q is d / g without a remainder.
func (s scale) exact(q, d int64) bool {
	return q*int64(s.g) == d && uint64(q+s.limit) <= uint64(s.limit)*2
}

// divides reports whether every difference between neighbours is a multiple of the divisor.
func (s scale) divides(v []int64) bool {
	if s.g == 1 {
		return true
	}
	prev := v[0]
	for _, x := range v[1:] {
		d := x - prev
		if !s.exact(s.divide(d), d) {
			return false
		}
		prev = x
	}
	return true
}

// divisor is the greatest common divisor of g and all differences between neighbours, 0 if all are 0, 1 where a
// difference overflows.
func divisor(g uint64, v []int64) uint64 {
	s := newScale(max(g, 1))
	prev := v[0]
	for _, x := range v[1:] {
		d := x - prev
		if (x < prev) != (d < 0) {
			return 1
		}
		prev = x
		if d == 0 || g > 1 && s.exact(s.divide(d), d) {
			continue
		}
		if d < 0 {
			d = -d
		}
		if g = gcd(g, uint64(d)); g == 1 {
			return 1
		}
		s = newScale(g)
	}
	return g
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
