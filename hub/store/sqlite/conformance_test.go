package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/hub/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := sqlite.Open(filepath.Join(t.TempDir(), "hub.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	storetest.RunLeases(t, func(t *testing.T) (a, b store.Store) {
		path := filepath.Join(t.TempDir(), "hub.db")
		for _, s := range []*store.Store{&a, &b} {
			var err error
			if *s, err = sqlite.Open(path, sqlite.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		return a, b
	})
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store {
		s, err := sqlite.Open(filepath.Join(dir, "hub.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestSchemaOne: a file from before the leases is brought up to date, and read as it is while it is open for reading.
func TestSchemaOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DROP TABLE lease; PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false, false} {
		s, err := sqlite.Open(path, sqlite.Options{ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		if l, err := s.Leases(t.Context(), ""); err != nil || len(l) != 0 {
			t.Errorf("read-only %v: leases %v, %v", readOnly, l, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
