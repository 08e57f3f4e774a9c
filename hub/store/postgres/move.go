package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

var _ ledger.Mover = (*Store)(nil)

// Devices implements ledger.Mover.
func (s *Store) Devices(ctx context.Context) (out []string, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name FROM device ORDER BY name COLLATE "C"`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return out, err
}

// Export implements ledger.Mover.
func (s *Store) Export(ctx context.Context, device string) (*ledger.Device, error) {
	d := &ledger.Device{Name: device}
	err := s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		*d = ledger.Device{Name: device}
		err := tx.QueryRow(ctx, "SELECT ref, version FROM device WHERE name = $1", device).Scan(&d.Ref, &d.Version)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err == nil {
			err = load(ctx, tx, d)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return d.Moved(), nil
}

// Import implements ledger.Mover.
func (s *Store) Import(ctx context.Context, d *ledger.Device) error {
	return s.writing(ctx, func(ctx context.Context, w *writer) error {
		err := pgx.BeginFunc(ctx, w.c, func(ptx pgx.Tx) error {
			t := &tx{writer: w, Tx: ptx, after: &pgx.Batch{}}
			k := &work{Device: d, arrival: s.o.Now().UnixMicro()}
			err := ptx.QueryRow(ctx, "INSERT INTO device (name, version, arrival) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING ref", d.Name, k.arrival).Scan(&d.Ref)
			if err == pgx.ErrNoRows {
				return ledger.ErrThere
			}
			if err != nil {
				return err
			}
			b := &pgx.Batch{}
			for _, e := range d.Epochs {
				importEpoch(b, d, e, k.arrival)
				for _, id := range e.Series {
					if err := t.seriesRef(b, k, e.Definitions[id]); err != nil {
						return err
					}
				}
			}
			if err := ptx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
			for _, e := range d.Epochs {
				for _, id := range e.Series {
					s := e.Definitions[id]
					t.after.Queue("INSERT INTO definition VALUES ($1,$2,$3,$4)", e.Ref, int64(id), s.Ref, record.AppendDefinition(nil, record.Definition{ID: id, Series: s.Series}))
				}
				t.gaps(e.Ref, nil, e.Gaps)
				t.skips(e.Ref, nil, e.Skipped)
			}
			for _, p := range d.Producers {
				t.producer(k, p)
			}
			for _, b := range d.Boots {
				t.boot(k, b)
			}
			if t.after.Len() == 0 {
				return nil
			}
			return ptx.SendBatch(ctx, t.after).Close()
		})
		if err != nil {
			return fmt.Errorf("import %s: %w", d.Name, err)
		}
		return nil
	})
}

func importEpoch(b *pgx.Batch, d *ledger.Device, e *ledger.Epoch, arrival int64) {
	skipped, gapped := holes(e)
	b.Queue(`INSERT INTO epoch (device, stream, epoch, parent, parent_end, first, next, chain_next, ends, quarantined, rows,
		removed, late, skipped, gapped, boot, first_arrival, arrived, last_t, marks)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$11,$12,$13,$14,$15,$16,$17,$18,$19) RETURNING ref`, d.Ref, e.Stream, int64(e.Epoch),
		int64(e.Parent), int64(e.ParentEnd), int64(e.First), int64(e.Next), int64(e.ChainNext), int64(e.End), e.Quarantined,
		int64(e.Rows), int64(e.Late), int64(skipped), int64(gapped), e.Boot, arrival, e.Arrived, e.LastTime, store.AppendMarks([]byte{}, e.Marks)).
		QueryRow(func(r pgx.Row) error { return r.Scan(&e.Ref) })
}
