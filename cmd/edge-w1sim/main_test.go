package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/drivers/w1"
)

func TestSimulatedBusIsRead(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var out, errOut bytes.Buffer
	if code := run(ctx, []string{"--dir", dir, "--sensors", "9", "--interval", "10ms"}, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	bus, err := w1.New(w1.Options{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	samples, err := bus.Read(t.Context(), nil)
	if err != nil || len(samples) != 9 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, s := range samples {
		if q := bus.Quantities()[s.Quantity]; !s.Quality.Good() || q.Label("simulated") != "true" {
			t.Errorf("%s: %s", q.Key(), s.Quality)
		}
	}
}

func TestUsage(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "--dir DIR is needed"},
		{[]string{"--dir", t.TempDir(), "more"}, 2, "usage:"},
		{[]string{"--help"}, 0, "usage:"},
		{[]string{"--dir", full}, 1, "holds no simulated bus"},
		{[]string{"--dir", t.TempDir(), "--sensors", "0"}, 1, "0 sensors, want 1"},
	} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), c.args, &out, &errOut); code != c.code || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit %d, %q", c.args, code, errOut.String())
		}
	}
}
