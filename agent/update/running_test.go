package update_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edgelog/edgelog/agent/update/install"
)

// TestRunningIsKept: case 53. What a program runs from, a link leads to, or a rollback may need stays; the rest goes.
func TestRunningIsKept(t *testing.T) {
	f := newFleet(t)
	m := newMachine(t, f)
	var running []string
	m.Running = func() []string { return running }
	s := m.open(t)
	entry := func(release string) string {
		link, err := filepath.EvalSymlinks(filepath.Join(m.dir, "edge/releases", release, "agent"))
		must(t, err)
		return link
	}
	take := func(release string, counter uint64) {
		t.Helper()
		f.release(release, counter, nil)
		src := source(t, f.dir)
		offer, err := s.Check(src, release)
		must(t, err)
		txn, err := s.Apply(t.Context(), src, offer, release, 1)
		must(t, err)
		if txn.State != install.Committed {
			t.Fatalf("%+v", txn)
		}
	}
	there := func(name string) bool { _, err := os.Stat(name); return err == nil }
	take("1", 1)
	first := entry("1")
	running = []string{filepath.Join(first, "bin/edge-agent")} // a helper that nobody has restarted since
	take("2", 2)
	second := entry("2")
	take("3", 3)
	if !there(first) || !there(second) || !there(entry("3")) {
		t.Errorf("running %v, previous %v, stable %v", there(first), there(second), there(entry("3")))
	}
	running = nil
	if _, err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	if there(first) || !there(second) {
		t.Errorf("running no more: %v, previous %v", there(first), there(second))
	}
	// Back twice, as rescue does, then the next start of the machine.
	must(t, os.WriteFile(filepath.Join(entry("3"), "bin/edge-agent"), []byte("rotten"), 0o755))
	for range 2 {
		_, _, err := s.Rescue(t.Context())
		must(t, err)
		_, err = s.Clean()
		must(t, err)
	}
	if link, err := os.Readlink(filepath.Join(m.dir, "edge/stable")); err != nil || link != "releases/2" || !there(second) {
		t.Errorf("%s, %v; its program is there: %v", link, err, there(second))
	}
}
