package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// seg is one segment file in a log's list. mu of the log guards it.
type seg struct {
	path      string
	epoch     record.Epoch
	opening   uint64
	seq       uint32
	salt      uint32
	start     int64 // position of the first block
	limit     int64 // behind the last durable block
	bytes     int64 // of the file, reservation not counted
	base      record.Offset
	end       record.Offset // as far as it counts: a later segment may cut it
	chainBase uint64        // chain(base)
	chainEnd  uint64        // chain(end)
	boot      segment.Times
	utc       segment.Times
	index     *segment.Index // of the active and of scanned ones; nil: in the file
	active    bool
	examined  bool             // scanned because of damage met while reading
	key       *segment.DataKey // nil: not encrypted
	held      error            // of a newer format, or its key is missing: kept and not touched
	known     bool             // of a held one: all that stands in clear is known, only its bodies cannot be read
}

// snapshot is the state as of what is durable, with extra gaps. mu is held.
func (l *Log) snapshot(gaps gapTable) segment.State {
	s := l.state.Clone()
	s.Delivered, s.Owed = l.readable(s.Delivered, s.Owed)
	if gaps == nil {
		gaps = l.gaps
	}
	s.Gaps = slices.Clone(gaps)
	for i := range l.epochs {
		if l.holds(i) || l.isCurrent(l.epochs[i].Epoch) {
			e := l.epochs[i]
			e.End = l.epochEnd(i)
			s.Epochs = append(s.Epochs, e)
		}
	}
	return s
}

// ensureSegment has an active segment with room for size bytes. Nothing is pending in the old one. writer.mu is held.
func (l *Log) ensureSegment(size int64) error {
	w := &l.w
	if w.seg != nil && w.seg.Err() == nil && (w.seg.Pos()+size <= l.opt.SegmentBytes || w.meta.base == w.meta.end && size <= segment.MaxExtBytes+record.MaxBodyBytes) {
		return nil
	}
	return l.roll()
}

// roll begins a new segment and seals the old one.
func (l *Log) roll() error { return l.begin(l.opt.SegmentBytes + l.slack()) }

// begin is roll with the space to reserve.
func (l *Log) begin(reserve int64) error {
	l.mu.Lock()
	l.mint()
	st := l.snapshot(nil)
	h := l.header(st)
	l.mu.Unlock()
	ws, err := l.create(&h, reserve)
	if err != nil {
		return err
	}
	l.install(ws, &h)
	return nil
}

// header of the next segment of the current epoch. Each attempt gets a number of its own: a file whose creation was
// reported as failed may come back after a power cut, and must not count as the newer one. mu is held.
func (l *Log) header(st segment.State) segment.Header {
	seq := l.w.seq
	l.w.seq++
	return segment.Header{Salt: newSalt(), Seq: seq, Opening: l.w.opening, Stream: l.name, Epoch: l.cur.Epoch,
		Parent: l.cur.Parent, ParentEnd: l.cur.ParentEnd, First: l.cur.First, Base: l.durable,
		ChainFirst: l.cur.ChainFirst, ChainBase: l.chainDurable, Boot: l.cur.Boot, State: st}
}

func (l *Log) slack() int64 { return min(stateSlack, max(l.opt.SegmentBytes/16, minSlack)) }

// create makes the file under the first free name, out of the space that is reserved already if that fits.
func (l *Log) create(h *segment.Header, reserve int64) (*segment.Writer, error) {
	r := l.w.ahead.take(reserve)
	for try := 0; ; try++ {
		name := segmentName(h.Base, h.Epoch, try)
		var w *segment.Writer
		var err error
		if r != nil {
			w, err = segment.CreateReserved(l.set.fs, l.dir, name, h, r, l.set.opt.Keys.Current)
		} else {
			w, err = segment.CreateEncrypted(l.set.fs, l.dir, name, h, reserve, l.set.opt.Keys.Current)
		}
		if errors.Is(err, fs.ErrExist) && try < maxNames {
			continue
		}
		return w, err
	}
}

func segmentName(base record.Offset, e record.Epoch, try int) string {
	if try == 0 {
		return fmt.Sprintf("%016x-%s.seg", uint64(base), e)
	}
	return fmt.Sprintf("%016x-%s.%d.seg", uint64(base), e, try)
}

// parseName reads what segmentName writes.
func parseName(name string) (record.Offset, record.Epoch, bool) {
	var base uint64
	if len(name) < 37 || name[16] != '-' || name[len(name)-4:] != ".seg" {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(name[:16], "%016x", &base); err != nil {
		return 0, 0, false
	}
	e, err := record.ParseEpoch(name[17:33])
	return record.Offset(base), e, err == nil
}

// install makes ws, which is durable, the active segment and seals the one before.
func (l *Log) install(ws *segment.Writer, h *segment.Header) {
	w := &l.w
	old, oldMeta := w.seg, w.meta
	l.mu.Lock()
	m := &seg{path: ws.Path(), epoch: h.Epoch, opening: h.Opening, seq: h.Seq, salt: h.Salt, start: ws.Start(), limit: ws.Synced(),
		base: h.Base, end: h.Base, chainBase: h.ChainBase, chainEnd: h.ChainBase, active: true, key: ws.Key()}
	m.index = &segment.Index{Base: h.Base, End: h.Base, ChainBase: h.ChainBase, ChainEnd: h.ChainBase}
	w.seg, w.meta = ws, m
	clear(w.defined)
	l.segs = append(l.segs, m)
	w.ahead.tried = false
	minted := l.epochIndex(h.Epoch) < 0
	if minted {
		l.epochs = append(l.epochs, l.cur)
	}
	l.advanceActive()
	l.dirty.gaps = false
	l.clean(true, h.State.Delivered, h.State.Owed, h.State.Cursors)
	stale := w.stale
	w.stale = nil
	info := l.epochInfo(l.epochIndex(h.Epoch))
	if oldMeta != nil {
		oldMeta.active = false
	}
	l.mu.Unlock()
	ev := &l.set.opt.Events
	if ev.SegmentBegun != nil {
		ev.SegmentBegun(l.name, ws.Path())
	}
	if ev.EpochMinted != nil && minted {
		ev.EpochMinted(l.name, info)
	}
	if old != nil {
		l.seal(old, oldMeta, &h.State)
	}
	l.removeFiles(stale)
}

// seal gives a full segment its index. If that fails the segment is scanned on the next opening.
func (l *Log) seal(old *segment.Writer, m *seg, st *segment.State) {
	ev := &l.set.opt.Events
	if err := old.Seal(st); err != nil {
		ev.cleanupFailed(l.name, err)
	} else {
		l.mu.Lock()
		l.written += old.Synced() - m.bytes
		m.bytes, m.limit, m.index = old.Synced(), old.Synced(), nil
		l.mu.Unlock()
	}
	ev.cleanupFailed(l.name, old.Close())
	if l.w.seg != nil {
		l.w.seg.TakeBuffer(old)
	}
}

// removeFiles removes files that hold nothing that counts.
func (l *Log) removeFiles(paths []string) {
	if len(paths) == 0 {
		return
	}
	ev := &l.set.opt.Events
	for _, p := range paths {
		if err := l.set.fs.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			ev.cleanupFailed(l.name, err)
		}
	}
	ev.cleanupFailed(l.name, l.set.fs.SyncDir(l.dir))
}

// dropSeg takes a segment off the list. mu is held.
func (l *Log) dropSeg(m *seg) {
	l.segs = slices.DeleteFunc(slices.Clone(l.segs), func(s *seg) bool { return s == m })
}

// writeState makes the state durable, with these gaps instead of the known ones if not nil. writer.mu is held, and
// nothing is pending in the active segment.
func (l *Log) writeState(gaps gapTable) error {
	w := &l.w
	l.mu.Lock()
	fresh := w.seg == nil
	if fresh {
		l.mint()
	}
	st := l.snapshot(gaps)
	n := int64(len(segment.AppendState(nil, &st)) + segment.MaxBlockHead)
	l.mu.Unlock()
	if fresh || w.seg.Pos()+n > l.opt.SegmentBytes+l.slack()/2 {
		l.mu.Lock()
		h := l.header(st)
		l.mu.Unlock()
		ws, err := l.create(&h, l.opt.SegmentBytes+l.slack()) // its header states it all
		if err != nil {
			return err
		}
		l.install(ws, &h)
		return nil
	}
	if err := w.seg.State(&st); err != nil {
		return err
	}
	if err := w.seg.Sync(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advanceActive()
	l.dirty.gaps = false
	l.clean(true, st.Delivered, st.Owed, st.Cursors)
	return nil
}

func (l *Log) stopCause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped()
}

// close commits, seals the active segment and ends intake.
func (l *Log) close() error {
	if l.set.readOnly || l.opt.Name == "" {
		return nil
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.closed {
		if l.w.seg == nil {
			return nil
		}
		err := l.ifPending(l.stopCause()) // intake ended before, by a failure
		err = errors.Join(err, l.w.seg.Close())
		l.w.seg = nil
		l.setStatus(StateClosed, nil)
		return err
	}
	err := l.commitLocked()
	l.mu.Lock()
	dirty := !l.dirty.since.IsZero()
	l.mu.Unlock()
	if err == nil && dirty && l.w.seg == nil {
		err = l.writeState(nil)
	}
	if err == nil && l.w.seg != nil {
		l.mu.Lock()
		st := l.snapshot(nil)
		l.mu.Unlock()
		l.seal(l.w.seg, l.w.meta, &st)
	} else if l.w.seg != nil {
		err = errors.Join(err, l.w.seg.Close())
	}
	l.w.seg, l.w.closed = nil, true
	l.set.opt.Events.cleanupFailed(l.name, l.w.ahead.drop())
	l.setStatus(StateClosed, nil)
	return err
}
