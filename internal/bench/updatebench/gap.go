package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

const (
	gapRounds  = 5
	gapEvery   = 5 * time.Millisecond // between two messages of the producer
	gapWarm    = 2 * time.Second
	gapLimit   = 30 * time.Second
	gapRecords = 200_000 // in the log before the first replacement
)

// gapFigure measures how long nothing is taken in while one agent takes another's place, as the switch of a link and a
// restart do it: a producer sends message after message, and the longest time between two that were durable counts.
func gapFigure(o options) error {
	dir := filepath.Join(o.dir, "gap")
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil {
		return err
	}
	link := filepath.Join(dir, "stable")
	agent, err := filepath.Abs(o.agent)
	if err != nil {
		return err
	}
	other := agent
	if o.old != "" {
		if other, err = filepath.Abs(o.old); err != nil {
			return err
		}
	}
	config := filepath.Join(dir, "agent.yaml")
	text := fmt.Sprintf("device: bench\ndata_dir: %s\nrun_dir: %s\nsources:\n  - name: host\n    driver: system\n    interval: 1s\ncontrol:\n  producers:\n    bench: {stream: alarms}\n", filepath.Join(dir, "data"), filepath.Join(dir, "run"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	p := &producer{client: api.NewClient(filepath.Join(dir, "run"))}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cmd, err := startLinked(link, other, config)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); p.run(ctx) }()
	if err := p.fill(gapRecords); err != nil {
		return errors.Join(err, end(cmd))
	}
	worst := time.Duration(0)
	for i := range gapRounds {
		time.Sleep(gapWarm)
		p.reset()
		next := agent
		if i%2 == 1 {
			next = other
		}
		if err := end(cmd); err != nil {
			return err
		}
		if cmd, err = startLinked(link, next, config); err != nil {
			return err
		}
		longest, err := p.longest()
		if err != nil {
			return errors.Join(err, end(cmd))
		}
		worst = max(worst, longest)
	}
	stop()
	wg.Wait()
	bench("update_restart_gap_ms", float64(worst.Milliseconds()), "ms")
	return end(cmd)
}

// startLinked points the link at a program and starts it through the link.
func startLinked(link, program, config string) (*exec.Cmd, error) {
	tmp := link + ".new"
	if err := errors.Join(os.RemoveAll(tmp), os.Symlink(program, tmp), os.Rename(tmp, link)); err != nil {
		return nil, err
	}
	cmd := exec.Command(link, "run", "--config", config)
	cmd.Stderr = nil
	return cmd, cmd.Start()
}

func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// producer sends messages and remembers how long it waited.
type producer struct {
	client *api.Client

	mu       sync.Mutex
	sequence uint64
	last     time.Time // of a message that was durable
	gap      time.Duration
	taken    int // since the last reset
	total    int
	bulk     int
	failed   error // the last one
}

func (p *producer) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		seq, n := p.sequence+1, max(p.bulk, 1)
		p.mu.Unlock()
		r := api.IngestRequest{Incarnation: 1, Sequence: seq}
		for i := range n {
			r.Records = append(r.Records, api.IngestRecord{Name: "bench.value", Value: json.RawMessage(fmt.Sprint(i))})
		}
		_, err := p.client.Ingest(ctx, "bench", r)
		p.mu.Lock()
		if err == nil {
			now := time.Now()
			if !p.last.IsZero() {
				p.gap = max(p.gap, now.Sub(p.last))
			}
			p.last, p.sequence, p.taken, p.total = now, seq, p.taken+1, p.total+n
		} else {
			p.failed = err
		}
		p.mu.Unlock()
		time.Sleep(gapEvery)
	}
}

// fill lets the log grow before anything is measured.
func (p *producer) fill(records int) error {
	p.mu.Lock()
	p.bulk = 500
	p.mu.Unlock()
	for limit := time.Now().Add(2 * gapLimit); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		total := p.total
		if total >= records {
			p.bulk = 1
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		if time.Now().After(limit) {
			return fmt.Errorf("only %d records were taken: %w", total, p.failed)
		}
	}
}

func (p *producer) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap, p.taken = 0, 0
}

// longest waits until messages flow again.
func (p *producer) longest() (time.Duration, error) {
	for limit := time.Now().Add(gapLimit); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		gap, taken, since := p.gap, p.taken, time.Since(p.last)
		p.mu.Unlock()
		if taken > 3 && since < time.Second && gap > 0 {
			if gap > 10*gapEvery { // the replacement lies behind
				return gap, nil
			}
		}
	}
	return 0, errors.New("nothing is taken in after the replacement")
}
