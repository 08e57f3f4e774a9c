package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/hub/store"
)

// Maintain implements store.Maintainer: it makes the next day's partition, rewrites times that a better anchor has
// moved, and lets whole days go. Each step is a bounded transaction of its own that may be repeated.
func (s *Store) Maintain(ctx context.Context, r store.Retention) error {
	now := s.o.Now().UnixMicro()
	err := s.writing(ctx, func(ctx context.Context, w *writer) error {
		if err := w.partition(ctx, now); err != nil {
			return err
		}
		return w.partition(ctx, now+partitionDay)
	})
	if err != nil {
		return err
	}
	if err := s.Correct(ctx); err != nil {
		return err
	}
	return s.retain(ctx, now, r)
}

// aside runs f in a transaction on a connection of its own, so that no commit waits for it.
func (s *Store) aside(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	if s.write == nil {
		return ErrReadOnly
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maintainTimeout)
	defer cancel()
	return unavailable(pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return f(ctx, tx) }))
}

// Correct rewrites the times of rows whose boot got a better anchor. What is done is noted with each chunk, and
// queries of the views are right before, between and after.
func (s *Store) Correct(ctx context.Context) error {
	span := correctSpan
	for ctx.Err() == nil {
		more := false
		began := time.Now()
		err := s.aside(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			more, err = correctChunkOf(ctx, tx, span)
			return err
		})
		if err != nil || !more {
			return err
		}
		// A chunk reads what all devices brought in its span of arrivals, much or little.
		switch took := time.Since(began); {
		case took < correctAim/4:
			span = min(2*span, 365*partitionDay)
		case took > correctAim:
			span = max(span/4, 1)
		}
	}
	return context.Cause(ctx)
}

// correctChunkOf moves the oldest correction on by at most a span of arrivals (µs) and about correctChunk rows; SKIP LOCKED
// lets several hubs work.
func correctChunkOf(ctx context.Context, tx pgx.Tx, span int64) (more bool, err error) {
	var ref, done, upto, shift int64
	var epoch int32
	err = tx.QueryRow(ctx, "SELECT ref, epoch, done, upto, shift FROM correction ORDER BY ref LIMIT 1 FOR UPDATE SKIP LOCKED").
		Scan(&ref, &epoch, &done, &upto, &shift)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	end := upto
	if upto-done > span {
		end = done + span
	}
	// A commit's rows share their arrival, so a chunk ends between two commits.
	var to *int64
	err = tx.QueryRow(ctx, `SELECT max(arrival) FROM (SELECT arrival, sum(n) OVER (ORDER BY arrival) AS total, min(arrival) OVER () AS low FROM
		(SELECT arrival, count(*) AS n FROM record WHERE epoch = $1 AND arrival > $2 AND arrival <= $3 GROUP BY 1) a) b
		WHERE total - 1 < $4 OR arrival = low`, epoch, done, end, correctChunk).Scan(&to)
	if err != nil {
		return false, err
	}
	if to != nil {
		_, err = tx.Exec(ctx, `UPDATE record SET t = t + $1 WHERE epoch = $2 AND arrival > $3 AND arrival <= $4
			AND form IN (SELECT ref FROM form WHERE clock = 1)`, shift, epoch, done, *to)
		if err != nil {
			return false, err
		}
		end = *to
	}
	if end < upto {
		_, err = tx.Exec(ctx, "UPDATE correction SET done = $2 WHERE ref = $1", ref, end)
		return true, err
	}
	_, err = tx.Exec(ctx, "DELETE FROM correction WHERE ref = $1", ref)
	return true, err
}

// retain drops days that are older than the age, or the oldest while the whole is too large; never today's. The rows of
// each epoch are counted in the transaction that drops them, so that the account stays.
func (s *Store) retain(ctx context.Context, now int64, r store.Retention) error {
	if r.AgeMicros <= 0 && r.MaxBytes <= 0 || now < s.dropNext.Load() {
		return nil
	}
	for ctx.Err() == nil {
		dropped := false
		err := s.aside(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			var hyper bool
			if err := tx.QueryRow(ctx, "SELECT value <> 0 FROM meta WHERE name = 'hypertable'").Scan(&hyper); err != nil || hyper {
				return err // drop_chunks and retention policies are TimescaleDB's own; docs/stores.md
			}
			dropped, err = s.dropOldest(ctx, tx, now, r)
			return err
		})
		if locked(err) {
			s.dropNext.Store(now + dropAgain.Microseconds())
		}
		if err != nil || !dropped {
			return err
		}
	}
	return context.Cause(ctx)
}

func (s *Store) dropOldest(ctx context.Context, tx pgx.Tx, now int64, r store.Retention) (bool, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey); err != nil {
		return false, err
	}
	var name string
	var total int64
	err := tx.QueryRow(ctx, `SELECT c.relname, sum(pg_total_relation_size(c.oid)) OVER () FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = to_regclass($1) ORDER BY c.relname LIMIT 1`, pgx.Identifier{s.o.schema(), "record"}.Sanitize()).Scan(&name, &total)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var year, month, day int
	if _, err := fmt.Sscanf(name, "record_%04d%02d%02d", &year, &month, &day); err != nil {
		return false, fmt.Errorf("partition %s: %w", name, err)
	}
	end := dayMicros(year, month, day) + partitionDay
	old := r.AgeMicros > 0 && end <= now-r.AgeMicros || r.MaxBytes > 0 && total > r.MaxBytes && end <= floorDay(now)
	if !old {
		return false, nil
	}
	table := pgx.Identifier{s.o.schema(), name}.Sanitize()
	// Rows of a hub whose clock is days behind must not come in between counting and dropping.
	lock := fmt.Sprintf("SET LOCAL lock_timeout = %d; ", dropPatience.Milliseconds())
	if _, err := tx.Exec(ctx, lock+"LOCK TABLE "+table+" IN SHARE MODE; SET LOCAL lock_timeout = 0"); err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	// Writers of these epochs come after: they find another version of the device.
	_, err = tx.Exec(ctx, `WITH gone AS (SELECT epoch, count(*) AS n FROM `+table+` GROUP BY 1),
		counted AS (UPDATE epoch e SET removed = e.removed + gone.n FROM gone WHERE e.ref = gone.epoch RETURNING e.device)
		UPDATE device SET version = version + 1 WHERE ref IN (SELECT device FROM counted)`)
	if err != nil {
		return false, err
	}
	// Whoever asks for rows waits behind a drop that waits for one who is at it already: only for a moment.
	if _, err = tx.Exec(ctx, lock+"DROP TABLE "+table); err != nil {
		return false, fmt.Errorf("drop %s, which somebody may be reading: %w", name, err)
	}
	return true, nil
}
