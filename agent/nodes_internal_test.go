package agent

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/config"
)

// A line whose stream waits for a restart is declared, and the agent goes on.
func TestReloadWithALineOnANewStream(t *testing.T) {
	dir, err := os.MkdirTemp("", "nodes") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := dir + "/agent.yaml"
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("device: box\ndata_dir: data\nrun_dir: run\n"+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	c, err := config.Load(file, config.OS{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Options{Config: c, File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	reload := func(more string) {
		t.Helper()
		write(more)
		if r, err := a.Reload(t.Context(), "test"); err != nil || r.Error != "" {
			t.Fatal(r, err)
		}
	}
	declared := func() bool {
		for _, f := range a.faults.List() {
			if f.Key == "node/kiln" && strings.Contains(f.Text, "its line does not run") {
				return f.Active()
			}
		}
		return false
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			select {
			case err := <-ended:
				t.Fatal("the agent has ended: ", err)
			default:
			}
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	reload("streams: {line: {max_bytes: 8MiB}}\nnodes:\n  - {line: one, port: /dev/none, stream: line, nodes: [{name: kiln, unit: 1}]}\n")
	until("the line is not declared", declared)
	write("log: {level: error}\nstreams: {line: {max_bytes: 8MiB}}\nsources: [{name: host, driver: system, stream: line}]\n")
	r, err := a.Reload(t.Context(), "test")
	if err != nil || r.Error != "" || strings.Join(r.Restart, "; ") != "streams.line is new; sources.host writes to stream line, which is new" ||
		!slices.Contains(r.Applied, "log.level info → error") {
		t.Errorf("a source on a new stream: %+v, %v", r, err)
	}
	if c := a.configuration(); len(c.Sources) != 0 || c.Log.Level != "error" {
		t.Errorf("%d sources are said to run; log level %s", len(c.Sources), c.Log.Level)
	}
	reload("")
	until("the fault stays", func() bool { return !declared() })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What a program that enters a bootloader leaves running, to hold a line, does not hold the flashing.
func TestProgramThatLeavesOneBehind(t *testing.T) {
	begun := time.Now()
	if err := program(t.Context(), []string{"sh", "-c", "sleep 20 & echo started"}); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := program(t.Context(), []string{"sh", "-c", "sleep 20 & echo no such pin; exit 3"}); err == nil || !strings.Contains(err.Error(), "no such pin") {
		t.Error(err)
	}
}
