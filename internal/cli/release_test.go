package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/cli"
)

// TestRelease makes a first release as docs/updates.md tells it.
func TestRelease(t *testing.T) {
	t.Chdir(t.TempDir())
	do := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := run{args: args, style: utf8}.do(t)
		if code != want {
			t.Fatalf("edgectl %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
		return out + errs
	}
	has := func(out, want string) {
		t.Helper()
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if err := os.Mkdir("fleet", 0o755); err != nil {
		t.Fatal(err)
	}
	roles := "roles:\n"
	for _, r := range []string{"root", "targets", "snapshot", "timestamp", "config", "releases"} {
		do(0, "keys", "new", "fleet/"+r)
		roles += fmt.Sprintf("  %s: {keys: [%[1]s.pub]", r)
		if r == "config" || r == "releases" {
			roles += fmt.Sprintf(", paths: [\"%s/*\"]", r)
		}
		roles += "}\n"
	}
	draft := `{"schema": 1, "release": "2026.11.3", "counter": 118, "created": "2026-11-20T09:00:00Z", "compatible": {"product": ["x"]},
		"probation": {"soak_s": 600, "deadline_s": 1500, "checks": ["ingest"]},
		"components": [{"name": "config/base", "kind": "config", "version": "37", "path": "config/base-37.yaml", "order": 20}]}`
	for name, text := range map[string]string{"fleet/roles.yaml": roles, "draft.json": draft, "base.yaml": strings.Repeat("# much\n", 1000)} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	do(0, "release", "prepare", "fleet")
	has(do(0, "release", "sign", "fleet/metadata/1.root.json", "--key", "fleet/config.key"),
		"\n!  fleet/roles.yaml does not name that key for root: it counts only if the root before does")
	has(do(0, "release", "sign", "fleet/metadata/targets.json", "--key", "fleet/config.key"), "for targets: the signature does not count")
	for f, role := range map[string]string{"1.root": "root", "targets": "targets"} {
		if out := do(0, "release", "sign", "fleet/metadata/"+f+".json", "--key", "fleet/"+role+".key"); strings.Contains(out, "!") {
			t.Errorf("a right key is complained of: %s", out)
		}
	}
	has(do(0, "release", "add", "fleet", "base.yaml=config/base-37.yaml"), "config/base-37.yaml  6.8 KiB  sha256 ")
	do(0, "release", "freeze", "fleet", "draft.json")
	for _, r := range []string{"config", "releases"} {
		do(0, "release", "sign", "fleet/metadata/"+r+".json", "--key", "fleet/"+r+".key")
	}
	do(0, "release", "publish", "fleet", "--snapshot", "fleet/snapshot.key", "--timestamp", "fleet/timestamp.key")
	has(do(0, "release", "verify", "fleet"), "\n   config/base-37.yaml      6.8 KiB  by config\n")
	var v struct {
		OK    bool
		Files []struct{ Path, Role, Error string }
	}
	if err := json.Unmarshal([]byte(do(0, "release", "verify", "fleet", "--json")), &v); err != nil || !v.OK || len(v.Files) != 2 {
		t.Errorf("%v, %+v", err, v)
	}
	has(do(cli.ExitUsage, "release", "prepare", "fleet", "--json"), "release prepare has no JSON form")
	has(do(cli.ExitUsage, "update", "hlod"), `there is no edgectl update "hlod"; did you mean "hold"?`)
	files, err := filepath.Glob("fleet/targets/config/*base-37.yaml")
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	has(do(cli.ExitTrust, "release", "verify", "fleet"), "of 2 files 1 differ from what was signed")
}
