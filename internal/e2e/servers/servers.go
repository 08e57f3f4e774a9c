// Package servers starts PostgreSQL and Apache Kafka for tests: on loopback, on free ports, with everything they write
// in one directory that goes with them. What is missing on the machine is an error that says how to get it; nothing is
// skipped.
package servers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// FreePort is a TCP port of the loopback interface that nobody listens on now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// process is one server process in its own process group, so that a kill takes all of it.
type process struct {
	name string
	log  string // file with what it said

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (p *process) start(cmd *exec.Cmd) error {
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done = cmd, make(chan struct{})
	go func(done chan struct{}) { // ends with the process; stop and kill wait for it
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(done)
	}(p.done)
	return nil
}

// ended is closed when the process is over.
func (p *process) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func (p *process) running() bool {
	d := p.ended()
	if d == nil {
		return false
	}
	select {
	case <-d:
		return false
	default:
		return true
	}
}

// end sends a signal to the group and waits; after limit it kills.
func (p *process) end(sig syscall.Signal, limit time.Duration) {
	if !p.running() {
		return
	}
	pid := p.cmd.Process.Pid
	if sig == syscall.SIGKILL {
		syscall.Kill(-pid, sig)
	} else {
		p.cmd.Process.Signal(sig)
	}
	select {
	case <-p.ended():
	case <-time.After(limit):
		syscall.Kill(-pid, syscall.SIGKILL)
		<-p.ended()
	}
}

// wait polls until ready or the process has ended.
func (p *process) wait(limit time.Duration, ready func() bool) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ready() {
			return nil
		}
		if !p.running() {
			return fmt.Errorf("%s ended: %v\n%s", p.name, p.err, tail(p.log))
		}
	}
	return fmt.Errorf("%s is not ready after %v\n%s", p.name, limit, tail(p.log))
}

func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > 4000 {
		b = b[len(b)-4000:]
	}
	return string(b)
}

// errMissing says how to get what is not there.
func errMissing(what string) error {
	return errors.New(what + " is not on this machine: deploy/bootstrap/setup.sh stores installs it")
}

// unprivileged is who a server runs as: PostgreSQL refuses root. nil: as this process.
func unprivileged(name string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// copyDir copies a tree with its owners and modes: the backup of a server that is stopped.
func copyDir(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		st := info.Sys().(*syscall.Stat_t)
		switch {
		case info.IsDir():
			err = os.MkdirAll(dst, info.Mode())
		case info.Mode().IsRegular():
			err = copyFile(path, dst, info.Mode())
		default:
			return nil // sockets and links of a stopped server mean nothing
		}
		if err == nil && os.Getuid() == 0 {
			err = os.Chown(dst, int(st.Uid), int(st.Gid))
		}
		return err
	})
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
