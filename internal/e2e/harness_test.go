package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cutproxy"
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
	code := func() int {
		dir, err := os.MkdirTemp("", "edgelog-e2e-bin")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		for _, p := range []struct{ name, cgo string }{{"edge-agent", "0"}, {"edgectl", "0"}, {"edge-hub", "1"}} {
			cmd := exec.Command("go", "build", "-tags", "netgo,osusergo,sqlite_omit_load_extension", "-o", filepath.Join(bin, p.name), "../../cmd/"+p.name)
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

// process is one program under test; its output goes to a file that is printed when the test fails.
type process struct {
	t    testing.TB
	name string
	args []string
	env  []string
	log  string

	child bool // the program is run by a wrapper

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func newProcess(t testing.TB, dir, name string, args ...string) *process {
	p := &process{t: t, name: name, args: args, log: filepath.Join(dir, filepath.Base(name)+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- last of %s\n%s", p.log, tail(p.log, 40))
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(p.name, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// kill ends the process with SIGKILL and waits for it.
func (p *process) kill() {
	child := 0
	if p.child && p.running() {
		child = childOf(p.pid())
	}
	p.signal(syscall.SIGKILL, 10*time.Second)
	gone(child)
}

// stop ends the process with SIGTERM and waits for it; it fails the test if the process does not end cleanly.
func (p *process) stop() {
	p.t.Helper()
	if !p.signal(syscall.SIGTERM, 30*time.Second) {
		p.t.Errorf("%s did not end within 30 s of SIGTERM", p.name)
		p.kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.ProcessState != nil && p.cmd.ProcessState.ExitCode() != 0 {
		p.t.Errorf("%s ended with status %d after SIGTERM", p.name, p.cmd.ProcessState.ExitCode())
	}
}

func (p *process) signal(s syscall.Signal, wait time.Duration) bool {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return true
	}
	select {
	case <-done:
		return true
	default:
	}
	_ = cmd.Process.Signal(s)
	select {
	case <-done:
		return true
	case <-time.After(wait):
		return false
	}
}

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// freePort is a TCP port of the loopback that nobody holds now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// broker is a real Mosquitto with the shipped ACL, TLS and client certificates.
type broker struct {
	*process
	port  int
	certs string
}

// mosquittoPath is where the broker's program is.
func mosquittoPath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) { // not on every user's path
			t.Fatal("mosquitto is not installed; as root: apt-get install mosquitto")
		}
	}
	return path
}

func newBroker(t testing.TB, dir string, devices ...string) *broker {
	t.Helper()
	path := mosquittoPath(t)
	certs := filepath.Join(dir, "certs")
	run(t, "../../deploy/ca.sh", append([]string{certs}, devices...)...)
	b := &broker{port: freePort(t), certs: certs}
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
	b.process = newProcess(t, dir, path, "-c", file)
	b.start()
	waitFor(t, 10*time.Second, "mosquitto listens", func() bool { return dialable(b.port) })
	return b
}

func dialable(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
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
	limit = max(limit, patience)
	for end := time.Now().Add(limit); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
