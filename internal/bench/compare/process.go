package main

import (
	"fmt"
	"io"
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

// link is a TCP proxy that can be cut: internal/cutproxy is of another module.
type link struct {
	l      net.Listener
	target string

	mu    sync.Mutex // guards what follows
	down  bool
	conns map[net.Conn]bool
}

func newLink(target string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &link{l: l, target: target, conns: map[net.Conn]bool{}}
	go p.accept()
	return p, nil
}

func (p *link) addr() string { return p.l.Addr().String() }

func (p *link) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *link) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *link) serve(c net.Conn) {
	if !p.keep(c) {
		return
	}
	d, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(d) {
		c.Close()
		return
	}
	both := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{c, d}, {d, c}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // its end is the end of both
			both <- struct{}{}
		}()
	}
	<-both
	c.Close()
	d.Close()
	<-both
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	delete(p.conns, d)
}

func (p *link) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for c := range p.conns {
		c.Close()
	}
}

func (p *link) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

func (p *link) close() { p.l.Close(); p.cut() }

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
