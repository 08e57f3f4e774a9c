package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/edgelog/edgelog/hub/store"
)

// Filter picks observations.
type Filter = store.Filter

// Count counts observations. It reads every row, in one read transaction.
func (s *Store) Count(ctx context.Context, f Filter) (n int64, err error) {
	sql, args := narrowed("SELECT count(*) FROM record r CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d CROSS JOIN series_item s"+
		" WHERE f.ref = r.form AND f.kind = 1 AND e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series", f)
	err = s.reading(ctx, func(c *conn) error {
		n, _, err = c.one(sql, args...)
		return err
	})
	return n, err
}

// Latest implements store.Lister.
func (s *Store) Latest(ctx context.Context, f Filter) ([]store.Value, error) {
	sql, args := narrowed("SELECT d.name, l.t, l.value FROM series_item s CROSS JOIN device d CROSS JOIN last_value l CROSS JOIN epoch e"+
		" WHERE d.ref = s.device AND l.series = s.ref AND e.ref = l.epoch", f)
	return s.values(ctx, sql+" ORDER BY d.name", args)
}

// Values implements store.Lister.
func (s *Store) Values(ctx context.Context, f Filter, n int) ([]store.Value, error) {
	sql, args := narrowed("SELECT d.name, r.t, r.value FROM record r CROSS JOIN epoch e CROSS JOIN device d CROSS JOIN series_item s"+
		" WHERE e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series", f)
	out, err := s.values(ctx, sql+" ORDER BY r.id DESC LIMIT ?", append(args, int64(n)))
	slices.Reverse(out)
	return out, err
}

// narrowed adds the filter's conditions.
func narrowed(sql string, f Filter) (string, []driver.Value) {
	var args []driver.Value
	for _, x := range []struct{ cond, value string }{
		{"d.name = ?", f.Device}, {"e.stream = ?", f.Stream}, {"s.key LIKE ?", f.SeriesLike},
	} {
		if x.value != "" {
			sql += " AND " + x.cond
			args = append(args, x.value)
		}
	}
	return sql, args
}

// values reads rows of device, time and value; one that is not text counts as empty.
func (s *Store) values(ctx context.Context, sql string, args []driver.Value) (out []store.Value, err error) {
	err = s.reading(ctx, func(c *conn) error {
		return c.query(sql, func(v []driver.Value) error {
			var x store.Value
			x.Device = text(v[0])
			x.T, _ = v[1].(int64)
			x.Value = text(v[2])
			out = append(out, x)
			return nil
		}, args...)
	})
	return out, err
}

func text(v driver.Value) string {
	switch t := v.(type) {
	case string:
		return t
	case []byte:
		return string(t)
	}
	return ""
}
