package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRescueWithoutTrust: edge-rescue is what starts an agent again whose unit has given up. It does so on a box without a root of
// trust, too, or with one that is damaged.
func TestRescueWithoutTrust(t *testing.T) {
	for name, root := range map[string]string{"none": "", "damaged": "{", "state that is no directory": "{}"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			log := filepath.Join(dir, "log")
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.Mkdir(filepath.Join(dir, "bin"), 0o755))
			must(os.WriteFile(filepath.Join(dir, "bin/systemctl"), []byte("#!/bin/sh\necho \"$@\" >>"+log+"\n[ \"$1\" != is-enabled ]\n"), 0o755))
			t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			state := filepath.Join(dir, "state")
			if root != "" {
				must(os.WriteFile(filepath.Join(dir, "root.json"), []byte(root), 0o644))
			}
			if strings.HasPrefix(name, "state") {
				must(os.WriteFile(state, nil, 0o644))
			}
			var out, errs bytes.Buffer
			code := run([]string{"rescue", "--root", filepath.Join(dir, "edge"), "--state", state, "--trust", filepath.Join(dir, "root.json"),
				"--product", filepath.Join(dir, "product"), "--run-dir", dir, "--npu-dir", dir}, &out, &errs)
			did, err := os.ReadFile(log)
			if err != nil || !strings.Contains(string(did), "restart edge-agent.service") || !strings.Contains(string(did), "reset-failed edge-agent.service") {
				t.Errorf("exit %d, systemctl was asked for %q: %s%s", code, did, &out, &errs)
			}
		})
	}
}

// TestWithoutTrust: whoever asks on a box without a root of trust is told what to do.
func TestWithoutTrust(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root.json")
	for _, args := range [][]string{{"status"}, {"check", "--from", dir}, {"apply", "--from", dir}, {"resume"}} {
		var out, errs bytes.Buffer
		code := run(append(args, "--trust", root, "--state", filepath.Join(dir, "state")), &out, &errs)
		if code != exitTrust || !strings.Contains(errs.String(), "sudo install -D -m 644 1.root.json "+root) {
			t.Errorf("%v: exit %d: %s", args, code, &errs)
		}
	}
}
