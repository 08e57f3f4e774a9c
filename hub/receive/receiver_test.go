package receive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

// rig is a receiver over a store in memory whose Commit does what fault says.
type rig struct {
	*receive.Receiver
	t     *testing.T
	store *memory.Store
	box   *box
	done  chan error
	mu    sync.Mutex // guards what follows
	fault memory.Fault
	acks  map[string][]*wire.Ack // by device
}

// run plays a test in a bubble of its own time.
func run(t *testing.T, o receive.Options, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, box: newBox(t), acks: map[string][]*wire.Ack{}, done: make(chan error, 1)}
		r.store = memory.New(func(op string) (error, error) {
			r.mu.Lock()
			f := r.fault
			r.mu.Unlock()
			if f != nil {
				return f(op)
			}
			return nil, nil
		})
		o.Store = r.store
		r.Receiver = receive.New(o)
		ctx, stop := context.WithCancel(context.Background())
		go func() { r.done <- r.Run(ctx) }()
		test(r)
		stop()
		if err := <-r.done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func (r *rig) handle(device string, m wire.Message) {
	r.Handle(device, m, func(a *wire.Ack) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.acks[device] = append(r.acks[device], a)
	})
}

// wait lets time pass and returns the acks that came for a device.
func (r *rig) wait(device string, d time.Duration) []*wire.Ack {
	time.Sleep(d)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.acks[device]
	r.acks[device] = nil
	return a
}

// fail sets what the store does from now on.
func (r *rig) fail(f memory.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *rig) hello(device string, n wire.Nonce, epochs ...*history) {
	h := &wire.Hello{Nonce: n, Parts: 1, Agent: "0.1"}
	for _, e := range epochs {
		h.Streams = append(h.Streams, wire.StreamState{Stream: e.stream, Epochs: []wire.EpochState{{Epoch: e.id, Parent: e.parent,
			ParentEnd: e.parentEnd, First: e.first, Low: e.first, End: e.end()}}})
	}
	r.handle(device, h)
}

// epoch is a history of n readings.
func (r *rig) epoch(id record.Epoch, stream string, n record.Offset) *history {
	h := r.box.epoch(id, stream, 0, 0, 0)
	h.extend(n, 0)
	return h
}

func (r *rig) data(h *history, from, to record.Offset) *wire.Data {
	return r.box.data(h, record.Range{From: from, To: to}, record.CodecColumns, 1)
}

func TestOneAckAndOneCommitForManyFrames(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		a, b := r.epoch(1, "telemetry", 30), r.epoch(2, "metrics", 3)
		for o := record.Offset(0); o < 30; o += 10 {
			r.handle("box", r.data(a, o, o+10))
		}
		r.handle("box", r.data(b, 0, 3))
		r.handle("crate", r.data(b, 0, 3))
		acks := r.wait("box", receive.MaxLinger)
		if len(acks) != 1 || len(acks[0].Positions) != 2 || acks[0].Positions[0].Next != 30 || acks[0].Positions[1].Next != 3 {
			t.Fatalf("acks: %+v", acks)
		}
		if len(r.wait("crate", 0)) != 1 || r.store.Commits() != 1 {
			t.Errorf("%d commits, want 1", r.store.Commits())
		}
		if p := acks[0].Positions[0]; !p.Known || p.ChainNext != a.chain(30) || p.Verdict != wire.VerdictOK || acks[0].Nonce != 1 || acks[0].Answer {
			t.Errorf("ack: %+v", acks[0])
		}
	})
}

func TestNoAckBeforeTheCommit(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		r.fail(func(op string) (error, error) {
			if op == "commit" {
				time.Sleep(3 * time.Second)
			}
			return nil, nil
		})
		r.handle("box", r.data(r.epoch(1, "telemetry", 5), 0, 5))
		if a := r.wait("box", 2900*time.Millisecond); len(a) != 0 {
			t.Errorf("acknowledged before it was committed: %+v", a[0])
		}
		if a := r.wait("box", time.Second); len(a) != 1 {
			t.Errorf("%d acks after the commit, want 1", len(a))
		}
	})
}

func TestStoreDown(t *testing.T) {
	for _, late := range []bool{false, true} {
		var down, up int
		o := receive.Options{Events: receive.Events{StoreDown: func(error) { down++ }, StoreUp: func(time.Duration) { up++ }}}
		run(t, o, func(r *rig) {
			fail := fmt.Errorf("%w: disk full", store.ErrUnavailable)
			r.fail(func(op string) (before, after error) {
				switch {
				case op == "commit" && late:
					return nil, fail // it took effect, and nobody knows
				case op == "commit":
					return fail, nil
				}
				return nil, nil
			})
			h := r.epoch(1, "telemetry", 5)
			r.handle("box", r.data(h, 0, 5))
			if a := r.wait("box", time.Minute); len(a) != 0 || r.Stats().StoreError == "" {
				t.Errorf("late %v: %d acks while the store is down, error %q", late, len(a), r.Stats().StoreError)
			}
			r.fail(nil)
			a := r.wait("box", time.Minute)
			if len(a) != 1 || a[0].Positions[0].Next != 5 || down != 1 || up != 1 || r.Stats().StoreError != "" {
				t.Errorf("late %v: %+v, down %d, up %d, error %q", late, a, down, up, r.Stats().StoreError)
			}
			if n := len(r.store.Rows("box", "telemetry", 1)); n != 5 {
				t.Errorf("late %v: %d rows, want 5", late, n)
			}
		})
	}
}

// TestAnswersReadTheStore: a store restored under a running hub must not be answered for from memory.
func TestAnswersReadTheStore(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		h := r.epoch(1, "telemetry", 8)
		r.handle("box", r.data(h, 0, 3))
		r.wait("box", time.Second)
		save := r.store.Backup()
		r.handle("box", r.data(h, 3, 8))
		r.wait("box", time.Second)
		r.store.Restore(save)
		r.hello("box", 2, h)
		a := r.wait("box", time.Second)
		if len(a) != 1 || !a[0].Answer || a[0].Positions[0].Next != 3 || a[0].Positions[0].ChainNext != h.chain(3) || a[0].HubTime == 0 {
			t.Fatalf("answer: %+v", a)
		}
		// the same for an ack of a frame that memory would call a duplicate
		r.handle("box", r.data(h, 3, 8))
		r.wait("box", time.Second)
		r.store.Restore(save)
		r.handle("box", r.data(h, 6, 8))
		a = r.wait("box", time.Second)
		if len(a) != 1 || a[0].Positions[0].Next != 3 || a[0].Positions[0].Verdict != wire.VerdictRewind {
			t.Fatalf("ack: %+v", a[0])
		}
		if r.Stats().Lost == 0 {
			t.Error("no compare-and-set was lost")
		}
	})
}

func TestAckNamesWhatHelps(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		p := r.epoch(1, "telemetry", 5)
		c := r.box.epoch(2, "telemetry", 1, 5, 5)
		c.extend(7, 0)
		r.handle("box", r.data(p, 0, 2))
		r.handle("box", r.data(c, 5, 7))
		a := r.wait("box", time.Second)
		if len(a) != 1 || len(a[0].Positions) != 2 {
			t.Fatalf("acks: %+v", a)
		}
		parent, child := a[0].Positions[0], a[0].Positions[1]
		if parent.Next != 2 || parent.Verdict != wire.VerdictRewind || child.Known || child.Next != 5 || child.Verdict != wire.VerdictWait || child.Parent != 1 {
			t.Errorf("wait: %+v", a[0])
		}
		// a verdict is for the frames that are still wanted: here the last frame has mended all
		r.handle("box", r.data(p, 3, 5))
		r.handle("box", r.data(p, 2, 5))
		a = r.wait("box", time.Second)
		if q := a[0].Positions[0]; q.Next != 5 || q.Verdict != wire.VerdictOK {
			t.Errorf("mended: %+v", q)
		}
		h := r.epoch(3, "events", 1)
		h.producers = []record.ProducerSpan{{ProducerPosition: record.ProducerPosition{Name: "npu", Incarnation: 1, Sequence: 1}, Range: record.Range{To: 1}}}
		g := r.epoch(4, "events", 1)
		g.producers = h.producers
		r.handle("box", r.data(h, 0, 1))
		r.handle("box", r.data(g, 0, 1))
		a = r.wait("box", time.Second)
		if s := a[0].Positions[1].Skipped; len(s) != 1 || s[0].Reason != receive.SkipRepeat {
			t.Errorf("skipped: %+v", a[0].Positions)
		}
	})
}

// TestOrphan: a hub that is new to an old box, which has long forgotten the parent of its oldest epoch.
func TestOrphan(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		c := r.box.epoch(2, "telemetry", 1, 5, 5)
		c.extend(7, 0)
		r.handle("box", r.data(c, 5, 7))
		if a := r.wait("box", time.Second); a[0].Positions[0].Verdict != wire.VerdictWait {
			t.Errorf("before the hello: %+v", a[0])
		}
		r.hello("box", 1, c)
		r.handle("box", r.data(c, 5, 7))
		a := r.wait("box", time.Second)
		if len(a) != 2 {
			t.Fatalf("%d acks", len(a))
		}
		r.handle("box", r.data(c, 5, 7)) // frames may overtake the answer's round
		a = r.wait("box", time.Second)
		if p := a[0].Positions[0]; !p.Known || p.Next != 7 || p.Verdict != wire.VerdictOK {
			t.Errorf("after the hello: %+v", p)
		}
	})
}

// TestGapsAreToldToThoseWhoHoldThem: not to the one that stated the gap; to a copy that holds the records with each ack, any
// of which may be lost, also after an answer: the agent may have taken another hub's, from before the gap.
func TestGapsAreToldToThoseWhoHoldThem(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		h := r.epoch(1, "telemetry", 8)
		r.hello("box", 1, h)
		r.hello("box", 2, h)
		r.wait("box", time.Second)
		frame := func(n wire.Nonce, f wire.Frame) []record.Gap {
			f.Header().Nonce = n
			r.handle("box", f)
			a := r.wait("box", time.Second)
			if len(a) != 1 || a[0].Nonce != n {
				t.Fatalf("acks: %+v", a)
			}
			return a[0].Positions[0].Gaps
		}
		if g := frame(1, r.box.gap(h, record.Range{To: 3}, record.ReasonCorrupt, 1)); len(g) != 0 {
			t.Errorf("the one that stated it is told of %+v", g)
		}
		if g := frame(2, r.data(h, 3, 5)); len(g) != 1 || g[0].To != 3 || g[0].ChainTo != h.chain(3) {
			t.Errorf("a copy is told of %+v", g)
		}
		if g := frame(2, r.data(h, 5, 6)); len(g) != 1 || g[0].To != 3 {
			t.Errorf("if that ack is lost, the next one tells of %+v", g)
		}
		if g := frame(2, r.data(h, 0, 2)); len(g) != 1 || g[0].From != 2 {
			t.Errorf("after a fill it is told of %+v", g)
		}
		r.hello("box", 3, h)
		if a := r.wait("box", time.Second); len(a[0].Positions[0].Gaps) != 1 {
			t.Errorf("an answer tells of %+v", a[0].Positions[0].Gaps)
		}
		if g := frame(3, r.data(h, 6, 7)); len(g) != 1 || g[0].From != 2 {
			t.Errorf("after the answer it is told of %+v", g)
		}
		if g := frame(1, r.box.gap(h, record.Range{From: 7, To: 8}, record.ReasonRetention, 1)); len(g) != 1 || g[0].From != 2 {
			t.Errorf("one whose answer did not tell it is told of %+v", g)
		}
		r.hello("box", 3, h)
		r.wait("box", time.Second)
		if g := frame(3, r.data(h, 6, 7)); len(g) != 2 || g[0].From != 2 || g[1].From != 7 {
			t.Errorf("with a gap of after its first answer it is told of %+v", g)
		}
	})
}

// TestGapsAboveTheHelloAreTold: an agent's log grows beyond what its hello has told. A gap that a copy has put there is told
// with the ack of frames from above it: without that the agent would count as delivered what no hub has (A2).
func TestGapsAboveTheHelloAreTold(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		h := r.epoch(1, "telemetry", 8)
		r.hello("box", 1, h)
		r.hello("box", 2, h)
		h.extend(12, 0)
		r.handle("box", r.data(h, 0, 8))
		r.handle("box", r.box.gap(h, record.Range{From: 8, To: 11}, record.ReasonRetention, 2))
		r.wait("box", time.Second)
		r.handle("box", r.data(h, 10, 12)) // of [8, 10) the frame was lost
		a := r.wait("box", time.Second)
		if len(a) != 1 || a[0].Positions[0].Next != 12 {
			t.Fatalf("acks: %+v", a)
		}
		if g := a[0].Positions[0].Gaps; len(g) != 1 || g[0].Range != (record.Range{From: 8, To: 11}) {
			t.Errorf("it is told of %+v", g)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	dropped := 0
	o := receive.Options{QueueBytes: 64 << 10, Events: receive.Events{Dropped: func(_ string, n int) { dropped += n }}}
	run(t, o, func(r *rig) {
		r.fail(func(op string) (error, error) {
			if op == "commit" {
				time.Sleep(time.Hour)
			}
			return nil, nil
		})
		h := r.epoch(1, "telemetry", 200)
		r.handle("box", r.data(h, 0, 1))
		r.wait("box", time.Second)
		for range 2000 {
			r.handle("box", r.data(h, 1, 2))
		}
		r.hello("box", 2, h)
		s := r.Stats()
		if s.QueueBytes > 64<<10+64<<7 || s.QueueItems < 100 {
			t.Errorf("%d bytes, %d items queued", s.QueueBytes, s.QueueItems)
		}
		r.fail(nil)
		a := r.wait("box", 2*time.Hour)
		answered := slices.ContainsFunc(a, func(a *wire.Ack) bool { return a.Answer })
		if !answered || dropped == 0 || r.Stats().QueueBytes != 0 {
			t.Errorf("answered %v, dropped %d, %d bytes left", answered, dropped, r.Stats().QueueBytes)
		}
	})
}

func TestCreditIsSharedAndPassedOn(t *testing.T) {
	const budget, devices = 1 << 20, 100 // room for 32 at a time
	run(t, receive.Options{CreditBytes: budget, QueueBytes: budget, Messages: 32}, func(r *rig) {
		credit, turns := map[string]uint32{}, map[string]int{}
		look := func() {
			sum := 0
			for i := range devices {
				name := fmt.Sprint("box", i)
				for _, a := range r.wait(name, 0) {
					if credit[name] == 0 && a.Credit > 0 {
						turns[name]++
					}
					credit[name] = a.Credit
				}
				sum += int(credit[name])
			}
			if sum > budget {
				t.Errorf("%d bytes of credit are given, the budget is %d", sum, budget)
			}
		}
		for i := range devices {
			r.hello(fmt.Sprint("box", i), 1, r.epoch(record.Epoch(i+1), "telemetry", 1))
			r.wait("", 10*time.Millisecond)
			look()
		}
		for range 200 {
			r.wait("", 100*time.Millisecond)
			look()
		}
		for i := range devices {
			if n := turns[fmt.Sprint("box", i)]; n < 2 {
				t.Errorf("box%d had %d turns: whoever gives a credit back waits for the next", i, n)
			}
		}
		r.Online("box1", false)
		r.wait("", time.Second)
		if d := r.Devices(); len(d) != devices || d[0].Agent != "0.1" || d[0].Behind != 1 {
			t.Errorf("devices: %d, %+v", len(d), d[0])
		}
	})
}

func TestHostileAndNotices(t *testing.T) {
	var notices []string
	o := receive.Options{Events: receive.Events{Notice: func(d, text string) { notices = append(notices, d+": "+text) }}}
	run(t, o, func(r *rig) {
		r.handle("box", &wire.Ack{})
		r.Hostile("")
		if s := r.Stats(); s.Hostile != 2 {
			t.Errorf("hostile %d, want 2", s.Hostile)
		}
		h := r.epoch(1, "telemetry", 4)
		r.handle("box", r.data(h, 0, 2))
		r.wait("box", time.Second)
		h.recs = h.recs[:0]
		h.extend(4, 7)
		r.handle("box", r.data(h, 2, 4))
		a := r.wait("box", time.Second)
		want := "conflict telemetry 0000000000000001"
		if len(a) != 1 || !slices.Contains(a[0].Notices, want) || a[0].Positions[0].Verdict != wire.VerdictConflict || len(notices) != 1 {
			t.Errorf("acks %+v, notices %q", a, notices)
		}
		r.hello("box", 2, h)
		if a = r.wait("box", time.Second); a[0].Positions[0].Verdict != wire.VerdictConflict || !slices.Contains(a[0].Notices, want) {
			t.Errorf("answer %+v", a[0])
		}
	})
}

func TestUnexpectedErrorsAreTriedAgainToo(t *testing.T) {
	run(t, receive.Options{}, func(r *rig) {
		n := 0
		r.fail(func(string) (error, error) {
			if n++; n < 6 {
				return errors.New("no such table"), nil
			}
			return nil, nil
		})
		r.hello("box", 1, r.epoch(1, "telemetry", 1))
		if a := r.wait("box", time.Minute); len(a) != 1 {
			t.Errorf("%d answers", len(a))
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []record.Offset{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := newBox(b)
			h := x.epoch(1, "telemetry", 0, 0, 0)
			h.extend(n, 0)
			f := x.data(h, record.Range{To: n}, record.CodecColumns, 1)
			v := receive.NewView("box", store.DeviceState{})
			dec := receive.NewBodies()
			b.ReportAllocs()
			for b.Loop() {
				dec.Reset()
				v.Reset(store.DeviceState{})
				if d := v.Decide(f, dec); d.Outcome != receive.Taken {
					b.Fatal(d.Outcome)
				}
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
