package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

var _ store.Leases = (*Store)(nil)

const leaseColumns = `name, owner, number, beat, ttl_ms, note`

func scanLease(v []driver.Value) store.Lease {
	return store.Lease{Name: asText(v[0]), Owner: asText(v[1]), Number: uint64(asInt(v[2])), Beat: uint64(asInt(v[3])),
		TTL: time.Duration(asInt(v[4])) * time.Millisecond, Note: asText(v[5])}
}

// Leases implements store.Leases.
func (s *Store) Leases(ctx context.Context, prefix string) (out []store.Lease, err error) {
	err = s.reading(ctx, func(c *conn) error {
		if v, _, err := schemaState(c); err != nil || v < 2 { // an old file that is open for reading only
			return err
		}
		return c.query("SELECT "+leaseColumns+" FROM lease WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
			func(v []driver.Value) error { out = append(out, scanLease(v)); return nil }, prefix)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SwapLease implements store.Leases.
func (s *Store) SwapLease(ctx context.Context, prev, next store.Lease) (now store.Lease, ok bool, err error) {
	if err := store.SwapError(prev, next); err != nil {
		return store.Lease{}, false, err
	}
	err = s.writing(ctx, func(w *writer) error {
		now, ok = store.Lease{}, false
		err := w.c.query("SELECT "+leaseColumns+" FROM lease WHERE name = ?",
			func(v []driver.Value) error { now = scanLease(v); return nil }, next.Name)
		if err != nil || now != prev {
			return err
		}
		now, ok = next, true
		return w.c.exec("INSERT OR REPLACE INTO lease ("+leaseColumns+") VALUES (?,?,?,?,?,?)", next.Name, next.Owner,
			int64(next.Number), int64(next.Beat), next.TTL.Milliseconds(), next.Note)
	})
	if err != nil {
		return store.Lease{}, false, err
	}
	return now, ok, nil
}

// fenced reports whether the lease of a change is not what the change says any more. A transaction reads each lease once.
func (t *tx) fenced(f store.Fence) (bool, error) {
	if f == (store.Fence{}) {
		return false, nil
	}
	number, known := t.fences[f.Lease]
	if !known {
		n, _, err := t.c.one("SELECT number FROM lease WHERE name = ?", f.Lease)
		if err != nil {
			return false, err
		}
		if t.fences == nil {
			t.fences = map[string]uint64{}
		}
		number = uint64(n)
		t.fences[f.Lease] = number
	}
	return number != f.Number || f.Number == 0, nil
}
