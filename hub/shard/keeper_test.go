package shard_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/hub/shard"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 8 * time.Second

var errDown = errors.New("the store does not answer")

// hub is a keeper with its own way to the common store, which can be cut.
type hub struct {
	*shard.Keeper
	name   string
	store  store.Leases
	cut    atomic.Bool
	frozen atomic.Bool // its goroutine stands still in the store
	late   atomic.Bool // what it writes stands still on the way
	stop   context.CancelFunc
	done   chan error
	gained []int
}

func (h *hub) Leases(ctx context.Context, prefix string) ([]store.Lease, error) {
	if err := h.way(ctx); err != nil {
		return nil, err
	}
	return h.store.Leases(ctx, prefix)
}

func (h *hub) SwapLease(ctx context.Context, prev, next store.Lease) (store.Lease, bool, error) {
	if err := h.way(ctx); err != nil {
		return store.Lease{}, false, err
	}
	for h.late.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	l, ok, err := h.store.SwapLease(ctx, prev, next)
	if h.cut.Load() { // it may have been written, and nobody knows
		return store.Lease{}, false, errDown
	}
	return l, ok, err
}

func (h *hub) way(ctx context.Context) error {
	for h.frozen.Load() {
		time.Sleep(time.Second)
	}
	if h.cut.Load() {
		return errDown
	}
	return ctx.Err()
}

func start(t *testing.T, s store.Leases, name string, shards int) *hub {
	t.Helper()
	h := &hub{name: name, store: s, done: make(chan error, 1)}
	var err error
	h.Keeper, err = shard.New(shard.Options{Store: h, Name: name, Note: "test", Shards: shards, TTL: ttl,
		Events: shard.Events{Changed: func(gained, lost []int) { h.gained = append(h.gained, gained...) }}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() { h.done <- h.Run(ctx) }()
	return h
}

func (h *hub) end(t *testing.T) {
	t.Helper()
	h.stop()
	if err := <-h.done; err != nil {
		t.Errorf("%s: %v", h.name, err)
	}
}

// kill ends it without a good-bye.
func (h *hub) kill(t *testing.T) { h.cut.Store(true); h.end(t) }

func (h *hub) holds() (out []int) {
	for i := range h.Shards() {
		if h.Holds(i) {
			out = append(out, i)
		}
	}
	return out
}

// apart fails if two hubs act for one shard, and returns how many shards have a hub.
func apart(t *testing.T, hubs ...*hub) (served int) {
	t.Helper()
	synctest.Wait() // a hand-over in the middle of the look would be seen on both sides
	of := map[int]string{}
	for _, h := range hubs {
		for _, i := range h.holds() {
			if of[i] != "" {
				t.Fatalf("%s and %s both act for shard %d", of[i], h.name, i)
			}
			of[i] = h.name
		}
	}
	return len(of)
}

// settle lets time pass until it is as wanted, looking all the time whether two act for one shard.
func settle(t *testing.T, limit time.Duration, what string, ok func() bool, hubs ...*hub) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			for _, h := range hubs {
				t.Logf("%s: %v", h.name, h.holds())
			}
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
		apart(t, hubs...)
	}
	return time.Since(began)
}

func counts(hubs ...*hub) (n []int) {
	for _, h := range hubs {
		n = append(n, len(h.holds()))
	}
	return n
}

func TestOneJoinsLeavesAndDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a := start(t, s, "a", 16)
		settle(t, time.Second, "one hub has all", func() bool { return len(a.holds()) == 16 }, a)
		b := start(t, s, "b", 16)
		settle(t, ttl, "two share", func() bool { return slices.Equal(counts(a, b), []int{8, 8}) }, a, b)
		kept := a.holds()
		c := start(t, s, "c", 16)
		settle(t, 2*ttl, "three share", func() bool { return slices.Equal(counts(a, b, c), []int{6, 5, 5}) }, a, b, c)
		for _, i := range a.holds() {
			if !slices.Contains(kept, i) {
				t.Errorf("shard %d went to a although it had too many", i)
			}
		}
		// One that leaves in order is replaced at the next look, one that dies after its lease.
		b.end(t)
		took := settle(t, ttl/2, "two share again", func() bool { return slices.Equal(counts(a, c), []int{8, 8}) }, a, b, c)
		t.Logf("after a good-bye: %v", took)
		c.kill(t)
		took = settle(t, ttl+ttl/2, "one has all again", func() bool { return len(a.holds()) == 16 }, a)
		t.Logf("after a kill: %v of a lease of %v", took, ttl)
		if took < ttl/2 {
			t.Errorf("a hub was given up for dead after %v", took)
		}
		a.end(t)
		if n := len(a.holds()); n != 0 {
			t.Errorf("a hub that has ended holds %d shards", n)
		}
	})
}

// TestFrozen: a hub that stands still stops acting before others take its shards, and its number is worth nothing then.
func TestFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a, b := start(t, s, "a", 4), start(t, s, "b", 4)
		settle(t, 2*ttl, "two share", func() bool { return slices.Equal(counts(a, b), []int{2, 2}) }, a, b)
		var device string
		for i := 0; device == ""; i++ {
			if d := fmt.Sprint("box-", i); a.Holds(shard.Of(d, 4)) {
				device = d
			}
		}
		fence, mine := a.Fence(device)
		if !mine {
			t.Fatal("the device is not a's")
		}
		a.frozen.Store(true)
		settle(t, ttl+ttl/2, "b has all", func() bool { return len(b.holds()) == 4 }, a, b)
		if _, mine := a.Fence(device); mine {
			t.Error("a hub that stood still for a whole lease still acts")
		}
		change := []store.Change{{Device: device, Stream: "telemetry", Epoch: 1, Create: true, Fence: fence,
			To: 0, From: 0}}
		if r, err := s.Commit(t.Context(), change); err != nil || !r[0].Fenced {
			t.Errorf("what it had under way: %+v, %v", r, err)
		}
		a.frozen.Store(false)
		settle(t, 2*ttl, "two share again", func() bool { return slices.Equal(counts(a, b), []int{2, 2}) }, a, b)
		now, mine := a.Fence(device)
		if mine && now.Number <= fence.Number {
			t.Errorf("the fence did not rise: %d, then %d", fence.Number, now.Number)
		}
		a.end(t)
		b.end(t)
	})
}

func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a := start(t, s, "a", 4)
		settle(t, time.Second, "all", func() bool { return len(a.holds()) == 4 }, a)
		a.cut.Store(true)
		settle(t, ttl, "nothing is held without the store", func() bool { return len(a.holds()) == 0 }, a)
		if err := a.Err(); !errors.Is(err, errDown) {
			t.Errorf("why: %v", err)
		}
		a.cut.Store(false)
		settle(t, ttl, "all again", func() bool { return len(a.holds()) == 4 }, a)
		if err := a.Err(); err != nil {
			t.Errorf("it holds all, and says %v", err)
		}
		a.end(t)
	})
}

func TestMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a := start(t, s, "a", 16)
		settle(t, time.Second, "all", func() bool { return len(a.holds()) == 16 }, a)
		twin := start(t, s, "a", 16)
		if err := <-twin.done; !errors.Is(err, shard.ErrName) {
			t.Errorf("a second hub of one name: %v", err)
		}
		other := start(t, s, "b", 8)
		if err := <-other.done; !errors.Is(err, shard.ErrShards) {
			t.Errorf("a hub with another number of shards: %v", err)
		}
		if n := len(a.holds()); n != 16 {
			t.Errorf("the first one holds %d", n)
		}
		// Killed and started again at once, it waits for its own earlier lease and then goes on.
		a.kill(t)
		again := start(t, s, "a", 16)
		took := settle(t, ttl+ttl/2, "all again", func() bool { return len(again.holds()) == 16 }, again)
		t.Logf("a restart after a kill takes %v", took)
		again.end(t)
		// After a clean end nobody waits.
		third := start(t, s, "a", 16)
		settle(t, time.Second, "all at once", func() bool { return len(third.holds()) == 16 }, third)
		third.end(t)
	})
	for _, o := range []shard.Options{{Name: "a"}, {Store: memory.New(nil)}, {Store: memory.New(nil), Name: "a b"},
		{Store: memory.New(nil), Name: "a", Shards: 5000}, {Store: memory.New(nil), Name: "a", TTL: time.Hour}} {
		if _, err := shard.New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// TestRandomFaults: hubs die, freeze, lose the store and come back at random; at no time do two act for one shard, and
// when the faults end everything is served again, evenly.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			s := memory.New(nil)
			hubs := make([]*hub, 4)
			for i := range hubs {
				hubs[i] = start(t, s, fmt.Sprint("hub-", i), 16)
			}
			for range 120 {
				i := rng.IntN(len(hubs))
				switch h := hubs[i]; rng.IntN(5) {
				case 0:
					if h.frozen.Load() { // it could not end
						break
					}
					h.kill(t)
					hubs[i] = start(t, s, h.name, 16)
				case 1:
					h.cut.Store(!h.cut.Load())
				case 2:
					h.frozen.Store(!h.frozen.Load())
				}
				for range rng.IntN(60) {
					time.Sleep(100 * time.Millisecond)
					apart(t, hubs...)
				}
			}
			for _, h := range hubs {
				h.cut.Store(false)
				h.frozen.Store(false)
			}
			settle(t, 5*ttl, fmt.Sprintf("seed %d: all serve evenly", seed), func() bool {
				return slices.Equal(counts(hubs...), []int{4, 4, 4, 4})
			}, hubs...)
			for _, h := range hubs {
				h.end(t)
			}
		})
	}
}

// TestOf: the hash is a part of the contract between versions.
func TestOf(t *testing.T) {
	for device, want := range map[string]int{"box-1": 4, "box-17": 9, "gërät": 11, "": 5} {
		if got := shard.Of(device, 16); got != want {
			t.Errorf("Of(%q, 16) = %d, want %d", device, got, want)
		}
	}
	n := make([]int, 16)
	for i := range 16000 {
		n[shard.Of(fmt.Sprintf("box-%05d", i), 16)]++
	}
	for i, c := range n {
		if c < 800 || c > 1200 {
			t.Errorf("shard %d has %d of 16,000 devices", i, c)
		}
	}
}

func TestOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a, b := start(t, s, "a", 4), start(t, s, "b", 4)
		settle(t, 2*ttl, "two share", func() bool { return slices.Equal(counts(a, b), []int{2, 2}) }, a, b)
		time.Sleep(ttl)
		o := a.Owners()
		if len(o) != 2 || o[0].Hub != "a" || !o[0].Member || len(o[0].Shards) != 2 || o[1].Hub != "b" || o[1].Note != "test" {
			t.Errorf("owners: %+v", o)
		}
		b.end(t)
		l, err := s.Leases(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range shard.Owners(l) { // whether a has its shards already is a matter of who ran first
			if o.Hub == "b" && o.Member {
				t.Errorf("b has left: %+v", o)
			}
		}
		a.end(t)
	})
}

// TestLateBeat: a beat that was written only after the others had given the hub up revives its membership, not its hold
// on shards that they have taken meanwhile.
func TestLateBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		a, b := start(t, s, "a", 4), start(t, s, "b", 4)
		settle(t, 2*ttl, "two share", func() bool { return slices.Equal(counts(a, b), []int{2, 2}) }, a, b)
		for i := range 40 {
			a.late.Store(true) // its next beat stands still on the way to the store
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				apart(t, a, b)
			}
			for end := time.Now().Add(ttl*3/4 + ttl*time.Duration(i)/160); time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
				apart(t, a, b)
			}
			a.late.Store(false)
			for range 400 {
				time.Sleep(50 * time.Millisecond)
				apart(t, a, b)
			}
		}
		a.end(t)
		b.end(t)
	})
}
