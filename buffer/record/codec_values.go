package record

import (
	"encoding/binary"
	"math"
	"slices"
)

// The numbers (Num of all records with a numeric type) lie in the order of their series. Series that are predicted
// in the same way share a class, so that a sweep of a hundred sensors has one header:
//
//	nothing if no record is numeric, else
//	uvarint K | K classes: u8 order | scaledFlag | form<<3, [uvarint divisor]
//	if K > 1: column of N classes, one for each local that has numbers
//	for each class: form 31: uvarint D, column of D numbers
//	                column of m first values (order 0: least values)
//	                order 2, 3: column of the first differences (divided; order 3: the only one) of series with n ≥ 2
//	                order 0: blocks of Σn residuals; 1, 2: blocks of Σ(n−1) residuals, series after series
//
// The form says what the integers stand for: 0 Num itself; 1 a float's bits, with all but the sign flipped where
// negative, so that they sort as floats; 2+k a float that is exactly integer/10^k; 31 an entry of the class's dictionary.
const (
	formPlain   = 0
	formOrdered = 1
	formDecimal = 2 // + k
	formDict    = 31
	formShift   = 3

	maxFloatDecimals = 12
	shortSeries      = 8   // below it a series says too little to choose its own prediction
	crowdedClasses   = 200 // from here on classes are shared without a divisor
	maxClasses       = 512

	maxDict      = 256 // entries that are read; maxOwnDict are written
	maxOwnDict   = 16
	dictClasses  = 64 // each series with a dictionary is a class of its own, up to here
	dictMinWidth = 12 // bits a value from which a dictionary is looked for
)

var pow10Exact = [maxFloatDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}

// valueClass is a way of prediction that several series share.
type valueClass struct {
	typ   Type
	form  int
	order int
	scale scale
	dict  [maxOwnDict]int64 // of the encoder
	words int               // entries of dict
}

func orderedFloat(v int64) int64 { return v ^ int64(uint64(v>>63)>>1) }

// floatDecimals finds the least k ≥ from at which every value is exactly an integer / 10^k.
func floatDecimals(v []int64, from int) (k int, ok bool) {
	k = from
	for _, x := range v {
		f := math.Float64frombits(uint64(x))
		for {
			if k > maxFloatDecimals {
				return 0, false
			}
			if _, ok := decimalOf(f, x, k); ok {
				break
			}
			k++
		}
	}
	for _, x := range v { // the first ones were tried with fewer decimals
		if _, ok := decimalOf(math.Float64frombits(uint64(x)), x, k); !ok {
			return 0, false
		}
	}
	return k, true
}

func decimalOf(f float64, bits int64, k int) (int64, bool) {
	q := math.RoundToEven(f * pow10Exact[k])
	if !(math.Abs(q) < 1<<53) {
		return 0, false
	}
	return int64(q), int64(math.Float64bits(q/pow10Exact[k])) == bits && bits != math.MinInt64
}

// scatter puts the numbers into the order of their series: local l's lie at e.vals[e.start[l]:e.start[l+1]].
func (e *Encoder) scatter(recs []Record) {
	n := len(e.ids)
	e.start, e.next, e.typ = grow(e.start, n+1), grow(e.next, n), grow(e.typ, n)
	at := int32(0)
	for l, c := range e.count {
		e.start[l], e.next[l] = at, at
		at += c
	}
	e.start[n] = at
	e.vals = grow(e.vals, int(at))
	if int(at) == len(recs) {
		for i, l := range e.loc {
			p := e.next[l]
			e.next[l] = p + 1
			e.vals[p] = recs[i].Num
			e.typ[l] = recs[i].Type
		}
		return
	}
	for i, l := range e.loc {
		if r := &recs[i]; numeric(r.Type) {
			p := e.next[l]
			e.next[l] = p + 1
			e.vals[p] = r.Num
			e.typ[l] = r.Type
		}
	}
}

// prepare turns floats into integers and finds the common divisor of all short series of one type.
func (e *Encoder) prepare() {
	e.forms = grow(e.forms, len(e.ids))
	hint := 0
	e.short = [256]uint64{}
	for l, typ := range e.typ {
		v := e.vals[e.start[l]:e.start[l+1]]
		e.forms[l] = formPlain
		if len(v) == 0 {
			continue
		}
		if typ == TypeFloat {
			k, ok := floatDecimals(v, hint)
			if !ok && hint > 0 {
				k, ok = floatDecimals(v, 0)
			}
			if ok {
				hint = k
				e.forms[l] = formDecimal + int8(k)
				for i, x := range v {
					v[i], _ = decimalOf(math.Float64frombits(uint64(x)), x, k)
				}
			} else {
				e.forms[l] = formOrdered
				for i, x := range v {
					v[i] = orderedFloat(x)
				}
			}
		}
		if len(v) < shortSeries && e.short[typ] != 1 {
			e.short[typ] = divisor(e.short[typ], v)
		}
	}
}

// classFor chooses the class of a series, and makes it where there is none.
func (e *Encoder) classFor(v []int64, typ Type, form int) int {
	c := valueClass{typ: typ, form: form, order: orderDelta}
	g := max(e.short[typ], 1)
	if len(v) >= shortSeries {
		var cost int
		c.order, cost = chooseOrder(v)
		if form <= formOrdered && cost > dictMinWidth*len(v) && len(e.classes) < dictClasses && c.fillDict(v) {
			e.classes = append(e.classes, c)
			return len(e.classes) - 1
		}
		g = 0
	}
	if g == 0 && c.order != orderLinear {
		for i := range e.classes {
			k := &e.classes[i]
			if k.scale.g > 1 && k.typ == typ && k.form == form && k.order == c.order && k.scale.divides(v) {
				return i
			}
		}
		g = divisor(0, v)
	}
	if g == 0 || len(e.classes) >= crowdedClasses {
		g = 1
	}
	for i := range e.classes {
		k := &e.classes[i]
		if k.scale.g == g && k.typ == typ && k.form == form && k.order == c.order {
			return i
		}
	}
	c.scale = newScale(g)
	e.classes = append(e.classes, c)
	return len(e.classes) - 1
}

// fillDict makes c a dictionary class and turns the values into indexes, where a few wide values keep coming back.
func (c *valueClass) fillDict(v []int64) bool {
	most := min(maxOwnDict, len(v)/4)
	for _, x := range v {
		if c.find(x) >= 0 {
			continue
		}
		if c.words == most {
			c.words = 0
			return false
		}
		c.dict[c.words] = x
		c.words++
	}
	slices.Sort(c.dict[:c.words])
	for i, x := range v {
		v[i] = int64(c.find(x))
	}
	if c.form == formOrdered {
		for i, x := range c.dict[:c.words] {
			c.dict[i] = orderedFloat(x)
		}
	}
	c.form, c.order, c.scale = formDict, orderNone, newScale(1)
	return true
}

func (c *valueClass) find(x int64) int {
	for i, y := range c.dict[:c.words] {
		if x == y {
			return i
		}
	}
	return -1
}

func (e *Encoder) appendValues(dst []byte, recs []Record) []byte {
	e.scatter(recs)
	if len(e.vals) == 0 {
		return dst
	}
	e.prepare()
	e.classes, e.classOf, e.owners = e.classes[:0], e.classOf[:0], e.owners[:0]
	for l := range e.ids {
		if v := e.vals[e.start[l]:e.start[l+1]]; len(v) > 0 {
			e.classOf = append(e.classOf, int64(e.classFor(v, e.typ[l], int(e.forms[l]))))
			e.owners = append(e.owners, int32(l))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.classes)))
	for _, c := range e.classes {
		if c.scale.g == 1 {
			dst = append(dst, byte(c.order|c.form<<formShift))
		} else {
			dst = append(dst, byte(c.order|scaledFlag|c.form<<formShift))
			dst = binary.AppendUvarint(dst, c.scale.g)
		}
	}
	if len(e.classes) > 1 {
		dst = e.appendInts(dst, e.classOf)
	}
	for i := range e.classes {
		dst = e.appendClass(dst, i)
	}
	return dst
}

func (e *Encoder) appendClass(dst []byte, class int) []byte {
	c := &e.classes[class]
	e.firsts, e.slopes = e.firsts[:0], e.slopes[:0]
	e.stream = grow(e.stream, len(e.vals))
	n := 0
	for k, l := range e.owners {
		if e.classOf[k] != int64(class) {
			continue
		}
		v := e.vals[e.start[l]:e.start[l+1]]
		if c.order == orderNone {
			lo := v[0]
			for _, x := range v {
				lo = min(lo, x)
			}
			e.firsts = append(e.firsts, lo)
			for _, x := range v {
				e.stream[n] = c.scale.divide(x - lo)
				n++
			}
			continue
		}
		e.firsts = append(e.firsts, v[0])
		if len(v) == 1 {
			continue
		}
		slope := c.scale.divide(v[1] - v[0])
		e.slopes = append(e.slopes, slope)
		if c.order != orderLinear {
			c.scale.residuals(e.stream[n:], v, c.order, slope)
			n += len(v) - 1
		}
	}
	if c.form == formDict {
		dst = binary.AppendUvarint(dst, uint64(c.words))
		dst = e.appendInts(dst, c.dict[:c.words])
	}
	dst = e.appendInts(dst, e.firsts)
	if c.order >= orderDelta2 {
		dst = e.appendInts(dst, e.slopes)
	}
	return e.appendBlocks(dst, e.stream[:n])
}

// readValues fills d.vals, in the order of the locals, with all numbers.
func (d *Decoder) readValues(r *bodyReader) {
	n := len(d.ids)
	d.start, d.owners = grow(d.start, n+1), d.owners[:0]
	at := int32(0)
	for l, c := range d.count {
		d.start[l] = at
		at += c
		if c > 0 {
			d.owners = append(d.owners, int32(l))
		}
	}
	d.start[n] = at
	d.vals = grow(d.vals, int(at))
	if at == 0 {
		return
	}
	d.classes = grow(d.classes, r.upTo(1, maxClasses))
	for i := range d.classes {
		head := int(r.byte())
		c := valueClass{order: head & orderMask, form: head >> formShift, scale: scale{g: 1}}
		if head&scaledFlag != 0 {
			c.scale.g = r.uvarint()
		}
		if c.form > formDecimal+maxFloatDecimals && c.form != formDict {
			r.fail(errRange)
		}
		d.classes[i] = c
	}
	d.classOf = grow(d.classOf, len(d.owners))
	if len(d.classes) > 1 {
		d.intsWithin(r, d.classOf, 0, int64(len(d.classes)-1))
	} else {
		clear(d.classOf)
	}
	for i := range d.classes {
		if r.err != nil {
			return
		}
		d.readClass(r, i)
	}
}

func (d *Decoder) readClass(r *bodyReader, class int) {
	c := &d.classes[class]
	members, total, several := d.members[:0], 0, 0
	for k, l := range d.owners {
		if d.classOf[k] == int64(class) {
			members = append(members, l)
			total += int(d.count[l])
			if d.count[l] > 1 {
				several++
			}
		}
	}
	d.members = members
	if c.form == formDict {
		d.dict = grow(d.dict, r.upTo(1, maxDict))
		d.ints(r, d.dict)
	}
	d.firsts = grow(d.firsts, len(members))
	d.ints(r, d.firsts)
	if c.order >= orderDelta2 {
		d.slopes = grow(d.slopes, several)
		d.ints(r, d.slopes)
	}
	switch c.order {
	case orderNone:
	case orderLinear:
		total = 0
	default:
		total -= len(members)
	}
	d.res = grow(d.res, total)
	d.blocks(r, d.res)
	if r.err != nil {
		return
	}
	res, slopes := d.res, d.slopes
	for k, l := range members {
		v := d.vals[d.start[l]:d.start[l+1]]
		v[0] = d.firsts[k]
		if c.order == orderNone {
			base, m := v[0], int64(c.scale.g)
			for i, x := range res[:len(v)] {
				v[i] = base + x*m
			}
			res = res[len(v):]
		} else if len(v) > 1 {
			slope := int64(0)
			if c.order >= orderDelta2 {
				slope, slopes = slopes[0], slopes[1:]
			}
			if c.order == orderLinear {
				integrate(v, nil, c.order, c.scale.g, slope)
			} else {
				integrate(v, res, c.order, c.scale.g, slope)
				res = res[len(v)-1:]
			}
		}
		if c.form != formDict {
			c.restore(v)
		} else if !lookUp(d.dict, v) {
			r.fail(errRange)
			return
		}
	}
}

// lookUp turns indexes into entries of the dictionary; false if there is no such entry.
func lookUp(dict, v []int64) bool {
	for i, x := range v {
		if uint64(x) >= uint64(len(dict)) {
			return false
		}
		v[i] = dict[x]
	}
	return true
}

// restore turns the integers of a float class into the bits of floats.
func (c *valueClass) restore(v []int64) {
	switch {
	case c.form == formOrdered:
		for i, x := range v {
			v[i] = orderedFloat(x)
		}
	case c.form >= formDecimal:
		p := pow10Exact[c.form-formDecimal]
		for i, x := range v {
			v[i] = int64(math.Float64bits(float64(x) / p))
		}
	}
}
