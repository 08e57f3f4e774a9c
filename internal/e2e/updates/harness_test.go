package updates_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var bin string // directory of the built programs

func TestMain(m *testing.M) {
	flag.Parse()
	code := func() int {
		dir, err := os.MkdirTemp("", "edgelog-updates-bin")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		for _, p := range []struct{ name, cgo string }{{"edge-agent", "0"}, {"edge-updater", "0"}, {"edgectl", "0"}, {"edge-npu", "0"}, {"edge-hub", "1"}} {
			cmd := exec.Command("go", "build", "-tags", "netgo,osusergo,sqlite_omit_load_extension", "-o", filepath.Join(bin, p.name), "../../../cmd/"+p.name)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+p.cgo)
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build %s: %v\n%s", p.name, err, out)
				return 1
			}
		}
		return m.Run()
	}()
	os.Exit(code)
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

// process is one program under test; what it prints goes to a file that is shown when the test fails.
type process struct {
	t    testing.TB
	args []string
	env  []string
	log  string

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan struct{}
}

func newProcess(t testing.TB, dir string, args ...string) *process {
	p := &process{t: t, args: args, log: filepath.Join(dir, filepath.Base(args[0])+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- last of %s\n%s", p.log, tail(p.log, 30))
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(p.t, err)
	defer f.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(p.t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
}

// kill ends it with SIGKILL and waits for its end.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends it in order.
func (p *process) stop() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Errorf("%s did not end within a minute of SIGTERM", p.args[0])
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
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
	*process
	port int
}

func newMosquitto(t testing.TB, dir string) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			t.Fatal("mosquitto is not installed; as root: apt-get install mosquitto")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m := &mosquitto{port: l.Addr().(*net.TCPAddr).Port}
	must(t, l.Close())
	acl, err := os.ReadFile("../../../deploy/mosquitto/edgelog.acl")
	must(t, err)
	file := write(t, filepath.Join(dir, "edgelog.acl"), string(acl))
	must(t, os.Chmod(file, 0o600))
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nacl_file %s\npersistence false\nmax_packet_size 262144\nlog_dest stderr\nlog_type error\nlog_type warning\n", m.port, file)
	if os.Getuid() == 0 {
		conf += "user root\n"
	}
	m.process = newProcess(t, dir, path, "-c", write(t, filepath.Join(dir, "mosquitto.conf"), conf))
	m.up()
	return m
}

func (m *mosquitto) up() {
	m.t.Helper()
	m.start()
	waitFor(m.t, time.Minute, "mosquitto listens", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", m.port), time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// hub is an edge-hub that hands out releases.
type hub struct {
	*process
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
	h := &hub{process: newProcess(t, home, program("edge-hub"), "run", "--config", file), file: file}
	h.up()
	return h
}

func (h *hub) up() {
	h.t.Helper()
	h.start()
	waitFor(h.t, time.Minute, "the hub takes orders", func() bool {
		return exec.Command(program("edge-hub"), "rollout", "list", "--config", h.file).Run() == nil
	})
}

// rollout runs edge-hub rollout.
func (h *hub) rollout(want int, args ...string) string {
	h.t.Helper()
	return run(h.t, want, append([]string{program("edge-hub"), "rollout"}, append(args, "--config", h.file)...)...)
}

// create begins a rollout once the hub knows what as many boxes are as it is for.
func (h *hub) create(file string, boxes int) {
	h.t.Helper()
	want := fmt.Sprintf(", for %d of the fleet's devices", boxes)
	waitFor(h.t, 3*time.Minute, fmt.Sprintf("%d boxes have said what they are", boxes), func() bool {
		out, err := exec.Command(program("edge-hub"), "rollout", "create", file, "--dry-run", "--config", h.file).CombinedOutput()
		return err == nil && strings.Contains(string(out), want)
	})
	h.rollout(0, "create", file, "--yes")
}
