package shard

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// Options of a Keeper. Store and Name are required.
type Options struct {
	Store  store.Leases
	Name   string // of this hub; no two hubs that share the store have the same
	Note   string // for people: where it runs
	Shards int    // the same in all hubs, for ever: a change needs all of them stopped
	TTL    time.Duration
	Events Events
}

// Events are called from Run; each may be nil and must not block.
type Events struct {
	Changed func(gained, lost []int) // shards that this hub serves from now on, or no longer
	Failed  func(err error)          // the leases could not be read or written; tried again
}

// Keeper keeps the leases of one hub. All methods may be called concurrently.
type Keeper struct {
	o     Options
	state *state // belongs to Run
	wake  chan struct{}
	table atomic.Pointer[table]

	mu   sync.Mutex // guards what follows
	last []store.Lease
	err  error // of the last turn
}

// table is what this hub may do, until when.
type table struct {
	fences []store.Fence // by shard; the zero value: not ours
	until  time.Time
}

// New makes a keeper that holds nothing yet.
func New(o Options) (*Keeper, error) {
	if o.Shards == 0 {
		o.Shards = DefaultShards
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	switch {
	case o.Store == nil:
		return nil, errors.New("shards: the store keeps no leases: it serves one hub")
	case !ValidName(o.Name):
		return nil, fmt.Errorf("shards: hub name %q; want 1 to %d letters, digits, dots, dashes", o.Name, MaxName)
	case o.Shards < 1 || o.Shards > MaxShards:
		return nil, fmt.Errorf("shards: %d shards; want 1 to %d", o.Shards, MaxShards)
	case o.TTL < store.MinLeaseTTL || o.TTL > MaxTTL:
		return nil, fmt.Errorf("shards: leases of %v; want %v to %v", o.TTL, store.MinLeaseTTL, MaxTTL)
	}
	var run [6]byte
	if _, err := rand.Read(run[:]); err != nil {
		return nil, fmt.Errorf("shards: %w", err)
	}
	k := &Keeper{o: o, wake: make(chan struct{}, 1),
		state: newState(o.Name, hex.EncodeToString(run[:]), o.Note, o.Shards, o.TTL.Truncate(time.Millisecond))}
	k.table.Store(&table{fences: make([]store.Fence, o.Shards)})
	return k, nil
}

// Fence is under what changes of a device are made; false: the device is not this hub's.
func (k *Keeper) Fence(device string) (store.Fence, bool) {
	t := k.table.Load()
	f := t.fences[Of(device, len(t.fences))]
	return f, f.Number != 0 && time.Now().Before(t.until)
}

// Holds reports whether the shard is this hub's.
func (k *Keeper) Holds(shard int) bool {
	t := k.table.Load()
	return shard < len(t.fences) && t.fences[shard].Number != 0 && time.Now().Before(t.until)
}

// Shards is how many there are.
func (k *Keeper) Shards() int { return k.o.Shards }

// Fenced tells the keeper that the store has refused a change under the fence: it looks at once.
func (k *Keeper) Fenced(store.Fence) {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run takes, keeps and gives back until ctx ends; then it gives up its membership, so that others need not wait, and
// returns nil. Another hub of the same name, or with another number of shards, ends it with an error.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.leave()
	tick := time.NewTicker(k.o.TTL / ticksPerTTL)
	defer tick.Stop()
	for {
		err := k.turn(ctx)
		k.mu.Lock()
		k.err = err
		k.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, ErrName) || errors.Is(err, ErrShards) {
				return err
			}
			if k.o.Events.Failed != nil {
				k.o.Events.Failed(err)
			}
		}
		select {
		case <-tick.C:
		case <-k.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// turn looks at all leases and writes what is to be written.
func (k *Keeper) turn(ctx context.Context) error {
	defer k.publish()
	ctx, cancel := context.WithTimeout(ctx, k.o.TTL)
	defer cancel()
	began := time.Now()
	leases, err := k.o.Store.Leases(ctx, "")
	if err != nil {
		return fmt.Errorf("read leases: %w", err)
	}
	k.mu.Lock()
	k.last = leases
	k.mu.Unlock()
	if err := k.state.observe(leases, began, time.Now()); err != nil {
		return err
	}
	if sw, ok := k.state.beatSwap(); ok {
		if err := k.swap(ctx, sw); err != nil {
			return err
		}
	}
	swaps := k.state.shardSwaps(time.Now())
	for _, sw := range swaps { // stop before giving back, so that nothing of it is still answered
		if sw.next.Owner == "" {
			delete(k.state.held, sw.shard)
		}
	}
	k.publish()
	for _, sw := range swaps {
		if err := k.swap(ctx, sw); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) swap(ctx context.Context, sw swap) error {
	began := time.Now()
	now, ok, err := k.o.Store.SwapLease(ctx, sw.prev, sw.next)
	if err != nil {
		return fmt.Errorf("write lease %s: %w", sw.next.Name, err)
	}
	k.state.wrote(sw, now, ok, began, time.Now())
	return nil
}

// publish makes what the state holds the table, and tells of the difference.
func (k *Keeper) publish() {
	s, old := k.state, k.table.Load()
	t := &table{fences: make([]store.Fence, k.o.Shards), until: s.until()}
	if s.valid(time.Now()) {
		for i, l := range s.held {
			t.fences[i] = l.Fence()
		}
	}
	k.table.Store(t)
	var gained, lost []int
	for i := range t.fences {
		switch {
		case t.fences[i] == old.fences[i]:
		case t.fences[i].Number == 0:
			lost = append(lost, i)
		default:
			gained = append(gained, i)
		}
	}
	if k.o.Events.Changed != nil && len(gained)+len(lost) > 0 {
		k.o.Events.Changed(gained, lost)
	}
}

// leave gives the membership back: whoever looks next takes the shards. If it cannot be written, they wait for the TTL.
func (k *Keeper) leave() {
	s := k.state
	if s.beat.IsZero() {
		return
	}
	s.beat = time.Time{}
	k.publish()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_, _, err := k.o.Store.SwapLease(ctx, s.member, s.member.Released())
	if err != nil && k.o.Events.Failed != nil {
		k.o.Events.Failed(fmt.Errorf("give back lease %s: %w", s.member.Name, err))
	}
}

const farewell = 3 * time.Second

// Err is why the leases could not be kept when they were looked at last, nil if they could. A hub that cannot keep them serves nobody.
func (k *Keeper) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Owner is a hub and what it holds, as the store says.
type Owner struct {
	Hub    string `json:"hub"` // "" for shards that nobody holds
	Note   string `json:"note,omitempty"`
	Member bool   `json:"member"` // it has not left; whether it still beats one look cannot say
	Shards []int  `json:"shards"`
}

// Owners is what was read last.
func (k *Keeper) Owners() []Owner {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Owners(k.last)
}

// Owners sorts leases by the hub that holds them, ascending by name. Shards that nobody holds come last.
func Owners(leases []store.Lease) []Owner {
	by := map[string]*Owner{}
	at := func(hub string) *Owner {
		if by[hub] == nil {
			by[hub] = &Owner{Hub: hub, Shards: []int{}}
		}
		return by[hub]
	}
	for _, l := range leases {
		if name, ok := strings.CutPrefix(l.Name, memberPrefix); ok {
			if l.Owner != "" {
				o := at(name)
				o.Member, o.Note = true, l.Note
			}
		} else if i, _, ok := parseLease(l.Name); ok {
			o := at(hubOf(l.Owner))
			o.Shards = append(o.Shards, i)
		}
	}
	names := slices.Sorted(maps.Keys(by))
	if len(names) > 0 && names[0] == "" {
		names = append(names[1:], "")
	}
	out := make([]Owner, 0, len(names))
	for _, n := range names {
		slices.Sort(by[n].Shards)
		out = append(out, *by[n])
	}
	return out
}
