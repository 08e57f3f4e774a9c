package receive_test

import (
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
)

// owner is what a hub believes about its devices.
type owner struct {
	mu     sync.Mutex // guards what follows
	fence  store.Fence
	mine   bool
	fenced int
}

func (o *owner) Fence(string) (store.Fence, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fence, o.mine
}

func (o *owner) Fenced(store.Fence) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fenced++
}

func (o *owner) set(f store.Fence, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fence, o.mine = f, mine
}

// take gives the lease to somebody in the store itself.
func (r *rig) take(prev store.Lease, owner string) store.Lease {
	r.t.Helper()
	now, ok, err := r.store.SwapLease(r.t.Context(), prev, prev.TakenBy("shard/0/1", owner, "", time.Second))
	if err != nil || !ok {
		r.t.Fatal(now, ok, err)
	}
	return now
}

// TestFencedHubIsSilent: a hub whose lease another one has commits nothing and says nothing, and goes on where the
// other one left off when it has a lease again.
func TestFencedHubIsSilent(t *testing.T) {
	o := &owner{}
	run(t, receive.Options{Owner: o}, func(r *rig) {
		h := r.epoch(1, "telemetry", 100)
		r.hello("box", 5, h)
		if a := r.wait("box", time.Second); len(a) != 0 {
			t.Fatalf("a hub answers a device that is not its own: %+v", a)
		}
		first := r.take(store.Lease{}, "a")
		o.set(first.Fence(), true)
		r.hello("box", 5, h)
		r.handle("box", r.data(h, 0, 10))
		if a := r.wait("box", time.Second); len(a) != 2 || a[1].Positions[0].Next != 10 {
			t.Fatalf("its own device gets %+v", a)
		}
		if _, _, credit := r.Heard(); credit == 0 {
			t.Error("the device has no credit")
		}

		second := r.take(first, "b") // and this hub does not know it yet
		r.handle("box", r.data(h, 10, 20))
		if a := r.wait("box", time.Second); len(a) != 0 {
			t.Errorf("a hub without the lease says %+v", a)
		}
		if s := r.Stats(); s.Fenced != 1 || o.fenced != 1 || s.Rows != 10 || s.CreditGiven != 0 {
			t.Errorf("fenced %d, told %d, rows %d, credit %d", s.Fenced, o.fenced, s.Rows, s.CreditGiven)
		}
		if n := len(r.store.Rows("box", "telemetry", 1)); n != 10 {
			t.Errorf("%d rows, want 10", n)
		}
		o.set(store.Fence{}, false)
		r.handle("box", r.data(h, 10, 20))
		if a := r.wait("box", time.Second); len(a) != 0 || r.Stats().Foreign != 2 {
			t.Errorf("not its own any more: %+v, %d foreign", a, r.Stats().Foreign)
		}
		if d := r.Devices(); len(d) != 0 {
			t.Errorf("it lists %+v", d)
		}

		third := r.take(second, "a")
		o.set(third.Fence(), true)
		r.handle("box", r.data(h, 10, 20))
		if a := r.wait("box", time.Second); len(a) != 1 || a[0].Positions[0].Next != 20 {
			t.Errorf("its own again: %+v", a)
		}
	})
}

// TestDisownedWhileQueued: a device that changes hands while its frames wait is neither committed nor answered.
func TestDisownedWhileQueued(t *testing.T) {
	o := &owner{}
	run(t, receive.Options{Owner: o, Linger: receive.MaxLinger}, func(r *rig) {
		h := r.epoch(1, "telemetry", 100)
		l := r.take(store.Lease{}, "a")
		o.set(l.Fence(), true)
		r.hello("box", 5, h)
		r.wait("box", time.Second)
		r.handle("box", r.data(h, 0, 10))
		o.set(store.Fence{}, false)
		r.hello("other", 6, h)
		if a := r.wait("box", time.Second); len(a) != 0 || r.store.Commits() != 0 {
			t.Errorf("acks %+v, %d commits", a, r.store.Commits())
		}
		// the credit of a quiet device that changed hands is free again
		o.set(l.Fence(), true)
		r.hello("box", 7, h)
		r.wait("box", time.Second)
		if r.Stats().CreditGiven == 0 {
			t.Fatal("no credit was given")
		}
		o.set(store.Fence{}, false)
		r.wait("box", time.Second)
		if n := r.Stats().CreditGiven; n != 0 {
			t.Errorf("%d bytes of credit are still out", n)
		}
	})
}
