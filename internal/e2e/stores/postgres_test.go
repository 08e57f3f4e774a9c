package stores

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

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
