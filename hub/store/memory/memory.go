// Package memory is a store that keeps everything in memory: for tests, and for trying the receiver without a disk. It
// holds to the contract of hub/store to the letter, checks what it is given, and fails on demand.
package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Fault decides about one call of Commit or Positions before it does anything. It may sleep. An error in before
// means that nothing was applied, one in after that the call took effect and says that it failed.
type Fault func(op string) (before, after error)

// Store is a store.Store in memory. The zero value is not ready: use New.
type Store struct {
	fault Fault

	mu      sync.Mutex // guards what follows
	devices map[string]*device
	leases  map[string]store.Lease
	commits int
	closed  bool
}

type device struct {
	epochs    []*epoch // in order of creation
	producers []store.Producer
	anchors   []record.Anchor
}

type epoch struct {
	pos         store.Position
	rows        []Row
	definitions []record.Definition
	dead        []store.DeadLetter
}

// Row is one stored record, in the order of arrival.
type Row struct {
	Offset record.Offset
	Late   bool
	Record record.Record
}

// New makes an empty store. fault may be nil.
func New(fault Fault) *Store {
	if fault == nil {
		fault = func(string) (before, after error) { return nil, nil }
	}
	return &Store{fault: fault, devices: map[string]*device{}, leases: map[string]store.Lease{}}
}

// Positions implements store.Store.
func (s *Store) Positions(ctx context.Context, name string) (store.DeviceState, error) {
	before, after := s.fault("positions")
	if before != nil {
		return store.DeviceState{}, before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return store.DeviceState{}, err
	}
	var st store.DeviceState
	if d := s.devices[name]; d != nil {
		for _, e := range d.epochs {
			p := clonePosition(e.pos)
			for _, def := range e.definitions {
				p.Series = append(p.Series, def.ID)
			}
			slices.Sort(p.Series)
			st.Positions = append(st.Positions, p)
		}
		slices.SortStableFunc(st.Positions, func(a, b store.Position) int {
			switch {
			case a.Stream < b.Stream:
				return -1
			case a.Stream > b.Stream:
				return 1
			}
			return 0
		})
		st.Producers = cloneProducers(d.producers)
	}
	return st, after
}

// Position is one of those of Positions, without its series and never failing: the zero value where there is none.
func (s *Store) Position(name, stream string, e record.Epoch) store.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[name]; d != nil {
		if f := d.find(stream, e); f != nil {
			return clonePosition(f.pos)
		}
	}
	return store.Position{}
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, changes []store.Change) ([]store.Result, error) {
	before, after := s.fault("commit")
	if before != nil {
		return nil, before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	for i := range changes {
		if err := ledger.Check(&changes[i]); err != nil {
			return nil, err
		}
	}
	results := make([]store.Result, len(changes))
	for i := range changes {
		results[i] = s.apply(&changes[i])
	}
	s.commits++
	if after != nil {
		return nil, after
	}
	return results, nil
}

// Close implements store.Store. What was stored stays readable for tests; Reopen makes it a store again.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Reopen undoes Close.
func (s *Store) Reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
}

func (s *Store) ready(ctx context.Context) error {
	if s.closed {
		return fmt.Errorf("%w: closed", store.ErrUnavailable)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
	return nil
}

func clonePosition(p store.Position) store.Position {
	p.Gaps, p.Skipped, p.Marks, p.Series = slices.Clone(p.Gaps), slices.Clone(p.Skipped), slices.Clone(p.Marks), nil
	return p
}

func cloneProducers(list []store.Producer) []store.Producer {
	out := slices.Clone(list)
	for i := range out {
		out[i].Taken = out[i].Taken.Clone()
	}
	return out
}

// Backup is a copy of everything; Restore puts it back, as a hub restored from a backup does.
func (s *Store) Backup() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := New(nil)
	b.commits = s.commits
	b.leases = maps.Clone(s.leases)
	for name, d := range s.devices {
		c := &device{producers: cloneProducers(d.producers), anchors: slices.Clone(d.anchors)}
		for _, e := range d.epochs {
			c.epochs = append(c.epochs, &epoch{pos: clonePosition(e.pos), rows: slices.Clone(e.rows),
				definitions: slices.Clone(e.definitions), dead: slices.Clone(e.dead)})
		}
		b.devices[name] = c
	}
	return b
}

// Restore replaces the content by that of a backup.
func (s *Store) Restore(b *Store) {
	b = b.Backup()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices, s.leases = b.devices, b.leases
}

// Devices lists the devices that the store has heard of, ascending.
func (s *Store) Devices() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.devices))
}

// Rows are the rows of one epoch in the order of arrival.
func (s *Store) Rows(name, stream string, e record.Epoch) []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(name, stream, e); x != nil {
		return slices.Clone(x.rows)
	}
	return nil
}

// Definitions are the definitions of one epoch in the order of arrival.
func (s *Store) Definitions(name, stream string, e record.Epoch) []record.Definition {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(name, stream, e); x != nil {
		return slices.Clone(x.definitions)
	}
	return nil
}

// DeadLetters are the dead letters of one epoch in the order of arrival.
func (s *Store) DeadLetters(name, stream string, e record.Epoch) []store.DeadLetter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.find(name, stream, e); x != nil {
		return slices.Clone(x.dead)
	}
	return nil
}

// Anchors are the anchors of one device in the order of arrival.
func (s *Store) Anchors(name string) []record.Anchor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[name]; d != nil {
		return slices.Clone(d.anchors)
	}
	return nil
}

// Commits counts the transactions.
func (s *Store) Commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

func (s *Store) find(name, stream string, id record.Epoch) *epoch {
	if d := s.devices[name]; d != nil {
		return d.find(stream, id)
	}
	return nil
}

func (d *device) find(stream string, id record.Epoch) *epoch {
	for _, e := range d.epochs {
		if e.pos.Stream == stream && e.pos.Epoch == id {
			return e
		}
	}
	return nil
}
