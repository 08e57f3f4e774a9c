package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/vfs"
)

// TestEventsOfALostLog: a log of events that is lost whole counts from one again. Its entries go to the hub as those of
// another incarnation, or they would be taken for repeats of the old ones.
func TestEventsOfALostLog(t *testing.T) {
	disk := vfs.NewMem()
	a := &Agent{o: Options{FS: disk, Config: &config.Config{DataDir: "/data"}}}
	open := func() (*events, uint64) {
		t.Helper()
		e := newEvents(a)
		if err := e.add(event{What: "command reload"}); err != nil {
			t.Fatal(err)
		}
		id, err := e.incarnation()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.close(); err != nil {
			t.Fatal(err)
		}
		return e, id
	}
	e, first := open()
	if _, again := open(); again != first {
		t.Errorf("incarnation %x, then %x of the same log", first, again)
	}
	list, err := disk.List(e.dir)
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, f := range list {
		if !strings.HasSuffix(f.Name, ".id") {
			removed++
			if err := disk.Remove(filepath.Join(e.dir, f.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, other := open(); removed == 0 || other == first {
		t.Errorf("%d files removed, incarnation %x as before", removed, other)
	}
}
