package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

func microsTime(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Positions implements store.Store.
func (s *Store) Positions(ctx context.Context, device string) (st store.DeviceState, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d := &ledger.Device{Name: device}
		err := tx.QueryRow(ctx, "SELECT ref, version FROM device WHERE name = $1", device).Scan(&d.Ref, &d.Version)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err == nil {
			err = load(ctx, tx, d)
		}
		st = d.State()
		return err
	})
	if err != nil {
		return store.DeviceState{}, err
	}
	return st, nil
}

// load reads everything of a device, in one round trip.
func load(ctx context.Context, tx pgx.Tx, d *ledger.Device) error {
	b := &pgx.Batch{}
	byRef := map[int64]*ledger.Epoch{}
	loadEpochs(b, d, byRef)
	loadGaps(b, d, byRef)
	loadSkips(b, d, byRef)
	loadDefinitions(b, d, byRef)
	loadProducers(b, d)
	loadBoots(b, d)
	return tx.SendBatch(ctx, b).Close()
}

// loadEpochs reads the epochs of a device, and fills byRef for what is queued behind it.
func loadEpochs(b *pgx.Batch, d *ledger.Device, byRef map[int64]*ledger.Epoch) {
	b.Queue(`SELECT ref, stream, epoch, parent, parent_end, first, next, chain_next, ends, quarantined, rows, removed,
		late, boot, first_arrival, arrived, last_t, marks FROM epoch WHERE device = $1 ORDER BY ref`, d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			e := &ledger.Epoch{Definitions: map[record.SeriesID]*ledger.Series{}}
			var epoch, parent, parentEnd, first, next, chain, ends, rows, removed, late int64
			var marks []byte
			if err := r.Scan(&e.Ref, &e.Stream, &epoch, &parent, &parentEnd, &first, &next, &chain, &ends, &e.Quarantined,
				&rows, &removed, &late, &e.Boot, &e.FirstMark, &e.Arrived, &e.LastTime, &marks); err != nil {
				return err
			}
			var err error
			if e.Marks, err = store.ParseMarks(nil, marks); err != nil {
				return fmt.Errorf("marks of %s: %w", record.Epoch(epoch), err)
			}
			e.Epoch, e.Parent, e.ParentEnd = record.Epoch(epoch), record.Epoch(parent), record.Offset(parentEnd)
			e.First, e.Next, e.ChainNext, e.End = record.Offset(first), record.Offset(next), uint64(chain), record.Offset(ends)
			e.Rows, e.Removed, e.Late = uint64(rows), uint64(removed), uint64(late)
			d.Epochs = append(d.Epochs, e)
			byRef[e.Ref] = e
		}
		return r.Err()
	})
}

// loadGaps reads their gaps.
func loadGaps(b *pgx.Batch, d *ledger.Device, byRef map[int64]*ledger.Epoch) {
	b.Queue(`SELECT g.epoch, g.first, g.next, g.reason, g.chain_from, g.chain_to, g.t_min, g.t_max FROM gap g
		JOIN epoch e ON e.ref = g.epoch WHERE e.device = $1 ORDER BY g.epoch, g.first`, d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			var ref, first, next, from, to int64
			var reason int16
			var g record.Gap
			if err := r.Scan(&ref, &first, &next, &reason, &from, &to, &g.TimeMin, &g.TimeMax); err != nil {
				return err
			}
			g.Range, g.Reason = record.Range{From: record.Offset(first), To: record.Offset(next)}, record.Reason(reason)
			g.ChainFrom, g.ChainTo = uint64(from), uint64(to)
			if e := byRef[ref]; e != nil {
				g.Epoch = e.Epoch
				e.Gaps = append(e.Gaps, g)
			}
		}
		return r.Err()
	})
}

// loadSkips reads what was not taken of them.
func loadSkips(b *pgx.Batch, d *ledger.Device, byRef map[int64]*ledger.Epoch) {
	b.Queue(`SELECT k.epoch, k.first, k.next, k.reason FROM skip k JOIN epoch e ON e.ref = k.epoch
		WHERE e.device = $1 ORDER BY k.epoch, k.first`, d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			var ref, first, next int64
			var k store.Skip
			if err := r.Scan(&ref, &first, &next, &k.Reason); err != nil {
				return err
			}
			k.Range = record.Range{From: record.Offset(first), To: record.Offset(next)}
			if e := byRef[ref]; e != nil {
				e.Skipped = append(e.Skipped, k)
			}
		}
		return r.Err()
	})
}

// loadDefinitions reads the series that they define.
func loadDefinitions(b *pgx.Batch, d *ledger.Device, byRef map[int64]*ledger.Epoch) {
	b.Queue(`SELECT f.epoch, f.id, f.series, f.body FROM definition f JOIN epoch e ON e.ref = f.epoch WHERE e.device = $1
		ORDER BY f.epoch, f.id`, d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			var ref, id, series int64
			var body []byte
			if err := r.Scan(&ref, &id, &series, &body); err != nil {
				return err
			}
			def, _, err := record.ParseDefinition(body)
			if err != nil {
				return err
			}
			if e := byRef[ref]; e != nil {
				e.Definitions[record.SeriesID(id)] = &ledger.Series{Series: def.Series, Ref: series}
				e.Series = append(e.Series, record.SeriesID(id))
			}
		}
		return r.Err()
	})
}

// loadProducers reads what was taken of the producers of a device.
func loadProducers(b *pgx.Batch, d *ledger.Device) {
	b.Queue("SELECT name, incarnation, taken, moved FROM producer WHERE device = $1 ORDER BY name, moved", d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			var p ledger.Producer
			var incarnation int64
			var taken []byte
			if err := r.Scan(&p.Name, &incarnation, &taken, &p.Moved); err != nil {
				return err
			}
			var err error
			if p.Taken, err = store.ParseSequences(taken); err != nil {
				return fmt.Errorf("sequences of producer %s: %w", p.Name, err)
			}
			p.Incarnation = uint64(incarnation)
			d.Producers = append(d.Producers, p)
		}
		return r.Err()
	})
}

func loadBoots(b *pgx.Batch, d *ledger.Device) {
	b.Queue(`SELECT ref, boot, base, t_error, placed, last, best_time, best_utc, best_error, best_source, guess_time,
		guess_utc, guess_error FROM boot WHERE device = $1 ORDER BY ref`, d.Ref).Query(func(r pgx.Rows) error {
		for r.Next() {
			k := &ledger.Boot{}
			var best, guess [3]*int64
			var source *string
			if err := r.Scan(&k.Ref, &k.ID, &k.Base, &k.TError, &k.Placed, &k.Last, &best[0], &best[1], &best[2], &source,
				&guess[0], &guess[1], &guess[2]); err != nil {
				return err
			}
			if best[0] != nil && source != nil {
				k.Best = record.Anchor{Boot: k.ID, BootTime: *best[0], UTC: *best[1], Error: *best[2], Source: record.ClockSource(*source)}
			}
			if guess[0] != nil {
				k.Guess = record.Anchor{Boot: k.ID, BootTime: *guess[0], UTC: *guess[1], Error: *guess[2], Source: record.SourceSystem}
			}
			d.Boots = append(d.Boots, k)
		}
		return r.Err()
	})
}

// Leases implements store.Leases.
func (s *Store) Leases(ctx context.Context, prefix string) (out []store.Lease, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, "SELECT name, owner, number, beat, ttl_ms, note FROM lease WHERE starts_with(name, $1) ORDER BY name", prefix)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanLease)
		return err
	})
	return slices.Clip(out), err
}

func scanLease(r pgx.CollectableRow) (l store.Lease, err error) {
	var number, beat, ttl int64
	err = r.Scan(&l.Name, &l.Owner, &number, &beat, &ttl, &l.Note)
	l.Number, l.Beat, l.TTL = uint64(number), uint64(beat), time.Duration(ttl)*time.Millisecond
	return l, err
}

// SwapLease implements store.Leases.
func (s *Store) SwapLease(ctx context.Context, prev, next store.Lease) (now store.Lease, ok bool, err error) {
	if err := store.SwapError(prev, next); err != nil {
		return store.Lease{}, false, err
	}
	if s.o.ReadOnly {
		return store.Lease{}, false, ErrReadOnly
	}
	if err := s.ready(ctx); err != nil {
		return store.Lease{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		sql := `INSERT INTO lease (name, owner, number, beat, ttl_ms, note) VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING`
		args := []any{next.Name, next.Owner, int64(next.Number), int64(next.Beat), next.TTL.Milliseconds(), next.Note}
		if prev != (store.Lease{}) {
			sql = `UPDATE lease SET owner = $2, number = $3, beat = $4, ttl_ms = $5, note = $6
				WHERE name = $1 AND owner = $7 AND number = $8 AND beat = $9 AND ttl_ms = $10 AND note = $11`
			args = append(args, prev.Owner, int64(prev.Number), int64(prev.Beat), prev.TTL.Milliseconds(), prev.Note)
		}
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil {
			return err
		}
		ok = tag.RowsAffected() == 1
		if ok {
			now = next
			return nil
		}
		rows, err := tx.Query(ctx, "SELECT name, owner, number, beat, ttl_ms, note FROM lease WHERE name = $1", next.Name)
		if err != nil {
			return err
		}
		now, err = pgx.CollectOneRow(rows, scanLease)
		if err == pgx.ErrNoRows {
			now, err = store.Lease{}, nil
		}
		return err
	})
	if err != nil {
		return store.Lease{}, false, unavailable(err)
	}
	return now, ok, nil
}
