package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, changes []store.Change) ([]store.Result, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	var results []store.Result
	s.health.Begin()
	defer s.health.End()
	err := s.writing(ctx, func(ctx context.Context, w *writer) error {
		for try := 0; ; try++ {
			began := time.Now()
			var err error
			results, err = s.attempt(ctx, w, changes)
			if err == nil {
				s.health.Committed(time.Since(began))
				return nil
			}
			if !conflict(err) || try == maxConflicts {
				return fmt.Errorf("commit %d changes: %w", len(changes), err)
			}
			s.health.Count(func(h *store.Health) { h.Aborted++ })
			for i := range changes {
				delete(w.devices, changes[i].Device)
			}
			w.forms = map[uint32]int16{}
		}
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// tx is one transaction of Commit.
type tx struct {
	*writer
	pgx.Tx
	now     int64 // µs
	devices map[string]*work
	order   []*work
	leases  map[string]uint64
	rows    rows
	latest  map[*ledger.Series]lastValue
	after   *pgx.Batch // statements that follow the rows
}

// work is one device in one transaction.
type work struct {
	*ledger.Device
	tx      *ledger.Tx
	arrival int64 // of its latest commit, then of this one
	fresh   bool  // the database has no row of it yet
	steps   []step
}

// step is one applied change, to be written.
type step struct {
	*ledger.Applied
	c *store.Change
}

func (s *Store) attempt(ctx context.Context, w *writer, changes []store.Change) (results []store.Result, err error) {
	ptx, err := w.c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	t := &tx{writer: w, Tx: ptx, now: s.o.Now().UnixMicro(), devices: map[string]*work{}, leases: map[string]uint64{},
		latest: map[*ledger.Series]lastValue{}, rows: rows{last: map[*ledger.Series]int32{}}, after: &pgx.Batch{}}
	done := false
	defer func() {
		for _, d := range t.order {
			if !done && d.tx != nil {
				d.tx.Drop()
			}
		}
		if !done {
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			defer cancel()
			ptx.Rollback(ctx) // of a transaction that failed anyway
		}
	}()
	if err := t.read(ctx, changes); err != nil {
		return nil, err
	}
	results = make([]store.Result, len(changes))
	for i := range changes {
		c := &changes[i]
		if n, ok := t.leases[c.Fence.Lease]; c.Fence != (store.Fence{}) && (!ok || c.Fence.Number == 0 || n != c.Fence.Number) {
			results[i] = store.Result{Fenced: true}
			s.health.Count(func(h *store.Health) { h.LeaseFences++ })
			continue
		}
		d := t.devices[c.Device]
		r, a, err := d.tx.Apply(c)
		if err != nil {
			return nil, err
		}
		if results[i] = r; a != nil {
			d.steps = append(d.steps, step{a, c})
		}
	}
	// The partition must be there before this transaction needs it, and is made by another one.
	t.order = slices.DeleteFunc(t.order, func(d *work) bool { return !d.tx.Dirty() })
	for _, d := range t.order {
		d.arrival = max(t.now, d.arrival+1)
		if !w.hyper && !w.days[floorDay(d.arrival)] {
			for _, d := range t.order {
				d.tx.Drop()
			}
			arrival := d.arrival
			t.order = nil
			if err := ptx.Rollback(ctx); err != nil {
				return nil, err
			}
			if err := w.partition(ctx, arrival); err != nil {
				return nil, err
			}
			done = true
			return s.attempt(ctx, w, changes)
		}
	}
	if len(t.order) > 0 {
		if err := t.writeAll(ctx); err != nil {
			return nil, err
		}
	}
	if err := ptx.Commit(ctx); err != nil {
		return nil, err
	}
	done = true
	for _, d := range t.order {
		d.tx.Keep()
		d.Version++
		w.devices[d.Name] = d.Device
	}
	return results, nil
}

// read learns what the transaction sees: the leases that changes stand under, and the devices.
func (t *tx) read(ctx context.Context, changes []store.Change) error {
	var names, leases []string
	for i := range changes {
		c := &changes[i]
		if t.devices[c.Device] == nil {
			d := &work{Device: &ledger.Device{Name: c.Device}, fresh: true}
			t.devices[c.Device] = d
			t.order = append(t.order, d)
			names = append(names, c.Device)
		}
		if c.Fence.Lease != "" && !slices.Contains(leases, c.Fence.Lease) {
			leases = append(leases, c.Fence.Lease)
		}
	}
	slices.Sort(leases)
	b := &pgx.Batch{}
	if len(leases) > 0 {
		// The lock keeps a lease from being swapped before this transaction ends.
		b.Queue("SELECT name, number FROM lease WHERE name = ANY($1) ORDER BY name FOR SHARE", leases).Query(func(r pgx.Rows) error {
			for r.Next() {
				var name string
				var number int64
				if err := r.Scan(&name, &number); err != nil {
					return err
				}
				t.leases[name] = uint64(number)
			}
			return r.Err()
		})
	}
	versions := map[string]int64{}
	b.Queue("SELECT name, ref, version, arrival FROM device WHERE name = ANY($1)", names).Query(func(r pgx.Rows) error {
		for r.Next() {
			var name string
			var ref, version, arrival int64
			if err := r.Scan(&name, &ref, &version, &arrival); err != nil {
				return err
			}
			d := t.devices[name]
			d.Ref, d.arrival, d.fresh = ref, arrival, false
			versions[name] = version
		}
		return r.Err()
	})
	if err := t.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for _, d := range t.order {
		if !d.fresh {
			if kept := t.writer.devices[d.Name]; kept != nil && kept.Ref == d.Ref && kept.Version == versions[d.Name] {
				d.Device = kept
			} else {
				d.Version = versions[d.Name]
				if err := load(ctx, t.Tx, d.Device); err != nil {
					return err
				}
				t.writer.devices[d.Name] = d.Device
			}
		}
		d.tx = d.Begin(t.now)
	}
	return nil
}

// writeAll writes what the devices' transactions have changed. Devices are locked in one order by all hubs.
func (t *tx) writeAll(ctx context.Context) error {
	slices.SortFunc(t.order, func(a, b *work) int { return cmp.Compare(a.Name, b.Name) })
	if err := t.claim(ctx); err != nil {
		return err
	}
	if err := t.refs(ctx); err != nil {
		return err
	}
	for _, d := range t.order {
		for i := range d.steps {
			if err := t.step(d, &d.steps[i]); err != nil {
				return err
			}
		}
		t.device(d)
	}
	if err := t.copyRows(ctx); err != nil {
		return err
	}
	t.flushLatest()
	if t.after.Len() == 0 {
		return nil
	}
	return t.SendBatch(ctx, t.after).Close()
}

// claim is the compare-and-set of every device: whoever comes second finds another version and begins anew.
func (t *tx) claim(ctx context.Context) error {
	b := &pgx.Batch{}
	for _, d := range t.order {
		if d.fresh {
			b.Queue("INSERT INTO device (name, version, arrival) VALUES ($1, 1, $2) RETURNING ref", d.Name, d.arrival).QueryRow(func(r pgx.Row) error {
				d.Version = 0 // Keep makes it 1
				return r.Scan(&d.Ref)
			})
			continue
		}
		b.Queue("UPDATE device SET version = version + 1, arrival = $3 WHERE ref = $1 AND version = $2", d.Ref, d.Version, d.arrival).
			Exec(one)
	}
	return t.SendBatch(ctx, b).Close()
}
