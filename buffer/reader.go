package buffer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Reader yields the batches and gaps of a log in order, up to what is durable. It belongs to one goroutine. It may
// be read on after ErrEnd, and after other errors, too: these come again until their cause is gone.
type Reader struct {
	l    *Log
	next record.Offset

	follows bool   // the last item ended at next
	at      uint64 // the chain at next, if it did

	s       *seg // open segment
	f       vfs.File
	b       *segment.Blocks
	pos     int64         // of the next block in it
	partial record.Offset // base of a batch of which a part was yielded; records below next are not repeated
	cutting bool
	dec     record.Decoder
	enc     record.Encoder
	recs    []record.Record
	body    []byte
}

// Read makes a reader that begins with the batch or gap that holds from. That batch may begin below from; where
// nothing is held at from, the reader goes on with what comes next.
func (l *Log) Read(from record.Offset) *Reader { return &Reader{l: l, next: from} }

// Offset is where the reader stands: the next call of Next yields what holds it.
func (r *Reader) Offset() record.Offset { return r.next }

// Close lets go of the open file.
func (r *Reader) Close() error {
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.s, r.f, r.b = nil, nil, nil
	return err
}

// view is what a reader needs to know of a position.
type view struct {
	s        *seg
	info     EpochInfo
	low      record.Offset // records below it in the same batch are not to be shown: a gap ends here
	stop     record.Offset // the same above
	limit    int64
	indexed  bool
	indexPos int64
	path     string
	examined bool
}

// Next yields the next batch or gap. It never waits: ErrEnd says that all that is durable was read. *HeldError: what
// comes next is in a segment that this program cannot read. Damage met on the way becomes a gap.
func (r *Reader) Next() (Item, error) {
	for {
		v, item, err := r.look()
		if item.Gap != nil {
			r.follows, r.at = true, item.Gap.ChainTo
		}
		if err != nil || item.Gap != nil {
			return item, err
		}
		item, err = r.batch(&v)
		var bad *segment.CorruptionError
		switch {
		case err == nil:
			r.follows, r.at = true, item.Batch.ChainEnd
			return item, nil
		case errors.Is(err, fs.ErrNotExist):
			r.gone(&v)
		case errors.As(err, &bad):
			if err := r.damaged(&v, bad); err != nil {
				return Item{}, err
			}
		default:
			return Item{}, err
		}
	}
}

// look finds out what stands at next: a gap is yielded at once.
func (r *Reader) look() (view, Item, error) {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for r.next < l.durable {
		if g, ok := l.gaps.at(r.next); ok {
			i := l.epochIndex(g.Epoch)
			if i < 0 {
				return view{}, Item{}, fmt.Errorf("%w: epoch %s of a gap", ErrRange, g.Epoch)
			}
			if r.follows && g.From < r.next { // it has grown, or was made, since the reader passed its beginning
				g.From, g.ChainFrom = r.next, r.at
			}
			r.next = g.To
			return view{}, Item{Gap: &g, Header: l.epochInfo(i)}, nil
		}
		if s := l.segAt(r.next); s != nil {
			if s.held != nil {
				return view{}, Item{}, &HeldError{s.path, r.next, s.held}
			}
			return l.view(s, r.next), Item{}, nil
		}
		o, ok := l.nextHeld(r.next)
		if !ok {
			break
		}
		r.next, r.follows = o, false
	}
	return view{}, Item{}, ErrEnd
}

// view of offset o in s. mu is held.
func (l *Log) view(s *seg, o record.Offset) view {
	v := view{s: s, stop: s.end, limit: s.limit, path: s.path, examined: s.examined, low: s.base}
	if i := l.epochIndex(s.epoch); i >= 0 {
		v.info = l.epochInfo(i)
	}
	for _, g := range l.gaps {
		if g.To <= o {
			v.low = max(v.low, g.To)
		} else if g.From > o {
			v.stop = min(v.stop, g.From)
			break
		}
	}
	if s.index != nil {
		v.indexed = true
		v.indexPos, _ = s.index.Find(o)
		if v.indexPos == 0 {
			v.indexPos = s.start
		}
	}
	return v
}

// segAt is the segment that holds o, a held one if o may be in it. mu is held.
func (l *Log) segAt(o record.Offset) *seg {
	lo, hi := 0, len(l.segs)
	for lo < hi {
		if m := (lo + hi) / 2; l.segs[m].base <= o {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for i := lo - 1; i >= 0; i-- {
		s := l.segs[i]
		open := s.held != nil && !s.known // its end is not known
		if open && (i+1 == len(l.segs) || o < l.segs[i+1].base) || o < s.end && !open {
			return s
		}
		if s.end > s.base || s.held != nil {
			break
		}
	}
	return nil
}

// nextHeld is the first offset above o where a record or a gap stands. mu is held.
func (l *Log) nextHeld(o record.Offset) (record.Offset, bool) {
	best, ok := l.durable, false
	if g, found := l.gaps.next(o); found && g.From > o && g.From < best {
		best, ok = g.From, true
	}
	for _, s := range l.segs {
		if s.base > o && s.base < best {
			best, ok = s.base, true
		}
	}
	return best, ok
}

// batch reads the batch that holds next.
func (r *Reader) batch(v *view) (Item, error) {
	if r.s != v.s {
		if err := r.open(v); err != nil {
			return Item{}, err
		}
	}
	r.b.SetLimit(v.limit)
	for {
		k, err := r.b.Header(r.pos)
		if errors.Is(err, io.EOF) {
			return Item{}, &segment.CorruptionError{Path: v.path, Pos: r.pos, Err: segment.ErrDamaged}
		}
		if err != nil {
			return Item{}, err
		}
		if k.Type != segment.BlockBatch || k.End() <= r.next {
			r.pos += k.Size
			if k.Type == segment.BlockDefinitions {
				if body, err := r.b.Body(&k); err == nil {
					r.l.learn(v.info.Epoch, body)
				}
			}
			continue
		}
		if k.Base > r.next {
			return Item{}, &segment.CorruptionError{Path: v.path, Pos: r.pos, Err: segment.ErrDamaged}
		}
		body, err := r.b.Body(&k)
		if err != nil {
			return Item{}, err
		}
		return r.yield(v, &k, body)
	}
}

func (r *Reader) yield(v *view, k *segment.Block, body []byte) (Item, error) {
	b := record.Batch{Epoch: v.info.Epoch, Base: k.Base, Count: k.Count, ChainBase: k.ChainBase, ChainEnd: k.ChainEnd,
		Codec: k.Codec, RawLen: k.RawLen, CRC: k.BodyCRC, Body: body, Producers: k.Ext.Spans}
	if k.Encrypted {
		b.CRC = segment.Checksum(body)
	}
	from, to := max(k.Base, v.low), min(k.End(), v.stop)
	if r.cutting && r.partial == k.Base {
		from = max(from, r.next)
	}
	if from > k.Base || to < k.End() {
		var err error
		if b, err = r.cut(b, record.Range{From: from, To: to}); err != nil {
			return Item{}, &segment.CorruptionError{Path: v.path, Pos: k.Pos, Err: err}
		}
		r.cutting, r.partial = true, k.Base
	} else {
		r.cutting = false
	}
	r.next = b.Base + record.Offset(b.Count)
	if r.next == k.End() {
		r.pos = k.Pos + k.Size
	}
	return Item{Batch: b, Header: v.info}, nil
}

// cut encodes the part of a batch that may be shown, or as much of its beginning as fits a body.
func (r *Reader) cut(b record.Batch, want record.Range) (record.Batch, error) {
	var err error
	if r.recs, err = r.dec.Decode(r.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return b, err
	}
	out := b
	out.Base, out.ChainBase = want.From, record.FoldChain(b.ChainBase, r.recs[:want.From-b.Base])
	recs := r.recs[want.From-b.Base : want.To-b.Base]
	for {
		body, used, raw, err := r.enc.Encode(r.body[:0], recs, record.CodecColumnsZ)
		if errors.Is(err, record.ErrBodyTooLarge) && len(recs) > 1 {
			recs = recs[:len(recs)/2]
			continue
		}
		if err != nil {
			return b, err
		}
		r.body = body
		out.Codec, out.RawLen, out.Body, out.CRC = used, uint32(raw), body, segment.Checksum(body)
		break
	}
	out.Count, out.ChainEnd = uint32(len(recs)), record.FoldChain(out.ChainBase, recs)
	out.Producers = nil
	for _, p := range b.Producers {
		if p.From >= out.Base && p.To <= out.Base+record.Offset(out.Count) {
			out.Producers = append(out.Producers, p)
		}
	}
	return out, nil
}

func (r *Reader) open(v *view) error {
	if err := r.Close(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	f, err := r.l.set.fs.Open(v.path)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	pos := v.indexPos
	if !v.indexed {
		if pos, err = findIn(f, v, r.next); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	r.s, r.f, r.pos = v.s, f, pos
	r.b = segment.NewBlocks(f, v.path, v.s.salt, v.limit)
	r.b.SetKey(v.s.key)
	return nil
}

// findIn finds a block at or below o with the index of a sealed file; without one it begins with the first.
func findIn(f vfs.File, v *view, o record.Offset) (int64, error) {
	if o == v.s.base {
		return v.s.start, nil
	}
	x, ok, err := segment.ReadIndex(f, v.path, v.s.salt)
	if err != nil || !ok {
		return v.s.start, err
	}
	if pos, ok := x.Find(o); ok {
		return pos, nil
	}
	return v.s.start, nil
}

// damaged finds out what is lost. In a segment that was examined before it steps over what is not a batch; where that does
// not help, the damage has come since.
func (r *Reader) damaged(v *view, bad *segment.CorruptionError) error {
	if v.examined {
		k, ok, err := r.b.Resync(r.pos + 1)
		if err != nil {
			return err
		}
		if ok && k.Base <= r.next {
			r.pos = k.Pos
			return nil
		}
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	if err := r.l.examine(v.s, bad); err != nil || !v.examined {
		return err
	}
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if _, named := r.l.gaps.at(r.next); !named {
		return bad
	}
	return nil
}

// gone handles a file that is not there: dropped meanwhile, or lost.
func (r *Reader) gone(v *view) {
	l := r.l
	l.mu.Lock()
	var gaps []record.Gap
	for _, s := range l.segs {
		if s == v.s && s.end > s.base {
			gaps = append(gaps, record.Gap{Epoch: s.epoch, Range: record.Range{From: s.base, To: s.end},
				Reason: record.ReasonDiskLost, ChainFrom: s.chainBase, ChainTo: s.chainEnd})
		}
	}
	l.mu.Unlock()
	l.found(gaps)
}
