package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// CloseEpoch ends an epoch at an offset, because the hub has another history there, and moves what is durable above it
// into an epoch of its own, a root whose good records are marked QualityMayRepeat. The records keep their local offsets;
// an epoch that continued the old one continues the moved one. Gaps move as records do; one that the offset divides moves
// whole: the records in it above the offset must be named where the hub looks, and no chain is known inside. If the epoch is that of this opening, a new one is begun behind; Append waits meanwhile. nil: all this is durable. Where
// nothing stands above the offset of a closed epoch there is nothing to do.
//
// What is moved is copied batch by batch, so that it is twice on the disk for a moment, but never in memory. The header
// of one new segment makes it count: a crash leaves either the old or the new epochs, whole.
func (l *Log) CloseEpoch(ctx context.Context, e record.Epoch, at record.Offset) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.closed || l.set.readOnly || l.opt.Name == "" {
		return fmt.Errorf("%w: %s", ErrStopped, l.name)
	}
	l.mu.Lock()
	l.moving = l.isCurrent(e)
	l.mu.Unlock()
	err := l.commitRecords() // retention comes after: what it drops may be what was compared
	if err == nil {
		err = l.move(ctx, e, at)
	}
	l.mu.Lock()
	l.moving = false
	l.makeRoom()
	l.broadcast()
	l.mu.Unlock()
	return err
}

// mover copies the upper part of an epoch into a new one.
type mover struct {
	l       *Log
	src     segment.Epoch // as it was
	current bool          // src is the epoch of this opening
	at, end record.Offset // what moves
	chainAt uint64        // chain(at) of src
	dst     segment.Epoch
	state   segment.State // restated in the new headers; it does not count there
	opening uint64

	w       *segment.Writer
	seq     uint32
	next    record.Offset // of the next record
	chain   uint64        // chain(next)
	defined map[record.SeriesID]bool
	segs    []*seg
	gaps    []record.Gap
	dec     record.Decoder
	recs    []record.Record
	batches []encoded
}

// move does the work of CloseEpoch. writer.mu is held, and everything appended to a current epoch is durable.
func (l *Log) move(ctx context.Context, e record.Epoch, at record.Offset) error {
	m := mover{l: l}
	if err := m.prepare(e, at); err != nil {
		return err
	}
	if m.at >= m.end && !m.current {
		return nil
	}
	if err := m.findChain(ctx); err != nil {
		return fmt.Errorf("read what is to be moved: %w", err)
	}
	if err := m.copy(ctx); err != nil {
		l.removeFiles(m.paths())
		return fmt.Errorf("write moved epoch: %w", err)
	}
	return m.commit()
}

func (m *mover) prepare(e record.Epoch, at record.Offset) error {
	l := m.l
	l.mu.Lock()
	i := l.epochIndex(e)
	if i < 0 {
		l.mu.Unlock()
		return fmt.Errorf("%w: epoch %s", ErrRange, e)
	}
	m.src, m.current, m.end = l.epochs[i], l.isCurrent(e), l.epochEnd(i)
	m.src.End = m.end
	m.at = min(max(at, m.src.First), m.end)
	if g, ok := l.gaps.at(m.at); ok && m.at < m.end {
		m.at = g.From
	}
	m.state = l.snapshot(nil)
	l.w.opening++ // of the moved segments; the one that makes them count comes after them
	m.opening = l.w.opening
	l.w.opening++
	chain := l.chainDurable
	l.mu.Unlock()
	ok1, ok2 := true, true
	if !m.current {
		chain, ok1 = l.endChain(i)
	}
	m.chainAt = chain
	if m.at < m.end {
		m.chainAt, ok2 = l.Chain(m.at)
	}
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: chain of epoch %s is not known at %d", ErrRange, e, m.at)
	}
	m.dst = segment.Epoch{Epoch: newEpoch(), First: m.at, End: m.end, Boot: m.src.Boot}
	m.chain, m.next = chain, m.at
	return nil
}

// each calls f for what stands in [from, to): records as they are moved, with their base, or a gap.
func (m *mover) each(ctx context.Context, from, to record.Offset, f func(it *Item, base record.Offset, recs []record.Record) error) error {
	r := m.l.Read(from)
	for r.Offset() < to {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, r.Close())
		}
		it, err := r.Next()
		if err == nil && it.Header.Epoch != m.src.Epoch {
			err = fmt.Errorf("%w: epoch %s at %d", ErrRange, m.src.Epoch, it.Range().From)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		rng := it.Range()
		lo, hi := max(rng.From, from), min(rng.To, to)
		if it.Gap == nil {
			b := &it.Batch
			if m.recs, err = m.dec.Decode(m.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
				return errors.Join(err, r.Close())
			}
			for i := range m.recs {
				if m.recs[i].Quality == record.QualityGood {
					m.recs[i].Quality = record.QualityMayRepeat
				}
			}
			err = f(&it, lo, m.recs[lo-rng.From:hi-rng.From])
		} else {
			err = f(&it, lo, nil)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

// findChain finds the chain with which the new epoch must begin to end on the chain of the old one, on which the next
// epoch continues: it folds backwards, one batch after the other from the last.
func (m *mover) findChain(ctx context.Context) error {
	borders := []record.Offset{}
	r := m.l.Read(m.at)
	for o := m.at; o < m.end; o = r.Offset() {
		borders = append(borders, o)
		if err := ctx.Err(); err != nil {
			return errors.Join(err, r.Close())
		}
		if _, err := r.Next(); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	if err := r.Close(); err != nil {
		return err
	}
	to := m.end
	var digests []uint64
	for _, from := range slices.Backward(borders) {
		digests = digests[:0]
		err := m.each(ctx, from, to, func(_ *Item, _ record.Offset, recs []record.Record) error {
			for i := range recs {
				digests = append(digests, recs[i].Digest())
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, d := range slices.Backward(digests) {
			m.chain = unmix(m.chain, d)
		}
		to = from
	}
	m.dst.ChainFirst = m.chain
	return nil
}

// copy writes the segments of the new epoch, sealed and durable. They do not count yet.
func (m *mover) copy(ctx context.Context) error {
	err := m.each(ctx, m.at, m.end, func(it *Item, base record.Offset, recs []record.Record) error {
		if it.Gap != nil {
			g := *it.Gap
			g.From, g.To, g.Epoch = base, min(g.To, m.end), m.dst.Epoch
			g.ChainFrom, g.ChainTo = m.chain, m.chain // no record was folded
			m.gaps = append(m.gaps, g)
			m.next = g.To
			return nil
		}
		spans := make([]record.ProducerSpan, 0, len(it.Batch.Producers))
		for _, s := range it.Batch.Producers {
			if s.From >= base {
				spans = append(spans, s)
			}
		}
		var err error
		if m.batches, err = m.l.w.encoder.split(m.batches[:0], base, recs, spans, m.chain); err != nil {
			return err
		}
		for i := range m.batches {
			if err := m.write(&m.batches[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if m.w != nil {
		err = errors.Join(err, m.finish(err == nil))
	}
	return err
}

func (m *mover) write(b *encoded) error {
	l := m.l
	if m.w != nil && m.w.Pos()+b.size() > l.opt.SegmentBytes {
		if err := m.finish(true); err != nil {
			return err
		}
	}
	if m.w == nil {
		h := segment.Header{Salt: newSalt(), Seq: m.seq, Opening: m.opening, Stream: l.name, Epoch: m.dst.Epoch, First: m.dst.First,
			Base: b.blk.Base, ChainFirst: m.dst.ChainFirst, ChainBase: b.blk.ChainBase, Boot: m.dst.Boot, State: m.state,
			Moved: segment.Moved{From: m.src.Epoch, End: m.end, Chain: m.chainAt}}
		m.seq++
		w, err := l.create(&h, l.opt.SegmentBytes+l.slack())
		if err != nil {
			return err
		}
		m.w, m.defined = w, map[record.SeriesID]bool{}
		m.segs = append(m.segs, &seg{path: w.Path(), epoch: h.Epoch, opening: h.Opening, seq: h.Seq, salt: h.Salt, start: w.Start(),
			base: h.Base, end: h.Base, chainBase: h.ChainBase, chainEnd: h.ChainBase, key: w.Key()})
	}
	var defs []record.Definition
	for _, id := range b.series {
		if s, ok := l.Series(m.src.Epoch, id); ok && !m.defined[id] {
			m.defined[id] = true
			defs = append(defs, record.Definition{ID: id, Series: s})
		}
	}
	if err := m.w.Definitions(defs); err != nil {
		return err
	}
	m.w.Skip(b.blk.Base)
	if err := m.w.Batch(&b.blk, b.body); err != nil {
		return err
	}
	s := m.segs[len(m.segs)-1]
	s.end, s.chainEnd = b.blk.End(), b.blk.ChainEnd
	s.boot.Join(b.blk.Ext.Boot)
	s.utc.Join(b.blk.Ext.UTC)
	m.next, m.chain = s.end, s.chainEnd
	return nil
}

// finish seals the segment being written, if all went well, and closes it.
func (m *mover) finish(seal bool) error {
	w := m.w
	m.w = nil
	if !seal {
		return w.Close()
	}
	err := w.Sync()
	if err == nil {
		err = w.Seal(&m.state)
	}
	s := m.segs[len(m.segs)-1]
	s.limit, s.bytes = w.Synced(), w.Synced()
	return errors.Join(err, w.Close())
}

func (m *mover) paths() []string {
	var out []string
	for _, s := range m.segs {
		out = append(out, s.path)
	}
	return out
}

// unmix is the inverse of record.Mix for a given digest.
func unmix(chain, digest uint64) uint64 {
	k := record.Mix(0, 1) // the odd constant that Mix multiplies with
	inv := k              // its inverse modulo 2^64 by Newton: the number of right bits doubles with each step
	for range 6 {
		inv *= 2 - k*inv
	}
	v := chain*inv ^ digest
	return v>>29 | v<<35
}
