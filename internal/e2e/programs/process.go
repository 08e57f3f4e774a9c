package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	shown     = 40 // lines of what a process said, when its test fails
	stopLimit = time.Minute
	killLimit = time.Minute
)

// Process is one program under test. Its methods may be called concurrently; what is exported is set before Start.
type Process struct {
	T       testing.TB // whose process it is
	Args    []string   // the program first
	Env     []string   // beside the test's
	Log     string     // the file with what it says
	Wrapped bool       // Args[0] runs the program as its child, which Kill takes, too

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan struct{}
}

// New makes a process that logs into dir, and is killed when the test ends.
func New(t testing.TB, dir string, args ...string) *Process {
	p := &Process{T: t, Args: args, Log: filepath.Join(dir, filepath.Base(args[0])+".log")}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("--- last of %s\n%s", p.Log, Tail(p.Log, shown))
		}
	})
	return p
}

// Start starts it, or starts it again when it has ended.
func (p *Process) Start() {
	p.T.Helper()
	f, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.T.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.T.Fatalf("start %s: %v", p.Args[0], err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, done
}

// PID is that of the last start, 0 before any.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Running reports whether it was started and has not ended.
func (p *Process) Running() bool {
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

// Kill ends it with SIGKILL and waits for it.
func (p *Process) Kill() {
	child := 0
	if p.Wrapped && p.Running() {
		child = childOf(p.PID())
	}
	p.signal(syscall.SIGKILL, killLimit)
	gone(child)
}

// Stop ends it with SIGTERM and waits for it. The test fails if it does not end, or with another exit code than 0.
func (p *Process) Stop() {
	p.T.Helper()
	if !p.signal(syscall.SIGTERM, stopLimit) {
		p.T.Errorf("%s did not end within %v of SIGTERM", p.Args[0], stopLimit)
		p.Kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.ProcessState != nil && p.cmd.ProcessState.ExitCode() != 0 {
		p.T.Errorf("%s ended with status %d after SIGTERM", p.Args[0], p.cmd.ProcessState.ExitCode())
	}
}

// signal reports whether the process has ended within the time.
func (p *Process) signal(s syscall.Signal, wait time.Duration) bool {
	if !p.Running() {
		return true
	}
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	_ = cmd.Process.Signal(s)
	select {
	case <-done:
		return true
	case <-time.After(wait):
		return false
	}
}

// childOf is the program that a wrapper runs, 0 if there is none.
func childOf(pid int) (child int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err == nil {
		fmt.Sscan(string(b), &child)
	}
	return child
}

// gone waits until a program has ended that is no child of ours.
func gone(pid int) {
	for end := time.Now().Add(killLimit); pid > 0 && syscall.Kill(pid, 0) == nil && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}
