package lint_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/edgelog/edgelog/"

// row is one layer: a package may import project packages of lower rows only, and of its own row where `peers`
// names the exception. The first matching pattern counts; "x/..." matches x and everything below it.
type row struct {
	name     string
	patterns []string
}

// rows stand from the top to the bottom.
var rows = []row{
	{"test", []string{"internal/e2e/...", "internal/lint", "internal/bench/...", "internal/demo", "internal/sim/...",
		"mcu/sim/...", "firmware/..."}},
	{"wiring", []string{"cmd/..."}},
	{"compose", []string{"agent", "agent/uplink/kafka", "hub", "hub/bench", "internal/cli"}},
	{"behave", []string{"agent/collect", "agent/pipeline", "agent/uplink/uplinktest", "agent/uplink", "agent/update/...", "agent/control", "agent/page",
		"hub/receive", "hub/shard", "hub/fleet/...", "hub/enrol", "agent/enrol", "agent/command", "internal/logquery", "internal/logtool", "internal/busscan"}},
	{"adapt", []string{"drivers/*", "ascend/...", "mcu/...", "agent/uplink/mqtt", "hub/receive/mqtt", "hub/store/*",
		"hub/broker", "internal/sim/w1", "internal/carry"}},
	{"contract", []string{"drivers", "drivers/door", "buffer/buffertest", "buffer", "internal/wire", "hub/store", "hub/store/ledger", "agent/config", "internal/api", "internal/mqttclient",
		"internal/fleetwire", "internal/enrolwire", "internal/trust/..."}},
	{"bytes", []string{"buffer/segment", "drivers/bus/...", "drivers/lineproto", "internal/twoslot", "internal/chainlog"}},
	{"leaf", []string{"buffer/record", "buffer/catalog", "internal/vfs/...", "internal/vfs", "agent/health", "internal/strictyaml",
		"internal/sdnotify", "internal/unixsocket", "internal/term", "internal/version", "internal/release", "internal/delta", "internal/clocksync", "internal/cmdline",
		"internal/cutproxy"}},
}

// peers are the imports inside one row that the design names.
var peers = map[string][]string{
	"buffer/buffertest":       {"buffer"},
	"agent/uplink/uplinktest": {"agent/uplink"},
	"internal/vfs/vfstest":    {"internal/vfs"},
	"hub":                     {"hub/bench"},
	"agent":                   {"agent/uplink/kafka"},
	"drivers/driverstest":     {},
	"cmd/edge-agent":          {},
	"internal/api":            {"agent/health"},
	"internal/cmdline":        {"internal/strictyaml", "internal/term", "internal/version"},
	"internal/logtool":        {"internal/logquery"},
	"internal/trust/repo":     {"internal/trust"},
	"internal/fleetwire":      {"internal/trust", "internal/wire"},
	"internal/enrolwire":      {"internal/wire"},
	"agent/update":            {"agent/update/install", "agent/update/fetch"},
	"hub/fleet":               {"hub/fleet/rollout"},
	"agent/update/updatetest": {"agent/update", "agent/update/install", "agent/update/mqtt"},

	"internal/trust/repo/repotest": {"internal/trust/repo"},
	"agent/update/mqtt":            {"agent/update", "agent/update/install", "agent/update/fetch", "agent/update/mirror"},
	"agent/config":                 {},
	"drivers/bus/modbus":           {"drivers/bus/serial"},
	"drivers/bus/onewire/...":      {"drivers/bus/serial", "drivers/bus/onewire", "drivers/bus/onewire/thermo"},
	"drivers/door":                 {"drivers"},

	"internal/e2e/chips":          {"mcu/sim", "mcu/sim/target"},
	"internal/bench/driversbench": {"internal/sim/onewire", "internal/sim/w1fuse"},
	"mcu/boot":                    {"mcu/boot/smpwire"},
	"mcu/sim/...":                 {"mcu", "mcu/boot", "mcu/boot/smpwire"},
	"hub/store/ledger":            {"hub/store"},
	"mcu/sim":                     {"internal/sim/onewire", "mcu/sim/simavr", "mcu/sim/mcs51"},
	"mcu/sim/nodesim":             {"mcu/sim", "internal/sim/onewire"},
	"ascend/npu":                  {"ascend/acl", "ascend/dcmi"},
}

// only says which packages may import a library.
var only = map[string][]string{
	"github.com/eclipse/paho.mqtt.golang": {"internal/mqttclient"},
	"github.com/mattn/go-sqlite3":         {"hub/store/sqlite", "buffer/catalog", "internal/bench/bufferbench"},
	"github.com/mochi-mqtt/server/v2":     {"hub/broker"},
	"github.com/jackc/pgx/v5":             {"hub/store/postgres"},
	"github.com/twmb/franz-go":            {"hub/store/kafka"},
	"github.com/ebitengine/purego":        {"ascend/acl", "ascend/dcmi", "mcu/sim"},

	"github.com/theupdateframework/go-tuf/v2": {"internal/trust"},
}

// unlinked names what a program must not contain, directly or through others.
var unlinked = map[string][]string{
	"cmd/edgectl": {"github.com/eclipse/paho.mqtt.golang", "github.com/mattn/go-sqlite3", "github.com/ebitengine/purego", "github.com/mochi-mqtt"},
	// The direct uplink is the hub's rules over its Kafka store, and nothing else of the hub.
	"cmd/edge-agent": {"github.com/mochi-mqtt", "github.com/ebitengine/purego", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx",
		"=" + module + "hub", module + "hub/broker", module + "hub/fleet", module + "hub/receive/mqtt", module + "hub/shard",
		module + "hub/store/sqlite", module + "hub/store/postgres", module + "hub/store/memory"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Dir        string
	GoFiles    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps,Dir,GoFiles", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var ps []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) {
			ps = append(ps, p)
		}
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func match(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	if base, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, ok := strings.CutPrefix(path, base+"/")
		return ok && !strings.Contains(rest, "/")
	}
	return pattern == path
}

func rowOf(path string) int {
	for _, exact := range []bool{true, false} {
		for i, r := range rows {
			for _, p := range r.patterns {
				if exact != wildcard(p) && match(p, path) {
					return i
				}
			}
		}
	}
	return -1
}

func wildcard(p string) bool { return strings.HasSuffix(p, "/*") || strings.HasSuffix(p, "/...") }

func TestImportDirection(t *testing.T) {
	for _, p := range list(t) {
		self := strings.TrimPrefix(p.ImportPath, module)
		from := rowOf(self)
		if from < 0 {
			t.Errorf("%s stands in no row of the layout: add it to internal/lint/imports_test.go where its layer is", self)
			continue
		}
		for _, imp := range p.Imports {
			other, ok := strings.CutPrefix(imp, module)
			if !ok {
				continue
			}
			if to := rowOf(other); to > from || to == from && allowedPeer(self, other) {
				continue
			}
			t.Errorf("%s (%s) imports %s: a package imports only rows below its own", self, rows[from].name, other)
		}
	}
}

func allowedPeer(self, other string) bool {
	for pattern, list := range peers {
		if match(pattern, self) && slices.Contains(list, other) {
			return true
		}
	}
	return false
}

func TestOneClientLibraryPerPackage(t *testing.T) {
	for _, p := range list(t) {
		self := strings.TrimPrefix(p.ImportPath, module)
		for lib, homes := range only {
			for _, imp := range p.Imports {
				if imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				home := false
				for _, h := range homes {
					home = home || match(h, self) || match(h+"/...", self)
				}
				if !home {
					t.Errorf("%s imports %s; only %v may", self, lib, homes)
				}
			}
		}
		for _, lib := range unlinked[self] {
			for _, d := range p.Deps {
				if exact, ok := strings.CutPrefix(lib, "="); ok && d == exact || d == lib || strings.HasPrefix(d, lib+"/") {
					t.Errorf("%s links %s", self, d)
				}
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, p := range list(t) {
		found := 0
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := bytes.Cut(append([]byte("\n"), b...), []byte("\npackage "))
			if i := bytes.LastIndex(head, []byte("\n\n")); i >= 0 {
				head = head[i+2:]
			}
			if bytes.HasPrefix(bytes.TrimSpace(head), []byte("//")) && !bytes.HasPrefix(bytes.TrimSpace(head), []byte("//go:")) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s has %d package comments, want exactly one", strings.TrimPrefix(p.ImportPath, module), found)
		}
	}
}

func TestFileSizes(t *testing.T) {
	err := filepath.WalkDir(root(t), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "scratch") {
			return filepath.SkipDir
		}
		limit := 800
		switch {
		case strings.HasSuffix(path, "_test.go"):
			limit = 1500
		case strings.HasSuffix(path, "_string.go"), !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".c"):
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			n++
		}
		if n > limit {
			t.Errorf("%s has %d lines, at most %d: split it", path, n, limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
