package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	series1000 = `sources:
  - name: load
    driver: synthetic
    interval: 1s
    synthetic: {series: 1000}
`
	settleTime = 10 * time.Second // for the agents to be past their start
	userHz     = 100              // of /proc/PID/stat on every Linux that Go runs on
)

// benchCollect runs two agents side by side, one without a source and one with 1,000 series at 1 Hz, both with the log
// on this disk, and compares their processor time and memory.
func benchCollect(ctx context.Context, e *env) error {
	idle, err := startAgent(ctx, e.agent, "sources: []\n")
	if err != nil {
		return err
	}
	defer idle.stop()
	busy, err := startAgent(ctx, e.agent, series1000)
	if err != nil {
		return err
	}
	defer busy.stop()
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	before, err := busy.cpu()
	if err != nil {
		return err
	}
	started := time.Now()
	var idleRSS, busyRSS []float64
	for time.Since(started) < e.seconds {
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		a, err1 := idle.rss()
		b, err2 := busy.rss()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		idleRSS, busyRSS = append(idleRSS, a), append(busyRSS, b)
	}
	after, err := busy.cpu()
	if err != nil {
		return err
	}
	report("collect_1000_cpu_percent", 100*(after-before)/time.Since(started).Seconds(), "percent")
	report("collect_1000_rss_mib", mean(busyRSS)-mean(idleRSS), "MiB")
	return nil
}

type agent struct {
	dir string
	cmd *exec.Cmd
}

func startAgent(ctx context.Context, program, sources string) (*agent, error) {
	dir, err := os.MkdirTemp(".", "driversbench") // on the disk that the log would be on, not a tmpfs
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "agent.yaml")
	text := "device: bench\ndata_dir: data\nrun_dir: run\n" + sources
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, program, "run", "--config", file)
	cmd.Stderr, cmd.Stdout = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make build)", err)
	}
	return &agent{dir, cmd}, nil
}

func (a *agent) stop() {
	_ = a.cmd.Process.Signal(os.Interrupt)
	_ = a.cmd.Wait()
	_ = os.RemoveAll(a.dir)
}

// failed adds what the agent said.
func (a *agent) failed(err error) error {
	text, _ := os.ReadFile(filepath.Join(a.dir, "log"))
	return fmt.Errorf("%w: the agent said: %s", err, text)
}

// cpu is user and system time so far, in seconds.
func (a *agent) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
	if err != nil {
		return 0, a.failed(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, a.failed(fmt.Errorf("stat is %q", text))
	}
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	return (user + system) / userHz, errors.Join(err1, err2)
}

// rss in MiB.
func (a *agent) rss() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		return 0, a.failed(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, a.failed(errors.New("no VmRSS"))
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(max(len(v), 1))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
