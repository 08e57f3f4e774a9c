package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// PurgeOptions say what goes. Both may be given.
type PurgeOptions struct {
	Before   int64 // µs UTC: rows that were certainly taken before it; 0: none
	MaxBytes int64 // until the store uses no more than this, the rows that arrived first; 0: none
	DryRun   bool  // count only
	Compact  bool  // give freed pages back to the file system
}

// PurgeResult is what went, or would go.
type PurgeResult struct {
	Rows      int64
	UsedBytes int64 // in use afterwards; freed pages are used again by new rows
	FileBytes int64
}

// Purge removes rows in bounded transactions. Positions, series, gaps and the account stay: the removed rows of each
// epoch are counted in the transaction that removes them. progress, if not nil, is called after each.
//
// A row goes by age only if it is certain to be old: its time with the error's width lies before the limit, or the
// hub took the last row of its epoch before it. So a boot whose clock was never known is not taken for one of 1970.
func (s *Store) Purge(ctx context.Context, o PurgeOptions, progress func(PurgeResult)) (r PurgeResult, err error) {
	if progress == nil {
		progress = func(PurgeResult) {}
	}
	if o.DryRun {
		return s.purgePlan(ctx, o)
	}
	if o.Before > 0 {
		if err := s.purgeAge(ctx, o.Before, &r, progress); err != nil {
			return r, err
		}
	}
	if o.MaxBytes > 0 {
		if err := s.purgeSize(ctx, o.MaxBytes, &r, progress); err != nil {
			return r, err
		}
	}
	if o.Compact {
		if err := s.compact(ctx); err != nil {
			return r, err
		}
	}
	return r, s.reading(ctx, func(c *conn) error { return usage(c, &r) })
}

// aged is the condition under which a row is certainly older than ?1. A t_error of ten years
// says that nothing bounds it. Corrections in progress keep a row.
const aged = ` (e.arrived < ?1 OR f.clock <> 1 OR (b.ref IS NOT NULL AND b.t_error < 315360000000000 AND r.t + b.t_error < ?1
	AND NOT EXISTS (SELECT 1 FROM correction c WHERE c.epoch = r.epoch AND c.done < r.id AND r.id <= c.upto))) `

const agedFrom = ` FROM record r INDEXED BY record_t CROSS JOIN form f CROSS JOIN epoch e LEFT JOIN boot b ON b.ref = e.boot
	WHERE f.ref = r.form AND e.ref = r.epoch AND r.t < ?1 `

// purgeAge walks the index on time once, so that rows which stay are looked at once.
func (s *Store) purgeAge(ctx context.Context, before int64, r *PurgeResult, progress func(PurgeResult)) error {
	fromT, fromID := int64(-1<<63), int64(-1<<63)
	for {
		n, looked := int64(0), 0
		err := s.writing(ctx, func(w *writer) error {
			n, looked = 0, 0
			var ids []int64
			removed := map[int64]int64{}
			err := w.c.query(`SELECT r.id, r.t, r.epoch,`+aged+agedFrom+` AND (r.t, r.id) > (?2, ?3) ORDER BY r.t, r.id LIMIT ?4`,
				func(v []driver.Value) error {
					looked++
					fromID, fromT = asInt(v[0]), asInt(v[1])
					if asInt(v[3]) != 0 {
						ids = append(ids, asInt(v[0]))
						removed[asInt(v[2])]++
					}
					return nil
				}, before, fromT, fromID, int64(purgeChunk))
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := w.c.exec("DELETE FROM record WHERE id = ?", id); err != nil {
					return err
				}
			}
			n = int64(len(ids))
			return countRemoved(w.c, removed)
		})
		if err != nil {
			return err
		}
		r.Rows += n
		progress(*r)
		if looked < purgeChunk {
			return nil
		}
	}
}

// purgeSize removes the rows that arrived first.
func (s *Store) purgeSize(ctx context.Context, maxBytes int64, r *PurgeResult, progress func(PurgeResult)) error {
	for {
		n := int64(0)
		err := s.writing(ctx, func(w *writer) error {
			n = 0
			if err := usage(w.c, r); err != nil || r.UsedBytes <= maxBytes {
				return err
			}
			last, ok, err := w.c.one("SELECT max(id) FROM (SELECT id FROM record ORDER BY id LIMIT ?)", int64(purgeChunk))
			if err != nil || !ok {
				return err
			}
			removed := map[int64]int64{}
			err = w.c.query("SELECT epoch, count(*) FROM record WHERE id <= ? GROUP BY epoch", func(v []driver.Value) error {
				removed[asInt(v[0])] = asInt(v[1])
				n += asInt(v[1])
				return nil
			}, last)
			if err != nil {
				return err
			}
			if err := w.c.exec("DELETE FROM record WHERE id <= ?", last); err != nil {
				return err
			}
			return countRemoved(w.c, removed)
		})
		if err != nil {
			return err
		}
		r.Rows += n
		progress(*r)
		if n == 0 {
			return nil
		}
	}
}

func countRemoved(c *conn, removed map[int64]int64) error {
	for epoch, n := range removed {
		if err := c.exec("UPDATE epoch SET removed = removed + ? WHERE ref = ?", n, epoch); err != nil {
			return err
		}
	}
	return nil
}

// usage reads how much of the file is in use.
func usage(c *conn, r *PurgeResult) error {
	pages, _, err := c.one("PRAGMA page_count")
	if err != nil {
		return err
	}
	free, _, err := c.one("PRAGMA freelist_count")
	if err != nil {
		return err
	}
	size, _, err := c.one("PRAGMA page_size")
	r.UsedBytes, r.FileBytes = (pages-free)*size, pages*size
	return err
}

// purgePlan counts what would go. By size it is an estimate from the average row.
func (s *Store) purgePlan(ctx context.Context, o PurgeOptions) (r PurgeResult, err error) {
	err = s.reading(ctx, func(c *conn) error {
		if err := usage(c, &r); err != nil {
			return err
		}
		all, _, err := c.one("SELECT ifnull(sum(rows - removed), 0) FROM epoch")
		if err != nil || all == 0 {
			return err
		}
		perRow := max(r.UsedBytes/all, 1)
		if o.Before > 0 {
			if r.Rows, _, err = c.one("SELECT count(*)"+agedFrom+"AND"+aged, o.Before); err != nil {
				return err
			}
			r.UsedBytes = max(r.UsedBytes-r.Rows*perRow, 0)
		}
		if o.MaxBytes > 0 && r.UsedBytes > o.MaxBytes {
			more := min((r.UsedBytes-o.MaxBytes+perRow-1)/perRow, all-r.Rows)
			r.Rows += more
			r.UsedBytes -= more * perRow
		}
		return nil
	})
	return r, err
}

// compact gives free pages back, a few at a time.
func (s *Store) compact(ctx context.Context) error {
	for {
		var left int64
		err := s.writing(ctx, func(w *writer) error {
			var err error
			if left, _, err = w.c.one("PRAGMA freelist_count"); err != nil || left == 0 {
				return err
			}
			return w.c.query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages),
				func([]driver.Value) error { return nil })
		})
		if err != nil || left <= vacuumPages {
			return err
		}
	}
}
