package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cutproxy"
)

// program is one of the built programs with its log file.
type program struct {
	name string
	args []string
	log  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	want bool // it should be running
}

func (p *program) start() error {
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command(filepath.Join("bin", p.name), p.args...)
	cmd.Stdout, cmd.Stderr = f, f
	// An own group: Ctrl-C reaches the demo alone, which then ends its programs in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w (make build)", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.done, p.want = cmd, done, true
	return nil
}

func (p *program) end(sig syscall.Signal, wait time.Duration) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.want = false
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	_ = cmd.Process.Signal(sig) // an error means that it has ended
	select {
	case <-done:
		return nil
	case <-time.After(wait):
		return fmt.Errorf("%s did not end after %s", p.name, sig)
	}
}

func (p *program) kill() error { return p.end(syscall.SIGKILL, 5*time.Second) }

func (p *program) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.want {
		return false
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) up() bool {
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

// stage is the whole cast: simulated bus, hub with its broker, the link, the agent.
type stage struct {
	dir    string
	sim    *program
	hub    *program
	agent  *program
	npu    *program // nil without a C compiler: there is no stand-in for the NPU then
	broker string   // where the hub's broker listens
	page   string   // where the box's web page is
	link   *cutproxy.Link
	api    *api.Client
}

const (
	device  = "demo-box"
	hubYAML = `# written by the demo
embedded_broker:
  listen: 127.0.0.1:%d
store:
  sqlite: %s/hub.db
run_dir: %s/hub-run
`
	agentYAML = `# written by the demo
device: demo-box
data_dir: %[1]s/agent
run_dir: %[1]s/run
uplink:
  mqtt:
    broker: tcp://127.0.0.1:%[2]d
control:
  producers:
    edge-npu: {stream: events}
  http:
    address: %[3]s
`
	sourcesYAML = `sources:
  - name: host
    driver: system
    interval: 1s
  - name: cold-rooms
    driver: w1
    interval: 1s
    w1:
      root: %[1]s/w1
`
)

func newStage(dir string) (*stage, error) {
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "hub-run"), 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Close()
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	web.Close()
	s := &stage{dir: dir, broker: l.Addr().String(), page: web.Addr().String()}
	if s.link, err = cutproxy.Start(s.broker, nil); err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("hub.yaml"), fmt.Appendf(nil, hubYAML, port, dir, dir), 0o644); err != nil {
		return nil, err
	}
	s.sim = &program{name: "edge-w1sim", log: file("w1sim.log"), args: []string{"--dir", file("w1"), "--sensors", "6", "--faults"}}
	s.hub = &program{name: "edge-hub", log: file("hub.log"), args: []string{"run", "--config", file("hub.yaml")}}
	s.agent = &program{name: "edge-agent", log: file("agent.log"), args: []string{"run", "--config", file("agent.yaml")}}
	s.api = api.NewClient(file("run"))
	if err := s.castNPU(); err != nil {
		return nil, err
	}
	return s, s.configure(true)
}

// configure writes the agent's configuration, with or without sources.
func (s *stage) configure(sources bool) error {
	text := fmt.Sprintf(agentYAML, s.dir, s.link.Port(), s.page)
	if sources {
		text += fmt.Sprintf(sourcesYAML, s.dir)
	}
	return os.WriteFile(filepath.Join(s.dir, "agent.yaml"), []byte(text), 0o644)
}

func (s *stage) start(ctx context.Context) error {
	if err := s.sim.start(); err != nil {
		return err
	}
	if err := s.hub.start(); err != nil {
		return err
	}
	if err := s.await(ctx, 15*time.Second, "the simulated bus", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "w1", "simulated"))
		return err == nil
	}); err != nil {
		return err
	}
	if err := s.await(ctx, 15*time.Second, "the hub's broker", func() bool {
		c, err := net.DialTimeout("tcp", s.broker, time.Second)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}); err != nil {
		return err
	}
	if err := s.agent.start(); err != nil {
		return err
	}
	if s.npu != nil {
		if err := s.npu.start(); err != nil {
			return err
		}
	}
	return s.await(ctx, 15*time.Second, "the agent's control socket", func() bool {
		_, err := s.api.Status(ctx)
		return err == nil
	})
}

func (s *stage) await(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	for end := time.Now().Add(limit); !ok(); {
		if err := s.alive(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not there after %s", what, limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// alive returns an error if a program has ended that should run, with the end of its log.
func (s *stage) alive() error {
	for _, p := range []*program{s.sim, s.hub, s.agent, s.npu} {
		if p != nil && p.died() {
			b, _ := os.ReadFile(p.log) // the log is a help, its absence is not the error
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			return fmt.Errorf("%s ended by itself:\n  %s", p.name, strings.Join(lines[max(0, len(lines)-5):], "\n  "))
		}
	}
	return nil
}

func (s *stage) close() {
	for _, p := range []*program{s.npu, s.agent, s.sim, s.hub} {
		if p != nil && p.up() && p.end(syscall.SIGTERM, 15*time.Second) != nil {
			_ = p.kill()
		}
	}
	s.link.Close()
}

// view is what one look at the stage showed.
type view struct {
	status  *api.Status // nil: the agent does not answer
	sensors *api.Sensors
	npu     *api.NPUStatus // nil: none, or it does not answer
	score   *api.Record    // its newest result
	linked  bool
}

func (s *stage) observe(ctx context.Context) view {
	ctx, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
	defer cancel()
	v := view{linked: s.link.Up()}
	if st, err := s.api.Status(ctx); err == nil {
		v.status = st
		if v.sensors, err = s.api.Sensors(ctx); err != nil {
			v.sensors = nil
		}
	}
	if s.npu != nil {
		s.observeNPU(ctx, &v)
	}
	return v
}

// drain stops the sources by a reload and waits until the hub has everything.
func (s *stage) drain(ctx context.Context) (*api.Account, error) {
	s.link.Restore()
	if !s.agent.up() {
		if err := s.agent.start(); err != nil {
			return nil, err
		}
	}
	if s.npu != nil && s.npu.up() { // it finishes what it has begun
		if err := s.npu.end(syscall.SIGTERM, 15*time.Second); err != nil {
			return nil, err
		}
	}
	if err := s.configure(false); err != nil {
		return nil, err
	}
	if err := s.await(ctx, 15*time.Second, "the agent's control socket", func() bool {
		_, err := s.api.Status(ctx)
		return err == nil
	}); err != nil {
		return nil, err
	}
	r, err := s.api.Reload(ctx)
	if err != nil {
		return nil, fmt.Errorf("stop the sources: %w", err)
	}
	if r.Error != "" {
		return nil, errors.New("stop the sources: " + r.Error)
	}
	var acc *api.Account
	err = s.await(ctx, 60*time.Second, "the end of the backlog", func() bool {
		a, err := s.api.Account(ctx)
		if err != nil {
			return false
		}
		acc = a
		for _, st := range a.Streams {
			if st.Sum.InFlight+st.Sum.Buffered > 0 {
				return false
			}
		}
		return true
	})
	return acc, err
}
