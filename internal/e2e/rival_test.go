package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTwoBoxesOfOneName runs two agents from one cloned disk and certificate at a real Mosquitto with the shipped access
// rules: each takes the name from the other. Both must say so, and give each other time instead of taking turns of a
// second; neither's data is lost or mixed.
func TestTwoBoxesOfOneName(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	hub.Start()
	options := boxOptions{device: "box-1", sources: syntheticSource("load", 5, 50)}
	x := newBox(t, dir, b, options)
	x.up()
	waitFor(t, 30*time.Second, "the first records arrive", func() bool {
		return exists(hub.db) && len(hub.query("SELECT 1 FROM sqlite_master WHERE name = 'readings'")) > 0 && len(hub.query("SELECT 1 FROM readings LIMIT 1")) > 0
	})
	x.Kill()
	options.data = filepath.Join(dir, "second", "data")
	if err := os.CopyFS(options.data, os.DirFS(x.data)); err != nil {
		t.Fatal(err)
	}
	y := newBox(t, filepath.Join(dir, "second"), b, options)
	x.up()
	y.up()
	began := time.Now()
	for _, z := range []*box{x, y} {
		waitFor(t, 2*time.Minute, "the fault is named on both boxes", func() bool { return strings.Contains(faultsOf(t, z), "U018") })
	}
	t.Logf("both boxes name the other after %v and %d connections", time.Since(began).Round(100*time.Millisecond), connections(t, b))
	before := connections(t, b)
	time.Sleep(15 * time.Second)
	if n := connections(t, b) - before; n > 15 {
		t.Errorf("%d connections within 15 s: they do not back off", n)
	}
	out, code := tryRun(t, filepath.Join(bin, "edgectl"), "--run-dir", x.run, "status")
	if code != 3 || !strings.Contains(out, "U018") {
		t.Errorf("edgectl status: %d\n%s", code, out)
	}
	y.Kill()
	x.Kill() // a restart connects at once, whatever pause was due
	x.up()
	x.quiet(b, time.Minute)
	x.Stop()
	y.up()
	y.quiet(b, time.Minute)
	y.Stop()
	waitFor(t, 20*time.Second, "the hub sees two boxes", func() bool {
		out, _ := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", hub.file)
		return strings.Contains(out, "two-writers telemetry")
	})
	hub.Stop()
	compareLogs(t, hub, x.data, y.data)
}

// connections counts how often the broker has let a client in.
func connections(t *testing.T, b *broker) int {
	t.Helper()
	log, err := os.ReadFile(b.Log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), "as box-1 ")
}
