package sim_test

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// conn is one connection of a box to the broker.
type conn struct {
	b      *box
	broker int       // generation of the broker that it was made to
	dead   bool      // half-open: the box has not noticed
	up     time.Time // arrival of the last message in order, towards the broker
	down   time.Time
	wake   time.Time // the sender's next tick that is planned
	closed bool
}

// reply is what a hub has said.
type reply struct {
	bytes []byte
	made  time.Time
	hub   *hub
}

func (b *box) connect() {
	w := b.w
	if b.m == nil || b.conn != nil {
		return
	}
	b.backoff = min(max(2*b.backoff, time.Second), 20*time.Second)
	if !w.calm.Load() && w.one(5) {
		w.hit("connect-fails", "%s", b.name)
		life := b.life
		w.after(w.next(b.backoff), func() { b.ifLife(life, b.connect) })
		return
	}
	b.backoff = 0
	b.conn = &conn{b: b, broker: w.broker}
	w.note("%s: connected", b.name)
	b.both(func(m *machine) { m.sender.Connected(time.Now()) })
	w.online(true)
}

// cut ends the connection; what was on its way may still arrive.
func (b *box) cut(why string) {
	w := b.w
	if b.conn == nil {
		return
	}
	w.note("%s: disconnected: %s", b.name, why)
	w.closed(b.conn)
	b.conn = nil
	b.both(func(m *machine) { m.sender.Disconnected(time.Now(), nil) })
	life := b.life
	w.after(w.next(2*time.Second), func() { b.ifLife(life, b.connect) })
}

// closed lets the broker publish the last will, at some time.
func (w *world) closed(c *conn) {
	c.closed = true
	w.after(w.next(2*time.Second), func() {
		for _, b := range w.boxes {
			if b.conn != nil {
				return
			}
		}
		w.online(false)
	})
}

func (w *world) online(on bool) {
	for _, h := range w.hubs {
		h.r.Online(device, on)
		w.wait()
	}
}

// fate says what the network does to one message: when it arrives, how often, and whether damaged.
func (w *world) fate(last *time.Time, what string) (at []time.Time, damaged bool) {
	now := time.Now()
	t := now.Add(time.Duration(1+w.rng.IntN(2*netDelay)) * time.Millisecond)
	if t.Before(*last) {
		t = *last
	}
	if !w.calm.Load() && w.cfg.noise > 0 {
		late := now.Add(time.Duration(w.rng.IntN(lateDelay)) * time.Millisecond)
		switch k := w.rng.IntN(120 / (w.cfg.noise * w.cfg.noise)); {
		case k == 0:
			w.hit("drop", "%s", what)
			return nil, false
		case k == 1:
			w.hit("duplicate", "%s", what)
			*last = t
			return []time.Time{t, late}, false
		case k == 2:
			w.hit("reorder", "%s", what)
			return []time.Time{late}, false
		case k == 3:
			damaged = true
		}
	}
	*last = t
	return []time.Time{t}, damaged
}

// send hands a message to the broker.
func (b *box) send(msg wire.Message) {
	w, c := b.w, b.conn
	what := ""
	w.mix(numbers(msg)...)
	if w.trace {
		what = b.name + " " + tell(msg)
	}
	w.note("%s", what)
	if c == nil {
		return
	}
	if c.dead || c.broker != w.broker {
		w.note("  into nothing")
		return
	}
	if w.rule != nil && w.rule.sent != nil && !w.rule.sent(w, b, msg) {
		return
	}
	at, damaged := w.fate(&c.up, what)
	if d, ok := msg.(*wire.Data); ok && damaged && len(d.Body) > 0 {
		w.hit("damage", "%s", what)
		d.Body[w.rng.IntN(len(d.Body))] ^= 1 << w.rng.IntN(8)
	}
	for _, t := range at {
		gen := w.broker
		w.schedule(t, func() {
			if gen != w.broker {
				w.note("  lost on the way: %s", what)
				return
			}
			if c.closed && !w.calm.Load() && w.one(2) {
				w.hit("lost-in-cut", "%s", what)
				return
			}
			w.arrive(msg)
		})
	}
}

// arrive is the broker passing a message on: to all hubs, or to one where they share the subscription.
func (w *world) arrive(msg wire.Message) {
	if len(w.hubs) == 0 {
		return
	}
	only := -1
	if len(w.hubs) > 1 && w.one(2) {
		only = w.rng.IntN(len(w.hubs))
	}
	for i, h := range w.hubs {
		if only < 0 || only == i {
			m := throughBytes(msg)
			if w.rule != nil && w.rule.passed != nil {
				w.rule.passed(m)
			}
			h.handle(m)
		}
	}
}

// hear keeps what a hub says until the world's own goroutine goes on. It is called from the hub's.
func (w *world) hear(r reply) {
	w.mu.Lock()
	w.inbox = append(w.inbox, r)
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// drain sends what hubs have said on its way to every connection of the device.
func (w *world) drain() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = nil
	w.mu.Unlock()
	for _, r := range in {
		a, err := wire.ParseAck(r.bytes)
		if err != nil {
			w.violation("the bytes of an ack: %v", err)
			return
		}
		what := ""
		w.mix(numbers(a)...)
		if w.trace {
			what = fmt.Sprintf("hub %d %s", r.hub.id, tell(a))
		}
		w.note("%s", what)
		for _, b := range w.boxes {
			if b.conn != nil && !b.conn.dead && b.conn.broker == w.broker {
				w.deliver(b, b.conn, r, what)
			}
		}
	}
}

func (w *world) deliver(b *box, c *conn, r reply, what string) {
	at, _ := w.fate(&c.down, what)
	gen := w.broker
	for _, t := range at {
		w.schedule(t, func() {
			// A broker that keeps sessions, against our wish, passes on what was meant for an earlier connection.
			if gen != w.broker || b.conn == nil || b.conn != c && !w.one(4) || b.conn.dead {
				return
			}
			if b.conn != c {
				w.hit("late-ack", "%s", what)
			}
			b.receive(r)
		})
	}
}

// receive hands an ack to the box; whether it counts is the sender's to say, and checked (A3).
func (b *box) receive(r reply) {
	before := b.m.sender.Status().Acks
	b.both(func(m *machine) {
		a, err := wire.ParseAck(r.bytes)
		if err != nil {
			panic(err)
		}
		m.received(a)
	})
	if b.m != nil && b.m.sender.Status().Acks > before && r.made.Before(b.lastHello) {
		b.w.violation("A3: %s counts an ack that was made before its latest hello", b.name)
	}
}

// numbers are what of a message goes into the hash of a run.
func numbers(m wire.Message) []uint64 {
	switch m := m.(type) {
	case *wire.Hello:
		return []uint64{uint64(m.Nonce), uint64(len(m.Streams))}
	case *wire.Data:
		return []uint64{uint64(m.Nonce), uint64(m.Epoch), uint64(m.Base), uint64(m.Count), uint64(m.CRC), m.ChainEnd}
	case *wire.Gap:
		return []uint64{uint64(m.Nonce), uint64(m.Epoch), uint64(m.From), uint64(m.To), m.ChainTo}
	case *wire.Ack:
		out := []uint64{uint64(m.Nonce), uint64(m.Credit)}
		for _, p := range m.Positions {
			out = append(out, uint64(p.Epoch), uint64(p.Next), p.ChainNext, uint64(p.Verdict))
		}
		return out
	}
	return nil
}

func tell(m wire.Message) string {
	switch m := m.(type) {
	case *wire.Hello:
		s := fmt.Sprintf("hello %04x", uint16(m.Nonce))
		for _, st := range m.Streams {
			s += " " + st.Stream
			for _, e := range st.Epochs {
				s += fmt.Sprintf(" %s<%s@%d [%d,%d,%d)", short(e.Epoch), short(e.Parent), e.ParentEnd, e.First, e.Low, e.End)
			}
		}
		return s
	case *wire.Data:
		return fmt.Sprintf("data %s %s<%s@%d [%d,%d) under %04x", m.Stream, short(m.Epoch), short(m.Parent), m.ParentEnd, m.Base, uint64(m.Base)+uint64(m.Count), uint16(m.Nonce))
	case *wire.Gap:
		return fmt.Sprintf("gap %s %s<%s@%d [%d,%d) %s under %04x", m.Stream, short(m.Epoch), short(m.Parent), m.ParentEnd, m.From, m.To, m.Reason, uint16(m.Nonce))
	case *wire.Ack:
		s := fmt.Sprintf("ack of %04x", uint16(m.Nonce))
		if m.Answer {
			s = fmt.Sprintf("answer to %04x", uint16(m.Nonce))
		}
		for _, p := range m.Positions {
			s += fmt.Sprintf(" %s %s %d %s", p.Stream, short(p.Epoch), p.Next, p.Verdict)
			for _, g := range p.Gaps {
				s += fmt.Sprintf(" gap[%d,%d)", g.From, g.To)
			}
		}
		return s + fmt.Sprintf(" credit %d", m.Credit)
	}
	return fmt.Sprintf("%T", m)
}
