package stores

import (
	"context"
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
