package buffer

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// writeMoved writes the first segment of a new epoch with all that is moved, durable, and gives it its name.
func (l *Log) writeMoved(h *segment.Header, c *chunk) (*segment.Writer, []encoded, error) {
	name := segmentName(h.Base, h.Epoch, 0)
	batches, err := l.encodeMoved(h, c)
	if err != nil {
		return nil, nil, err
	}
	size := l.opt.SegmentBytes
	total := int64(0)
	for i := range batches {
		total += batches[i].size()
	}
	ws, err := segment.Create(l.set.fs, l.dir, name+tmpSuffix, h, max(size, total)+l.slack())
	if err != nil {
		return nil, nil, err
	}
	clear(l.w.defined)
	for i := range batches {
		b := &batches[i]
		if err = ws.Definitions(l.missingDefs(b.series)); err != nil {
			break
		}
		ws.Skip(b.blk.Base)
		if err = ws.Batch(&b.blk, b.body); err != nil {
			break
		}
	}
	tmp, final := path.Join(l.dir, name+tmpSuffix), path.Join(l.dir, name)
	if err == nil {
		err = ws.Sync()
	}
	if err == nil {
		err = l.set.fs.Rename(tmp, final)
	}
	if err == nil {
		if err = l.set.fs.SyncDir(l.dir); err != nil {
			// Whether the new epoch stands after a power cut cannot be known, and cannot be taken back either. Nothing
			// may be acknowledged on top of either state: the next opening finds out which it is.
			l.setStatus(StateFailing, err)
			l.w.closed = true
			return nil, nil, errors.Join(fmt.Errorf("make new epoch durable: %w", err), ws.Close())
		}
	}
	clear(l.w.defined)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("write new epoch: %w", err), ws.Close(), l.set.fs.Remove(tmp), l.set.fs.SyncDir(l.dir))
	}
	ws.Renamed(final)
	return ws, batches, nil
}

// encodeMoved makes batches of a chunk that may be larger than one, and notes its gaps in the header.
func (l *Log) encodeMoved(h *segment.Header, c *chunk) ([]encoded, error) {
	var out []encoded
	chain, base, spans, holes := h.ChainBase, h.Base, c.spans, c.holes
	for at := 0; at < len(c.recs); {
		if len(holes) > 0 && holes[0].at == at {
			g := holes[0].gap
			g.From, g.To, g.Epoch = base, base+record.Offset(g.Len()), h.Epoch
			g.ChainFrom, g.ChainTo = chain, chain // no record was folded
			h.State.Gaps = append(h.State.Gaps, g)
			base, holes = g.To, holes[1:]
			continue
		}
		limit := len(c.recs)
		if len(holes) > 0 {
			limit = holes[0].at
		}
		n, k := c.prefix(at, limit, base, spans)
		var err error
		if out, err = l.w.encoder.split(out, base, c.recs[at:at+n], spans[:k], chain); err != nil {
			return nil, err
		}
		chain = out[len(out)-1].blk.ChainEnd
		at, base, spans = at+n, base+record.Offset(n), spans[k:]
	}
	return out, nil
}

// prefix is how many records from index at, which stands at base, and how many spans go into the next batch.
func (c *chunk) prefix(at, limit int, base record.Offset, spans []record.ProducerSpan) (n, k int) {
	for bytes := 0; at+n < limit && n < record.MaxBatchRecords && bytes < chunkBytes; n++ {
		bytes += c.recs[at+n].CanonicalLen()
	}
	for k < len(spans) && spans[k].To <= base+record.Offset(n) && k < maxSpans {
		k++
	}
	if k < len(spans) && spans[k].From < base+record.Offset(n) {
		if spans[k].From > base {
			return int(spans[k].From - base), k // a message goes whole into the next batch
		}
		return int(spans[k].To - base), k + 1
	}
	return n, k
}

// switchTo makes the new epoch's segment the active one and takes the moved records out of the old epoch.
func (l *Log) switchTo(ws *segment.Writer, h *segment.Header, batches []encoded) {
	w := &l.w
	var gone []string
	old := w.seg
	l.mu.Lock()
	l.gaps = gapTable(slices.Clone(h.State.Gaps))
	l.segs = slices.DeleteFunc(slices.Clone(l.segs), func(s *seg) bool {
		if s.held == nil && s.base >= h.Base && s.epoch != h.Epoch {
			gone = append(gone, s.path)
			return true
		}
		if s.held == nil && s.end > h.Base {
			s.end, s.chainEnd = h.Base, h.ChainBase
		}
		if s.active {
			s.active = false
		}
		return false
	})
	for i := range l.state.Cursors {
		c := &l.state.Cursors[i]
		if c.Offset > h.Base {
			c.Offset = h.Base
			l.dirty.cursors[c.Name] = true
			l.touch()
		}
	}
	l.state.Delivered = min(l.state.Delivered, h.Base)
	l.durable, l.chainDurable = h.Base, h.ChainBase
	l.forget()
	w.seg, w.meta = nil, nil
	l.mu.Unlock()
	l.install(ws, h)
	if old != nil {
		l.set.opt.Events.cleanupFailed(l.name, old.Close())
	}
	w.batches = batches
	for i := range batches {
		l.mu.Lock()
		l.encoded += len(batches[i].body) + segment.BlockFixed
		l.mu.Unlock()
	}
	if len(batches) > 0 {
		l.publish(len(batches))
	}
	l.mu.Lock()
	l.end = l.durable
	l.mu.Unlock()
	l.removeFiles(gone)
}
