package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// group is the changes of one commit that one transaction takes: those under one lease.
type group struct {
	scope   *scope
	fence   store.Fence
	changes []int // indexes

	// What follows is made anew by each attempt.
	devices map[string]*work
	order   []*work
	results []store.Result
	records []kgo.Record
	err     error
}

// work is one device in one transaction.
type work struct {
	*ledger.Device
	part *part
	tx   *ledger.Tx
}

// Commit implements store.Store. Changes under different leases are different transactions: an error says that some may
// have been applied, which the caller learns from Positions.
func (s *Store) Commit(ctx context.Context, changes []store.Change) (results []store.Result, err error) {
	if len(changes) == 0 {
		return nil, nil
	}
	for i := range changes {
		if err := ledger.Check(&changes[i]); err != nil {
			return nil, err
		}
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	s.health.Begin()
	defer func() {
		s.health.End()
		s.health.Failed(err)
	}()
	results = make([]store.Result, len(changes))
	todo := make([]int, len(changes))
	for i := range todo {
		todo[i] = i
	}
	for try := 0; ; try++ {
		if todo, err = s.attempt(ctx, changes, todo, results); len(todo) == 0 && err == nil {
			return results, nil
		}
		if err == nil || ctx.Err() != nil || try+1 >= maxAttempts || errors.Is(err, ErrReadOnly) || errors.Is(err, ledger.ErrChange) ||
			errors.Is(err, ErrFenced) || !errors.Is(unavailable(err), store.ErrUnavailable) {
			return nil, fmt.Errorf("commit %d changes: %w", len(changes), unavailable(err))
		}
		sleep(ctx, time.Duration(10+rand.IntN(40*(try+1)))*time.Millisecond)
	}
}

// attempt settles what it can and returns what is left: changes of which nothing was applied.
func (s *Store) attempt(ctx context.Context, changes []store.Change, todo []int, results []store.Result) (left []int, err error) {
	groups, err := s.groups(ctx, changes, todo, results)
	if err != nil {
		return todo, err
	}
	// A device stands in one transaction at a time: where changes of one device stand under several leases, the groups
	// go one after another.
	for len(groups) > 0 {
		wave, rest := apart(groups, changes)
		groups = rest
		for _, g := range wave {
			if err := s.decide(ctx, g, changes); err != nil {
				for _, g := range wave {
					g.drop()
				}
				return todo, err
			}
		}
		var wg sync.WaitGroup
		slots := make(chan struct{}, maxParallel)
		for _, g := range wave {
			if len(g.records) == 0 {
				continue
			}
			wg.Add(1)
			slots <- struct{}{}
			go func() {
				defer wg.Done()
				g.err = s.write(ctx, g)
				<-slots
			}()
		}
		wg.Wait()
		for _, g := range wave {
			if g.err == nil {
				g.keep()
			} else {
				g.drop()
			}
		}
		for _, g := range wave {
			if g.err != nil {
				err = errors.Join(err, s.resolve(ctx, g))
			}
			if g.err == nil {
				for i, at := range g.changes {
					results[at] = g.results[i]
				}
				todo = slices.DeleteFunc(slices.Clone(todo), func(i int) bool { return slices.Contains(g.changes, i) })
			}
		}
		if err != nil {
			return todo, err
		}
	}
	return nil, nil
}

// groups sorts changes by lease, claims the right to write under each, and settles what stands under a lease that is
// not this store's any more.
func (s *Store) groups(ctx context.Context, changes []store.Change, todo []int, results []store.Result) (out []*group, err error) {
	by := map[string]*group{}
	fresh := false // whether leases were read since the call
	for _, i := range todo {
		f := changes[i].Fence
		if f != (store.Fence{}) {
			if s.lease(f.Lease).Number != f.Number && !fresh {
				if err := s.readLeases(ctx); err != nil {
					return nil, err
				}
				fresh = true
			}
			if f.Number == 0 || s.lease(f.Lease).Number != f.Number {
				results[i] = store.Result{Fenced: true}
				s.health.Count(func(h *store.Health) { h.LeaseFences++ })
				continue
			}
		}
		g := by[f.Lease]
		if g == nil {
			g = &group{scope: s.scope(f.Lease), fence: f}
			by[f.Lease] = g
			out = append(out, g)
		}
		g.changes = append(g.changes, i)
	}
	for _, g := range out {
		if err := s.enter(ctx, g, changes); err != nil {
			return nil, err
		}
	}
	// A claim may have shown that a lease has been taken meanwhile.
	out = slices.DeleteFunc(out, func(g *group) bool {
		if g.fence == (store.Fence{}) || s.lease(g.fence.Lease).Number == g.fence.Number {
			return false
		}
		for _, i := range g.changes {
			results[i] = store.Result{Fenced: true}
			s.health.Count(func(h *store.Health) { h.LeaseFences++ })
		}
		return true
	})
	return out, nil
}

// enter claims a group's right to write. One that only reads back needs none, but the cluster's word of now.
func (s *Store) enter(ctx context.Context, g *group, changes []store.Change) error {
	reads := true
	for _, i := range g.changes {
		reads = reads && ledger.ReadBack(&changes[i])
	}
	if reads {
		if g.fence != (store.Fence{}) {
			if err := s.readLeases(ctx); err != nil {
				return err
			}
		}
		return s.fresh(ctx, g, changes, true)
	}
	if err := s.reclaim(ctx, g); err != nil {
		return err
	}
	return s.fresh(ctx, g, changes, false)
}

// reclaim claims a group's scope unless it is claimed. The lease is read after that: nobody can change it unnoticed from
// then on, and a hub that has lost it must not write under it by a claim that comes later than the new owner's.
func (s *Store) reclaim(ctx context.Context, g *group) error {
	g.scope.mu.Lock()
	defer g.scope.mu.Unlock()
	claimed, err := s.claim(ctx, g.scope)
	if err != nil || !claimed {
		return err
	}
	s.inits++
	if g.fence == (store.Fence{}) {
		return nil
	}
	if err := s.readLeases(ctx); err != nil {
		g.scope.drop()
		return err
	}
	return nil
}

// fresh makes sure that the positions of a group's devices were read after the last claim; now: that they are those of
// this moment.
func (s *Store) fresh(ctx context.Context, g *group, changes []store.Change, now bool) error {
	done := map[*part]bool{}
	for _, i := range g.changes {
		p := s.part(changes[i].Device)
		if done[p] || !now && p.devices != nil && p.inits == s.inits {
			continue
		}
		done[p] = true
		if err := s.refresh(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// apart picks groups that share no device.
func apart(groups []*group, changes []store.Change) (wave, rest []*group) {
	used := map[string]*group{}
	for _, g := range groups {
		clash := false
		for _, i := range g.changes {
			if o := used[changes[i].Device]; o != nil && o != g {
				clash = true
			}
		}
		if clash {
			rest = append(rest, g)
			continue
		}
		for _, i := range g.changes {
			used[changes[i].Device] = g
		}
		wave = append(wave, g)
	}
	return wave, rest
}

// decide applies a group's changes to what is known of their devices, and makes the records to write.
func (s *Store) decide(ctx context.Context, g *group, changes []store.Change) error {
	for again := false; ; again = true {
		if err := s.apply(ctx, g, changes); err != nil {
			return err
		}
		if len(g.records) > 0 || again {
			return nil
		}
		// Nothing is written, so no transaction vouches for what was read: read it now.
		g.drop()
		if g.fence != (store.Fence{}) {
			if err := s.readLeases(ctx); err != nil {
				return err
			}
		}
		if err := s.fresh(ctx, g, changes, true); err != nil {
			return err
		}
	}
}

func (s *Store) apply(ctx context.Context, g *group, changes []store.Change) error {
	g.devices, g.order, g.results, g.records, g.err = map[string]*work{}, nil, make([]store.Result, len(g.changes)), nil, nil
	now := s.o.Now().UnixMicro()
	out := writer{s: s}
	if g.fence != (store.Fence{}) && s.lease(g.fence.Lease).Number != g.fence.Number {
		for i := range g.results {
			g.results[i] = store.Result{Fenced: true}
			s.health.Count(func(h *store.Health) { h.LeaseFences++ })
		}
		return nil
	}
	for i, at := range g.changes {
		c := &changes[at]
		w := g.devices[c.Device]
		if w == nil {
			p := s.part(c.Device)
			d := p.devices[c.Device]
			if d == nil {
				d = &ledger.Device{Name: c.Device}
			}
			w = &work{Device: d, part: p, tx: d.Begin(now)}
			g.devices[c.Device] = w
			g.order = append(g.order, w)
		}
		r, a, err := w.tx.Apply(c)
		if err != nil {
			g.drop()
			return err
		}
		g.results[i] = r
		if a == nil {
			continue
		}
		if err := out.change(w, a, c); err != nil {
			g.drop()
			return err
		}
	}
	for _, w := range g.order {
		out.device(w)
	}
	if err := s.needTopics(ctx, out.records); err != nil {
		g.drop()
		return err
	}
	g.records = out.records
	return nil
}

// needTopics makes the topics of streams that come for the first time.
func (s *Store) needTopics(ctx context.Context, records []kgo.Record) error {
	var missing []string
	last := ""
	for i := range records {
		t := records[i].Topic
		if t == last || s.topics[t] || t == s.o.offsetsTopic() || slices.Contains(missing, t) {
			last = t
			continue
		}
		last = t
		missing = append(missing, t)
	}
	if len(missing) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if _, err := s.o.ensure(ctx, s.adm, missing...); err != nil {
		return unavailable(err)
	}
	for _, t := range missing {
		s.topics[t] = true
	}
	return nil
}

// errMoved: the lease was swapped by this store itself while the commit was decided.
var errMoved = fmt.Errorf("%w: its lease has changed hands", store.ErrUnavailable)

// write runs the group's transaction.
func (s *Store) write(ctx context.Context, g *group) error {
	g.scope.mu.Lock()
	defer g.scope.mu.Unlock()
	if g.scope.c == nil || g.fence != (store.Fence{}) && s.lease(g.fence.Lease).Number != g.fence.Number {
		return errMoved
	}
	return s.run(ctx, g.scope, g.records)
}

func (g *group) keep() {
	for _, w := range g.order {
		w.tx.Keep()
		if w.tx.Dirty() {
			w.part.devices[w.Name] = w.Device
		}
	}
}

func (g *group) drop() {
	for _, w := range g.order {
		w.tx.Drop()
	}
	g.order, g.devices = nil, nil
}

// resolve learns what became of a group whose transaction failed. It leaves g.err nil if it was committed after all, or
// if its lease is lost and nothing was. An error means that the changes were not applied, or that it is not known.
func (s *Store) resolve(ctx context.Context, g *group) error {
	cause := g.err
	var lost *lostError
	if !errors.As(cause, &lost) {
		if g.fence == (store.Fence{}) && fenced(cause) {
			return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, ErrFenced, cause)
		}
		return cause // nothing was applied: the next attempt looks at the lease first
	}
	// It ends with the next claim, which is ours to make unless somebody else made it: then it has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	if err := s.readLeases(ctx); err != nil {
		return errors.Join(cause, err)
	}
	mine := g.fence == (store.Fence{}) && !fenced(cause) || g.fence != (store.Fence{}) && s.lease(g.fence.Lease).Number == g.fence.Number
	if mine {
		if err := s.reclaim(ctx, g); err != nil {
			return errors.Join(cause, err)
		}
	}
	// One record of the group tells for all. It was acknowledged, so its place is known.
	mark := -1
	for i := range g.records {
		if g.records[i].Topic == s.o.offsetsTopic() {
			mark = i
		}
	}
	m := &g.records[mark]
	p := s.parts[m.Partition]
	committed := false
	if p.devices == nil || p.reader.next > m.Offset { // read past it already, or from the beginning
		p.devices, p.reader.next = map[string]*ledger.Device{}, -1
	}
	_, err := p.reader.barrier(ctx, s.c, func(r *kgo.Record) error {
		committed = committed || r.Offset == m.Offset
		return p.replay(r)
	})
	if err != nil {
		p.devices, p.reader.next = nil, -1
		return errors.Join(cause, unavailable(err))
	}
	// The other partitions of the group are read again by whoever needs them.
	s.inits++
	p.inits = s.inits
	if committed {
		g.err = nil
		return nil
	}
	if g.fence == (store.Fence{}) && !mine {
		return fmt.Errorf("%w: %w: %w", store.ErrUnavailable, ErrFenced, cause)
	}
	return cause
}
