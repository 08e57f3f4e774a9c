package stores

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

var (
	rounds = flag.Int("rounds", 4, "faults in each campaign")
	seed   = flag.Uint64("seed", 0, "seed of the faults; 0 picks one and prints it")
)

// device is what a box holds: its records follow from their offsets, so it can send any of them again.
type device struct {
	name   string
	epoch  record.Epoch
	chains []uint64 // chain(o)
	next   record.Offset
	acked  record.Offset // the store said so without an error
	known  bool          // the store has the epoch
}

func newDevice(i int) *device {
	return &device{name: fmt.Sprintf("box-%02d", i), epoch: record.Epoch(0xe000 + i), chains: []uint64{0}}
}

func reading(o record.Offset) record.Record {
	return record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Time: 1e18 + int64(o)*1e6, Type: record.TypeInt, Num: int64(o) * 3, Series: 1}
}

// change is the next n records.
func (d *device) change(n int) store.Change {
	c := store.Change{Device: d.name, Stream: "telemetry", Epoch: d.epoch, From: d.next, RowBase: d.next, To: d.next + record.Offset(n), Create: !d.known}
	for o := d.next; o < c.To; o++ {
		r := reading(o)
		c.Rows = append(c.Rows, r)
		if int(o)+1 == len(d.chains) {
			d.chains = append(d.chains, record.Mix(d.chains[o], r.Digest()))
		}
	}
	c.FromChain, c.ToChain = d.chains[c.From], d.chains[c.To]
	c.Definitions = []record.Definition{{ID: 1, Series: record.Series{Name: "count", Labels: []record.Label{{Key: "box", Value: d.name}}, Type: record.TypeInt}}}
	return c
}

// load commits for all devices until ctx ends, as a hub does: after an error it reads where things stand.
type load struct {
	t       *testing.T
	devices []*device
	lossy   atomic.Bool // a restored or promoted server may know less than was acknowledged
	commits atomic.Int64
	errors  atomic.Int64
	last    error
}

func (l *load) run(ctx context.Context, rng *rand.Rand, s store.Store) {
	read := true
	for ctx.Err() == nil {
		if read {
			if !l.learn(ctx, s) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			read = false
		}
		var changes []store.Change
		for _, d := range l.devices {
			changes = append(changes, d.change(1+rng.IntN(40)))
		}
		// A commit that is given up while it is under way may still take effect after positions were read.
		res, err := s.Commit(context.WithoutCancel(ctx), changes)
		if err != nil {
			l.errors.Add(1)
			l.last = err
			read = true
			continue
		}
		l.commits.Add(1)
		for i, r := range res {
			d := l.devices[i]
			if !r.Applied {
				read = true
				continue
			}
			d.next, d.known, d.acked = changes[i].To, true, max(d.acked, changes[i].To)
		}
	}
}

// learn reads the position of every device.
func (l *load) learn(ctx context.Context, s store.Store) bool {
	for _, d := range l.devices {
		st, err := s.Positions(ctx, d.name)
		if err != nil {
			l.errors.Add(1)
			l.last = err
			return false
		}
		i := slices.IndexFunc(st.Positions, func(p store.Position) bool { return p.Epoch == d.epoch })
		if i < 0 {
			if d.acked > 0 && !l.lossy.Load() {
				l.t.Errorf("%s: the store has forgotten the epoch, %d was acknowledged", d.name, d.acked)
			}
			d.next, d.known = 0, false
			continue
		}
		p := st.Positions[i]
		switch {
		case p.Next < d.acked && !l.lossy.Load():
			l.t.Errorf("%s: the store is at %d, %d was acknowledged", d.name, p.Next, d.acked)
		case int(p.Next) >= len(d.chains) || d.chains[p.Next] != p.ChainNext:
			l.t.Fatalf("%s: the store is at %d with chain %x, the box has %d records", d.name, p.Next, p.ChainNext, len(d.chains)-1)
		}
		if p.Next < d.acked {
			d.acked = p.Next
		}
		d.next, d.known = p.Next, true
	}
	return true
}

// campaign runs the load on a store while fault does its worst, and returns what must be in the store then.
func campaign(t *testing.T, n int, s store.Store, fault func(rng *rand.Rand, l *load) string) []*device {
	t.Helper()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) & 0xffffffff
	}
	rng := rand.New(rand.NewPCG(*seed, 1))
	l := &load{t: t}
	for i := range n {
		l.devices = append(l.devices, newDevice(i))
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, rand.New(rand.NewPCG(*seed, 2)), s) })
	count := map[string]int{}
	for range *rounds {
		time.Sleep(time.Duration(100+rng.IntN(900)) * time.Millisecond)
		count[fault(rng, l)]++
		if t.Failed() {
			break
		}
	}
	time.Sleep(time.Second)
	stop()
	wg.Wait()
	// What was under way when it ended may or may not be there: read it.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for !l.learn(ctx, s) {
		if ctx.Err() != nil {
			t.Fatalf("the store does not come back: %v", l.last)
		}
		time.Sleep(100 * time.Millisecond)
	}
	total := record.Offset(0)
	for _, d := range l.devices {
		total += d.next
	}
	t.Logf("seed %d: faults %v; %d commits, %d errors (last: %v), %d rows", *seed, count, l.commits.Load(), l.errors.Load(), l.last, total)
	if l.commits.Load() == 0 || total == 0 {
		t.Error("nothing was committed")
	}
	return l.devices
}
