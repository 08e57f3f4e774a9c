package stores

import (
	"testing"

	"github.com/edgelog/edgelog/hub/store"
)

// TestTimescaleFound shows what the hub does where the extension is listed. The extension itself is in no Debian package:
// what stands in for it is an entry in the catalogue and a function of that name which writes down how it was called.
func TestTimescaleFound(t *testing.T) {
	pg := postgresServer(t)
	err := pg.SQLs("SET allow_system_table_mods = on",
		`CREATE TABLE public.called (relation text, part text, chunk bigint, indexes boolean)`,
		`CREATE FUNCTION public.create_hypertable(relation regclass, time_column_name name, chunk_time_interval bigint, create_default_indexes boolean)
			RETURNS void LANGUAGE sql AS 'INSERT INTO public.called VALUES (relation::text, time_column_name, chunk_time_interval, create_default_indexes)'`,
		`INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (16000, 'timescaledb', 10, 'public'::regnamespace, false, '0')`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pg.SQLs("SET allow_system_table_mods = on", "DELETE FROM pg_extension WHERE oid = 16000", "DROP FUNCTION public.create_hypertable", "DROP TABLE public.called"); err != nil {
			t.Error(err)
		}
	}()
	schema := newSchema()
	s := openPostgres(t, pg, schema)
	d := newDevice(1)
	if res, err := s.Commit(t.Context(), []store.Change{d.change(5)}); err != nil || !res[0].Applied {
		t.Errorf("commit: %+v, %v", res, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = openPostgres(t, pg, schema) // which it is stands in the schema, not in the catalogue of the day
	d.next, d.known = 5, true
	if res, err := s.Commit(t.Context(), []store.Change{d.change(5)}); err != nil || !res[0].Applied {
		t.Errorf("commit after opening again: %+v, %v", res, err)
	}
	s.Close()
	out, err := pg.Query(`SELECT relation, part, chunk, indexes, (SELECT relkind FROM pg_class WHERE oid = '` + schema + `.record'::regclass),
		(SELECT count(*) FROM ` + schema + `.record), (SELECT count(*) FROM pg_inherits WHERE inhparent = '` + schema + `.record'::regclass) FROM public.called`)
	if want := "record|arrival|86400000000|f|r|10|0"; err != nil || out != want {
		t.Errorf("how the table was made: %q (%v), want %q", out, err, want)
	}
}
