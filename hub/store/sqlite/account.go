package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// EpochAccount is the account of one epoch.
type EpochAccount = store.EpochAccount

// Accounts reads the account of every epoch, by device, stream and first offset, in one read transaction. The sums
// of skips and gaps come from their lists, not from the counters that the positions carry.
func (s *Store) Accounts(ctx context.Context) (out []EpochAccount, err error) {
	err = s.reading(ctx, func(c *conn) error { out, err = accounts(c); return err })
	return out, err
}

func accounts(c *conn) ([]EpochAccount, error) {
	var out []EpochAccount
	at := map[int64]int{}
	err := c.query(`SELECT e.ref, d.name, e.stream, e.epoch, e.parent, e.first, e.next, e.ends, e.rows, e.removed,
		e.quarantined, e.arrived, e.last_t FROM epoch e JOIN device d ON d.ref = e.device
		ORDER BY d.name, e.stream, e.first, e.ref`, func(v []driver.Value) error {
		at[asInt(v[0])] = len(out)
		out = append(out, EpochAccount{Device: asText(v[1]), Stream: asText(v[2]), Epoch: record.Epoch(asInt(v[3])),
			Parent: record.Epoch(asInt(v[4])), First: record.Offset(asInt(v[5])), Next: record.Offset(asInt(v[6])),
			End: record.Offset(asInt(v[7])), Rows: uint64(asInt(v[8]) - asInt(v[9])), Removed: uint64(asInt(v[9])),
			Quarantined: asInt(v[10]) != 0, Arrived: asInt(v[11]), LastTime: asInt(v[12]),
			Skipped: map[string]uint64{}, Gaps: map[string]uint64{}})
		return nil
	})
	sum := func(sql string, put func(a *EpochAccount, key driver.Value, n uint64)) {
		if err != nil {
			return
		}
		err = c.query(sql, func(v []driver.Value) error {
			i, ok := at[asInt(v[0])]
			if !ok {
				return fmt.Errorf("%w: epoch reference %d is not there", ErrDamaged, asInt(v[0]))
			}
			put(&out[i], v[1], uint64(asInt(v[2])))
			return nil
		})
	}
	sum("SELECT epoch, reason, sum(next - first) FROM gap GROUP BY epoch, reason",
		func(a *EpochAccount, k driver.Value, n uint64) { a.Gaps[record.Reason(asInt(k)).String()] = n })
	sum("SELECT epoch, reason, sum(next - first) FROM skip GROUP BY epoch, reason",
		func(a *EpochAccount, k driver.Value, n uint64) { a.Skipped[asText(k)] = n })
	sum("SELECT epoch, 0, sum(next - first) FROM late GROUP BY epoch",
		func(a *EpochAccount, _ driver.Value, n uint64) { a.Late = n })
	sum("SELECT epoch, 0, count(*) FROM definition GROUP BY epoch",
		func(a *EpochAccount, _ driver.Value, n uint64) { a.Series = n })
	return out, err
}

// Info is the state of the file.
type Info = store.Info

// Info reads the state of the file.
func (s *Store) Info(ctx context.Context) (i Info, err error) {
	err = s.reading(ctx, func(c *conn) error {
		var u PurgeResult
		if err := usage(c, &u); err != nil {
			return err
		}
		i.UsedBytes, i.FileBytes = u.UsedBytes, u.FileBytes
		for sql, into := range map[string]*int64{
			"PRAGMA user_version":              &i.Schema,
			"SELECT count(*) FROM correction":  &i.Corrections,
			"SELECT count(*) FROM dead_letter": &i.DeadLetters,
		} {
			if *into, _, err = c.one(sql); err != nil {
				return err
			}
		}
		return nil
	})
	return i, err
}

// ErrUnknownEpoch: the store holds no such epoch.
var ErrUnknownEpoch = fmt.Errorf("no such epoch")

// Release ends an epoch's quarantine: from its position on, frames are taken again if their chain fits. It changes
// neither the position nor the chain, so a device whose history differs is quarantined again at its next frame.
func (s *Store) Release(ctx context.Context, device, stream string, e record.Epoch) error {
	return s.writing(ctx, func(w *writer) error {
		ref, ok, err := w.c.one(`SELECT e.ref FROM epoch e JOIN device d ON d.ref = e.device
			WHERE d.name = ? AND e.stream = ? AND e.epoch = ? AND e.quarantined`, device, stream, int64(e))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("release %s/%s %s: %w in quarantine", device, stream, e, ErrUnknownEpoch)
		}
		return w.c.exec("UPDATE epoch SET quarantined = 0 WHERE ref = ?", ref)
	})
}
