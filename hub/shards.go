package hub

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/shard"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

func (h *Hubs) defaults() {
	if h == nil {
		return
	}
	if h.Lease == 0 {
		h.Lease = shard.DefaultTTL
	}
	if h.Shards == 0 {
		h.Shards = shard.DefaultShards
	}
}

func (h *Hubs) validate(r *strictyaml.Report, embedded bool) {
	if embedded {
		r.Addf("hubs", "hubs needs a broker that all hubs reach: an embedded_broker is one hub's own")
	}
	if h.Name != "" && !shard.ValidName(h.Name) {
		r.Addf("hubs.name", "hubs.name %q; want 1 to %d letters, digits, dots, dashes", h.Name, shard.MaxName)
	}
	if h.Lease < shard.MinTTL || h.Lease > shard.MaxTTL || h.Lease%time.Millisecond != 0 {
		r.Addf("hubs.lease", "hubs.lease is %v; want %v to %v", h.Lease, shard.MinTTL, shard.MaxTTL)
	}
	if h.Shards < 1 || h.Shards > shard.MaxShards {
		r.Addf("hubs.shards", "hubs.shards is %d; want 1 to %d, the same in all hubs", h.Shards, shard.MaxShards)
	}
}

// shares is a hub's part among several: the keeper of its leases, and the devices that it has yet to greet. nil: alone.
type shares struct {
	*shard.Keeper
	wake chan struct{}

	mu     sync.Mutex // guards gained
	gained []int
}

// newShares makes a hub's part; nil where the configuration has it alone.
func (h *hub) newShares(s store.Store) (*shares, error) {
	c := h.c.Hubs
	if c == nil {
		return nil, nil
	}
	leases, ok := s.(store.Leases)
	if !ok {
		return nil, fmt.Errorf("hubs: the store %T serves one hub only: remove hubs, or use another store", s)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	p := &shares{wake: make(chan struct{}, 1)}
	p.Keeper, err = shard.New(shard.Options{Store: leases, Name: c.Name, Shards: c.Shards, TTL: c.Lease,
		Note: fmt.Sprintf("%.200s, pid %d", host, os.Getpid()), Events: shard.Events{
			Changed: func(gained, lost []int) {
				h.log.Info("shards changed", "gained", gained, "lost", lost)
				p.mu.Lock()
				p.gained = append(p.gained, gained...)
				p.mu.Unlock()
				select {
				case p.wake <- struct{}{}:
				default:
				}
			},
			Failed: func(err error) { h.log.Error("the leases of shards cannot be kept; tried again", keyError, err) },
		}})
	return p, err
}

// greet asks the devices of shards that this hub has just taken to say hello.
func (h *hub) greet(ctx context.Context) error {
	for {
		select {
		case <-h.shares.wake:
		case <-ctx.Done():
			return nil
		}
		h.shares.mu.Lock()
		gained := h.shares.gained
		h.shares.gained = nil
		h.shares.mu.Unlock()
		n := h.shares.Shards()
		devices := slices.DeleteFunc(h.recv.Present(), func(d string) bool { return !slices.Contains(gained, shard.Of(d, n)) })
		if err := h.adapter.Greet(ctx, devices); err != nil {
			return nil // ctx has ended
		}
	}
}

// mine is whose a device is, for the adapter; nil: every device is this hub's.
func (h *hub) mine() func(string) bool {
	if h.shares == nil {
		return nil
	}
	return func(device string) bool { _, mine := h.shares.Fence(device); return mine }
}

// tends reports whether this hub looks after the store: of several the one with the first shard.
func (h *hub) tends() bool { return h.shares == nil || h.shares.Holds(0) }

// LiveHubs is what a running hub says of itself among others.
type LiveHubs struct {
	Name   string        `json:"name"`
	Shards int           `json:"shards"` // how many there are
	Held   []int         `json:"held"`   // by this hub
	Owners []shard.Owner `json:"owners"`
	Error  string        `json:"error,omitempty"` // why this hub cannot keep its shards
}

func (h *hub) liveHubs() *LiveHubs {
	if h.shares == nil {
		return nil
	}
	l := &LiveHubs{Name: h.c.Hubs.Name, Shards: h.shares.Shards(), Held: []int{}, Owners: h.shares.Owners()}
	if err := h.shares.Err(); err != nil {
		l.Error = err.Error()
	}
	for i := range l.Shards {
		if h.shares.Holds(i) {
			l.Held = append(l.Held, i)
		}
	}
	return l
}
