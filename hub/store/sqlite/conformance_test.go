package sqlite_test

import (
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
	storetest.RunDurable(t, func(t *testing.T, dir string) store.Store {
		s, err := sqlite.Open(filepath.Join(dir, "hub.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
