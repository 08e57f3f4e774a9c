package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/edgelog/edgelog/buffer/record"
)

// Schema is the version that this program writes, kept in the table meta.
const Schema = 1

//go:embed schema.sql
var schemaSQL string

// migrations lists what brings a schema i+1 to schema i+2.
func migrations() []string { return nil }

// lockKey serialises hubs that start at the same time ("Edge").
const lockKey = 0x45646765

// prepare checks the server, and creates or migrates the schema.
func (s *Store) prepare(ctx context.Context, w *writer) error {
	if err := durable(ctx, w.c); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, w.c, s.o.schema())
	if err == nil && version != Schema {
		err = pgx.BeginFunc(ctx, w.c, func(tx pgx.Tx) error { return s.migrate(ctx, tx) })
	}
	if err != nil {
		return err
	}
	return w.c.QueryRow(ctx, "SELECT value <> 0 FROM meta WHERE name = 'hypertable'").Scan(&w.hyper)
}

// durable makes sure that a commit which returns has reached the disk, whatever the server's default.
func durable(ctx context.Context, c *pgx.Conn) error {
	var fsync, commit string
	if err := c.QueryRow(ctx, "SELECT current_setting('fsync'), current_setting('synchronous_commit')").Scan(&fsync, &commit); err != nil {
		return err
	}
	if fsync != "on" {
		return ErrUnsafe
	}
	if commit != "off" {
		return nil
	}
	_, err := c.Exec(ctx, "SET synchronous_commit TO on")
	return err
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is 0 where there is none.
func schemaVersion(ctx context.Context, q querier, schema string) (v int64, err error) {
	// Not to_regclass: that may remember from before a lock was waited for that there is none.
	var there bool
	err = q.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'meta'", schema).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(value), 0) FROM meta WHERE name = 'schema'").Scan(&v)
	switch {
	case err != nil:
		return 0, err
	case v < 1:
		return 0, ErrForeign
	case v > Schema:
		return 0, fmt.Errorf("%w: it has schema %d, this program knows up to %d; run the newer program", ErrNewer, v, Schema)
	}
	return v, nil
}

// checkSchema is for those who only read.
func (s *Store) checkSchema(ctx context.Context) error {
	v, err := schemaVersion(ctx, s.pool, s.o.schema())
	if err == nil && v == 0 {
		err = fmt.Errorf("%w: schema %q is empty; a hub that runs creates it", ErrForeign, s.o.schema())
	}
	return unavailable(err)
}

func (s *Store) migrate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, tx, s.o.schema()) // another hub may have done it since
	if err != nil || version == Schema {
		return err
	}
	if version == 0 {
		return s.create(ctx, tx)
	}
	for _, m := range migrations()[version-1:] {
		if _, err := tx.Exec(ctx, m); err != nil {
			return fmt.Errorf("migrate hub store from schema %d: %w", version, err)
		}
	}
	_, err = tx.Exec(ctx, "UPDATE meta SET value = $1 WHERE name = 'schema'", Schema)
	return err
}

func (s *Store) create(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{s.o.schema()}.Sanitize()); err != nil {
		return err
	}
	var hyper bool
	if err := tx.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_extension WHERE extname = 'timescaledb'").Scan(&hyper); err != nil {
		return err
	}
	partition := "PARTITION BY RANGE (arrival)"
	if hyper {
		partition = ""
	}
	if _, err := tx.Exec(ctx, strings.Replace(schemaSQL, "@partition@", partition, 1)); err != nil {
		return fmt.Errorf("create hub store: %w", err)
	}
	if hyper {
		_, err := tx.Exec(ctx, `SELECT create_hypertable('record', 'arrival', chunk_time_interval => $1::bigint, create_default_indexes => false)`, partitionDay)
		if err != nil {
			return fmt.Errorf("create hypertable: %w", err)
		}
	}
	for _, sql := range []string{"CREATE INDEX record_t ON record USING brin (t) WITH (pages_per_range = 32, autosummarize = on)",
		"CREATE INDEX record_arrival ON record USING brin (arrival) WITH (pages_per_range = 32, autosummarize = on)"} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	for r := record.ReasonRetention; r <= record.ReasonSeveral; r++ {
		if _, err := tx.Exec(ctx, "INSERT INTO gap_reason VALUES ($1, $2)", int16(r), r.String()); err != nil {
			return err
		}
	}
	hyperValue := 0
	if hyper {
		hyperValue = 1
	}
	_, err := tx.Exec(ctx, "INSERT INTO meta VALUES ('schema', $1), ('hypertable', $2)", Schema, hyperValue)
	return err
}

// partition makes sure that the day of an arrival has its partition, in a transaction of its own. A table that is attached waits
// for nobody who reads or writes rows, unlike one that is created as a partition: that would stand behind a query of hours, as
// pg_dump makes, and everybody else behind it.
func (w *writer) partition(ctx context.Context, arrival int64) error {
	day := floorDay(arrival)
	if w.hyper || w.days[day] {
		return nil
	}
	plain := partitionName(day)
	name := pgx.Identifier{plain}.Sanitize()
	err := pgx.BeginFunc(ctx, w.c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey); err != nil {
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent"+
			" WHERE c.relname = $1 AND p.relname = 'record' AND c.relnamespace = p.relnamespace AND p.relnamespace = current_schema()::regnamespace", plain).Scan(&there)
		if err != nil || there {
			return err
		}
		_, err = tx.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (LIKE record INCLUDING DEFAULTS INCLUDING CONSTRAINTS); "+
			"ALTER TABLE record ATTACH PARTITION %[1]s FOR VALUES FROM (%d) TO (%d)", name, day, day+partitionDay))
		return err
	})
	if err == nil {
		w.days[day] = true
	}
	return err
}

func floorDay(us int64) int64 {
	d := us / partitionDay
	if us%partitionDay < 0 {
		d--
	}
	return d * partitionDay
}

func partitionName(day int64) string {
	return "record_" + microsTime(day).Format("20060102")
}

func dayMicros(year, month, day int) int64 {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).UnixMicro()
}
