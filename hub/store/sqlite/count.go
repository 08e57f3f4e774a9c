package sqlite

import (
	"context"
	"database/sql/driver"
	"strings"

	"github.com/edgelog/edgelog/hub/store"
)

// Filter picks observations.
type Filter = store.Filter

// Count counts observations. It reads every row, in one read transaction.
func (s *Store) Count(ctx context.Context, f Filter) (n int64, err error) {
	where := []string{"f.ref = r.form AND f.kind = 1 AND e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series"}
	var args []driver.Value
	for _, x := range []struct{ cond, value string }{
		{"d.name = ?", f.Device}, {"e.stream = ?", f.Stream}, {"s.key LIKE ?", f.SeriesLike},
	} {
		if x.value != "" {
			where = append(where, x.cond)
			args = append(args, x.value)
		}
	}
	err = s.reading(ctx, func(c *conn) error {
		n, _, err = c.one("SELECT count(*) FROM record r CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d"+
			" CROSS JOIN series_item s WHERE "+strings.Join(where, " AND "), args...)
		return err
	})
	return n, err
}
