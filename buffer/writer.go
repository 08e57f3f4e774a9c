package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// writer is the disk side of a log: one goroutine at a time encodes, writes and syncs.
type writer struct {
	mu      sync.Mutex
	seg     *segment.Writer // active; nil before the first commit of this opening and after a failure
	meta    *seg            // the same in the log's list
	batches []encoded       // not durable, in order
	encoder encoder
	defined []bool // series defined in the active segment
	opening uint64 // number of this opening
	seq     uint32 // number of the next segment of the current epoch
	failed  int    // failures in a row
	stale   []string
	closed  bool
	tried   time.Time // last failed attempt
	ahead   ahead
}

// run is the committer of one stream.
func (l *Log) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(l.work())
		select {
		case <-ctx.Done():
			return l.commit()
		case <-l.wake:
		case <-timer.C:
		case answer := <-l.pings:
			close(answer)
		}
	}
}

// work does what is due and says after which time it wants to be called again at the latest. Errors stop here: they
// are told by events and the state, and tried again.
func (l *Log) work() time.Duration {
	now := time.Now()
	l.mu.Lock()
	pending := !l.first.IsZero()
	wait := stateInterval
	if pending {
		wait = l.opt.CommitInterval - now.Sub(l.first)
	}
	if !l.dirty.since.IsZero() {
		wait = min(wait, stateInterval-now.Sub(l.dirty.since))
	}
	if l.encoded >= commitBytes {
		wait = 0
	}
	status, full, encode := l.status, l.status == StateFull, len(l.chunks) > 0
	l.mu.Unlock()
	if status == StateClosed || status == StateDelivery {
		return stateInterval
	}
	if full || status == StateFailing {
		return l.retry(now, status)
	}
	if wait <= 0 {
		if pending && l.opt.CommitInterval == 0 {
			l.gather()
		}
		if l.commit() != nil {
			return retryFull
		}
		return l.workAgain()
	}
	if encode {
		l.w.mu.Lock()
		err := l.encodePending(false)
		l.w.mu.Unlock()
		if err != nil {
			l.setStatus(StateFailing, err)
		}
	}
	return wait
}

// workAgain is when to come back after a commit.
func (l *Log) workAgain() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first.IsZero() {
		return stateInterval
	}
	return max(l.opt.CommitInterval-time.Since(l.first), 0)
}

// retry tries again while intake is stopped: slowly, but soon after something was delivered.
func (l *Log) retry(now time.Time, status State) time.Duration {
	every := retryFailing
	if status == StateFull {
		every = retryFull
	}
	l.w.mu.Lock()
	since := now.Sub(l.w.tried)
	l.w.mu.Unlock()
	if since < every/10 {
		return every/10 - since
	}
	_ = l.commit() // told by CommitFailed and the state
	return every
}

// commit makes everything durable that was appended before the call.
func (l *Log) commit() error {
	l.mu.Lock()
	want := l.end
	nothing := l.durable >= want && l.dirty.since.IsZero() && l.status == StateOK
	l.mu.Unlock()
	if nothing || l.set.readOnly {
		return nil
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.commitLocked()
}

// commitLocked commits with writer.mu held, and makes room.
func (l *Log) commitLocked() error { return l.commitThen(l.retain) }

// commitRecords is commitLocked that drops nothing, unless the disk is full.
func (l *Log) commitRecords() error { return l.commitThen(func() error { return nil }) }

// commitThen commits with writer.mu held: one attempt, and more with new segments while the disk fails.
func (l *Log) commitThen(after func() error) error {
	if l.w.closed {
		return l.ifPending(fmt.Errorf("%w: %s is closed", ErrStopped, l.name))
	}
	if l.opt.Name == "" {
		return nil
	}
	if err := l.encodePending(true); err != nil {
		l.setStatus(StateFailing, err)
		return err
	}
	for {
		err := l.writeAll()
		if err == nil {
			err = after()
		}
		if err == nil {
			l.w.failed = 0
			l.reserveAhead()
			return nil
		}
		if noRoom(err) {
			l.applyRoom(err)
			return l.ifPending(err)
		}
		if stop := l.failedAttempt(err); stop {
			return err
		}
	}
}

// ifPending is err unless nothing waits to become durable.
func (l *Log) ifPending(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.durable >= l.end {
		return nil
	}
	return err
}

// failedAttempt gives up the active segment if it is latched and says whether to stop trying for now.
func (l *Log) failedAttempt(err error) (stop bool) {
	l.w.failed++
	l.w.tried = time.Now()
	l.mu.Lock()
	l.failures++
	l.mu.Unlock()
	if e := l.set.opt.Events.CommitFailed; e != nil {
		e(l.name, err)
	}
	l.abandon()
	if errors.Is(err, syscall.ENOSPC) {
		if l.freeDelivered() {
			return false
		}
		l.setStatus(StateFull, err)
		return true
	}
	if l.w.failed >= failuresToStop {
		l.setStatus(StateFailing, err)
		return true
	}
	return false
}

// abandon lets go of a latched segment: it ends at what is durable, the rest is still in memory and goes to a new one.
func (l *Log) abandon() {
	w := &l.w
	if w.seg != nil && (w.seg.Err() != nil || w.seg.Pos() != w.seg.Synced()) {
		l.retire()
	}
}

// retire ends the active segment at what is durable: the next commit begins a new one.
func (l *Log) retire() {
	w := &l.w
	if w.seg == nil {
		return
	}
	ev := &l.set.opt.Events
	ev.cleanupFailed(l.name, w.seg.Abandon())
	ev.cleanupFailed(l.name, w.seg.Close())
	l.mu.Lock()
	m := w.meta
	m.active = false
	m.bytes = m.limit
	if m.base == m.end {
		l.dropSeg(m)
		w.stale = append(w.stale, m.path)
	}
	l.mu.Unlock()
	w.seg, w.meta = nil, nil
}

// setStatus changes the state of intake and tells it. The state of a log that takes no appends does not change.
func (l *Log) setStatus(s State, err error) {
	l.mu.Lock()
	old := l.status
	if old == StateClosed || old == StateDelivery {
		l.mu.Unlock()
		return
	}
	l.status, l.statusErr = s, err
	if old != s {
		l.makeRoom() // waiting appends are to be told
		l.broadcast()
	}
	l.mu.Unlock()
	if e := l.set.opt.Events.StateChanged; e != nil && old != s {
		e(l.name, s, err)
	}
}

// encodePending encodes the full chunks, with all the one being filled, too. writer.mu is held.
func (l *Log) encodePending(all bool) error {
	w := &l.w
	l.mu.Lock()
	chunks := l.chunks
	l.chunks = nil
	if all && l.chunk != nil {
		chunks = append(chunks, l.chunk)
		l.chunk = nil
	}
	if all {
		l.first = time.Time{} // what is appended from now on starts a new interval
	}
	chain := l.chainDurable
	l.mu.Unlock()
	if n := len(w.batches); n > 0 {
		chain = w.batches[n-1].blk.ChainEnd
	}
	for i, c := range chunks {
		n := len(w.batches)
		var err error
		if w.batches, err = w.encoder.encode(w.batches, c, chain); err != nil {
			w.batches = w.batches[:n]
			l.mu.Lock()
			l.chunks = append(chunks[i:], l.chunks...) // nothing that was taken is dropped
			l.mu.Unlock()
			return err
		}
		if len(w.batches) > n {
			chain = w.batches[len(w.batches)-1].blk.ChainEnd
		}
		size := 0
		for _, b := range w.batches[n:] {
			size += len(b.body) + segment.MaxBlockHead
		}
		l.mu.Lock()
		l.encoded += size
		l.giveSpare(c)
		l.makeRoom()
		l.mu.Unlock()
	}
	return nil
}

// writeAll writes and syncs the pending batches, segment by segment, and what else is not on disk. writer.mu is held.
func (l *Log) writeAll() error {
	w := &l.w
	for len(w.batches) > 0 {
		if err := l.ensureSegment(w.batches[0].size()); err != nil {
			return err
		}
		n, err := l.addBatches()
		if err != nil {
			return err
		}
		if err := w.seg.Sync(); err != nil {
			return err
		}
		l.publish(n)
	}
	l.mu.Lock()
	gaps := l.dirty.gaps
	alone := !l.dirty.since.IsZero() && time.Since(l.dirty.since) >= stateInterval
	l.mu.Unlock()
	if gaps && w.seg != nil || alone {
		if err := l.writeState(nil); err != nil {
			return err
		}
	}
	l.setStatusOK()
	return nil
}

// setStatusOK ends a stop, unless retention says afterwards that there is no room.
func (l *Log) setStatusOK() {
	l.mu.Lock()
	failing := l.status == StateFailing || l.status == StateFull && !noRoom(l.statusErr)
	l.mu.Unlock()
	if failing {
		l.setStatus(StateOK, nil)
		l.set.spare.keep()
	}
}

// size bounds the bytes that the batch takes in a segment, definitions not counted.
func (e *encoded) size() int64 {
	n := segment.MaxBlockHead + len(e.body) + 128 + len(e.blk.Ext.Owed)*segment.OwedBytes
	for i := range e.blk.Ext.Spans {
		n += segment.SpanBytes(&e.blk.Ext.Spans[i])
	}
	return int64(n)
}

// addBatches adds pending batches to the active segment as far as they fit, at least one.
func (l *Log) addBatches() (int, error) {
	w := &l.w
	l.takeDirty(&w.batches[0].blk.Ext)
	w.seg.Expect(l.fits())
	for i := range w.batches {
		b := &w.batches[i]
		if i > 0 && w.seg.Pos()+b.size() > l.opt.SegmentBytes {
			return i, nil
		}
		if defs := l.missingDefs(b.series); len(defs) > 0 {
			if err := w.seg.Definitions(defs); err != nil {
				return 0, err
			}
		}
		if err := w.seg.Batch(&b.blk, b.body); err != nil {
			return 0, err
		}
	}
	return len(w.batches), nil
}

// fits is how many bytes of the pending batches go to the active segment, about.
func (l *Log) fits() int64 {
	n := int64(0)
	for i := range l.w.batches {
		size := l.w.batches[i].size()
		if l.w.seg.Pos()+n+size > l.opt.SegmentBytes {
			break
		}
		n += size
	}
	return n
}

// takeDirty lets the batch carry the positions that have changed.
func (l *Log) takeDirty(x *segment.Ext) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.HasDelivered, x.Delivered, x.Owed = l.dirty.delivered, l.state.Delivered, nil; x.HasDelivered {
		x.Owed = l.state.Owed // never written to
	}
	x.Delivered, x.Owed = l.readable(x.Delivered, x.Owed)
	x.Cursors = x.Cursors[:0]
	for _, c := range l.state.Cursors {
		if l.dirty.cursors[c.Name] {
			x.Cursors = append(x.Cursors, c)
		}
	}
}

// missingDefs are the definitions of those series that the active segment does not have yet.
func (l *Log) missingDefs(ids []record.SeriesID) []record.Definition {
	w := &l.w
	var out []record.Definition
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		for int(id) >= len(w.defined) {
			w.defined = append(w.defined, make([]bool, max(len(w.defined), 256))...)
		}
		if !w.defined[id] {
			w.defined[id] = true
			out = append(out, record.Definition{ID: id, Series: l.defs.list[id-1]})
		}
	}
	return out
}

// publish makes the first n pending batches, which are durable now, visible.
func (l *Log) publish(n int) {
	w := &l.w
	l.mu.Lock()
	m := w.meta
	for i := range w.batches[:n] {
		b := &w.batches[i]
		m.index.Add(&b.blk)
		m.end, m.chainEnd = b.blk.End(), b.blk.ChainEnd
		m.boot, m.utc = m.index.Boot, m.index.UTC
		l.encoded -= len(b.body) + segment.MaxBlockHead
		l.applyDurable(&b.blk.Ext)
	}
	m.index.Defs = w.seg.Defs()
	x := &w.batches[0].blk.Ext
	l.clean(x.HasDelivered, x.Delivered, x.Owed, x.Cursors)
	l.durable, l.chainDurable = m.end, m.chainEnd
	l.acked.Store(uint64(m.end))
	l.advanceActive()
	l.makeRoom()
	l.broadcast()
	l.mu.Unlock()
	clear(w.batches[:n])
	w.batches = append(w.batches[:0], w.batches[n:]...)
}

// applyDurable takes over what a durable batch carries. mu is held.
func (l *Log) applyDurable(x *segment.Ext) {
	for _, p := range x.Spans {
		l.state.SetProducer(p.ProducerPosition)
	}
	for _, a := range x.Anchors {
		l.state.AddAnchor(a)
		l.timeline.Add(a)
	}
}

// advanceActive accounts for what was written to the active segment. mu is held.
func (l *Log) advanceActive() {
	m := l.w.meta
	m.limit = l.w.seg.Synced()
	l.written += m.limit - m.bytes
	m.bytes = m.limit
}

// clean notes that these positions are on disk. mu is held.
func (l *Log) clean(hasDelivered bool, delivered record.Offset, owed []record.Owed, cursors []segment.CursorPos) {
	if d, o := l.readable(l.state.Delivered, l.state.Owed); hasDelivered && d == delivered && slices.Equal(o, owed) {
		l.dirty.delivered = false
	}
	for _, c := range cursors {
		for _, now := range l.state.Cursors {
			if now == c {
				delete(l.dirty.cursors, c.Name)
			}
		}
	}
	if !l.dirty.delivered && len(l.dirty.cursors) == 0 {
		l.dirty.since = time.Time{}
	}
}
