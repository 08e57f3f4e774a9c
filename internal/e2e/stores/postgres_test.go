package stores

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/hub/store/storetest"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// One server for all tests that do not break it.
var shared struct {
	once sync.Once
	pg   *servers.Postgres
	err  error
	n    atomic.Int64
}

func postgresServer(t testing.TB) *servers.Postgres {
	t.Helper()
	shared.once.Do(func() { shared.pg, shared.err = servers.StartPostgres() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.pg
}

// newSchema is a name that nobody uses yet: an empty store.
func newSchema() string { return fmt.Sprintf("edgelog_%d", shared.n.Add(1)) }

func openPostgres(t testing.TB, s *servers.Postgres, schema string) *postgres.Store {
	t.Helper()
	st, err := postgres.Open(context.Background(), postgres.Options{URL: s.URL(), Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestPostgresConformance(t *testing.T) {
	pg := postgresServer(t)
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, pg, newSchema()) })
	storetest.RunLeases(t, func(t *testing.T) (a, b store.Store) {
		schema := newSchema()
		return openPostgres(t, pg, schema), openPostgres(t, pg, schema)
	})
}

func TestPostgresBackup(t *testing.T) {
	pg, err := servers.StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	backup := filepath.Join(t.TempDir(), "backup")
	storetest.RunWorld(t, storetest.World{
		Open:   func(t *testing.T) store.Store { return openPostgres(t, pg, "") },
		Backup: func(t *testing.T) { stopped(t, pg, func() error { return pg.Backup(backup) }) },
		Restore: func(t *testing.T) {
			stopped(t, pg, func() error { return pg.Restore(backup) })
		},
	})
}

func stopped(t *testing.T, pg *servers.Postgres, f func() error) {
	t.Helper()
	pg.Stop()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
}

// TestPostgresSchema: hubs that start at the same time make one schema between them; one that a newer program wrote, or
// that is somebody else's, is left alone.
func TestPostgresSchema(t *testing.T) {
	pg := postgresServer(t)
	schema := newSchema()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL(), Schema: schema})
			if err != nil {
				t.Errorf("one of six that start at once: %v", err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for sql, want := range map[string]error{
		"UPDATE " + schema + ".meta SET value = 99 WHERE name = 'schema'": postgres.ErrNewer,
		"DELETE FROM " + schema + ".meta WHERE name = 'schema'":           postgres.ErrForeign,
	} {
		if err := pg.SQL(sql); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL(), Schema: schema})
		if !errors.Is(err, want) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after %s: %v, want %v", sql, err, want)
		}
		if err := pg.SQL("INSERT INTO " + schema + ".meta (name, value) VALUES ('schema', 1) ON CONFLICT (name) DO UPDATE SET value = 1"); err != nil {
			t.Fatal(err)
		}
	}
	openPostgres(t, pg, schema).Close()
}

// TestPostgresNumbers: a hub that finds what is there takes no number for it: a form's has two bytes, and hubs start, lose
// their connection and come second many times.
func TestPostgresNumbers(t *testing.T) {
	pg := postgresServer(t)
	schema := newSchema()
	for i := range 4 {
		s := openPostgres(t, pg, schema)
		h := storetest.NewHistory(fmt.Sprintf("box-%d", i%2), "telemetry", record.Epoch(i+1))
		if _, err := s.Commit(context.Background(), []store.Change{h.Create(4)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]string{"form": "1", "series_item": "4"} {
		last, err := pg.Query("SELECT last_value FROM " + schema + "." + table + "_ref_seq")
		if n, _ := pg.Query("SELECT count(*) FROM " + schema + "." + table); err != nil || strings.TrimSpace(last) != want || strings.TrimSpace(n) != want {
			t.Errorf("%s has %s rows and gave %s numbers (%v), want %s", table, n, last, err, want)
		}
	}
}

// TestPostgresLongQuery: somebody who reads rows for hours, as pg_dump does, holds up neither commits, nor the next day's
// partition, nor more than a moment the hub whose retention wants to drop what is being read.
func TestPostgresLongQuery(t *testing.T) {
	pg := postgresServer(t)
	schema := newSchema()
	now := time.Now()
	s, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL(), Schema: schema, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := storetest.NewHistory("box", "telemetry", 1)
	took := func(what string, f func() error) {
		t.Helper()
		began := time.Now()
		if err := f(); err != nil || time.Since(began) > 45*time.Second { // where it waits, it does so for a minute
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
	}
	grow := func(c store.Change) func() error {
		return func() error {
			r, err := s.Commit(context.Background(), []store.Change{c})
			if err == nil && !r[0].Applied {
				err = errors.New("not applied")
			}
			return err
		}
	}
	took("the first commit", grow(h.Create(4)))
	reader := longQuery(t, pg, "SELECT count(*) FROM "+schema+".record;")
	now = now.Add(24 * time.Hour)
	took("a commit on the next day", grow(h.Rows(2)))
	took("maintenance without retention", func() error { return s.Maintain(context.Background(), store.Retention{}) })
	now = now.Add(48 * time.Hour)
	began := time.Now()
	err = s.Maintain(context.Background(), store.Retention{AgeMicros: time.Hour.Microseconds()})
	if err == nil || !errors.Is(err, store.ErrUnavailable) || time.Since(began) > 45*time.Second {
		t.Errorf("retention of what is being read: %v after %v; want it to give up soon", err, time.Since(began))
	}
	took("a commit after it", grow(h.Rows(2)))
	reader()
	now = now.Add(time.Hour)
	took("retention when nobody reads", func() error {
		return s.Maintain(context.Background(), store.Retention{AgeMicros: time.Hour.Microseconds()})
	})
	r, err := s.Verify(context.Background(), nil)
	if err != nil || len(r.Faults) > 0 || r.Rows != 2 {
		t.Errorf("verify: %+v (%v), want 2 rows left and no fault", r, err)
	}
}

// longQuery reads in a transaction that stays open until the function that comes back is called.
func longQuery(t *testing.T, pg *servers.Postgres, sql string) (end func()) {
	t.Helper()
	cmd := exec.Command("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", pg.URL())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		in.Close()
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed
	})
	t.Cleanup(end)
	if _, err := io.WriteString(in, "BEGIN; "+sql+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s was not answered: %v", sql, err)
	}
	return end
}
