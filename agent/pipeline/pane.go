package pipeline

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/edgelog/edgelog/buffer/record"
)

// pane is what is known of the readings of one series within one span of Every. A window is made of the panes that it
// covers, so that a reading is taken in once however many windows it belongs to.
type pane struct {
	index int64 // its time divided by Every
	n     int64 // readings with a value
	bad   int64 // without
	doubt int64 // of n: uncertain ones

	sumHigh int64 // sum of whole numbers and decimals: 128 bits, exact
	sumLow  uint64
	sum     float64 // of floats, and what rounding left of it
	rest    float64

	min, max, first, last int64 // as record.Num; of floats their bits
	firstAt, lastAt       int64
	why                   record.Quality // of the newest bad reading
	flags                 flags          // interruptions while it was open
}

// add takes in one reading with its time. t is the type of the series.
func (p *pane) add(r *record.Record, t record.Type, at int64) {
	if r.Quality.Bad() || r.Type == record.TypeNone || r.Type != t {
		p.bad++
		switch {
		case r.Quality.Bad():
			p.why = r.Quality
		default:
			p.why = record.QualityMalformed // a value of another type than the series has
		}
		return
	}
	if !r.Quality.Good() {
		p.doubt++
	}
	v := r.Num
	if p.n == 0 {
		p.min, p.max, p.first, p.last, p.firstAt, p.lastAt = v, v, v, v, at, at
	} else {
		p.bounds(v, v, t)
		if at < p.firstAt {
			p.first, p.firstAt = v, at
		}
		if at >= p.lastAt {
			p.last, p.lastAt = v, at
		}
	}
	p.n++
	if t == record.TypeFloat {
		p.addFloat(math.Float64frombits(uint64(v)))
	} else {
		p.addWhole(v>>63, uint64(v))
	}
}

// bounds widens min and max.
func (p *pane) bounds(low, high int64, t record.Type) {
	if less(low, p.min, t) {
		p.min = low
	}
	if less(p.max, high, t) {
		p.max = high
	}
}

// addWhole adds a number of 128 bits.
func (p *pane) addWhole(high int64, low uint64) {
	var carry uint64
	p.sumLow, carry = bits.Add64(p.sumLow, low, 0)
	p.sumHigh += high + int64(carry)
}

// merge takes in another pane. Of readings with one time the later in the stream is the last.
func (p *pane) merge(o *pane, t record.Type) {
	p.bad, p.doubt, p.flags = p.bad+o.bad, p.doubt+o.doubt, p.flags|o.flags
	if o.bad > 0 {
		p.why = o.why
	}
	if o.n == 0 {
		return
	}
	if p.n == 0 {
		p.min, p.max, p.first, p.last, p.firstAt, p.lastAt = o.min, o.max, o.first, o.last, o.firstAt, o.lastAt
	} else {
		p.bounds(o.min, o.max, t)
		if o.firstAt < p.firstAt {
			p.first, p.firstAt = o.first, o.firstAt
		}
		if o.lastAt >= p.lastAt {
			p.last, p.lastAt = o.last, o.lastAt
		}
	}
	p.n += o.n
	if t == record.TypeFloat {
		p.addFloat(o.sum)
		p.rest += o.rest
		return
	}
	p.addWhole(o.sumHigh, o.sumLow)
}

// addFloat adds and keeps what rounding loses (Neumaier, 1974): the sum does not depend on how many readings there are.
func (p *pane) addFloat(v float64) {
	s := p.sum + v
	switch {
	case math.IsInf(s, 0) || math.IsNaN(s):
	case math.Abs(p.sum) >= math.Abs(v):
		p.rest += (p.sum - s) + v
	default:
		p.rest += (v - s) + p.sum
	}
	p.sum = s
}

func less(a, b int64, t record.Type) bool {
	if t == record.TypeFloat {
		return math.Float64frombits(uint64(a)) < math.Float64frombits(uint64(b))
	}
	return a < b
}

// value puts the result of a computation into r, whose quality is that of the window. Without a reading there is no value,
// and the quality is that of the newest bad one; a result that its type cannot hold is an overflow.
func (p *pane) value(r *record.Record, c Compute, in record.Type) {
	r.Type = c.typeOf(in)
	switch {
	case c == Count:
		r.Num = p.n
		return
	case c == Bad:
		r.Num = p.bad
		return
	case p.n == 0:
		r.Type, r.Quality = record.TypeNone, p.why
		return
	}
	switch c {
	case Min:
		r.Num = p.min
	case Max:
		r.Num = p.max
	case First:
		r.Num = p.first
	case Last:
		r.Num = p.last
	case Sum, Mean:
		p.total(r, c, in)
	}
}

// total is sum and mean: of floats a float, else exact, the mean rounded half to even in its last decimal.
func (p *pane) total(r *record.Record, c Compute, in record.Type) {
	if in == record.TypeFloat {
		v := p.sum + p.rest
		if c == Mean {
			v /= float64(p.n)
		}
		r.Float(v)
		return
	}
	digits, n := 0, int64(1)
	if c == Mean {
		digits, n = r.Type.Decimals()-in.Decimals(), p.n
	}
	if v, ok := p.small(digits, n); ok {
		r.Num = v
		return
	}
	sum := new(big.Int).Lsh(big.NewInt(p.sumHigh), 64)
	sum.Add(sum, new(big.Int).SetUint64(p.sumLow))
	sum = roundedQuotient(sum.Mul(sum, pow10(digits)), n)
	if !sum.IsInt64() {
		r.Type, r.Num, r.Quality = record.TypeNone, 0, record.QualityOverflow
		return
	}
	r.Num = sum.Int64()
}

// small is sum · 10^digits / n where 64 bits are enough on the way.
func (p *pane) small(digits int, n int64) (int64, bool) {
	v := int64(p.sumLow)
	if v>>63 != p.sumHigh {
		return 0, false
	}
	for range digits {
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, false
		}
		v *= 10
	}
	if n == 1 {
		return v, true
	}
	q := floorDiv(v, n)
	switch rest := v - q*n; { // 0 ≤ rest < n
	case rest > n-rest, rest == n-rest && q&1 == 1:
		q++
	}
	return q, true
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// roundedQuotient is a / n, n > 0, half to even.
func roundedQuotient(a *big.Int, n int64) *big.Int {
	q, rest := new(big.Int).DivMod(a, big.NewInt(n), new(big.Int)) // 0 ≤ rest < n
	switch twice := rest.Lsh(rest, 1).Cmp(big.NewInt(n)); {
	case twice > 0, twice == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return q
}
