package buffer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// Chain is chain(o); false inside a gap, above durable, and where the log holds nothing that tells it. At a border of
// epochs it is that of the epoch that begins there.
func (l *Log) Chain(o record.Offset) (uint64, bool) {
	l.mu.Lock()
	if c, ok := l.borderChain(o); ok {
		l.mu.Unlock()
		return c, true
	}
	_, inGap := l.gaps.at(o)
	s := l.segAt(o)
	if inGap || o >= l.durable || s == nil || s.held != nil {
		l.mu.Unlock()
		return 0, false
	}
	v := l.view(s, o)
	l.mu.Unlock()
	c, err := l.chainIn(&v, o)
	if err != nil {
		c, err = l.chainBeyondDamage(o)
	}
	return c, err == nil
}

// chainBeyondDamage finds chain(o) as a reader does, which knows its way around damaged blocks.
func (l *Log) chainBeyondDamage(o record.Offset) (uint64, error) {
	r := l.Read(o)
	it, err := r.Next()
	if err == nil {
		err = ErrRange
		var c uint64
		switch b := &it.Batch; {
		case it.Gap != nil && it.Gap.From == o:
			c, err = it.Gap.ChainFrom, nil
		case it.Gap == nil && b.Base <= o && o < b.Base+record.Offset(b.Count):
			var dec record.Decoder
			var recs []record.Record
			if recs, err = dec.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body); err == nil {
				c = record.FoldChain(b.ChainBase, recs[:o-b.Base])
			}
		}
		if err == nil {
			return c, r.Close()
		}
	}
	return 0, errors.Join(err, r.Close())
}

// borderChain is chain(o) where it needs no reading. mu is held.
func (l *Log) borderChain(o record.Offset) (uint64, bool) {
	for i := range l.epochs {
		if l.epochs[i].First == o && l.holds(i) {
			return l.epochs[i].ChainFirst, true
		}
	}
	if o == l.durable {
		return l.chainDurable, true
	}
	if c, ok := l.gaps.chain(o); ok {
		return c, true
	}
	if s := l.segAt(o); s != nil && (s.held == nil || s.known) && s.base == o {
		return s.chainBase, true
	}
	return 0, false
}

// chainIn finds chain(o) inside a segment; a batch that o divides is decoded.
func (l *Log) chainIn(v *view, o record.Offset) (uint64, error) {
	r := Reader{l: l, next: o}
	if err := r.open(v); err != nil {
		return 0, err
	}
	c, err := r.chain(o)
	return c, errors.Join(err, r.Close())
}

func (r *Reader) chain(o record.Offset) (uint64, error) {
	for {
		k, err := r.b.Header(r.pos)
		if err != nil {
			return 0, err
		}
		switch {
		case k.Type != segment.BlockBatch || k.End() < o:
			r.pos += k.Size
		case k.Base > o:
			return 0, ErrRange
		case k.Base == o:
			return k.ChainBase, nil
		case k.End() == o:
			return k.ChainEnd, nil
		default:
			body, err := r.b.Body(&k)
			if err != nil {
				return 0, err
			}
			recs, err := r.dec.Decode(nil, k.Codec, k.RawLen, k.Count, body)
			if err != nil {
				return 0, err
			}
			return record.FoldChain(k.ChainBase, recs[:o-k.Base]), nil
		}
	}
}

// Time is the UTC of a stamp in an epoch, from the best anchor known by now.
func (l *Log) Time(e record.Epoch, s record.Stamp) (record.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	boot := ""
	if i := l.epochIndex(e); i >= 0 {
		boot = l.epochs[i].Boot
	} else if l.isCurrent(e) {
		boot = l.cur.Boot
	}
	return l.timeline.At(boot, s)
}

// utc turns stamps of a boot and asserted ones into one range, ns UTC. mu is held.
func (l *Log) utc(boot string, b, asserted segment.Times) (lo, hi int64, ok bool) {
	var t segment.Times
	t.Join(asserted)
	if b.Has {
		first, ok1 := l.timeline.At(boot, record.Stamp{Time: b.Min, Clock: record.ClockBoot})
		last, ok2 := l.timeline.At(boot, record.Stamp{Time: b.Max, Clock: record.ClockBoot})
		if ok1 && ok2 {
			t.Add(first.UTC)
			t.Add(last.UTC)
		}
	}
	return t.Min, t.Max, t.Has
}

// segTimes is the range of times in a segment. mu is held.
func (l *Log) segTimes(s *seg) (lo, hi int64, ok bool) {
	boot := ""
	if i := l.epochIndex(s.epoch); i >= 0 {
		boot = l.epochs[i].Boot
	}
	return l.utc(boot, s.boot, s.utc)
}

// SeekTime is the base of the first batch that holds a record of utc (ns) or later; durable if there is none. Records
// whose time is not known at all are not found.
func (l *Log) SeekTime(utc int64) record.Offset {
	l.mu.Lock()
	segs := slices.Clone(l.segs)
	l.mu.Unlock()
	for _, s := range segs {
		l.mu.Lock()
		_, hi, ok := l.segTimes(s)
		v := l.view(s, s.base)
		l.mu.Unlock()
		if !ok || hi < utc || s.held != nil {
			continue
		}
		if o, err := l.seekIn(&v, utc); err == nil {
			return o
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// seekIn walks the block headers from the first index entry that reaches utc.
func (l *Log) seekIn(v *view, utc int64) (record.Offset, error) {
	r := Reader{l: l, next: v.s.base}
	if err := r.open(v); err != nil {
		return 0, err
	}
	o, err := r.seek(v, utc)
	return o, errors.Join(err, r.Close())
}

func (r *Reader) seek(v *view, utc int64) (record.Offset, error) {
	x, ok, err := segment.ReadIndex(r.f, v.path, v.s.salt)
	if err != nil {
		return 0, err
	}
	reaches := func(b, u segment.Times) bool {
		r.l.mu.Lock()
		defer r.l.mu.Unlock()
		_, hi, ok := r.l.utc(v.info.Boot, b, u)
		return ok && hi >= utc
	}
	if !ok {
		r.l.mu.Lock()
		if v.s.index != nil {
			x.Entries = slices.Clone(v.s.index.Entries)
		}
		r.l.mu.Unlock()
	}
	for _, e := range x.Entries {
		if reaches(e.Boot, e.UTC) {
			r.pos = e.Pos
			break
		}
	}
	for {
		k, err := r.b.Header(r.pos)
		if err != nil {
			return 0, err
		}
		if k.Type == segment.BlockBatch && reaches(k.Ext.Boot, k.Ext.UTC) {
			return k.Base, nil
		}
		r.pos += k.Size
	}
}

// Series is the definition of a series in an epoch. Where the definition was on a damaged page and nowhere else, the
// log makes one that says so ("undefined", with epoch and id as labels), so that the records can be delivered.
func (l *Log) Series(e record.Epoch, id record.SeriesID) (record.Series, bool) {
	l.mu.Lock()
	s, ok, known := l.series(e, id)
	current := l.isCurrent(e)
	l.mu.Unlock()
	if ok || current {
		return s, ok
	}
	if !known {
		l.loadDefs(e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok, _ = l.series(e, id); !ok && l.epochIndex(e) >= 0 && id != 0 {
		return undefined(e, id), true
	}
	return s, ok
}

func undefined(e record.Epoch, id record.SeriesID) record.Series {
	return record.Series{Name: "undefined", Labels: []record.Label{{Key: "epoch", Value: e.String()}, {Key: "id", Value: fmt.Sprint(uint32(id))}}}
}

// series looks into memory; known says that there is nothing more to load. mu is held.
func (l *Log) series(e record.Epoch, id record.SeriesID) (s record.Series, ok, known bool) {
	if l.isCurrent(e) {
		if id >= 1 && int(id) <= len(l.defs.list) {
			return l.defs.list[id-1], true, true
		}
		return s, false, true
	}
	d := l.cache.of(e)
	if d == nil {
		return s, false, false
	}
	s, ok = d.byID[id]
	return s, ok, d.complete
}

// Definitions are all series of an epoch that the log knows, by id.
func (l *Log) Definitions(e record.Epoch) []record.Definition {
	l.mu.Lock()
	if l.isCurrent(e) {
		defer l.mu.Unlock()
		out := make([]record.Definition, len(l.defs.list))
		for i, s := range l.defs.list {
			out[i] = record.Definition{ID: record.SeriesID(i + 1), Series: s}
		}
		return out
	}
	d := l.cache.of(e)
	l.mu.Unlock()
	if d == nil || !d.complete {
		l.loadDefs(e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d = l.cache.of(e)
	if d == nil {
		return nil
	}
	out := make([]record.Definition, 0, len(d.byID))
	for id, s := range d.byID {
		out = append(out, record.Definition{ID: id, Series: s})
	}
	slices.SortFunc(out, func(a, b record.Definition) int { return int(a.ID) - int(b.ID) })
	return out
}

// defCache keeps the definitions of a few closed epochs. mu of the log guards it.
type defCache []*epochDefs

type epochDefs struct {
	epoch    record.Epoch
	byID     map[record.SeriesID]record.Series
	complete bool // every segment of the epoch was looked at
}

// of returns the entry of an epoch and makes it the newest, nil if there is none.
func (c defCache) of(e record.Epoch) *epochDefs {
	for i, d := range c {
		if d.epoch == e {
			copy(c[i:], c[i+1:])
			c[len(c)-1] = d
			return d
		}
	}
	return nil
}

func (c *defCache) make(e record.Epoch) *epochDefs {
	if d := c.of(e); d != nil {
		return d
	}
	if len(*c) >= defCacheEpochs {
		*c = append((*c)[:0], (*c)[1:]...)
	}
	d := &epochDefs{epoch: e, byID: map[record.SeriesID]record.Series{}}
	*c = append(*c, d)
	return d
}

// learn takes in a definitions block. What is known already is not replaced: an id never gets a second meaning.
func (l *Log) learn(e record.Epoch, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCurrent(e) {
		return
	}
	d := l.cache.make(e)
	for len(body) > 0 {
		def, rest, err := record.ParseDefinition(body)
		if err != nil {
			return
		}
		if _, ok := d.byID[def.ID]; !ok {
			d.byID[def.ID] = def.Series
		}
		body = rest
	}
}

// loadDefs reads the definitions of every segment of an epoch. A segment that cannot be read is left out.
func (l *Log) loadDefs(e record.Epoch) {
	l.mu.Lock()
	var views []view
	for _, s := range l.segs {
		if s.epoch == e && s.held == nil {
			views = append(views, l.view(s, s.base))
		}
	}
	l.cache.make(e)
	l.mu.Unlock()
	for i := range views {
		if err := l.loadSegmentDefs(&views[i]); err != nil {
			l.set.opt.Events.damaged(l.name, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.cache.of(e); d != nil {
		d.complete = true
	}
}

func (l *Log) loadSegmentDefs(v *view) error {
	f, err := l.set.fs.Open(v.path)
	if err != nil {
		return fmt.Errorf("open segment for definitions: %w", err)
	}
	x, ok, err := segment.ReadIndex(f, v.path, v.s.salt)
	if err == nil && !ok {
		l.mu.Lock()
		if v.s.index != nil {
			x.Defs = slices.Clone(v.s.index.Defs)
		}
		l.mu.Unlock()
	}
	b := segment.NewBlocks(f, v.path, v.s.salt, v.limit)
	b.SetKey(v.s.key)
	for _, pos := range x.Defs {
		k, err2 := b.Header(pos)
		var body []byte
		if err2 == nil && k.Type == segment.BlockDefinitions {
			body, err2 = b.Body(&k)
		}
		if err2 != nil {
			err = errors.Join(err, err2)
			continue
		}
		l.learn(v.info.Epoch, body)
	}
	return errors.Join(err, f.Close())
}
