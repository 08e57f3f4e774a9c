package receive

import (
	"context"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// device is what the receiver remembers of a device. None of it is ever the content of an answer.
type device struct {
	name     string
	view     *View // nil: to be read from the store
	stale    bool  // the view must be reset to what the store says before it is used
	used     time.Time
	heard    time.Time
	sessions []*session // latest last
	notices  []string
	reply    Reply

	credit  uint32    // given
	since   time.Time // when it was given: a turn
	waiting bool      // for a credit
}

// session is what a hello said, as far as it matters for the acks under its nonce.
type session struct {
	nonce wire.Nonce
	held  map[Key]record.Range // [low, end)
	parts map[uint16]bool      // that came; nil once something had to be left out
	whole bool                 // all parts are known
	told  map[gapKey]bool      // gaps that this agent has stated itself
}

type gapKey struct {
	Key
	from record.Offset
}

// batch is the messages of one device in one round.
type batch struct {
	dev    *device
	frames []item
	hellos []item

	// What follows is made anew by each attempt.
	fence   store.Fence
	foreign bool // the device is another hub's by now
	changes int  // index of the first change in the commit
	count   int
	touched []*touched
	reads   []readBack
	notices []string // kept over attempts: a change may have been applied in any of them
}

// touched is an epoch that frames under one nonce were about: one position in one ack.
type touched struct {
	Key
	nonce   wire.Nonce
	reply   Reply
	first   record.Offset
	frames  record.Range // what the frames covered
	verdict wire.Verdict
	upTo    record.Offset // the verdict stands while the position is below
	parent  record.Epoch
}

// readBack says where in the commit an epoch's position is read or written last.
type readBack struct {
	Key
	at    int
	known bool
}

// round takes what is queued, decides, commits, and answers. It returns early only when ctx ends.
func (r *Receiver) round(ctx context.Context) {
	items := r.queue.cut(r.o.MaxRows, r.credit.round())
	defer r.queue.done(items)
	now := time.Now()
	batches := r.batches(items, now)
	failures := r.store.failures
	if !r.commit(ctx, batches) {
		return
	}
	if failures == r.store.failures {
		r.learn(items, time.Since(now))
	}
	for _, b := range batches {
		for _, it := range b.hellos {
			if !r.answer(ctx, b.dev, it) {
				return
			}
		}
	}
	r.evict(now)
}

// learn tells the credit how the round went.
func (r *Receiver) learn(items []item, took time.Duration) {
	cost := 0
	for i := range items {
		cost += items[i].cost(r.credit.frame)
	}
	r.queue.mu.Lock()
	left := r.queue.cost
	r.queue.mu.Unlock()
	r.credit.took(cost, left, took)
}

// batches sorts messages by device; the order within a device stays.
func (r *Receiver) batches(items []item, now time.Time) []*batch {
	var out []*batch
	of := map[*device]*batch{}
	for _, it := range items {
		d := r.devices[it.device]
		if it.m == nil {
			r.stats.state(it.device, it.online)
			if d != nil && !it.online {
				r.credit.release(d)
			}
			continue
		}
		if d == nil {
			d = &device{name: it.device}
			r.devices[it.device] = d
		}
		d.used, d.heard, d.reply = now, now, it.reply
		b := of[d]
		if b == nil {
			b = &batch{dev: d}
			of[d] = b
			out = append(out, b)
		}
		if _, hello := it.m.(*wire.Hello); hello {
			b.hellos = append(b.hellos, it)
		} else {
			b.frames = append(b.frames, it)
		}
	}
	return out
}

// commit decides and commits the frames of all batches and sends the acks. While the store is down it tries again
// and again; a device whose compare-and-set was lost is read and decided anew, a few times. False: ctx has ended.
func (r *Receiver) commit(ctx context.Context, batches []*batch) bool {
	pending := slices.DeleteFunc(slices.Clone(batches), func(b *batch) bool { return len(b.frames) == 0 })
	for attempt := 0; len(pending) > 0; {
		changes, results, err := r.attempt(ctx, pending)
		if err != nil {
			for _, b := range pending {
				b.dev.stale = true // the outcome is unknown: read before anything else
			}
			if !r.storeDown(ctx, err) {
				return false
			}
			continue
		}
		r.storeUp()
		attempt++
		again, parents := pending[:0:0], pending[:0:0]
		for _, b := range pending {
			if b.foreign || r.fenced(b, results) {
				r.disown(b.dev)
				continue
			}
			if r.settled(b, results) {
				r.ack(b, results)
				if slices.ContainsFunc(changes[b.changes:b.changes+b.count], child) {
					parents = append(parents, b)
				}
				continue
			}
			b.dev.stale = true
			r.stats.add(&r.stats.s.Lost, 1)
			if attempt < maxAttempts {
				again = append(again, b)
			}
		}
		for _, b := range parents { // when nobody waits for an ack any more
			r.kin(ctx, b.dev, changes[b.changes:b.changes+b.count])
		}
		pending = again
	}
	return true
}

// child: the change creates an epoch that continues another one.
func child(c store.Change) bool { return c.Create && c.Parent != 0 }

// kin reads the device again after children were created: another hub may have created a child of the same parent, of
// which this one's view knows nothing (H7). Where the store fails now, the next hello or growth tells.
func (r *Receiver) kin(ctx context.Context, d *device, changes []store.Change) {
	st, err := r.o.Store.Positions(ctx, d.name)
	if err != nil {
		d.stale = true
		return
	}
	r.setView(d, st)
	r.notices(d, d.view.created(changes))
}

// attempt decides every frame of the batches and commits the changes together.
func (r *Receiver) attempt(ctx context.Context, pending []*batch) (changes []store.Change, results []store.Result, err error) {
	r.bodies.reset()
	for _, b := range pending {
		b.changes, b.count = len(changes), 0
		var mine bool
		b.fence, mine = r.fence(b.dev.name)
		if b.foreign = !mine; b.foreign {
			continue
		}
		if b.dev.view == nil || b.dev.stale {
			st, err := r.o.Store.Positions(ctx, b.dev.name)
			if err != nil {
				return nil, nil, err
			}
			r.setView(b.dev, st)
		}
		b.touched, b.reads = b.touched[:0], b.reads[:0]
		for i := range b.frames {
			changes = b.decide(&b.frames[i], &r.bodies, changes, &r.stats)
		}
		changes = b.readBacks(changes)
		b.count = len(changes) - b.changes
		for i := range b.count {
			changes[b.changes+i].Fence = b.fence
		}
	}
	if len(changes) == 0 {
		return nil, nil, nil
	}
	began := time.Now()
	results, err = r.o.Store.Commit(ctx, changes)
	if err == nil {
		r.stats.committed(changes, results, time.Since(began))
	}
	return changes, results, err
}

// decide takes one frame through the view.
func (b *batch) decide(it *item, dec Decoder, changes []store.Change, stats *counters) []store.Change {
	f := it.m.(wire.Frame)
	h := f.Header()
	k := Key{h.Stream, h.Epoch}
	orphan := b.orphan(h)
	d := b.dev.view.Decide(f, dec)
	stats.outcome(&d)
	if orphan && len(d.Changes) > 0 && d.Changes[0].Create {
		d.notice("unknown-parent %s %s", h.Stream, h.Epoch)
	}
	for _, n := range d.Notices {
		if !slices.Contains(b.notices, n) {
			b.notices = append(b.notices, n)
		}
	}
	if d.Outcome == Damaged {
		return changes
	}
	for _, c := range d.Changes {
		b.readAt(k, len(changes), true)
		changes = append(changes, c)
	}
	t := b.touch(k, h.Nonce, h.First, it.reply)
	if t.frames.Len() == 0 {
		t.frames = d.Range
	}
	t.frames = record.Range{From: min(t.frames.From, d.Range.From), To: max(t.frames.To, d.Range.To)}
	if v := d.Outcome.Verdict(); v != wire.VerdictOK {
		if v >= t.verdict { // the numbers rise from "go back" to "close the epoch"
			t.verdict, t.parent = v, d.Parent
		}
		to := d.Range.To
		if c, _ := b.dev.view.ReadBack(k); to <= c.To {
			to = ^record.Offset(0) // of a fill: the position has nothing to say about it
		}
		t.upTo = max(t.upTo, to)
	}
	if d.Parent != 0 {
		p := b.touch(Key{h.Stream, d.Parent}, h.Nonce, 0, it.reply)
		p.verdict, p.upTo = max(p.verdict, wire.VerdictRewind), max(p.upTo, h.ParentEnd)
	}
	if g, ok := f.(*wire.Gap); ok {
		b.dev.session(h.Nonce).tell(k, d.Changes, g)
	}
	return changes
}

// orphan makes an epoch a root if neither the agent nor the store knows its parent (H2): nobody could ever bring the
// parent to its end. It reports whether that is so.
func (b *batch) orphan(h *wire.FrameHeader) bool {
	if h.Parent == 0 {
		return false
	}
	s, parent := b.dev.session(h.Nonce), Key{h.Stream, h.Parent}
	if s == nil || !s.whole {
		return false
	}
	if _, held := s.held[parent]; held {
		return false
	}
	if _, known := b.dev.view.ReadBack(parent); known {
		return false
	}
	h.Parent, h.ParentEnd = 0, 0
	return true
}

// touch is the place in the acks for an epoch.
func (b *batch) touch(k Key, nonce wire.Nonce, first record.Offset, reply Reply) *touched {
	for _, t := range b.touched {
		if t.Key == k && t.nonce == nonce {
			t.reply = reply
			return t
		}
	}
	t := &touched{Key: k, nonce: nonce, reply: reply, first: first}
	b.touched = append(b.touched, t)
	return t
}

func (b *batch) readAt(k Key, at int, known bool) {
	for i := range b.reads {
		if b.reads[i].Key == k {
			b.reads[i].at, b.reads[i].known = at, known
			return
		}
	}
	b.reads = append(b.reads, readBack{k, at, known})
}

// readBacks lets the transaction read every touched epoch that no change of it moves, so that no ack is composed
// from memory (H1).
func (b *batch) readBacks(changes []store.Change) []store.Change {
	for _, t := range b.touched {
		if slices.ContainsFunc(b.reads, func(x readBack) bool { return x.Key == t.Key }) {
			continue
		}
		c, known := b.dev.view.ReadBack(t.Key)
		b.readAt(t.Key, len(changes), known)
		changes = append(changes, c)
	}
	return changes
}

// fenced reports whether the store has refused what stood under the device's fence: nothing of it may be answered.
func (r *Receiver) fenced(b *batch, results []store.Result) bool {
	for i := range b.count {
		if results[b.changes+i].Fenced {
			r.stats.add(&r.stats.s.Fenced, 1)
			r.o.Owner.Fenced(b.fence)
			return true
		}
	}
	return false
}

// disown forgets what was known of a device that is another hub's now.
func (r *Receiver) disown(d *device) {
	r.dropView(d)
	r.credit.release(d)
	d.sessions, d.notices, d.heard = nil, nil, time.Time{}
	delete(r.devices, d.name)
	r.stats.disown(d.name)
}

// settled reports whether the transaction found everything as the decisions had assumed.
func (r *Receiver) settled(b *batch, results []store.Result) bool {
	for i := b.changes; i < b.changes+b.count; i++ {
		if results[i].Applied {
			continue
		}
		unknown := slices.ContainsFunc(b.reads, func(x readBack) bool { return x.at == i && !x.known })
		if !unknown || results[i].Position.Epoch != 0 {
			return false
		}
	}
	return true
}

// setView makes the view what the store says; what the view had noticed of writers and damage stays.
func (r *Receiver) setView(d *device, st store.DeviceState) {
	d.stale = false
	if d.view == nil {
		d.view = NewView(d.name, st)
		r.views++
		r.viewEpochs += d.view.Epochs()
		return
	}
	r.viewEpochs -= d.view.Epochs()
	d.view.Reset(st)
	r.viewEpochs += d.view.Epochs()
}

func (r *Receiver) dropView(d *device) {
	if d.view != nil {
		r.viewEpochs -= d.view.Epochs()
		d.view = nil
		r.views--
	}
}

// evict forgets the views of devices that were quiet the longest, and devices that have not been heard of.
func (r *Receiver) evict(now time.Time) {
	if r.views <= r.o.MaxDevices && r.viewEpochs <= maxViewEpochs && len(r.devices) <= maxDevices {
		return
	}
	all := make([]*device, 0, len(r.devices))
	for _, d := range r.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *device) int { return a.used.Compare(b.used) })
	for _, d := range all {
		if r.views > r.o.MaxDevices*7/8 || r.viewEpochs > maxViewEpochs*7/8 {
			r.dropView(d)
		}
		if len(r.devices) > maxDevices && now.Sub(d.used) > activeFor {
			r.dropView(d)
			r.credit.release(d)
			delete(r.devices, d.name)
			r.stats.forget(d.name)
		}
	}
}

// storeState says since when the store takes nothing.
type storeState struct {
	down     time.Time
	backoff  time.Duration
	failures int // ever
}

// storeDown notes a failure and waits before the next try; false: ctx has ended.
func (r *Receiver) storeDown(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if r.store.down.IsZero() {
		r.store.down = time.Now()
		if r.o.Events.StoreDown != nil {
			r.o.Events.StoreDown(err)
		}
	}
	r.stats.store(err)
	r.store.failures++
	r.store.backoff = min(max(2*r.store.backoff, minBackoff), maxBackoff)
	t := time.NewTimer(r.store.backoff)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Receiver) storeUp() {
	if r.store.down.IsZero() {
		return
	}
	if r.o.Events.StoreUp != nil {
		r.o.Events.StoreUp(time.Since(r.store.down))
	}
	r.store.down, r.store.backoff = time.Time{}, 0
	r.stats.store(nil)
}
