package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// RunLeases runs what several hubs that share one store rely on. open makes two stores over the same, empty contents,
// as two hubs have them; they may be one and the same. The suite closes both.
func RunLeases(t *testing.T, open func(t *testing.T) (a, b store.Store)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, a, b store.Store)
	}{
		{"swap", testSwap},
		{"refused", testSwapRefused},
		{"race", testLeaseRace},
		{"fence", testFence},
		{"fences of one commit", testFences},
		{"zombie", testZombie},
	} {
		t.Run("leases/"+c.name, func(t *testing.T) {
			a, b := open(t)
			defer func() {
				closeStore(t, a)
				if b != a {
					closeStore(t, b)
				}
			}()
			c.test(t, a, b)
		})
	}
}

func leases(t *testing.T, s store.Store) store.Leases {
	t.Helper()
	l, ok := s.(store.Leases)
	if !ok {
		t.Fatalf("%T keeps no leases", s)
	}
	return l
}

// swap must succeed.
func swap(t *testing.T, s store.Store, prev, next store.Lease) store.Lease {
	t.Helper()
	now, ok, err := leases(t, s).SwapLease(context.Background(), prev, next)
	if err != nil || !ok || now != next {
		t.Fatalf("swap to %+v: %+v, %v, %v", next, now, ok, err)
	}
	return now
}

func stored(t *testing.T, s store.Store, prefix string) []store.Lease {
	t.Helper()
	l, err := leases(t, s).Leases(context.Background(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const leaseTTL = 1500 * time.Millisecond

func testSwap(t *testing.T, a, b store.Store) {
	if l := stored(t, a, ""); len(l) != 0 {
		t.Fatalf("a new store has leases %+v", l)
	}
	var none store.Lease
	first := swap(t, a, none, none.TakenBy("shard/3", "hub-a", "host 17, pid 3", leaseTTL))
	if first.Number != 1 || first.Beat != 0 {
		t.Errorf("first lease: %+v", first)
	}
	// who thinks that there is none has lost, and hears of the other
	if now, ok, err := leases(t, b).SwapLease(context.Background(), none, none.TakenBy("shard/3", "hub-b", "", leaseTTL)); err != nil || ok || now != first {
		t.Fatalf("a swap of what is not there any more: %+v, %v, %v", now, ok, err)
	}
	second := swap(t, a, first, first.Renewed())
	if _, ok, _ := leases(t, b).SwapLease(context.Background(), first, first.TakenBy("shard/3", "hub-b", "", leaseTTL)); ok {
		t.Error("a lease was taken although it had been renewed since it was read")
	}
	third := swap(t, b, second, second.TakenBy("shard/3", "hub-b", "grüße", leaseTTL))
	if _, ok, _ := leases(t, a).SwapLease(context.Background(), second, second.Renewed()); ok {
		t.Error("a lease was renewed although another hub holds it")
	}
	freed := swap(t, b, third, third.Released())
	if freed.Owner != "" || freed.Number != 3 {
		t.Errorf("released: %+v", freed)
	}
	other := swap(t, b, none, none.TakenBy("hub/b", "hub-b", "", leaseTTL))
	swap(t, b, none, none.TakenBy("shard/12", "hub-b", "", leaseTTL))
	for prefix, want := range map[string]int{"": 3, "shard/": 2, "shard/3": 1, "hub/": 1, "x": 0, "%": 0} {
		if l := stored(t, a, prefix); len(l) != want {
			t.Errorf("prefix %q: %+v, want %d", prefix, l, want)
		}
	}
	if l := stored(t, a, ""); l[0] != other || l[1].Name != "shard/12" || l[2] != freed {
		t.Errorf("all leases: %+v", l)
	}
}

func testSwapRefused(t *testing.T, a, _ store.Store) {
	var none store.Lease
	good := none.TakenBy("shard/1", "hub-a", "", leaseTTL)
	for what, next := range map[string]store.Lease{
		"no name":          none.TakenBy("", "hub-a", "", leaseTTL),
		"a space":          none.TakenBy("shard 1", "hub-a", "", leaseTTL),
		"no TTL":           none.TakenBy("shard/1", "hub-a", "", 0),
		"no number raised": {Name: "shard/1", Owner: "hub-a", TTL: leaseTTL},
	} {
		if _, ok, err := leases(t, a).SwapLease(context.Background(), none, next); ok || !errors.Is(err, store.ErrLease) {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	l := swap(t, a, none, good)
	if _, ok, err := leases(t, a).SwapLease(context.Background(), l, l); ok || !errors.Is(err, store.ErrLease) {
		t.Errorf("nothing rises: %v, %v", ok, err)
	}
}

// testLeaseRace: of those who want one lease one gets it, each time.
func testLeaseRace(t *testing.T, a, b store.Store) {
	var prev store.Lease
	for round := range 20 {
		var winners atomic.Int32
		var wg sync.WaitGroup
		for i := range 6 {
			s := []store.Store{a, b}[i%2]
			wg.Go(func() {
				_, ok, err := leases(t, s).SwapLease(context.Background(), prev, prev.TakenBy("shard/0", fmt.Sprint("hub-", i, "-", round), "", leaseTTL))
				if err != nil {
					t.Error(err)
				}
				if ok {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if n := winners.Load(); n != 1 {
			t.Fatalf("round %d: %d hubs hold the lease", round, n)
		}
		prev = stored(t, b, "shard/0")[0]
	}
}

// fenced must be refused because of its fence, and change nothing.
func fenced(t *testing.T, s store.Store, c store.Change) {
	t.Helper()
	before := state(t, s, c.Device)
	if r := commit(t, s, c)[0]; r.Applied || !r.Fenced {
		t.Fatalf("a change under %+v: %+v, want it fenced", c.Fence, r)
	}
	same(t, state(t, s, c.Device), before)
}

func testFence(t *testing.T, a, b store.Store) {
	var none store.Lease
	l := swap(t, a, none, none.TakenBy("shard/3", "hub-a", "", leaseTTL))
	h := newHistory("box", "telemetry", 1)
	under := func(c store.Change, f store.Fence) store.Change { c.Fence = f; return c }
	apply(t, a, under(h.create(3), l.Fence()))
	l = swap(t, a, l, l.Renewed()) // a beat does not change the fence
	apply(t, a, under(h.rows(2), l.Fence()))
	apply(t, a, under(h.at(), l.Fence()))
	now := *h
	for _, f := range []store.Fence{
		{Lease: "shard/3", Number: l.Number + 1}, {Lease: "shard/3", Number: l.Number - 1}, {Lease: "shard/4"},
		{Lease: "shard/4", Number: l.Number}, {Number: 1},
	} {
		fenced(t, a, under(h.at(), f)) // a read-back says nothing either
		next := now
		fenced(t, a, under(next.rows(2), f))
	}
	taken := swap(t, b, l, l.TakenBy("shard/3", "hub-b", "", leaseTTL))
	next := now
	fenced(t, a, under(next.rows(2), l.Fence()))
	apply(t, b, under(h.rows(2), taken.Fence()))
	now = *h
	freed := swap(t, b, taken, taken.Released())
	fenced(t, b, under(now.rows(1), taken.Fence()))
	again := swap(t, a, freed, freed.TakenBy("shard/3", "hub-a", "", leaseTTL))
	apply(t, a, under(h.rows(1), again.Fence()))
	apply(t, a, h.rows(1)) // without a fence, as a hub alone writes
}

// testFences: the changes of one commit stand each under its own lease.
func testFences(t *testing.T, a, b store.Store) {
	var none store.Lease
	mine := swap(t, a, none, none.TakenBy("shard/1", "hub-a", "", leaseTTL))
	lost := swap(t, a, none, none.TakenBy("shard/2", "hub-a", "", leaseTTL))
	swap(t, b, lost, lost.TakenBy("shard/2", "hub-b", "", leaseTTL))
	var changes []store.Change
	for i, f := range []store.Fence{mine.Fence(), lost.Fence(), {}, mine.Fence(), lost.Fence()} {
		c := newHistory(fmt.Sprint("box", i), "telemetry", 1).create(2)
		c.Fence = f
		changes = append(changes, c)
	}
	for i, r := range commit(t, a, changes...) {
		if want := i != 1 && i != 4; r.Applied != want || r.Fenced == want {
			t.Errorf("change %d: %+v, want applied %v", i, r, want)
		}
		if n := len(state(t, b, fmt.Sprint("box", i)).Positions); (n == 1) != (i != 1 && i != 4) {
			t.Errorf("change %d: %d positions", i, n)
		}
	}
}

// testZombie: a hub that lost its lease while it worked commits nothing from then on, whatever it tries.
func testZombie(t *testing.T, a, b store.Store) {
	var none store.Lease
	l := swap(t, a, none, none.TakenBy("shard/0", "hub-a", "", leaseTTL))
	h := newHistory("box", "telemetry", 1)
	c := h.create(1)
	c.Fence = l.Fence()
	apply(t, a, c)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var late atomic.Uint64 // the position that the zombie wrote last
	wg.Go(func() {
		z := *h
		for {
			select {
			case <-stop:
				return
			default:
			}
			c := z.rows(1)
			c.Fence = l.Fence()
			r, err := a.Commit(context.Background(), []store.Change{c})
			if err != nil {
				t.Error(err)
				return
			}
			if r[0].Fenced {
				z = *h // and again, for ever
				continue
			}
			late.Store(uint64(c.To))
		}
	})
	for late.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	swap(t, b, stored(t, b, "shard/0")[0], l.TakenBy("shard/0", "hub-b", "", leaseTTL))
	at := position(t, b, "box", 1).Next
	time.Sleep(20 * time.Millisecond)
	close(stop)
	wg.Wait()
	if p := position(t, b, "box", 1); p.Next != at || uint64(at) != late.Load() {
		t.Errorf("at the takeover the position was %d, now it is %d; the zombie says %d", at, p.Next, late.Load())
	}
}
