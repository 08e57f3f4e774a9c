package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlacesOfItsOwn: somebody who tries the agent as himself is told which keys name the directories that he may not make.
func TestPlacesOfItsOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	write("data_dir: /proc/nothing/data\n")
	if status := run([]string{"run", "--config", file}, &out, &errs); status != exitError || !strings.Contains(errs.String(), "make data_dir: mkdir /proc/nothing") {
		t.Errorf("%d %s", status, errs.String())
	}
	errs.Reset()
	refused := "/sys/nothing" // nobody may, root neither
	if err := os.Mkdir(refused, 0o755); !os.IsPermission(err) {
		t.Fatalf("mkdir %s: %v, want that it is not permitted", refused, err)
	}
	write("data_dir: " + refused + "\n")
	if status := run([]string{"run", "--config", file}, &out, &errs); status != exitError || !strings.Contains(errs.String(), "data_dir and run_dir in "+file) {
		t.Errorf("%d %s", status, errs.String())
	}
}
