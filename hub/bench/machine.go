package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is the hub and the broker under test.
type machine struct {
	o      Options
	port   int
	broker *process
	hub    *process
	config string
}

// process is one program; what it prints goes to a file in the directory.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

func startProcess(dir, name string, args ...string) (*process, error) {
	p := &process{name: name, log: join(dir, name+".log"), done: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) peak() float64 { return peakOf(p.pid()) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends it in order, and by force after a while.
func (p *process) stop() error {
	if p == nil || p.ended() {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("bench: %s did not end when it was asked to", p.name)
}

// said is the error of a program that ended by itself, with the last of what it printed.
func (p *process) said(what string) error {
	b, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return fmt.Errorf("bench: %s: %s\n%s", p.name, what, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// raiseFileLimit lets this process and the ones that it starts hold so many connections.
func raiseFileLimit(want uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("bench: read the limit of open files: %w", err)
	}
	if l.Max < want {
		return fmt.Errorf("%w: the limit of open files is %d, %d are needed; raise it (ulimit -Hn %d)", ErrOptions, l.Max, want, want)
	}
	l.Cur = max(l.Cur, want) // set again in any case: only then do children inherit it
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("bench: raise the limit of open files to %d: %w", want, err)
	}
	return nil
}

// The broker passes on up to so many messages that a subscriber has not read yet; with one frame under way for each
// device that is as many as there are devices, and room for hellos.
const brokerYAML = `listener %d 127.0.0.1
allow_anonymous true
persistence false
log_type error
log_dest stderr
set_tcp_nodelay true
max_packet_size 262144
max_queued_messages %d
`

const hubYAML = `broker: {url: "tcp://127.0.0.1:%d"}
store: {sqlite: hub.db}
run_dir: .
limits: {messages: %d}
log: {level: warn}
`

func startMachine(ctx context.Context, o Options) (m *machine, err error) {
	mosquitto, err := exec.LookPath("mosquitto")
	if err != nil {
		mosquitto = "/usr/sbin/mosquitto" // not on every user's path
		if _, err := os.Stat(mosquitto); err != nil {
			return nil, fmt.Errorf("bench: mosquitto is not installed; as root: apt-get install mosquitto")
		}
	}
	m = &machine{o: o, config: join(o.Dir, "hub.yaml")}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.stop())
		}
	}()
	if m.port, err = freePort(); err != nil {
		return m, err
	}
	messages := max(1000, o.Devices+o.Devices/4)
	for name, text := range map[string]string{
		"mosquitto.conf": fmt.Sprintf(brokerYAML, m.port, 2*messages),
		"hub.yaml":       fmt.Sprintf(hubYAML, m.port, messages),
	} {
		if err := os.WriteFile(join(o.Dir, name), []byte(text), 0o644); err != nil {
			return m, fmt.Errorf("bench: %w", err)
		}
	}
	if m.broker, err = startProcess(o.Dir, "mosquitto", mosquitto, "-c", join(o.Dir, "mosquitto.conf")); err != nil {
		return m, err
	}
	if err := m.await(ctx, m.broker, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}); err != nil {
		return m, err
	}
	if m.hub, err = startProcess(o.Dir, "edge-hub", append(append([]string{}, o.Hub...), "run", "--config", m.config)...); err != nil {
		return m, err
	}
	return m, m.await(ctx, m.hub, func() bool { s, err := m.look(); return err == nil && s.up })
}

func (m *machine) await(ctx context.Context, p *process, ready func() bool) error {
	for end := time.Now().Add(20 * time.Second); ; {
		switch {
		case p.ended():
			return p.said("it ended")
		case ready():
			return nil
		case time.Now().After(end):
			return p.said("it is not ready after 20 s")
		case !sleep(ctx, 50*time.Millisecond):
			return ctx.Err()
		}
	}
}

func (m *machine) stop() error { return errors.Join(m.hub.stop(), m.broker.stop()) }

// verify lets the hub's own program read every row.
func (m *machine) verify(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, m.o.Hub[0], append(append([]string{}, m.o.Hub[1:]...), "verify", "--config", m.config)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("bench: edge-hub verify: %w\n%s", err, out)
	}
	m.o.say("%s", out)
	return nil
}

// look is what a moment shows.
type look struct {
	at                           time.Time
	up                           bool
	rows, frames, commits        uint64
	duplicates, rewinds, dropped uint64
	hubCPU, brokerCPU, loadCPU   float64 // s
}

func (m *machine) look() (look, error) {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", join(m.o.Dir, "status.sock"))
	}}
	defer t.CloseIdleConnections()
	r, err := (&http.Client{Transport: t, Timeout: 20 * time.Second}).Get("http://hub/status")
	if err != nil {
		return look{}, fmt.Errorf("bench: ask the hub: %w", err)
	}
	defer r.Body.Close()
	var s struct {
		Link     struct{ Up bool }
		Receiver struct {
			Rows, Frames, Commits uint64
			Duplicates            uint64 `json:"duplicate_frames"`
			Rewinds               uint64 `json:"rewound_frames"`
			Dropped               uint64 `json:"dropped_messages"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return look{}, fmt.Errorf("bench: ask the hub: %w", err)
	}
	l := look{at: time.Now(), up: s.Link.Up, rows: s.Receiver.Rows, frames: s.Receiver.Frames, commits: s.Receiver.Commits,
		duplicates: s.Receiver.Duplicates, rewinds: s.Receiver.Rewinds, dropped: s.Receiver.Dropped,
		loadCPU: cpuOf(os.Getpid()), brokerCPU: cpuOf(m.broker.pid())}
	if m.hub != nil {
		l.hubCPU = cpuOf(m.hub.pid())
	}
	return l, nil
}

// cpuOf is the CPU time of a process in seconds, 0 if it is gone.
func cpuOf(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / ticks
}

const ticks = 100 // of a second: USER_HZ, which Linux fixes for /proc

// peakOf is the peak of a process's resident memory in MiB, 0 if it is gone.
func peakOf(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
