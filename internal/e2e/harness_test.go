package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cutproxy"
	"github.com/edgelog/edgelog/internal/e2e/programs"
)

var (
	rounds   = flag.Int("rounds", 40, "faults in TestStorm")
	seed     = flag.Int64("seed", 0, "seed of the storm's faults; 0 picks one and prints it")
	runBench = flag.Bool("bench-e2e", false, "run TestBench")
	benchFor = flag.Duration("bench-for", 60*time.Second, "length of the steady state in TestBench")
)

var bin string // directory of the built programs

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(programs.Main(m, "../..", &bin, "edge-agent", "edgectl", "edge-hub"))
}

// broker is a real Mosquitto with the shipped ACL, TLS and client certificates.
type broker struct {
	*programs.Process
	port  int
	certs string
}

func newBroker(t testing.TB, dir string, devices ...string) *broker {
	t.Helper()
	path := programs.Server(t, "mosquitto", "apt-get install mosquitto")
	certs := filepath.Join(dir, "certs")
	run(t, "../../deploy/ca.sh", append([]string{certs}, devices...)...)
	b := &broker{port: programs.FreePort(t), certs: certs}
	shipped, err := os.ReadFile("../../deploy/mosquitto/edgelog.conf")
	if err != nil {
		t.Fatal(err)
	}
	acl, err := filepath.Abs("../../deploy/mosquitto/edgelog.acl")
	if err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(dir, "edgelog.acl") // mosquitto may drop privileges: it must be able to read it
	copyFile(t, acl, local)
	conf := strings.NewReplacer(
		"listener 8883", fmt.Sprintf("listener %d 127.0.0.1", b.port),
		"/etc/mosquitto/edgelog/edgelog.acl", local,
		"/etc/mosquitto/edgelog/", certs+"/",
	).Replace(string(shipped)) + "\nlog_dest stderr\n"
	if os.Getuid() == 0 {
		conf += "user root\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Process = programs.New(t, dir, path, "-c", file)
	b.Start()
	waitFor(t, 10*time.Second, "mosquitto listens", func() bool { return programs.Listens(b.port) })
	return b
}

// newLink is a line to a port of this machine that can be cut.
func newLink(t testing.TB, port int) *cutproxy.Link {
	t.Helper()
	k, err := cutproxy.Start(fmt.Sprintf("127.0.0.1:%d", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// run runs a program to its end and returns what it printed on stdout; it fails the test on another exit status.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, code := tryRun(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit status %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// tryRun runs a program to its end and returns stdout (stderr behind it) and the exit status.
func tryRun(t testing.TB, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", name, err)
	}
	return stdout.String() + stderr.String(), cmd.ProcessState.ExitCode()
}

// patience is the least that a test waits for anything: on a loaded machine programs start late.
const patience = 90 * time.Second

func waitFor(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	programs.WaitFor(t, max(limit, patience), what, ok)
}
