package record

import (
	"encoding/binary"
	"math/bits"
)

// The series section says which series each record belongs to. Series are numbered in the order of their first
// appearance (locals 0 to S−1):
//
//	uvarint S | column of S ids | if 1 < S < count: u8 mode, then
//	mode 0: tokens until count records are named: uvarint n<<1: n ≥ 1 new locals follow
//	        uvarint n<<1|1, uvarint distance: repeat n ≥ 1 locals from distance back (0: the distance used last)
//	mode 1: count locals packed with the least width that holds S−1
//
// A sweep over the same sensors, again and again, is two tokens.
const (
	seriesTokens = 0
	seriesPacked = 1
)

// table is an open-addressing hash table from a 32-bit key to a small number, emptied by counting generations.
type table struct {
	slots []slot
	gen   uint32
	used  int
}

type slot struct {
	gen, key, val uint32
}

func (t *table) reset() {
	t.used = 0
	t.gen++
	if t.slots == nil {
		t.slots = make([]slot, 256)
	}
	if t.gen == 0 { // wrapped: old entries would look current
		clear(t.slots)
		t.gen = 1
	}
}

func (t *table) home(key uint32) uint32 { return key * 0x9e3779b1 >> 7 }

// at returns the slot at a probe position and whether it holds something.
func (t *table) at(pos uint32) (*slot, bool) {
	s := &t.slots[pos&uint32(len(t.slots)-1)]
	return s, s.gen == t.gen
}

// put fills the empty slot s, and doubles the table when it is half full.
func (t *table) put(s *slot, key, val uint32) {
	*s = slot{t.gen, key, val}
	if t.used++; t.used*2 < len(t.slots) {
		return
	}
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	for _, o := range old {
		if o.gen != t.gen {
			continue
		}
		for pos := t.home(o.key); ; pos++ {
			if n, full := t.at(pos); !full {
				*n = o
				break
			}
		}
	}
}

// local numbers a series; fresh is true for one that has not appeared before.
func (e *Encoder) local(id SeriesID) (l int, fresh bool) {
	for pos := e.series.home(uint32(id)); ; pos++ {
		s, full := e.series.at(pos)
		if !full {
			l = len(e.ids)
			e.series.put(s, uint32(id), uint32(l))
			e.ids = append(e.ids, int64(id))
			e.last = append(e.last, 0)
			return l, true
		}
		if s.key == uint32(id) {
			return int(s.val), false
		}
	}
}

// locate numbers the series of all records and writes the tokens.
func (e *Encoder) locate(recs []Record) {
	e.series.reset()
	e.ids, e.last, e.tokens = e.ids[:0], e.last[:0], e.tokens[:0]
	e.loc = grow(e.loc, len(recs))
	loc, last := e.loc, e.last
	distance, used := 0, 0
	for i := 0; i < len(recs); {
		if distance > 0 {
			back := recs[i-distance:]
			n := 0
			for n < len(recs)-i && recs[i+n].Series == back[n].Series {
				l := loc[i+n-distance]
				loc[i+n] = l
				last[l] = int32(i + n)
				n++
			}
			if n > 0 {
				e.tokens = binary.AppendUvarint(e.tokens, uint64(n)<<1|1)
				if distance == used {
					e.tokens = append(e.tokens, 0)
				} else {
					e.tokens = binary.AppendUvarint(e.tokens, uint64(distance))
				}
				used = distance
				i += n
				distance = 0 // a longer one may begin here
				continue
			}
		}
		start := i
		for ; i < len(recs); i++ {
			l, fresh := e.local(recs[i].Series)
			if !fresh {
				distance = i - int(e.last[l])
				break
			}
			loc[i] = uint16(l)
			e.last[l] = int32(i)
		}
		last = e.last
		if i > start {
			e.tokens = binary.AppendUvarint(e.tokens, uint64(i-start)<<1)
		}
	}
}

func (e *Encoder) appendSeries(dst []byte, recs []Record) []byte {
	e.locate(recs)
	s := len(e.ids)
	dst = binary.AppendUvarint(dst, uint64(s))
	dst = e.appendInts(dst, e.ids)
	if s == 1 || s == len(recs) {
		return dst
	}
	w := bits.Len(uint(s - 1))
	if len(e.tokens) <= packedLen(len(recs), w) {
		dst = append(dst, seriesTokens)
		return append(dst, e.tokens...)
	}
	dst = append(dst, seriesPacked)
	e.wide = grow(e.wide, len(recs))
	for i, l := range e.loc {
		e.wide[i] = uint64(l)
	}
	return appendBits(dst, e.wide, w)
}

// readSeries fills d.ids, d.loc and d.count.
func (d *Decoder) readSeries(r *bodyReader, count int) {
	s := r.upTo(1, count)
	d.ids = grow(d.ids, s)
	d.intsWithin(r, d.ids, 0, 1<<32-1)
	d.loc = grow(d.loc, count)
	switch {
	case s == 1:
		clear(d.loc)
	case s == count:
		for i := range d.loc {
			d.loc[i] = uint16(i)
		}
	default:
		switch r.byte() {
		case seriesTokens:
			d.readTokens(r, s)
		case seriesPacked:
			d.wide = grow(d.wide, count)
			r.bits(d.wide, bits.Len(uint(s-1)))
			for i, l := range d.wide {
				if l >= uint64(s) {
					r.fail(errRange)
					return
				}
				d.loc[i] = uint16(l)
			}
		default:
			r.fail(errRange)
		}
	}
	d.count = grow(d.count, s)
	clear(d.count)
	if r.err != nil {
		return
	}
	for _, l := range d.loc {
		d.count[l]++
	}
}

func (d *Decoder) readTokens(r *bodyReader, s int) {
	loc, fresh, distance := d.loc, 0, 0
	for i := 0; i < len(loc) && r.err == nil; {
		t := r.uvarint()
		n := t >> 1
		if n == 0 || n > uint64(len(loc)-i) {
			r.fail(errRange)
			return
		}
		end := i + int(n)
		if t&1 == 0 {
			if end-i > s-fresh {
				r.fail(errRange)
				return
			}
			for ; i < end; i++ {
				loc[i] = uint16(fresh)
				fresh++
			}
			continue
		}
		if t := r.upTo(0, i); t != 0 {
			distance = t
		}
		if distance == 0 || distance > i {
			r.fail(errRange)
			return
		}
		for from := i - distance; i < end; { // each turn doubles what can be copied at once
			i += copy(loc[i:end], loc[from:i])
		}
	}
}
