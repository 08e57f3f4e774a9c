package sim_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// box is a machine over its lives, with the nodes that are wired to it and its connection to the broker.
type box struct {
	w       *world
	name    string
	disk    *vfs.Mem
	lineage *lineage
	m       *machine // nil: it is off
	twin    *machine // a shadow of m, or a snapshot of it
	conn    *conn    // nil: none
	life    int      // counts starts and stops, so that what was planned for an earlier life does not happen
	nodes   map[string]*node
	skew    time.Duration
	planned [2]int // by stream: the life in which a commit is planned

	hellos, hellosThen int
	lastHello          time.Time
	backoff            time.Duration
}

// node is a producer: a message is sent again until it is acknowledged.
type node struct {
	incarnation, sequence uint64
	msg                   *message
}

type message struct {
	incarnation, sequence uint64
	nums                  []int64
	acked                 bool
}

// newBox is a box with an empty disk, or with that one.
func (w *world) newBox(disk *vfs.Mem) *box {
	b := &box{w: w, name: string(rune('A' + w.boxIDs)), disk: disk, nodes: map[string]*node{}}
	w.boxIDs++
	b.lineage = w.newLineage()
	if disk == nil {
		b.disk = vfs.NewMem()
		b.disk.SetCapacity(diskWhole)
	}
	for i, s := range w.cfg.streams {
		b.nodes[s] = &node{incarnation: uint64(w.boxIDs*1000 + i)}
	}
	w.boxes = append(w.boxes, b)
	return b
}

// start boots the box.
func (b *box) start() {
	w := b.w
	b.life++
	w.boots++
	id := fmt.Sprintf("boot-%d", w.boots)
	seed := w.rng.Uint64()
	var before *vfs.Mem
	if w.cfg.snapshot && !w.calm.Load() && b.lineage.lying == 0 && !b.lineage.full {
		before = b.disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll})
	}
	m, err := w.boot(b.disk, seed, id, b.lineage, false)
	life := b.life
	if err != nil {
		w.note("%s: %s: start: %v", b.name, id, err)
		if b.disk.Stopped() {
			b.powerCut("during recovery")
			return
		}
		w.after(w.next(5*time.Second), func() { b.ifLife(life, b.start) })
		return
	}
	w.note("%s: %s: started", b.name, id)
	m.skew = b.skew
	b.m = m
	for _, st := range m.streams {
		m.scan(st)
	}
	if before != nil && b.twin == nil {
		if t, err := w.boot(before, seed, id, b.lineage, true); err == nil {
			t.skew = b.skew
			for _, st := range t.streams {
				t.scan(st)
			}
			b.twin = t
		}
	}
	for i := range m.streams {
		w.after(w.next(w.cfg.produce), func() { b.ifLife(life, func() { b.produce(i, life) }) })
		b.tidy(i, life)
	}
	w.after(w.next(time.Second), func() { b.ifLife(life, b.connect) })
}

func (b *box) ifLife(life int, f func()) {
	if b.life == life {
		f()
	}
}

// both does to the machine and, while it is a shadow, to the twin.
func (b *box) both(f func(m *machine)) {
	f(b.m)
	if b.twin != nil && !b.twin.frozen {
		f(b.twin)
	}
	b.look()
}

// look sees whether the machine has stopped in the middle of something.
func (b *box) look() {
	if b.m != nil && b.disk.Stopped() {
		b.powerCut("in the middle of an operation")
	}
}

// produce appends something: a sweep, or a message of the node.
func (b *box) produce(i, life int) {
	w := b.w
	st := b.m.streams[i]
	n := b.nodes[st.name]
	w.after(w.next(w.cfg.produce), func() { b.ifLife(life, func() { b.produce(i, life) }) })
	if w.calm.Load() && time.Since(w.begin) > w.cfg.length+10*time.Second {
		return
	}
	if !w.one(4) {
		nums := w.mint(st.name, 1+w.rng.IntN(6), false, b.lineage)
		b.plan(i, life)
		b.both(func(m *machine) { m.append(m.streams[i], nums, nil) })
		return
	}
	if !w.calm.Load() && w.one(12) {
		w.hit("node-restart", "%s: the node of %s counts anew", b.name, st.name)
		*n = node{incarnation: w.rng.Uint64() | 1}
	}
	if n.msg == nil || n.msg.acked && !w.one(3) {
		n.sequence++
		n.msg = &message{incarnation: n.incarnation, sequence: n.sequence, nums: w.mint(st.name, 1+w.rng.IntN(4), true, b.lineage)}
	} else {
		w.hit("node-resend", "%s: message %d of %s again", b.name, n.msg.sequence, st.name)
	}
	msg := n.msg
	b.plan(i, life)
	b.both(func(m *machine) { m.append(m.streams[i], msg.nums, msg) })
}

// plan lets the stream be committed within its interval.
func (b *box) plan(i, life int) {
	if b.planned[i] == life {
		return
	}
	b.planned[i] = life
	b.w.after(b.w.cfg.commit, func() {
		b.ifLife(life, func() {
			b.planned[i] = 0
			b.commit(i)
			if b.m != nil && len(b.m.streams[i].pending) > 0 {
				b.plan(i, life)
			}
		})
	})
}

// tidy commits now and then what no append stands for: cursors, gaps.
func (b *box) tidy(i, life int) {
	b.w.after(tidyEvery, func() {
		b.ifLife(life, func() {
			b.tidy(i, life)
			b.commit(i)
		})
	})
}

func (b *box) commit(i int) { b.both(func(m *machine) { m.sync(m.streams[i]) }) }

// pump lets the sender work.
func (b *box) pump() {
	if b.m == nil {
		return
	}
	connected := b.conn != nil
	msgs := b.m.pump(connected)
	if b.twin != nil && !b.twin.frozen {
		b.twin.pump(connected)
	}
	for _, msg := range msgs {
		if h, ok := msg.(*wire.Hello); ok && h.Part == 0 {
			b.hellos++
			b.lastHello = time.Now()
		}
		b.send(msg)
	}
	b.look()
	if b.m == nil || b.conn == nil {
		return
	}
	if b.w.count%16 == 0 {
		b.balanced()
	}
	if at := b.m.sender.Wake(); !at.IsZero() && !at.Equal(b.conn.wake) && at.After(time.Now()) {
		b.conn.wake = at
		b.w.schedule(at, func() {})
	}
}

// balanced checks the box's own account at any moment, and that it counts nothing as delivered that no hub ever had: what an
// ack has passed and is a gap or skipped at the hub is known with that ack, whatever acks were lost before it.
func (b *box) balanced() {
	for _, a := range b.m.sender.Accounts() {
		if b.disk.Stopped() {
			continue
		}
		if !a.Balanced {
			b.w.violation("account of %s does not balance: %+v", b.name, a)
		}
		if had := b.had(a.Stream, a.Epoch); a.Verified && a.Delivered > had && b.lineage.intact() {
			b.w.violation("account of %s counts %d as delivered, no hub ever had more than %d: %+v", b.name, a.Delivered, had, a)
		}
	}
	for _, st := range b.m.streams {
		d := st.log.Delivered()
		for _, e := range st.log.Epochs() {
			if at := min(d, e.End); at > e.First && at > b.w.reached[receive.Key{Stream: st.name, Epoch: e.Epoch}] && b.lineage.intact() {
				b.w.violation("A2: %s counts %s of epoch %s as delivered up to %d, the hub was never above %d", b.name, st.name, short(e.Epoch), at, b.w.reached[receive.Key{Stream: st.name, Epoch: e.Epoch}])
			}
		}
	}
}

// had is how many records of an epoch the box may count as delivered: those that a hub ever had, and what it had skipped where the
// box has deleted that since, and does not know any more once the hub was restored to before.
func (b *box) had(stream string, e record.Epoch) (n uint64) {
	var gaps []record.Gap
	for o, row := range b.w.had[receive.Key{Stream: stream, Epoch: e}] {
		if row {
			n++
			continue
		}
		if gaps == nil {
			for _, st := range b.m.streams {
				if st.name == stream {
					gaps = st.log.Info().Gaps
				}
			}
		}
		if slices.ContainsFunc(gaps, func(g record.Gap) bool { return g.Reason == record.ReasonDelivered && g.Contains(o) }) {
			n++
		}
	}
	return n
}

// powerCut leaves what a disk may leave, and starts the box again after a while.
func (b *box) powerCut(how string) {
	w := b.w
	keep := []vfs.Keep{vfs.KeepNone, vfs.KeepAll, vfs.KeepRandom, vfs.KeepRandom}[w.rng.IntN(4)]
	w.hit("power-cut", "%s %s, keeping %d", b.name, how, keep)
	b.crash(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(w.rng.Uint64(), 6)), Stale: w.one(2)})
}

// crash ends the process; the disk is what the options leave of it.
func (b *box) crash(o vfs.CrashOptions) {
	w := b.w
	b.disk = b.disk.CrashClone(o)
	if b.lineage.lying > 0 && o.Keep != vfs.KeepAll {
		b.lineage.lied = true
	}
	b.off()
	b.lineage.lying, b.lineage.full = 0, false
	if !w.calm.Load() && w.one(4) { // the next one comes soon
		b.disk.StopAfter(w.rng.Int64N(40))
	}
	b.disk.SetCapacity(diskWhole)
	life := b.life
	w.after(w.next(4*time.Second), func() { b.ifLife(life, b.start) })
}

// off forgets the machine. A snapshot stays.
func (b *box) off() {
	b.life++
	b.m = nil
	if b.conn != nil {
		b.w.closed(b.conn)
		b.conn = nil
	}
	if b.twin != nil && !b.twin.frozen {
		b.twin = nil
	}
}

// stop ends the process in good order.
func (b *box) stop() {
	w := b.w
	var errs []error
	w.crypto.src = b.m.crypto
	for _, st := range b.m.streams {
		errs = append(errs, st.set.Close())
		for _, a := range st.pending {
			if _, err := a.t.Wait(over); err == nil {
				nums := a.nums
				if a.msg != nil {
					a.msg.acked, nums = true, a.msg.nums
				}
				for _, n := range nums {
					w.acknowledgedAnywhere(n, b.lineage)
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		w.note("%s: stop: %v", b.name, err)
	}
	if b.disk.Stopped() {
		b.powerCut("while stopping")
		return
	}
	b.off()
	life := b.life
	w.after(w.next(2*time.Second), func() { b.ifLife(life, b.start) })
}

// freeze makes the shadow a snapshot of the machine as it is now.
func (b *box) freeze() {
	t := b.twin
	t.frozen = true
	t.lineage = b.w.fork(b.lineage)
	b.w.note("%s: snapshot of memory and disk taken", b.name)
}

// resume puts the snapshot in the place of the machine.
func (b *box) resume() {
	w := b.w
	t := b.twin
	w.hit("snapshot-resumed", "%s goes on from its snapshot", b.name)
	b.unheard()
	b.lineage.gone = true
	b.off()
	b.life++
	b.m, b.twin, b.disk, b.lineage = t, nil, t.disk, t.lineage
	t.shadow, t.frozen = false, false
	t.crypto = rand.NewChaCha8(seed32(w.rng.Uint64(), 8)) // the kernel mixes in what the hypervisor says of the resume
	t.random = rand.New(rand.NewPCG(w.rng.Uint64(), 3))   // and so the agent gives no nonce twice
	t.sender.Disconnected(time.Now(), nil)
	for _, st := range t.streams {
		t.scan(st)
	}
	life := b.life
	for i := range t.streams {
		w.after(w.next(w.cfg.produce), func() { b.ifLife(life, func() { b.produce(i, life) }) })
		b.plan(i, life)
		b.tidy(i, life)
	}
	w.after(w.next(time.Second), func() { b.ifLife(life, b.connect) })
}

// heal ends what is wrong with the box.
func (b *box) heal() {
	b.disk.SetCapacity(diskWhole)
	b.disk.LyingSync(false)
	b.disk.StopAfter(-1)
	b.lineage.full = false
	if b.twin != nil {
		b.twin.lineage.gone = b.twin.frozen || b.twin.lineage.gone
		b.twin = nil
	}
	if b.m != nil {
		b.m.fs.SetRules()
	}
	if b.conn != nil {
		b.conn.dead = false
	}
}

// quiet: everything that was appended is durable and delivered, by the word of an answer since the faults ended.
func (b *box) quiet() bool {
	if b.m == nil || b.conn == nil || b.hellos <= b.hellosThen || b.m.sender.Status().Phase != uplink.PhaseStreaming {
		return false
	}
	if time.Since(b.w.begin) < b.w.cfg.length+12*time.Second {
		return false
	}
	for _, st := range b.m.streams {
		if in := st.log.Info(); in.Delivered != in.End || in.Durable != in.End || len(st.pending) > 0 {
			return false
		}
	}
	return b.m.sender.Status().InFlight == 0
}

func (b *box) describe() string {
	if b.m == nil {
		return b.name + " is off"
	}
	s := fmt.Sprintf("%s connected %v %+v", b.name, b.conn != nil, b.m.sender.Status())
	for _, st := range b.m.streams {
		in := st.log.Info()
		s += fmt.Sprintf("; %s low %d delivered %d durable %d end %d, %s %s, %d pending, last failure %q", st.name, in.Low, in.Delivered, in.Durable, in.End, in.State, in.Error, len(st.pending), b.m.failed)
	}
	return s
}
