package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
)

// ErrState is wrapped by every refusal of a checkpoint's bytes.
var ErrState = errors.New("bad pipeline state")

// checkpoint is the state of a core and where it belongs. Its bytes, all numbers little-endian:
//
//	"EPL1" | u32 CRC-32C of what follows | u64 incarnation, before | u64 epoch | u64 next | u8 chain known, u64 chain(next) |
//	clock and hint, each: u8 known, u8 good, str boot, i64 base, i64 error | i64 guess from | i64 now |
//	u32 holes × (i64 from, i64 to, u8 why) | 9 × u64 stats |
//	u32 floors × (str key, i64 end) | u32 raised × (str key, u8) |
//	u32 series × (str definition, u8 asserted, i64 own, u8 missing, i64 from, i64 to, u8 why, i64 closed, i64 floor,
//	              u8 raised, i64 at, u8 pending, i64 since,
//	              u32 panes × (i64 index, n, bad, doubt, sum high, u64 sum low, f64 sum, rest,
//	                           i64 min, max, first, last, first at, last at, u8 why, u8 flags))
//	str: u32 length, bytes
type checkpoint struct {
	incarnation uint64
	before      uint64 // the incarnation of the newest result when this one began; 0: there was none
	chain       uint64 // of the input at core.next
	chained     bool   // it is known
	core        *Core
}

const magic = "EPL1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type writer struct{ b []byte }

func (w *writer) u8(v uint8)    { w.b = append(w.b, v) }
func (w *writer) u32(v int)     { w.b = binary.LittleEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) u64(v uint64)  { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) i64(v int64)   { w.u64(uint64(v)) }
func (w *writer) f64(v float64) { w.u64(math.Float64bits(v)) }
func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}
func (w *writer) str(s string) {
	w.u32(len(s))
	w.b = append(w.b, s...)
}

func (s *Stats) fields() []*uint64 {
	return []*uint64{&s.Records, &s.Taken, &s.Results, &s.Missing, &s.Late, &s.Untimed, &s.Left, &s.Raised, &s.Messages}
}

// encode appends the checkpoint's bytes to dst.
func (k *checkpoint) encode(dst []byte) []byte {
	c := k.core
	w := &writer{append(dst, magic...)}
	at := len(w.b)
	w.u32(0)
	w.u64(k.incarnation)
	w.u64(k.before)
	w.u64(uint64(c.epoch))
	w.u64(uint64(c.next))
	w.bool(k.chained)
	w.u64(k.chain)
	for _, x := range []clock{c.clock, c.hint} {
		w.bool(x.known)
		w.bool(x.good)
		w.str(x.boot)
		w.i64(x.base)
		w.i64(x.err)
	}
	w.i64(c.guessFrom)
	w.i64(c.now)
	w.u32(len(c.holes))
	for _, h := range c.holes {
		w.i64(h.from)
		w.i64(h.to)
		w.u8(uint8(h.why))
	}
	for _, f := range c.stats.fields() {
		w.u64(*f)
	}
	w.u32(len(c.floors))
	for _, key := range slices.Sorted(maps.Keys(c.floors)) {
		w.str(key)
		w.i64(c.floors[key])
	}
	w.u32(len(c.raised))
	for _, key := range slices.Sorted(maps.Keys(c.raised)) {
		w.str(key)
		w.bool(c.raised[key])
	}
	w.u32(len(c.series))
	for _, s := range c.series {
		s.encode(w)
	}
	binary.LittleEndian.PutUint32(w.b[at:], crc32.Checksum(w.b[at+4:], castagnoli))
	return w.b
}

func (s *series) encode(w *writer) {
	w.str(string(record.AppendDefinition(nil, record.Definition{ID: 1, Series: s.def})))
	w.bool(s.asserted)
	w.i64(s.own)
	w.u8(uint8(s.missing))
	w.i64(s.hole.from)
	w.i64(s.hole.to)
	w.u8(uint8(s.hole.why))
	w.i64(s.closed)
	w.i64(s.floor)
	w.bool(s.alarm.raised)
	w.i64(s.alarm.at)
	w.bool(s.alarm.pending)
	w.i64(s.alarm.since)
	w.u32(len(s.panes))
	for i := range s.panes {
		p := &s.panes[i]
		w.i64(p.index)
		w.i64(p.n)
		w.i64(p.bad)
		w.i64(p.doubt)
		w.i64(p.sumHigh)
		w.u64(p.sumLow)
		w.f64(p.sum)
		w.f64(p.rest)
		for _, v := range []int64{p.min, p.max, p.first, p.last, p.firstAt, p.lastAt} {
			w.i64(v)
		}
		w.u8(uint8(p.why))
		w.u8(uint8(p.flags))
	}
}

// reader takes a checkpoint's bytes apart; after the first that is missing everything reads as 0.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) i64() int64   { return int64(r.u64()) }
func (r *reader) f64() float64 { return math.Float64frombits(r.u64()) }
func (r *reader) bool() bool   { return r.u8() == 1 }

func (r *reader) u32() int {
	if b := r.take(4); b != nil {
		return int(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (r *reader) str() string { return string(r.take(r.u32())) }

// count is a number of things of at least size bytes each and at most max; what cannot be there is not believed.
func (r *reader) count(size, max int) int {
	n := r.u32()
	if n < 0 || n > max || int64(n)*int64(size) > int64(len(r.b)) {
		r.bad = true
		return 0
	}
	return n
}

// decode reads a checkpoint of this definition. The error wraps ErrState.
func decode(b []byte, def Definition, resolve func(record.Epoch, record.SeriesID) (record.Series, bool)) (*checkpoint, error) {
	if len(b) < len(magic)+4 || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it is not a checkpoint", ErrState)
	}
	if binary.LittleEndian.Uint32(b[len(magic):]) != crc32.Checksum(b[len(magic)+4:], castagnoli) {
		return nil, fmt.Errorf("%w: it is damaged", ErrState)
	}
	r := &reader{b: b[len(magic)+4:]}
	k := &checkpoint{incarnation: r.u64()}
	if uint32(k.incarnation>>32) != def.id() {
		return k, errOtherDefinition
	}
	c := NewCore(def, resolve)
	k.core, k.before = c, r.u64()
	c.epoch, c.next = record.Epoch(r.u64()), record.Offset(r.u64())
	k.chained, k.chain = r.bool(), r.u64()
	for _, x := range []*clock{&c.clock, &c.hint} {
		*x = clock{known: r.bool(), good: r.bool(), boot: r.str(), base: r.i64(), err: r.i64()}
	}
	c.guessFrom, c.now, c.holes = r.i64(), r.i64(), c.holes[:0]
	for range r.count(17, maxHoles) {
		c.holes = append(c.holes, hole{from: r.i64(), to: r.i64(), why: flags(r.u8())})
	}
	for _, f := range c.stats.fields() {
		*f = r.u64()
	}
	for range r.count(12, math.MaxInt32) {
		key := r.str()
		c.floors[key] = r.i64()
	}
	for range r.count(5, math.MaxInt32) {
		key := r.str()
		c.raised[key] = r.bool()
	}
	for range r.count(60, MaxSeries) {
		if err := c.decodeSeries(r); err != nil {
			return nil, err
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: its length does not fit its content", ErrState)
	}
	return k, nil
}

// errOtherDefinition: the checkpoint is whole, and of another definition of the pipeline.
var errOtherDefinition = fmt.Errorf("%w: it is of another definition", ErrState)

const paneBytes = 14*8 + 2

func (c *Core) decodeSeries(r *reader) error {
	d, rest, err := record.ParseDefinition([]byte(r.str()))
	if err != nil || len(rest) > 0 || r.bad {
		return fmt.Errorf("%w: a series in it: %v", ErrState, err)
	}
	s := &series{def: d.Series, key: d.Series.Key(), results: c.def.results(&d.Series)}
	s.asserted, s.own, s.missing = r.bool(), r.i64(), flags(r.u8())
	s.hole = hole{from: r.i64(), to: r.i64(), why: flags(r.u8())}
	s.closed, s.floor = r.i64(), r.i64()
	s.alarm = alarmState{raised: r.bool(), at: r.i64(), pending: r.bool(), since: r.i64()}
	for range r.count(paneBytes, MaxPanes) {
		p := pane{index: r.i64(), n: r.i64(), bad: r.i64(), doubt: r.i64(), sumHigh: r.i64(), sumLow: r.u64(), sum: r.f64(), rest: r.f64(),
			min: r.i64(), max: r.i64(), first: r.i64(), last: r.i64(), firstAt: r.i64(), lastAt: r.i64(),
			why: record.Quality(r.u8()), flags: flags(r.u8())}
		if n := len(s.panes); n > 0 && s.panes[n-1].index >= p.index {
			r.bad = true
		}
		s.panes = append(s.panes, p)
	}
	if c.byKey[s.key] != nil {
		r.bad = true
	}
	c.series, c.byKey[s.key] = append(c.series, s), s
	if w := c.def.Window; w != nil && len(s.panes) > 0 && !r.bad {
		c.nextEnd = min(c.nextEnd, s.nextEnd()*int64(w.Every))
	}
	return nil
}
