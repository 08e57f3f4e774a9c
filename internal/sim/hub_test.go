package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// hub is one process of the hub: a real receiver over the store that all hubs share.
type hub struct {
	w    *world
	id   int
	r    *receive.Receiver
	st   *watch
	stop context.CancelFunc
	done chan struct{}
	dead atomic.Bool // killed: nothing that it says leaves it
}

func (w *world) startHub() *hub {
	// No two hubs have their ticks at the same instant, nor at that of an event: only one goroutine ever runs.
	w.handOver()
	time.Sleep(time.Duration(1 + w.rng.IntN(999_999)))
	w.wait()
	w.hubIDs++
	ctx, stop := context.WithCancel(context.Background())
	h := &hub{w: w, id: w.hubIDs, stop: stop, done: make(chan struct{})}
	h.st = &watch{w: w, h: h, rng: rand.New(rand.NewPCG(w.rng.Uint64(), 9))}
	var st store.Store = h.st
	if w.rule != nil && w.rule.store != nil {
		st = w.rule.store(w, h)
	}
	h.r = receive.New(receive.Options{Store: st, MaxRows: 200, Linger: -1, CreditBytes: w.cfg.credit, Events: receive.Events{
		Notice: func(_, text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notices[text]++
		}}})
	go func() {
		defer close(h.done)
		_ = h.r.Run(ctx) // nil always
	}()
	w.wait()
	w.hubs, w.allHubs = append(w.hubs, h), append(w.allHubs, h)
	w.note("hub %d started", h.id)
	for _, b := range w.boxes {
		if b.conn != nil && !b.conn.dead && (w.calm.Load() || !w.one(3)) {
			life := b.life
			w.after(w.next(time.Second), func() {
				b.ifLife(life, func() {
					if b.conn != nil {
						b.both(func(m *machine) { m.received(&wire.HubUp{SpreadSeconds: 2}) })
					}
				})
			})
		}
	}
	return h
}

// end stops the process and waits for it.
func (h *hub) end() {
	h.dead.Store(true)
	h.stop()
	<-h.done
}

// remove ends a hub and takes it off the broker.
func (w *world) remove(h *hub) {
	h.end()
	for i := range w.hubs {
		if w.hubs[i] == h {
			w.hubs = append(w.hubs[:i:i], w.hubs[i+1:]...)
			return
		}
	}
}

func (h *hub) handle(msg wire.Message) {
	h.r.Handle(device, msg, func(a *wire.Ack) {
		if h.dead.Load() {
			return
		}
		h.w.stated(h, a)
		if r := h.w.rule; r != nil && r.acked != nil {
			r.acked(a)
		}
		h.w.hear(reply{bytes: wire.AppendAck(nil, a), made: time.Now(), hub: h})
	})
	h.w.wait()
}

// watch is the store as one hub sees it: it fails at times, and notes what was committed.
type watch struct {
	w   *world
	h   *hub
	rng *rand.Rand
}

// trouble decides about one call.
func (s *watch) trouble(op string) (before, after error) {
	if s.w.calm.Load() {
		return nil, nil
	}
	k := s.rng.IntN(s.w.cfg.trouble)
	if k < 8 { // two hubs that failed at the same instant must not try again at the same instant
		time.Sleep(time.Duration(1 + s.rng.IntN(999_999)))
	}
	switch {
	case k < 2:
		s.w.count1("store-fails-before")
		return fmt.Errorf("%w: before %s", store.ErrUnavailable, op), nil
	case k < 4:
		s.w.count1("store-fails-after")
		return nil, fmt.Errorf("%w: after %s", store.ErrUnavailable, op)
	case k < 8:
		s.w.count1("store-slow")
		time.Sleep(time.Duration(s.rng.IntN(3000)) * time.Millisecond)
	case k == 8 && op == "commit":
		s.w.count1("hub-killed-after-commit")
		s.h.dead.Store(true)
		s.w.mu.Lock()
		s.w.killed = append(s.w.killed, s.h)
		s.w.mu.Unlock()
		return nil, fmt.Errorf("%w: killed", store.ErrUnavailable)
	}
	return nil, nil
}

func (s *watch) Positions(ctx context.Context, name string) (store.DeviceState, error) {
	before, after := s.trouble("positions")
	if before != nil {
		return store.DeviceState{}, before
	}
	st, err := s.w.store.Positions(ctx, name)
	if err == nil {
		err = after
	}
	return st, err
}

func (s *watch) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	before, after := s.trouble("commit")
	if before != nil {
		return nil, before
	}
	return s.commit(ctx, c, after)
}

func (s *watch) commit(ctx context.Context, c []store.Change, after error) ([]store.Result, error) {
	var st store.DeviceState
	for i := range c {
		if c[i].Create { // its parent's place before is what matters (H2)
			var err error
			if st, err = s.w.store.Positions(ctx, device); err != nil {
				return nil, err
			}
			break
		}
	}
	res, err := s.w.store.Commit(ctx, c)
	if err == nil {
		s.w.committed(st, c, res)
		err = after
	}
	return res, err
}

func (s *watch) Close() error { return nil }

// count1 counts a fault of a hub's own goroutine.
func (w *world) count1(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[kind]++
}

// committed checks and notes what a transaction has applied: nothing that was not durable on a box, and no epoch before
// its parent has reached its end (H2).
func (w *world) committed(st store.DeviceState, changes []store.Change, res []store.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := map[receive.Key]record.Offset{}
	closed := map[receive.Key]bool{}
	for _, p := range st.Positions {
		k := receive.Key{Stream: p.Stream, Epoch: p.Epoch}
		next[k], closed[k] = p.Next, p.Quarantined
	}
	for i := range changes {
		c := &changes[i]
		if !res[i].Applied {
			continue
		}
		k := receive.Key{Stream: c.Stream, Epoch: c.Epoch}
		if c.Create {
			w.ordered(k, next, closed)
		}
		next[k], closed[k] = c.To, closed[k] || c.Quarantine
		w.reached[k] = max(w.reached[k], c.To)
		w.filled[k] = w.filled[k] || c.Late
		w.checkPosition(&res[i].Position)
		if w.had[k] == nil {
			w.had[k] = map[record.Offset]bool{}
		}
		for j := range c.Rows {
			if n := number(&c.Rows[j]); n >= 0 {
				w.stored(n)
			}
			o := c.RowBase + record.Offset(j)
			skipped := slices.ContainsFunc(c.Skips, func(s store.Skip) bool { return s.Contains(o) })
			w.had[k][o] = w.had[k][o] || !skipped
		}
	}
}

// ordered: an epoch is taken when, by the word of one of the boxes that hold it, its parent has reached its end (H2).
func (w *world) ordered(k receive.Key, next map[receive.Key]record.Offset, closed map[receive.Key]bool) {
	why := ""
	for _, l := range w.links[k] {
		p := receive.Key{Stream: k.Stream, Epoch: l.parent}
		n, known := next[p]
		if l.parent == 0 || known && (n >= l.end || closed[p]) || !known && !w.holds(l.by, p) {
			return
		}
		why = fmt.Sprintf("order: epoch %s of %s is taken while its parent %s stands at %d of %d", short(k.Epoch), k.Stream, short(l.parent), n, l.end)
	}
	if why != "" {
		w.violation("%s", why)
	}
}

// stated checks that an ack says what the store holds at this moment (H1): it is never composed from memory, and never
// of what is not committed.
func (w *world) stated(h *hub, a *wire.Ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range a.Positions {
		p := &a.Positions[i]
		q := w.store.Position(device, p.Stream, p.Epoch)
		if p.Known != (q.Epoch != 0) || p.Known && (p.Next != q.Next || p.ChainNext != q.ChainNext) {
			w.violation("H1: hub %d states %s %s at %d (%v), the store is at %d (%v)", h.id, p.Stream, short(p.Epoch), p.Next, p.Known, q.Next, q.Epoch != 0)
		}
	}
}
