package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a program that a supervisor starts again a second after it has ended by itself, as systemd does.
type process struct {
	args []string
	log  string

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	done   chan struct{}
	wanted bool
	ended  int // by itself
}

func newProcess(log string, args ...string) *process { return &process{args: args, log: log} }

func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		return
	}
	p.wanted = true
	p.spawn()
}

// spawn is called with the lock held.
func (p *process) spawn() {
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		panic(fmt.Sprintf("start %s: %v", p.args[0], err))
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait()
		close(done)
		p.mu.Lock()
		again := p.wanted && p.cmd == cmd
		if again {
			p.ended++
		}
		p.mu.Unlock()
		if again {
			time.Sleep(time.Second)
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.wanted && p.cmd == cmd {
				p.spawn()
			}
		}
	}()
}

// kill ends it as a power cut would, and keeps it down until start.
func (p *process) kill() {
	p.mu.Lock()
	p.wanted = false
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-done
	}
}

func (p *process) end() { p.kill() }

func (p *process) exits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// listening waits until something takes connections.
func listening(addr string) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}
