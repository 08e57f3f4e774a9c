package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/edgelog/edgelog/hub/store"
)

// correction is one row of that table.
type correction struct{ ref, epoch, done, upto, shift int64 }

// Correct rewrites the times of rows whose boot got a better anchor, in bounded transactions, and returns how many
// rows it looked at in all. It may be stopped at any point: what is done is noted with each chunk, and queries of the
// views are right before, between and after.
func (s *Store) Correct(ctx context.Context) (rows int64, err error) {
	for ctx.Err() == nil {
		var n int64
		err := s.writing(ctx, func(w *writer) error {
			n = 0
			var c *correction
			err := w.c.query("SELECT ref, epoch, done, upto, shift FROM correction ORDER BY ref LIMIT 1",
				func(v []driver.Value) error {
					c = &correction{asInt(v[0]), asInt(v[1]), asInt(v[2]), asInt(v[3]), asInt(v[4])}
					return nil
				})
			if err != nil || c == nil {
				return err
			}
			n, err = correctChunkOf(w.c, c)
			return err
		})
		rows += n
		if err != nil || n == 0 {
			return rows, err
		}
	}
	return rows, ctx.Err()
}

// correctChunkOf moves one correction on and returns how many row ids it covered.
func correctChunkOf(c *conn, k *correction) (int64, error) {
	to := min(k.upto, k.done+correctChunk)
	err := c.exec(`UPDATE record SET t = t + ? WHERE id > ? AND id <= ? AND epoch = ?
		AND form IN (SELECT ref FROM form WHERE clock = 1)`, k.shift, k.done, to, k.epoch)
	if err != nil {
		return 0, err
	}
	if to < k.upto {
		err = c.exec("UPDATE correction SET done = ? WHERE ref = ?", to, k.ref)
	} else {
		err = c.exec("DELETE FROM correction WHERE ref = ?", k.ref)
	}
	if err == nil && to >= k.upto {
		var more bool
		if _, more, err = c.one("SELECT 1 FROM correction LIMIT 1"); err == nil && !more {
			err = c.script("DROP VIEW readings; " + readingsSQL)
		}
	}
	return max(to-k.done, 1), err
}

// Retention bounds what the store keeps.
type Retention = store.Retention

// Maintain does what is due: time corrections, then retention. The hub calls it now and then.
func (s *Store) Maintain(ctx context.Context, r Retention) error {
	if _, err := s.Correct(ctx); err != nil {
		return err
	}
	o := PurgeOptions{MaxBytes: r.MaxBytes}
	if r.AgeMicros > 0 {
		o.Before = s.now().UnixMicro() - r.AgeMicros
	}
	if o.Before == 0 && o.MaxBytes == 0 {
		return nil
	}
	_, err := s.Purge(ctx, o, nil)
	return err
}
