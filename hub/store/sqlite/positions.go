package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Positions implements store.Store.
func (s *Store) Positions(ctx context.Context, device string) (st store.DeviceState, err error) {
	err = s.reading(ctx, func(c *conn) error {
		ref, ok, err := c.one("SELECT ref FROM device WHERE name = ?", device)
		if err != nil || !ok {
			return err
		}
		boots := map[int64]string{}
		err = c.query("SELECT ref, boot FROM boot WHERE device = ?", func(v []driver.Value) error {
			boots[asInt(v[0])] = asText(v[1])
			return nil
		}, ref)
		if err != nil {
			return err
		}
		var rows []*epochRow
		err = c.query("SELECT "+epochColumns+" FROM epoch WHERE device = ? ORDER BY stream, ref", func(v []driver.Value) error {
			rows = append(rows, scanEpoch(v))
			return nil
		}, ref)
		if err != nil {
			return err
		}
		series, err := readDefined(c, ref)
		if err != nil {
			return err
		}
		for _, e := range rows {
			p, err := e.position(c, boots[e.boot])
			if err != nil {
				return err
			}
			p.Series = series[e.ref]
			if p.Marks, err = store.ParseMarks(nil, e.marks); err != nil {
				return fmt.Errorf("%w: marks of %s %s: %w", ErrDamaged, p.Stream, p.Epoch, err)
			}
			st.Positions = append(st.Positions, p)
		}
		return c.query("SELECT name, incarnation, taken FROM producer WHERE device = ? ORDER BY name, incarnation",
			func(v []driver.Value) error {
				p := store.Producer{Name: asText(v[0]), Incarnation: uint64(asInt(v[1]))}
				var err error
				if p.Taken, err = store.ParseSequences(asBytes(v[2])); err != nil {
					return fmt.Errorf("%w: sequences of producer %s: %w", ErrDamaged, p.Name, err)
				}
				st.Producers = append(st.Producers, p)
				return nil
			}, ref)
	})
	if err != nil {
		return store.DeviceState{}, err
	}
	return st, nil
}

// readDefined reads which series are defined in the epochs of a device that may still grow. An epoch that has reached
// its end takes nothing but late rows, whose frames bring what they need: of a device that was restarted ten thousand
// times this is one query over a few epochs.
func readDefined(c *conn, device int64) (map[int64][]record.SeriesID, error) {
	out := map[int64][]record.SeriesID{}
	err := c.query(`SELECT d.epoch, d.id FROM epoch e CROSS JOIN definition d WHERE e.device = ? AND (e.ends = 0 OR e.next < e.ends)
		AND d.epoch = e.ref ORDER BY d.epoch, d.id`, func(v []driver.Value) error {
		e := asInt(v[0])
		out[e] = append(out[e], record.SeriesID(asInt(v[1])))
		return nil
	}, device)
	return out, err
}
