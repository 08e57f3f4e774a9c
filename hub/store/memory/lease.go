package memory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/hub/store"
)

var _ store.Leases = (*Store)(nil)

// Leases implements store.Leases.
func (s *Store) Leases(ctx context.Context, prefix string) ([]store.Lease, error) {
	before, after := s.fault("leases")
	if before != nil {
		return nil, before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var out []store.Lease
	for _, name := range slices.Sorted(maps.Keys(s.leases)) {
		if strings.HasPrefix(name, prefix) {
			out = append(out, s.leases[name])
		}
	}
	return out, after
}

// SwapLease implements store.Leases.
func (s *Store) SwapLease(ctx context.Context, prev, next store.Lease) (now store.Lease, ok bool, err error) {
	if err := store.SwapError(prev, next); err != nil {
		return store.Lease{}, false, err
	}
	before, after := s.fault("swap lease")
	if before != nil {
		return store.Lease{}, false, before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.Lease{}, false, err
	}
	if now = s.leases[next.Name]; now != prev {
		return now, false, after
	}
	s.leases[next.Name] = next
	return next, true, after
}
