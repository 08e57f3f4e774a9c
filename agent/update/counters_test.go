package update_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
)

// oneNode is an agent with one node, which takes any image.
type oneNode struct{ version string }

func (n *oneNode) Nodes(context.Context) (*api.Nodes, error) {
	return &api.Nodes{Lines: []api.NodeLine{{Nodes: []api.Node{{Name: "flow-1", State: api.NodeOnline, Chip: "ATmega328P", Version: n.version}}}}}, nil
}

func (n *oneNode) Flash(_ context.Context, _ string, o api.FlashOrder, _ []byte, _ func(api.FlashProgress)) (*api.FlashProgress, error) {
	n.version = o.Want
	return &api.FlashProgress{Version: o.Want}, nil
}

// TestOldTrustStore: case 22. The trust store comes back from a backup that is older than the release in force, or than a
// node: the higher of the two counts, and people are told.
func TestOldTrustStore(t *testing.T) {
	f := newFleet(t)
	firmware := func(version string) func(*release.Manifest) {
		return func(m *release.Manifest) {
			m.Components = append(m.Components, release.Component{Name: "node/flow", Kind: release.Firmware, Version: version,
				Pin: f.add("models", "models/flow-"+m.Release, []byte("image "+version))})
		}
	}
	node := &oneNode{version: "1.7.0"}
	m := newMachine(t, f)
	m.Nodes = update.Nodes{Agent: node}
	// do opens the box anew, as each run of the updater does.
	do := func(name string) (s *update.Session, txn install.Txn, err error) {
		t.Helper()
		s, err = m.Open()
		must(t, err)
		defer s.Close()
		src := source(t, f.dir)
		offer, err := s.Check(src, name)
		if err == nil {
			txn, err = s.Apply(t.Context(), src, offer, "txn-"+name, 1)
		}
		return s, txn, err
	}
	committed := func(name string) {
		t.Helper()
		if _, txn, err := do(name); err != nil || txn.State != install.Committed {
			t.Fatalf("%s: %s, %v", name, txn.State, err)
		}
	}
	alarms := func(s *update.Session, want string) {
		t.Helper()
		a := s.Report().Journal.Alarms
		if len(a) != 1 || !strings.Contains(a[0].Text, want) {
			t.Fatalf("alarms %+v, want one with %q", a, want)
		}
		gates := update.Situation{Report: ptr(s.Report())}.Show().Gates
		shown := false
		for _, g := range gates {
			shown = shown || strings.Contains(g.Text, want)
		}
		if !shown {
			t.Errorf("explain does not say it: %+v", gates)
		}
	}
	f.release("2026.11.1", 1, firmware("1.7.0"))
	committed("2026.11.1")
	backup := t.TempDir()
	must(t, os.CopyFS(filepath.Join(backup, "state"), os.DirFS(m.StateDir)))
	must(t, os.CopyFS(filepath.Join(backup, "edge"), os.DirFS(m.Root)))
	f.release("2026.11.2", 2, firmware("1.8.3"))
	committed("2026.11.2")
	if node.version != "1.8.3" {
		t.Fatalf("the node runs %s", node.version)
	}
	restore := func(dir, from string) {
		t.Helper()
		must(t, os.RemoveAll(dir))
		must(t, os.CopyFS(dir, os.DirFS(filepath.Join(backup, from))))
	}

	// The store alone: the release in force knows better.
	restore(m.StateDir, "state")
	s, _, err := do("2026.11.1")
	if update.Reason(err) != install.Replayed {
		t.Errorf("an older release than the one in force: %v", err)
	}
	alarms(s, "up to counter 1, this box has committed 2")
	f.release("2026.11.3", 3, firmware("1.8.3"))
	committed("2026.11.3")
	if s, _, _ = do("2026.11.3"); len(s.Report().Journal.Alarms) > 0 {
		t.Errorf("the alarm outlives a release that was committed: %+v", s.Report().Journal.Alarms)
	}

	// The whole disk: only the node knows better.
	restore(m.StateDir, "state")
	restore(m.Root, "edge")
	f.release("2026.11.4", 4, firmware("1.7.5"))
	if s, _, err = do("2026.11.4"); update.Reason(err) != install.Replayed || !strings.Contains(err.Error(), "older than 1.8.3") {
		t.Errorf("an image that is older than the node's: %v", err)
	}
	alarms(s, "node flow-1 runs version 1.8.3")
	if _, _, err = do("2026.11.4"); update.Reason(err) != install.Replayed {
		t.Errorf("and offered again: %v", err)
	}
	f.release("2026.11.5", 5, firmware("1.9.0"))
	committed("2026.11.5")

	// Where the store is as new as the node, a release may bring an older image back.
	f.release("2026.11.6", 6, firmware("1.8.9"))
	committed("2026.11.6")
}

func ptr[T any](v T) *T { return &v }
