package update_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/internal/trust"
)

// TestHostileDirectory: whoever may write where edge-updater reads as root cannot hold it up for ever, and with it the lock
// that an update from a stick needs.
func TestHostileDirectory(t *testing.T) {
	fifo := func(t *testing.T, name string) {
		t.Helper()
		must(t, os.RemoveAll(name))
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, syscall.Mkfifo(name, 0o644))
	}
	all := func(dir string) error {
		d, err := update.OpenDirectory(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		_, err = d.Metadata(trust.Have{})
		f, ferr := d.Open("agent/x")
		if ferr == nil {
			ferr = f.Close()
		}
		return errors.Join(err, ferr)
	}
	request := func(dir string) error {
		_, err := update.TakeRequest(dir)
		return err
	}
	for name, c := range map[string]struct {
		at  string
		use func(dir string) error
	}{
		"timestamp":         {"metadata/timestamp.json", all},
		"snapshot":          {"metadata/snapshot.json", all},
		"root":              {"metadata/1.root.json", all},
		"role":              {"metadata/agent.json", all},
		"target":            {"targets/agent/x", all},
		"metadata":          {"metadata", all},
		"the whole":         {"", all},
		"request":           {update.RequestName, request},
		"place of requests": {"", request},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "stage")
			for _, f := range []string{"metadata/timestamp.json", "metadata/snapshot.json", "metadata/agent.json", "metadata/1.root.json", "targets/agent/x"} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, f), []byte("{}"), 0o644))
			}
			must(t, all(dir))
			fifo(t, filepath.Join(dir, c.at))
			done := make(chan error, 1)
			go func() { done <- c.use(dir) }()
			select {
			case err := <-done:
				if err == nil || strings.Contains(err.Error(), "unexpected end of JSON") {
					t.Errorf("a FIFO was read: %v", err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("it waits for somebody to write into the FIFO")
			}
		})
	}
}
