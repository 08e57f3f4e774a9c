package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

var _ ledger.Mover = (*Store)(nil)

// Devices implements ledger.Mover.
func (s *Store) Devices(ctx context.Context) (out []string, err error) {
	err = s.reading(ctx, func(c *conn) error {
		out = nil
		return c.query("SELECT name FROM device ORDER BY name", func(v []driver.Value) error {
			out = append(out, asText(v[0]))
			return nil
		})
	})
	return out, err
}

// Export implements ledger.Mover.
func (s *Store) Export(ctx context.Context, device string) (d *ledger.Device, err error) {
	err = s.reading(ctx, func(c *conn) error {
		d = &ledger.Device{Name: device}
		ref, ok, err := c.one("SELECT ref FROM device WHERE name = ?", device)
		if err != nil || !ok {
			return err
		}
		boots, err := exportBoots(c, ref, d)
		if err != nil {
			return err
		}
		if err := exportEpochs(c, ref, d, boots); err != nil {
			return err
		}
		return c.query("SELECT name, incarnation, taken, moved FROM producer WHERE device = ? ORDER BY moved", func(v []driver.Value) error {
			taken, err := store.ParseSequences(asBytes(v[2]))
			if err != nil {
				return fmt.Errorf("%w: sequences of producer %s: %w", ErrDamaged, asText(v[0]), err)
			}
			d.Producers = append(d.Producers, ledger.Producer{Moved: int64(len(d.Producers)) + 1,
				Producer: store.Producer{Name: asText(v[0]), Incarnation: uint64(asInt(v[1])), Taken: taken}})
			return nil
		}, ref)
	})
	if err != nil {
		return nil, err
	}
	return d.Moved(), nil
}

func exportBoots(c *conn, device int64, d *ledger.Device) (map[int64]string, error) {
	names := map[int64]string{}
	k, err := (&tx{writer: &writer{c: c, cache: newCache()}}).clock(device)
	if err != nil {
		return nil, err
	}
	for _, b := range k.boots {
		names[b.ref] = b.id
		d.Boots = append(d.Boots, &ledger.Boot{ID: b.id, Best: b.best, Guess: b.guess, Last: b.last, Base: b.base, TError: b.tError, Placed: b.placed})
	}
	return names, nil
}

func exportEpochs(c *conn, device int64, d *ledger.Device, boots map[int64]string) error {
	var rows []*epochRow
	err := c.query("SELECT "+epochColumns+" FROM epoch WHERE device = ? ORDER BY ref", func(v []driver.Value) error {
		rows = append(rows, scanEpoch(v))
		return nil
	}, device)
	if err != nil {
		return err
	}
	for _, r := range rows {
		p, err := r.position(c, boots[r.boot])
		if err != nil {
			return err
		}
		e := &ledger.Epoch{Position: p, Definitions: map[record.SeriesID]*ledger.Series{}, LastTime: r.lastT}
		if e.Marks, err = store.ParseMarks(nil, r.marks); err != nil {
			return fmt.Errorf("%w: marks of epoch %s: %w", ErrDamaged, p.Epoch, err)
		}
		if e.Arrived, _, err = c.one("SELECT arrived FROM epoch WHERE ref = ?", r.ref); err != nil {
			return err
		}
		late, _, err := c.one("SELECT ifnull(sum(next - first), 0) FROM late WHERE epoch = ?", r.ref)
		if err != nil {
			return err
		}
		e.Late = uint64(late)
		err = c.query(`SELECT f.id, s.name, s.labels, s.unit, s.type FROM definition f JOIN series_item s ON s.ref = f.series
			WHERE f.epoch = ? ORDER BY f.id`, func(v []driver.Value) error {
			series := record.Series{Name: asText(v[1]), Unit: asText(v[3]), Type: record.Type(asInt(v[4]))}
			var labels map[string]string
			if err := json.Unmarshal([]byte(asText(v[2])), &labels); err != nil {
				return fmt.Errorf("%w: labels of series %s: %w", ErrDamaged, series.Name, err)
			}
			for key, value := range labels {
				series.Labels = append(series.Labels, record.Label{Key: key, Value: value})
			}
			if err := series.Normalize(); err != nil {
				return err
			}
			id := record.SeriesID(asInt(v[0]))
			e.Definitions[id] = &ledger.Series{Series: series}
			e.Series = append(e.Series, id)
			return nil
		}, r.ref)
		if err != nil {
			return err
		}
		d.Epochs = append(d.Epochs, e)
	}
	return nil
}

// Import implements ledger.Mover.
func (s *Store) Import(ctx context.Context, d *ledger.Device) error {
	return s.writing(ctx, func(w *writer) error {
		t := &tx{writer: w, now: s.now().UnixMicro(), epochs: map[epochKey]*epochRow{}, latest: map[int64]lastValue{}}
		if ref, err := t.device(d.Name); err != nil || ref != 0 {
			if err == nil {
				err = fmt.Errorf("import %s: %w", d.Name, ledger.ErrThere)
			}
			return err
		}
		ref, err := t.addDevice(d.Name)
		if err != nil {
			return err
		}
		k, err := t.clock(ref)
		if err != nil {
			return err
		}
		for _, b := range d.Boots {
			x := &boot{id: b.ID, best: b.Best, guess: b.Guess, last: b.Last, base: b.Base, tError: b.TError, placed: b.Placed}
			k.add(x)
			if err := t.storeBoot(ref, k, x); err != nil {
				return err
			}
		}
		for _, e := range d.Epochs {
			if err := t.importEpoch(ref, k, e); err != nil {
				return err
			}
		}
		for i := range d.Producers {
			p := &d.Producers[i]
			last, _ := p.Taken.Last()
			err := t.c.exec("INSERT INTO producer VALUES (?,?,?,?,?,?)", ref, p.Name, int64(p.Incarnation), int64(last), p.Taken.Append(nil), t.now)
			if err != nil {
				return err
			}
		}
		w.cache = newCache() // what was imported is read as it was written
		return nil
	})
}

func (t *tx) importEpoch(device int64, k *clock, e *ledger.Epoch) error {
	skipped, gapped := int64(0), int64(0)
	for _, s := range e.Skipped {
		skipped += int64(s.Len())
	}
	for _, g := range e.Gaps {
		gapped += int64(g.Len())
	}
	var boot driver.Value
	if b := k.byID[e.Boot]; b != nil {
		boot = b.ref
	}
	last, err := t.lastID()
	if err != nil {
		return err
	}
	err = t.c.exec(`INSERT INTO epoch (device, stream, epoch, parent, parent_end, first, next, chain_next, ends, quarantined, rows,
		removed, skipped, gapped, boot, first_id, arrived, last_t, marks) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, device, e.Stream,
		int64(e.Epoch), int64(e.Parent), int64(e.ParentEnd), int64(e.First), int64(e.Next), int64(e.ChainNext), int64(e.End),
		e.Quarantined, int64(e.Rows), int64(e.Removed), skipped, gapped, boot, last+1, e.Arrived, e.LastTime, store.AppendMarks([]byte{}, e.Marks))
	if err != nil {
		return err
	}
	ref, _, err := t.c.one("SELECT last_insert_rowid()")
	if err != nil {
		return err
	}
	for _, id := range e.Series {
		series, err := t.series(device, e.Definitions[id].Series)
		if err != nil {
			return err
		}
		if err := t.c.exec("INSERT INTO definition VALUES (?,?,?)", ref, int64(id), series); err != nil {
			return err
		}
	}
	x := &epochRow{ref: ref}
	for _, g := range e.Gaps {
		if err := t.putGap(x, g); err != nil {
			return err
		}
	}
	for _, s := range e.Skipped {
		if err := t.putSkip(x, s); err != nil {
			return err
		}
	}
	return nil
}
