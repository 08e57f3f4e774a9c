package explore

import (
	"context"
	"slices"

	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
)

// part is a piece of a state that its copies share until one of them changes it: what one step changes is little. Who
// only looks uses v.
type part[T any] struct {
	v    *T
	mine bool    // no other state has it
	sum  *digest // of v as it is; nil: it may have changed since
}

func whole[T any](v *T) part[T] { return part[T]{v: v, mine: true} }

// shared says that another state, or another place of this one, has it too from now on.
func (p *part[T]) shared() part[T] {
	p.mine = false
	return *p
}

// change is the part for one who changes it.
func (p *part[T]) change() *T {
	if !p.mine {
		p.v, p.mine = copyOf(p.v), true
	}
	p.sum = nil
	return p.v
}

func (p *part[T]) touched() bool { return p.sum == nil }

// fork is a copy of a state, to be taken a step further.
func (s *state) fork() *state {
	n := *s
	n.boxes, n.hubs = shareAll(s.boxes), shareAll(s.hubs)
	n.store, n.save, n.snap, n.spare, n.truth = s.store.shared(), s.save.shared(), s.snap.shared(), s.spare.shared(), s.truth.shared()
	n.up, n.down = slices.Clip(s.up), slices.Clip(s.down)
	return &n
}

func shareAll[T any](list []part[T]) []part[T] {
	for i := range list {
		list[i].mine = false
	}
	return slices.Clone(list)
}

// hubStore is the store as the hubs see it: that of the state that is being worked on.
type hubStore struct{}

func (hubStore) Positions(ctx context.Context, device string) (store.DeviceState, error) {
	return current.store.v.Positions(ctx, device)
}

func (hubStore) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	return current.changeStore().Commit(ctx, c)
}

func (hubStore) Close() error { return nil }

// changeStore is the store for one who changes it.
func (s *state) changeStore() *memory.Store {
	s.at = nil
	return s.store.change()
}

// positions is what the store says of every epoch.
func (s *state) positions() map[receive.Key]*store.Position {
	if s.at != nil {
		return s.at
	}
	st, err := s.store.v.Positions(context.Background(), device)
	if err != nil {
		s.violation("store: %v", err)
	}
	s.at = make(map[receive.Key]*store.Position, len(st.Positions))
	for i := range st.Positions {
		p := &st.Positions[i]
		s.at[receive.Key{Stream: p.Stream, Epoch: p.Epoch}] = p
	}
	return s.at
}
