package kafka

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/hub/store"
)

// leases is what the store has read of PREFIX-leases.
type leases struct {
	mu     sync.Mutex // guards what follows
	reader *reader
	byName map[string]store.Lease
}

// readLeases brings the leases to what is committed now.
func (s *Store) readLeases(ctx context.Context) error {
	l := &s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reader.leader = -1 // as in refresh
	_, err := l.reader.barrier(ctx, s.c, func(r *kgo.Record) error {
		if len(r.Value) == 0 {
			return nil
		}
		lease, err := decodeLease(string(r.Key), r.Value)
		if err == nil {
			l.byName[lease.Name] = lease
		}
		return err
	})
	return unavailable(err)
}

// lease is the lease as it was read last.
func (s *Store) lease(name string) store.Lease {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return s.leases.byName[name]
}

// Leases implements store.Leases.
func (s *Store) Leases(ctx context.Context, prefix string) ([]store.Lease, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := s.readLeases(ctx); err != nil {
		return nil, err
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	var out []store.Lease
	for _, name := range slices.Sorted(maps.Keys(s.leases.byName)) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, s.leases.byName[name])
		}
	}
	return out, nil
}

func (s *Store) ready(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	return nil
}

// SwapLease implements store.Leases. Kafka has no compare-and-set; it follows from fencing: whoever has claimed the
// lease's transactional id, read the lease after that, and found it as expected, writes the next one in a transaction
// which fails if anybody else has claimed the id in between.
func (s *Store) SwapLease(ctx context.Context, prev, next store.Lease) (now store.Lease, ok bool, err error) {
	if err := store.SwapError(prev, next); err != nil {
		return store.Lease{}, false, err
	}
	if err := s.ready(ctx); err != nil {
		return store.Lease{}, false, err
	}
	sc := s.scope(next.Name)
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for range maxSwaps {
		if now, ok, err = s.swap(ctx, sc, prev, next); err == nil {
			return now, ok, nil
		}
		if ctx.Err() != nil || !fenced(err) {
			return store.Lease{}, false, unavailable(err)
		}
		sleep(ctx, time.Duration(5+rand.IntN(60))*time.Millisecond) // others want it, too
	}
	return store.Lease{}, false, unavailable(err)
}

// swap is one try.
func (s *Store) swap(ctx context.Context, sc *scope, prev, next store.Lease) (now store.Lease, ok bool, err error) {
	if sc.c == nil || s.lease(next.Name) != prev {
		if err := s.readLeases(ctx); err != nil {
			return now, false, err
		}
		if now = s.lease(next.Name); now != prev {
			return now, false, nil // without a claim, which would disturb its owner
		}
	}
	claimed, err := s.claim(ctx, sc)
	if err != nil {
		return now, false, err
	}
	if claimed {
		if err := s.readLeases(ctx); err != nil {
			sc.drop()
			return now, false, err
		}
		if now = s.lease(next.Name); now != prev {
			sc.drop()
			return now, false, nil
		}
	}
	rec := []kgo.Record{{Topic: s.o.leasesTopic(), Partition: 0, Key: []byte(next.Name), Value: encodeLease(next)}}
	if err := s.run(ctx, sc, rec); err != nil {
		return s.swapped(ctx, sc, prev, next, err)
	}
	s.leases.mu.Lock()
	s.leases.byName[next.Name] = next
	s.leases.mu.Unlock()
	if next.Owner == "" {
		sc.drop()
	}
	return next, true, nil
}

// swapped learns what became of a swap whose transaction failed.
func (s *Store) swapped(ctx context.Context, sc *scope, prev, next store.Lease, cause error) (store.Lease, bool, error) {
	if refused(cause) {
		return store.Lease{}, false, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	if !fenced(cause) { // else whoever fenced it has ended it
		if _, err := s.claim(ctx, sc); err != nil {
			return store.Lease{}, false, err
		}
	}
	if err := s.readLeases(ctx); err != nil {
		sc.drop()
		return store.Lease{}, false, err
	}
	switch now := s.lease(next.Name); now {
	case next:
		return next, true, nil
	case prev:
		return store.Lease{}, false, fmt.Errorf("%w: %w", ErrFenced, cause) // to be tried again
	default:
		sc.drop()
		return now, false, nil
	}
}
