package updates_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/e2e/programs"
)

var bin string // directory of the built programs

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(programs.Main(m, "../../..", &bin, "edge-agent", "edge-updater", "edgectl", "edge-npu", "edge-hub"))
}

func program(name string) string { return filepath.Join(bin, name) }

// shipped is a file of the repository.
func shipped(name string) string {
	path, err := filepath.Abs(filepath.Join("../../..", name))
	if err != nil {
		panic(err)
	}
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program to its end; another exit status than the one wanted fails the test.
func run(t testing.TB, want int, args ...string) string {
	t.Helper()
	return runWithin(t, 4*time.Minute, want, args...)
}

func runWithin(t testing.TB, limit time.Duration, want int, args ...string) string {
	t.Helper()
	return runIn(t, nil, limit, want, args...)
}

// runIn runs it with variables beside those of the test.
func runIn(t testing.TB, env []string, limit time.Duration, want int, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &stderr, append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", args[0], err)
	}
	if code := cmd.ProcessState.ExitCode(); code != want {
		t.Fatalf("%s: exit status %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), stderr.String())
	}
	return out.String() + stderr.String()
}

func write(t testing.TB, file, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

// mosquitto is a real broker with the shipped access list. Clients say who they are by their user name; internal/e2e
// TestACL does it with certificates.
type mosquitto struct {
	*programs.Process
	port int
}

func newMosquitto(t testing.TB, dir string) *mosquitto {
	t.Helper()
	m := &mosquitto{port: programs.FreePort(t)}
	acl, err := os.ReadFile("../../../deploy/mosquitto/edgelog.acl")
	must(t, err)
	file := write(t, filepath.Join(dir, "edgelog.acl"), string(acl))
	must(t, os.Chmod(file, 0o600))
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nacl_file %s\npersistence false\nmax_packet_size 262144\nlog_dest stderr\nlog_type error\nlog_type warning\n", m.port, file)
	if os.Getuid() == 0 {
		conf += "user root\n"
	}
	m.Process = programs.New(t, dir, programs.Server(t, "mosquitto", "apt-get install mosquitto"), "-c", write(t, filepath.Join(dir, "mosquitto.conf"), conf))
	m.up()
	return m
}

func (m *mosquitto) up() {
	m.T.Helper()
	m.Start()
	programs.WaitFor(m.T, time.Minute, "mosquitto listens", func() bool { return programs.Listens(m.port) })
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// hub is an edge-hub that hands out releases.
type hub struct {
	*programs.Process
	file string
}

func newHub(t testing.TB, dir string, port int, releases string) *hub {
	t.Helper()
	home := filepath.Join(dir, "hub")
	file := write(t, filepath.Join(home, "hub.yaml"), fmt.Sprintf(`broker: {url: "tcp://127.0.0.1:%d", username: hub}
store: {sqlite: %s/hub.db}
run_dir: %[2]s
fleet: {releases: %s, state: %[2]s/fleet, settle: 2s}
`, port, home, releases))
	h := &hub{Process: programs.New(t, home, program("edge-hub"), "run", "--config", file), file: file}
	h.up()
	return h
}

func (h *hub) up() {
	h.T.Helper()
	h.Start()
	programs.WaitFor(h.T, time.Minute, "the hub takes orders", func() bool {
		return exec.Command(program("edge-hub"), "rollout", "list", "--config", h.file).Run() == nil
	})
}

// rollout runs edge-hub rollout.
func (h *hub) rollout(want int, args ...string) string {
	h.T.Helper()
	return run(h.T, want, append([]string{program("edge-hub"), "rollout"}, append(args, "--config", h.file)...)...)
}

// create begins a rollout once the hub knows what as many boxes are as it is for.
func (h *hub) create(file string, boxes int) {
	h.T.Helper()
	want := fmt.Sprintf(", for %d of the fleet's devices", boxes)
	programs.WaitFor(h.T, 3*time.Minute, fmt.Sprintf("%d boxes have said what they are", boxes), func() bool {
		out, err := exec.Command(program("edge-hub"), "rollout", "create", file, "--dry-run", "--config", h.file).CombinedOutput()
		return err == nil && strings.Contains(string(out), want)
	})
	h.rollout(0, "create", file, "--yes")
}
