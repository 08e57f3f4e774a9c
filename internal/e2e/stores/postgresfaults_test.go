package stores

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/postgres"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// checkPostgres asks the server itself, with psql, whether every record is there once and in its place.
func checkPostgres(t *testing.T, pg *servers.Postgres, devices []*device) {
	t.Helper()
	for _, d := range devices {
		got, err := pg.Query(fmt.Sprintf(`SELECT count(*), count(DISTINCT record_offset), min(record_offset), max(record_offset) + 1,
			count(*) FILTER (WHERE value <> record_offset * 3) FROM edgelog.readings WHERE device = '%s'`, d.name))
		want := fmt.Sprintf("%d|%d|0|%d|0", d.next, d.next, d.next)
		if err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", d.name, got, want, err)
		}
	}
	s := openPostgres(t, pg, "")
	defer s.Close()
	r, err := s.Verify(context.Background(), nil)
	if err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// TestPostgresKilled kills the server, cuts connections and makes it read-only under load.
func TestPostgresKilled(t *testing.T) {
	pg, err := servers.StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	s := openPostgres(t, pg, "")
	defer s.Close()
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	faults := []string{"kill -9", "connections cut", "read-only", "restart"}
	n := 0
	devices := campaign(t, 8, s, func(rng *rand.Rand, _ *load) string {
		f := faults[n%len(faults)]
		n++
		switch f {
		case "kill -9":
			pg.Kill()
			time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
			must(pg.Start())
		case "restart":
			pg.Stop()
			must(pg.Start())
		case "connections cut":
			must(pg.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'edge-hub'"))
		case "read-only":
			must(pg.SQL("ALTER SYSTEM SET default_transaction_read_only = on"))
			must(pg.SQL("SELECT pg_reload_conf()"))
			time.Sleep(500 * time.Millisecond)
			must(pg.SQLs("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"))
		}
		return f
	})
	checkPostgres(t, pg, devices)
}

// TestPostgresFailover lets a standby take over from a primary that is killed under load. The standby is synchronous, so
// nothing that was acknowledged may be missing.
func TestPostgresFailover(t *testing.T) {
	pg, err := servers.StartPostgres("max_wal_senders=8", "synchronous_standby_names=standby")
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	standby, err := pg.Standby("standby")
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	url := fmt.Sprintf("postgres://hub@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable", pg.Port, standby.Port)
	s, err := postgres.Open(context.Background(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed := false
	devices := campaign(t, 8, s, func(*rand.Rand, *load) string {
		if failed {
			return "calm"
		}
		failed = true
		pg.Kill()
		if err := standby.Promote(); err != nil {
			t.Error(err)
		}
		return "failover"
	})
	checkPostgres(t, standby, devices)
}

// TestPostgresDiskFull fills the disk that the tables lie on. It needs a small file system, which only root may mount.
func TestPostgresDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: no small disk can be mounted; this fault is left out of this run")
		return
	}
	pg := postgresServer(t)
	small := filepath.Join(pg.Dir, "small")
	if err := os.MkdirAll(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=48m,mode=0777"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		pg.SQL("DROP SCHEMA edgelog CASCADE")
		pg.SQL("DROP TABLESPACE small")
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	if err := pg.OwnedDir(filepath.Join(small, "space")); err != nil {
		t.Fatal(err)
	}
	if err := pg.SQLs("DROP SCHEMA IF EXISTS edgelog CASCADE", "CREATE TABLESPACE small LOCATION '"+filepath.Join(small, "space")+"'"); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(context.Background(), postgres.Options{URL: pg.URL() + "&default_tablespace=small"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	full := 0
	devices := campaign(t, 4, s, func(_ *rand.Rand, l *load) string {
		filler := filepath.Join(small, "filler")
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		block := make([]byte, 1<<16)
		for err == nil {
			_, err = f.Write(block)
		}
		f.Close()
		before := l.errors.Load()
		for end := time.Now().Add(20 * time.Second); l.errors.Load() == before && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
		if l.errors.Load() > before {
			full++
		}
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
		return "disk full"
	})
	if full == 0 {
		t.Error("the store never noticed the full disk")
	}
	checkPostgres(t, pg, devices)
}

// TestPostgresUnsafe: a server that does not write through is refused, with the reason.
func TestPostgresUnsafe(t *testing.T) {
	pg, err := servers.StartPostgres("fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	_, err = postgres.Open(context.Background(), postgres.Options{URL: pg.URL()})
	if !errors.Is(err, postgres.ErrUnsafe) || errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "fsync") {
		t.Errorf("error %v", err)
	}
}
