package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// one is for a statement that must change exactly one row: the compare-and-set.
func one(tag pgconn.CommandTag) error {
	if tag.RowsAffected() != 1 {
		return errConflict
	}
	return nil
}

// refs gives new epochs, series and forms their references, before rows use them.
func (t *tx) refs(ctx context.Context) error {
	b := &pgx.Batch{}
	for _, d := range t.order {
		for _, x := range d.tx.Epochs() {
			if x.Was != nil {
				continue
			}
			e := x.Epoch
			e.FirstMark = d.arrival
			b.Queue(`INSERT INTO epoch (device, stream, epoch, parent, parent_end, first, next, chain_next, ends, quarantined,
				rows, removed, late, skipped, gapped, boot, first_arrival, arrived, last_t, marks)
				VALUES ($1,$2,$3,$4,$5,$6,$6,$7,0,false,0,0,0,0,0,'',$8,$8,0,'') RETURNING ref`, d.Ref, e.Stream, int64(e.Epoch),
				int64(e.Parent), int64(e.ParentEnd), int64(e.First), int64(firstChain(d, e)), d.arrival).
				QueryRow(func(r pgx.Row) error { return r.Scan(&e.Ref) })
		}
		for i := range d.steps {
			for _, def := range d.steps[i].Definitions {
				if err := t.seriesRef(b, d, d.steps[i].Epoch.Definitions[def.ID]); err != nil {
					return err
				}
			}
		}
	}
	t.queueForms(b)
	if b.Len() == 0 {
		return nil
	}
	return t.SendBatch(ctx, b).Close()
}

// seriesRef finds or adds the series: the same thing with another unit or type is another one, so that old rows keep
// their meaning.
func (t *tx) seriesRef(b *pgx.Batch, d *work, s *ledger.Series) error {
	labels := make(map[string]string, len(s.Labels))
	for _, l := range s.Labels {
		labels[l.Key] = withoutNUL(l.Value)
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return fmt.Errorf("encode labels: %w", err)
	}
	// An INSERT that meets a row takes a number from the sequence all the same, so one that is there is looked for first.
	b.Queue(`WITH found AS (SELECT ref FROM series_item WHERE device = $1 AND key = $2 AND unit = $5 AND type = $6),
		added AS (INSERT INTO series_item (device, key, name, labels, unit, type) SELECT $1,$2,$3::text,$4::jsonb,$5,$6 WHERE NOT EXISTS (SELECT FROM found)
		ON CONFLICT DO NOTHING RETURNING ref)
		SELECT ref FROM found UNION ALL SELECT ref FROM added`,
		d.Ref, s.Key(), s.Name, string(text), withoutNUL(s.Unit), int16(s.Type)).
		QueryRow(func(r pgx.Row) error { return r.Scan(&s.Ref) })
	return nil
}

func formKey(r *record.Record) uint32 {
	return uint32(r.Kind) | uint32(r.Quality)<<8 | uint32(r.Type)<<16 | uint32(r.Clock)<<24
}

// queueForms adds the forms that are not known yet.
func (t *tx) queueForms(b *pgx.Batch) {
	asked := map[uint32]bool{}
	last := uint32(0)
	for _, d := range t.order {
		for i := range d.steps {
			rows := d.steps[i].c.Rows
			for j := range rows {
				r := &rows[j]
				key := formKey(r)
				if key == last || asked[key] || t.forms[key] != 0 {
					last = key
					continue
				}
				asked[key], last = true, key
				var scale any
				if r.Type.Base() == record.TypeDecimal {
					scale = math.Pow10(r.Type.Decimals())
				}
				b.Queue(`WITH found AS (SELECT ref FROM form WHERE kind = $1 AND quality = $2 AND type = $3 AND clock = $4),
					added AS (INSERT INTO form (kind, quality, type, clock, kind_name, quality_name, type_name, scale)
					SELECT $1,$2,$3,$4,$5::text,$6::text,$7::text,$8::double precision WHERE NOT EXISTS (SELECT FROM found) ON CONFLICT DO NOTHING RETURNING ref)
					SELECT ref FROM found UNION ALL SELECT ref FROM added`,
					int16(r.Kind), int16(r.Quality), int16(r.Type), int16(r.Clock), r.Kind.String(), r.Quality.String(), r.Type.String(), scale).
					QueryRow(func(row pgx.Row) error {
						var ref int16
						err := row.Scan(&ref)
						t.forms[key] = ref
						return err
					})
			}
		}
	}
}

// step writes what belongs to one change alone: its rows, definitions, late ranges, dead letters, corrections.
func (t *tx) step(d *work, s *step) error {
	for _, x := range s.Shifts {
		t.shift(d, x)
	}
	for _, def := range s.Definitions {
		t.after.Queue("INSERT INTO definition VALUES ($1,$2,$3,$4)", s.Epoch.Ref, int64(def.ID), s.Epoch.Definitions[def.ID].Ref,
			record.AppendDefinition(nil, def))
	}
	for _, l := range s.c.DeadLetters {
		t.after.Queue("INSERT INTO dead_letter (epoch, record_offset, reason, arrived, canonical) VALUES ($1,$2,$3,$4,$5)",
			s.Epoch.Ref, int64(l.Offset), l.Reason, d.arrival, notNil(l.Canonical))
	}
	return ledger.Runs(s.c, func(rows []record.Record, at record.Offset) error {
		if s.c.Late {
			t.after.Queue("INSERT INTO late VALUES ($1,$2,$3)", s.Epoch.Ref, int64(at), int64(at)+int64(len(rows)))
		} else {
			t.remember(s, rows, at)
		}
		return t.addRows(s, d.arrival, rows, at)
	})
}

// shift notes that the rows which an epoch has from earlier commits are off; those of this one are still in memory, and
// those of latest values are few.
func (t *tx) shift(d *work, x ledger.Shift) {
	t.rows.shift(x.Epoch.Ref, x.Micros)
	for s, l := range t.latest {
		if l.epoch == x.Epoch.Ref && l.boot {
			l.t += x.Micros
			t.latest[s] = l
		}
	}
	if x.Epoch.Was == nil {
		return
	}
	t.after.Queue("UPDATE last_value SET t = t + $1 WHERE epoch = $2 AND form IN (SELECT ref FROM form WHERE clock = 1)", x.Micros, x.Epoch.Ref)
	t.after.Queue("INSERT INTO correction (epoch, done, upto, shift) VALUES ($1,$2,$3,$4)", x.Epoch.Ref, x.Epoch.FirstMark-1, d.arrival-1, x.Micros)
}

// device writes the states at the end of the transaction: epochs by compare-and-set, their lists, producers, boots.
func (t *tx) device(d *work) {
	for _, x := range d.tx.Epochs() {
		if !x.Dirty {
			continue
		}
		was := ledger.Epoch{}
		if x.Was != nil {
			was = *x.Was
		} else {
			was.Next, was.ChainNext = x.First, firstChain(d, x.Epoch)
		}
		skipped, gapped := holes(x.Epoch)
		t.after.Queue(`UPDATE epoch SET next = $2, chain_next = $3, ends = $4, quarantined = $5, rows = $6, late = $7, skipped = $8,
			gapped = $9, boot = $10, arrived = $11, last_t = $12, marks = $15, first = $16 WHERE ref = $1 AND next = $13 AND chain_next = $14`, x.Ref,
			int64(x.Next), int64(x.ChainNext), int64(x.End), x.Quarantined, int64(x.Rows), int64(x.Late), int64(skipped),
			int64(gapped), x.Boot, x.Arrived, x.LastTime, int64(was.Next), int64(was.ChainNext),
			store.AppendMarks([]byte{}, x.Marks), int64(x.First)).Exec(one)
		t.gaps(x.Ref, was.Gaps, x.Gaps)
		t.skips(x.Ref, was.Skipped, x.Skipped)
	}
	moved, forgotten := d.tx.Producers()
	for _, p := range forgotten {
		t.after.Queue("DELETE FROM producer WHERE device = $1 AND name = $2 AND incarnation = $3", d.Ref, p.Name, int64(p.Incarnation))
	}
	for _, p := range moved {
		t.producer(d, p)
	}
	for _, k := range d.tx.Boots() {
		t.boot(d, k)
	}
}

// holes are the sums of an epoch's skips and gaps.
func holes(e *ledger.Epoch) (skipped, gapped uint64) {
	for _, k := range e.Skipped {
		skipped += k.Len()
	}
	for _, g := range e.Gaps {
		gapped += g.Len()
	}
	return skipped, gapped
}

func (t *tx) gaps(epoch int64, was, now []record.Gap) {
	gone, added := ledger.Diff(was, now)
	for _, g := range gone {
		t.after.Queue("DELETE FROM gap WHERE epoch = $1 AND first = $2", epoch, int64(g.From)).Exec(one)
	}
	for _, g := range added {
		t.after.Queue("INSERT INTO gap VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", epoch, int64(g.From), int64(g.To), int16(g.Reason),
			int64(g.ChainFrom), int64(g.ChainTo), g.TimeMin, g.TimeMax)
	}
}

func (t *tx) skips(epoch int64, was, now []store.Skip) {
	gone, added := ledger.Diff(was, now)
	for _, k := range gone {
		t.after.Queue("DELETE FROM skip WHERE epoch = $1 AND first = $2", epoch, int64(k.From)).Exec(one)
	}
	for _, k := range added {
		t.after.Queue("INSERT INTO skip VALUES ($1,$2,$3,$4)", epoch, int64(k.From), int64(k.To), k.Reason)
	}
}

func (t *tx) producer(d *work, p ledger.Producer) {
	var last any
	if n, ok := p.Taken.Last(); ok {
		last = strconv.FormatUint(n, 10)
	}
	t.after.Queue(`INSERT INTO producer VALUES ($1,$2,$3,$4,$5::text::numeric,$6)
		ON CONFLICT (device, name, incarnation) DO UPDATE SET taken = excluded.taken, last = excluded.last, moved = excluded.moved`,
		d.Ref, p.Name, int64(p.Incarnation), p.Taken.Append([]byte{}), last, p.Moved)
}

// firstChain is the chain that a new epoch's row was inserted with.
func firstChain(d *work, e *ledger.Epoch) uint64 {
	for i := range d.steps {
		if c := d.steps[i].c; c.Create && c.Epoch == e.Epoch && c.Stream == e.Stream {
			return c.FromChain
		}
	}
	return e.ChainNext
}

func (t *tx) boot(d *work, k *ledger.Boot) {
	anchor := func(a record.Anchor) (boottime, utc, width any) {
		if a.Boot == "" {
			return nil, nil, nil
		}
		return a.BootTime, a.UTC, a.Error
	}
	bt, bu, be := anchor(k.Best)
	gt, gu, ge := anchor(k.Guess)
	var source any
	if k.Best.Boot != "" {
		source = string(k.Best.Source)
	}
	t.after.Queue(`INSERT INTO boot (device, boot, base, t_error, placed, last, best_time, best_utc, best_error, best_source,
		guess_time, guess_utc, guess_error) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)
		ON CONFLICT (device, boot) DO UPDATE SET base = excluded.base, t_error = excluded.t_error, placed = excluded.placed,
		last = excluded.last, best_time = excluded.best_time, best_utc = excluded.best_utc, best_error = excluded.best_error,
		best_source = excluded.best_source, guess_time = excluded.guess_time, guess_utc = excluded.guess_utc,
		guess_error = excluded.guess_error`, d.Ref, k.ID, k.Base, k.TError, k.Placed, k.Last, bt, bu, be, source, gt, gu, ge)
}

// lastValue is what the table of latest values will hold of one series after this transaction.
type lastValue struct {
	epoch, t int64
	offset   record.Offset
	form     uint32
	boot     bool
	num      any
	real     any
	body     any
}

// remember notes the last row of each series in a run: one upsert a series and transaction, not one a row.
func (t *tx) remember(s *step, rows []record.Record, at record.Offset) {
	for i := range rows {
		r := &rows[i]
		if r.Kind != record.KindObservation {
			continue
		}
		t.rows.last[s.Epoch.Definitions[r.Series]] = int32(i)
	}
	for series, i := range t.rows.last {
		r := &rows[i]
		l := lastValue{epoch: s.Epoch.Ref, t: s.Micros(r), offset: at + record.Offset(i), form: formKey(r), boot: !r.Clock.Asserted()}
		switch r.Type.Base() {
		case record.TypeInt, record.TypeDecimal, record.TypeBool:
			l.num = r.Num
		case record.TypeFloat:
			l.real = math.Float64frombits(uint64(r.Num))
		case record.TypeString, record.TypeJSON, record.TypeBytes:
			l.body = append([]byte{}, r.Value()...)
		}
		t.latest[series] = l
	}
	clear(t.rows.last)
}

// flushLatest queues one statement for all series.
func (t *tx) flushLatest() {
	if len(t.latest) == 0 {
		return
	}
	n := len(t.latest)
	series, epoch, offset, at := make([]int32, 0, n), make([]int32, 0, n), make([]int64, 0, n), make([]int64, 0, n)
	form, num, real, body := make([]int16, 0, n), make([]*int64, 0, n), make([]*float64, 0, n), make([][]byte, 0, n)
	seen := make(map[int64]int, n) // two ids of an epoch, or two epochs, may mean one series
	for s, l := range t.latest {
		var a *int64
		var f *float64
		var b []byte
		switch v := l.num.(type) {
		case int64:
			a = &v
		}
		switch v := l.real.(type) {
		case float64:
			f = &v
		}
		if v, ok := l.body.([]byte); ok {
			b = v
		}
		if i, twice := seen[s.Ref]; twice {
			if at[i] <= l.t {
				epoch[i], offset[i], at[i], form[i], num[i], real[i], body[i] = int32(l.epoch), int64(l.offset), l.t, t.forms[l.form], a, f, b
			}
			continue
		}
		seen[s.Ref] = len(series)
		series, epoch, offset, at = append(series, int32(s.Ref)), append(epoch, int32(l.epoch)), append(offset, int64(l.offset)), append(at, l.t)
		form, num, real, body = append(form, t.forms[l.form]), append(num, a), append(real, f), append(body, b)
	}
	t.after.Queue(`INSERT INTO last_value SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::smallint[], $6::bigint[],
		$7::double precision[], $8::bytea[]) ON CONFLICT (series) DO UPDATE SET epoch = excluded.epoch, record_offset = excluded.record_offset,
		t = excluded.t, form = excluded.form, num = excluded.num, real = excluded.real, body = excluded.body`,
		series, epoch, offset, at, form, num, real, body)
}

// notNil keeps an empty value from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
