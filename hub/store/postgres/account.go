package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Accounts implements store.Accountant, in one read transaction. The sums of skips and gaps come from their lists, not
// from the counters that the positions carry.
func (s *Store) Accounts(ctx context.Context) (out []store.EpochAccount, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		out, _, err = accounts(ctx, tx)
		return err
	})
	return out, err
}

func accounts(ctx context.Context, tx pgx.Tx) (out []store.EpochAccount, at map[int64]int, err error) {
	at = map[int64]int{}
	b := &pgx.Batch{}
	b.Queue(`SELECT e.ref, d.name, e.stream, e.epoch, e.parent, e.first, e.next, e.ends, e.rows, e.removed, e.late, e.quarantined,
		e.arrived, e.last_t FROM epoch e JOIN device d ON d.ref = e.device
		ORDER BY d.name COLLATE "C", e.stream COLLATE "C", e.first, e.ref`).Query(func(r pgx.Rows) error {
		for r.Next() {
			var a store.EpochAccount
			var ref, epoch, parent, first, next, ends, rows, removed, late int64
			if err := r.Scan(&ref, &a.Device, &a.Stream, &epoch, &parent, &first, &next, &ends, &rows, &removed, &late,
				&a.Quarantined, &a.Arrived, &a.LastTime); err != nil {
				return err
			}
			a.Epoch, a.Parent, a.First, a.Next = record.Epoch(epoch), record.Epoch(parent), record.Offset(first), record.Offset(next)
			a.End, a.Rows, a.Removed, a.Late = record.Offset(ends), uint64(rows-removed), uint64(removed), uint64(late)
			a.Skipped, a.Gaps = map[string]uint64{}, map[string]uint64{}
			at[ref] = len(out)
			out = append(out, a)
		}
		return r.Err()
	})
	sum := func(sql string, put func(a *store.EpochAccount, key string, n uint64)) {
		b.Queue(sql).Query(func(r pgx.Rows) error {
			for r.Next() {
				var ref, n int64
				var key string
				if err := r.Scan(&ref, &key, &n); err != nil {
					return err
				}
				if i, ok := at[ref]; ok {
					put(&out[i], key, uint64(n))
				}
			}
			return r.Err()
		})
	}
	sum(`SELECT g.epoch, coalesce(n.name, g.reason::text), sum(g.next - g.first)::bigint FROM gap g
		LEFT JOIN gap_reason n ON n.reason = g.reason GROUP BY 1, 2`, func(a *store.EpochAccount, k string, n uint64) { a.Gaps[k] = n })
	sum("SELECT epoch, reason, sum(next - first)::bigint FROM skip GROUP BY 1, 2", func(a *store.EpochAccount, k string, n uint64) { a.Skipped[k] = n })
	sum("SELECT epoch, '', count(*) FROM definition GROUP BY 1", func(a *store.EpochAccount, _ string, n uint64) { a.Series = n })
	return out, at, tx.SendBatch(ctx, b).Close()
}

// Info implements store.Accountant.
func (s *Store) Info(ctx context.Context) (i store.Info, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT (SELECT value FROM meta WHERE name = 'schema'), (SELECT count(*) FROM correction),
			(SELECT count(*) FROM dead_letter), (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'm'))`, s.o.schema()).
			Scan(&i.Schema, &i.Corrections, &i.DeadLetters, &i.FileBytes)
		i.UsedBytes = i.FileBytes
		return err
	})
	return i, err
}

// Count implements store.Counter. It reads every row.
func (s *Store) Count(ctx context.Context, f store.Filter) (n int64, err error) {
	where, args := narrowed("f.kind = 1", f)
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM record r JOIN form f ON f.ref = r.form JOIN epoch e ON e.ref = r.epoch
			JOIN device d ON d.ref = e.device JOIN series_item s ON s.ref = r.series WHERE `+where, args...).Scan(&n)
	})
	return n, err
}

// Latest implements store.Lister.
func (s *Store) Latest(ctx context.Context, f store.Filter) ([]store.Value, error) {
	where, args := narrowed("s.ref = l.series", f)
	return s.values(ctx, `SELECT d.name, l.t, coalesce(l.body, '') FROM series_item s JOIN device d ON d.ref = s.device JOIN last_value l ON l.series = s.ref
		JOIN epoch e ON e.ref = l.epoch WHERE `+where+" ORDER BY d.name", args)
}

// Values implements store.Lister.
func (s *Store) Values(ctx context.Context, f store.Filter, n int) ([]store.Value, error) {
	where, args := narrowed("s.ref = r.series", f)
	args = append(args, n)
	out, err := s.values(ctx, `SELECT d.name, r.t, coalesce(r.body, '') FROM record r JOIN epoch e ON e.ref = r.epoch
		JOIN device d ON d.ref = e.device JOIN series_item s ON s.ref = r.series
		WHERE `+where+fmt.Sprintf(" ORDER BY r.arrival DESC, r.record_offset DESC LIMIT $%d", len(args)), args)
	slices.Reverse(out)
	return out, err
}

// narrowed adds the filter's conditions.
func narrowed(where string, f store.Filter) (string, []any) {
	var args []any
	for _, x := range []struct{ cond, value string }{{"d.name = $", f.Device}, {"e.stream = $", f.Stream}, {"s.key LIKE $", f.SeriesLike}} {
		if x.value != "" {
			args = append(args, x.value)
			where += fmt.Sprint(" AND ", x.cond, len(args))
		}
	}
	return where, args
}

// values reads rows of device, time and body.
func (s *Store) values(ctx context.Context, sql string, args []any) (out []store.Value, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x store.Value
			var body []byte
			if err := rows.Scan(&x.Device, &x.T, &body); err != nil {
				return err
			}
			x.Value = string(body)
			out = append(out, x)
		}
		return rows.Err()
	})
	return out, err
}

// ErrUnknownEpoch: the store holds no such epoch.
var ErrUnknownEpoch = errors.New("no such epoch")

// Release implements store.Releaser. It changes neither the position nor the chain, so a device whose history differs
// is quarantined again at its next frame.
func (s *Store) Release(ctx context.Context, device, stream string, e record.Epoch) error {
	return s.writing(ctx, func(ctx context.Context, w *writer) error {
		return pgx.BeginFunc(ctx, w.c, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `WITH freed AS (UPDATE epoch e SET quarantined = false FROM device d WHERE d.ref = e.device
				AND d.name = $1 AND e.stream = $2 AND e.epoch = $3 AND e.quarantined RETURNING d.ref)
				UPDATE device SET version = version + 1 WHERE ref IN (SELECT ref FROM freed)`, device, stream, int64(e))
			if err == nil && tag.RowsAffected() == 0 {
				err = fmt.Errorf("release %s/%s %s: %w in quarantine", device, stream, e, ErrUnknownEpoch)
			}
			return err
		})
	})
}

// Verify implements store.Verifier. The server reads every row; nothing but sums comes here. It judges one moment.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (r store.VerifyReport, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		all, at, err := accounts(ctx, tx)
		if err != nil {
			return err
		}
		total := uint64(0)
		for _, a := range all {
			total += a.Rows
		}
		if progress != nil {
			progress(0, total)
		}
		r.Epochs = uint64(len(all))
		held := make([]uint64, len(all))
		fault := func(i int, n uint64, into *uint64, format string, args ...any) {
			if n == 0 {
				return
			}
			*into += n
			if len(r.Faults) >= maxVerifyFaults {
				r.MoreFaults++
				return
			}
			a := &all[i]
			r.Faults = append(r.Faults, fmt.Sprintf("%s/%s %s: ", a.Device, a.Stream, a.Epoch)+fmt.Sprintf(format, args...))
		}
		each := func(sql string, f func(i int, a, b uint64)) {
			if err != nil {
				return
			}
			var rows pgx.Rows
			if rows, err = tx.Query(ctx, sql); err != nil {
				return
			}
			var ref, a, b int64
			_, err = pgx.ForEachRow(rows, []any{&ref, &a, &b}, func() error {
				if i, ok := at[ref]; ok {
					f(i, uint64(a), uint64(b))
				} else {
					r.Misplaced += uint64(a)
					r.Faults = append(r.Faults, fmt.Sprintf("%d rows belong to no epoch", a))
				}
				return nil
			})
		}
		each("SELECT epoch, count(*), count(DISTINCT record_offset) FROM record GROUP BY 1", func(i int, n, distinct uint64) {
			held[i] = n
			r.Rows += n
			fault(i, n-distinct, &r.Duplicates, "%d rows have an offset that another row has", n-distinct)
		})
		each(`SELECT r.epoch, count(*), 0::bigint FROM record r JOIN epoch e ON e.ref = r.epoch WHERE r.record_offset < e.first OR r.record_offset >= e.next
			OR EXISTS (SELECT 1 FROM gap g WHERE g.epoch = r.epoch AND g.first <= r.record_offset AND r.record_offset < g.next)
			OR EXISTS (SELECT 1 FROM skip k WHERE k.epoch = r.epoch AND k.first <= r.record_offset AND r.record_offset < k.next) GROUP BY 1`,
			func(i int, n, _ uint64) {
				fault(i, n, &r.Misplaced, "%d rows lie outside the epoch, in a gap or in a skip", n)
			})
		each(`SELECT epoch, count(*), 0::bigint FROM (SELECT epoch, min(record_offset) AS low, lag(max(record_offset)) OVER (PARTITION BY epoch ORDER BY arrival) AS before
			FROM record r WHERE NOT EXISTS (SELECT 1 FROM late l WHERE l.epoch = r.epoch AND l.first <= r.record_offset AND r.record_offset < l.next)
			GROUP BY epoch, arrival) x WHERE low <= before GROUP BY 1`, func(i int, n, _ uint64) {
			fault(i, n, &r.Disorder, "%d commits brought offsets below those of an earlier one", n)
		})
		for i := range all {
			if held[i] < all[i].Rows {
				fault(i, all[i].Rows-held[i], &r.Missing, "%d rows are there, the account says %d", held[i], all[i].Rows)
			}
			if left := all[i].Remainder(); left != 0 {
				fault(i, uint64(max(left, -left)), &r.Missing, "the account of [%d,%d) leaves %d", all[i].First, all[i].Next, left)
			}
		}
		if progress != nil {
			progress(total, total)
		}
		return err
	})
	return r, err
}
