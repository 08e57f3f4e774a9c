package buffer

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

const tmpSuffix = ".tmp"

// DeclareGap puts a gap in the place of records of one epoch that are durable. nil: the gap is durable. Where older
// gaps lie in the range they stay. No border may fall where the chain is not known.
func (l *Log) DeclareGap(ctx context.Context, r record.Range, why record.Reason) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.set.readOnly {
		return ErrReadOnly
	}
	if why < record.ReasonRetention || why > record.ReasonSeveral {
		return fmt.Errorf("%w: %s", ErrInvalid, why)
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.closed || l.opt.Name == "" {
		return fmt.Errorf("%w: %s", ErrStopped, l.name)
	}
	if err := l.commitLocked(); err != nil {
		return err
	}
	l.mu.Lock()
	e, ok := l.epochAt(r.From)
	i := l.epochIndex(e.Epoch)
	if !ok || r.Len() == 0 || r.To > l.epochEnd(i) {
		l.mu.Unlock()
		return fmt.Errorf("%w: [%d, %d) is not in one epoch", ErrRange, r.From, r.To)
	}
	end := l.epochEnd(i)
	l.mu.Unlock()
	from, ok1 := l.Chain(r.From)
	to, ok2 := l.Chain(r.To)
	if r.To == end && i+1 < len(l.epochs) {
		to, ok2 = l.endChain(i)
	}
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: chain at [%d, %d) is not known", ErrRange, r.From, r.To)
	}
	l.mu.Lock()
	old := l.gaps
	gaps := l.gaps.with(record.Gap{Epoch: e.Epoch, Range: r, Reason: why, ChainFrom: from, ChainTo: to}).bounded()
	l.mu.Unlock()
	if err := l.writeState(gaps); err != nil {
		l.failedAttempt(err)
		return fmt.Errorf("write gap: %w", err)
	}
	l.mu.Lock()
	l.gaps = gaps
	l.broadcast()
	l.mu.Unlock()
	l.tellGaps(old, gaps)
	return nil
}

// endChain is the chain at the end of the i-th, closed epoch.
func (l *Log) endChain(i int) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		if s.epoch == l.epochs[i].Epoch && s.end == l.epochs[i].End && s.held == nil {
			return s.chainEnd, true
		}
	}
	for _, g := range l.gaps {
		if g.Epoch == l.epochs[i].Epoch && g.To == l.epochs[i].End {
			return g.ChainTo, true
		}
	}
	return 0, false
}

// CloseEpoch ends the epoch of this opening at an offset and moves what is durable above it into a new epoch, marked
// QualityMayRepeat, behind new opening records: local offsets of the moved records shift by as many. Where the end
// lies in a gap it is the gap's end; above durable it is durable. nil: the new epoch is durable and the current one.
// Append waits meanwhile. A crash leaves either the old or the new epoch, whole.
//
// An epoch of an earlier opening is closed already; what it holds above the offset cannot become an epoch of its own
// without changing the order of the log: ErrRange.
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
	current := l.isCurrent(e)
	l.moving = current
	l.mu.Unlock()
	if !current {
		return fmt.Errorf("%w: epoch %s is not that of this opening", ErrRange, e)
	}
	err := l.commitLocked()
	if err == nil {
		err = l.move(at)
	}
	l.mu.Lock()
	l.moving = false
	l.makeRoom()
	l.broadcast()
	l.mu.Unlock()
	return err
}

// move does the work of CloseEpoch: the new epoch's first segment is written whole under another name, and appears
// with one rename.
func (l *Log) move(at record.Offset) error {
	l.mu.Lock()
	oldCur, oldIndex := l.cur, l.epochIndex(l.cur.Epoch)
	oldDurable, oldChain := l.durable, l.chainDurable
	at = min(max(at, l.cur.First), l.durable)
	if g, ok := l.gaps.at(at); ok {
		at = g.To
	}
	l.mu.Unlock()
	if oldIndex < 0 {
		return fmt.Errorf("%w: nothing was appended to epoch %s", ErrRange, oldCur.Epoch)
	}
	chain, ok := l.Chain(at)
	if !ok {
		return fmt.Errorf("%w: chain at %d is not known", ErrRange, at)
	}
	recs, err := l.collect(at, oldDurable)
	if err != nil {
		return fmt.Errorf("read what is to be moved: %w", err)
	}
	l.mu.Lock()
	l.cur = segment.Epoch{Epoch: newEpoch(), First: at, End: at, Parent: oldCur.Epoch, ParentEnd: at, ChainFirst: chain, Boot: oldCur.Boot}
	if at == oldCur.First {
		l.cur.Parent, l.cur.ParentEnd = oldCur.Parent, oldCur.ParentEnd // nothing is left of the old one
	}
	first := l.opening()
	l.w.opening, l.w.seq = l.w.opening+1, 0
	l.durable, l.chainDurable = at, chain
	l.epochs[oldIndex].End = at
	st := l.snapshot(nil)
	st.Gaps = below(l.gaps, at)
	st.Epochs = below2(st.Epochs, at)
	h := l.header(st)
	l.durable, l.chainDurable = oldDurable, oldChain
	l.mu.Unlock()
	fresh := make([]record.Record, 0, len(first)+len(recs.recs))
	for i := range first {
		if checkRecord(&first[i], 0) == nil {
			fresh = append(fresh, first[i])
		}
	}
	recs.shift(record.Offset(len(fresh)))
	recs.recs = append(fresh, recs.recs...)
	ws, batches, err := l.writeMoved(&h, &recs)
	if err != nil {
		l.mu.Lock()
		l.cur = oldCur
		l.epochs[oldIndex].End = oldDurable
		l.mu.Unlock()
		return err
	}
	l.switchTo(ws, &h, batches)
	return nil
}

// below are the gaps that end at or below o.
func below(t gapTable, o record.Offset) gapTable {
	var out gapTable
	for _, g := range t {
		if g.To <= o {
			out = append(out, g)
		}
	}
	return out
}

// below2 are the epochs that hold something below o.
func below2(t []segment.Epoch, o record.Offset) []segment.Epoch {
	var out []segment.Epoch
	for _, e := range t {
		e.End = min(e.End, o)
		if e.First < e.End {
			out = append(out, e)
		}
	}
	return out
}

// shift moves base and spans, because records are put in front.
func (c *chunk) shift(n record.Offset) {
	for i := range c.spans {
		c.spans[i].From += n
		c.spans[i].To += n
	}
	for i := range c.holes {
		c.holes[i].at += int(n)
	}
}

// collect reads the records in [from, to), marked, with the producers' spans and the gaps between them. A gap at the
// very end is left out: no record of the new epoch would bear witness of it.
func (l *Log) collect(from, to record.Offset) (chunk, error) {
	c := chunk{base: from}
	end := from // where the next record goes
	r := l.Read(from)
	var dec record.Decoder
	var recs []record.Record
	for {
		item, err := r.Next()
		if errors.Is(err, ErrEnd) || err == nil && item.Range().From >= to {
			for n := len(c.holes); n > 0 && c.holes[n-1].at == len(c.recs); n-- {
				c.holes = c.holes[:n-1]
			}
			return c, r.Close()
		}
		if err != nil {
			return c, errors.Join(err, r.Close())
		}
		if g := item.Gap; g != nil {
			c.holes = append(c.holes, hole{len(c.recs), *g})
			end += record.Offset(g.Len())
			continue
		}
		b := &item.Batch
		if recs, err = dec.Decode(recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
			return c, errors.Join(err, r.Close())
		}
		skip := record.Offset(0)
		if b.Base < from {
			skip = from - b.Base
		}
		for _, s := range b.Producers {
			if s.From >= b.Base+skip {
				c.spans = append(c.spans, record.ProducerSpan{ProducerPosition: s.ProducerPosition,
					Range: record.Range{From: s.From - b.Base - skip + end, To: s.To - b.Base - skip + end}})
			}
		}
		for _, rec := range recs[skip:] {
			if rec.Quality == record.QualityGood {
				rec.Quality = record.QualityMayRepeat
			}
			if rec.Data != nil {
				rec.Data = &record.Data{Value: clone(rec.Data.Value), Detail: clone(rec.Data.Detail)}
			}
			c.recs = append(c.recs, rec)
		}
		end += record.Offset(len(recs)) - skip
		if len(c.recs) > maxMoved {
			return c, errors.Join(fmt.Errorf("%w: more than %d records to move", ErrTooLarge, maxMoved), r.Close())
		}
	}
}
