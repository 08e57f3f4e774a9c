package shard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// Errors that end a hub: somebody must look at its configuration.
var (
	ErrName   = errors.New("another hub runs under this name")
	ErrShards = errors.New("the hubs divide into different numbers of shards")
)

// state is what one hub knows and decides, without clock or store.
type state struct {
	name   string
	owner  string // NAME#RUN: another run of the same hub is another owner
	note   string
	shards int
	ttl    time.Duration

	seen   map[string]sighting
	looked time.Time   // when the latest look at all leases began: what is judged to be silent was so until then
	beat   time.Time   // when the last beat that succeeded began; zero: not a member
	member store.Lease // ours, as we wrote it
	held   map[int]store.Lease
	rival  int // looks in a row at which another run beat under our name
}

// sighting is a lease and since when it has been seen unchanged.
type sighting struct {
	store.Lease
	since time.Time
}

// swap is one write that the state wants; taken tells it how that went.
type swap struct {
	prev, next store.Lease
	shard      int // −1: the member's own lease
}

func newState(name, run, note string, shards int, ttl time.Duration) *state {
	return &state{name: name, owner: name + "#" + run, note: note, shards: shards, ttl: ttl,
		seen: map[string]sighting{}, held: map[int]store.Lease{}}
}

// observe takes what the store has, as a look that began at the time found it. A lease that we hold and that another one
// holds now is lost.
func (s *state) observe(leases []store.Lease, began, now time.Time) error {
	s.looked = began
	for _, l := range leases {
		old, known := s.seen[l.Name]
		if !known || old.Lease != l {
			s.seen[l.Name] = sighting{l, now}
		}
		if l.Name == memberPrefix+s.name {
			if known && l.Owner == old.Owner && l.Beat != old.Beat && l.Owner != s.owner {
				if s.rival++; s.rival > ticksPerTTL {
					return fmt.Errorf("hub %s: %w: %s (%s); give each hub its own name", s.name, ErrName, l.Owner, l.Note)
				}
			}
			if l.Owner != s.owner {
				s.beat, s.member = time.Time{}, store.Lease{}
			} else { // also where we never heard how a write of ours went
				s.member = l
			}
			continue
		}
		i, n, ok := parseLease(l.Name)
		switch {
		case !ok:
		case n != s.shards:
			if l.Owner != "" && s.lives(l.Owner, now) {
				return fmt.Errorf("hub %s: %w: %s has %d, this one %d; give all the same", s.name, ErrShards, hubOf(l.Owner), n, s.shards)
			}
		case s.held[i].Number != l.Number:
			delete(s.held, i)
		}
	}
	return nil
}

// lives reports whether an owner of shards still beats: its member lease is its own, and changed within its TTL before
// the latest look. A hub that has not looked for long has seen nothing, and that proves nothing of others.
func (s *state) lives(owner string, now time.Time) bool {
	if owner == s.owner {
		return s.valid(now)
	}
	m, ok := s.seen[memberPrefix+hubOf(owner)]
	return ok && m.Owner == owner && s.looked.Sub(m.since) < m.TTL
}

// valid reports whether we may act under our leases.
func (s *state) valid(now time.Time) bool { return !s.beat.IsZero() && now.Before(s.until()) }

func (s *state) until() time.Time { return s.beat.Add(s.ttl - s.ttl/margin) }

// members are the hubs that live, ascending, this one among them.
func (s *state) members(now time.Time) []string {
	set := map[string]bool{s.owner: true}
	for name, m := range s.seen {
		if len(name) > len(memberPrefix) && name[:len(memberPrefix)] == memberPrefix && m.Owner != "" && m.Owner != s.owner && s.lives(m.Owner, now) {
			set[m.Owner] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// want is how many shards each of the members should have; the first ones have one more where it does not divide.
func (s *state) want(now time.Time) int {
	m := s.members(now)
	n := s.shards / len(m)
	if slices.Index(m, s.owner) < s.shards%len(m) {
		n++
	}
	return n
}

// beatSwap is the first write of each turn: the beat. ok is false while another run holds our name.
func (s *state) beatSwap() (sw swap, ok bool) {
	old, known := s.seen[memberPrefix+s.name]
	switch {
	case known && old.Owner == s.owner:
		return swap{s.member, s.member.Renewed(), -1}, true
	case known && old.Owner != "" && s.looked.Sub(old.since) < old.TTL:
		return swap{}, false
	}
	return swap{old.Lease, old.TakenBy(memberPrefix+s.name, s.owner, s.note, s.ttl), -1}, true
}

// shardSwaps are the other writes of a turn: shards to give back, or to take.
func (s *state) shardSwaps(now time.Time) (out []swap) {
	if !s.valid(now) {
		return nil
	}
	want := s.want(now)
	held := slices.Sorted(maps.Keys(s.held))
	for _, i := range held[min(want, len(held)):] {
		out = append(out, swap{s.held[i], s.held[i].Released(), i})
	}
	have := min(want, len(held))
	// First what stands as ours and is not held, because a write took too long or nobody heard of its outcome: others
	// leave it alone as long as we live.
	for _, ours := range []bool{true, false} {
		for i := range s.shards {
			name := leaseName(i, s.shards)
			old := s.seen[name]
			if _, mine := s.held[i]; mine || ours != (old.Owner == s.owner) {
				continue
			}
			switch free := old.Owner == "" || ours || !s.lives(old.Owner, now); {
			case free && have < want:
				out = append(out, swap{old.Lease, old.TakenBy(name, s.owner, s.note, s.ttl), i})
				have++
			case ours:
				out = append(out, swap{old.Lease, old.Released(), i})
			}
		}
	}
	return out
}

// wrote takes the outcome of a swap that began at the time.
func (s *state) wrote(sw swap, stored store.Lease, ok bool, began, now time.Time) {
	if old, known := s.seen[sw.next.Name]; !known || old.Lease != stored {
		s.seen[sw.next.Name] = sighting{stored, now}
	}
	switch {
	case sw.shard < 0 && ok:
		if !s.valid(now) { // the write took longer than we might act: others may have taken what we held
			clear(s.held)
		}
		s.member, s.beat, s.rival = stored, began, 0
	case sw.shard < 0:
		s.member, s.beat = store.Lease{}, time.Time{}
	case ok && stored.Owner == s.owner:
		s.held[sw.shard] = stored
	default:
		delete(s.held, sw.shard)
	}
}
