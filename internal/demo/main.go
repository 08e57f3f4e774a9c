// Demo runs the main job where one can watch it: a hub with an embedded broker, an agent that reads this machine and a
// simulated 1-Wire bus, a link that is cut, an agent that is killed. It uses the built programs in bin/ and a scratch
// directory, needs no root and touches nothing else.
//
//	DEMO_SECONDS=20   stop by itself after so long, else Ctrl-C
//	DEMO_DIR=path     scratch directory (default: a new one below the system's temporary directory)
//
// It ends with both accounts and exits with 1 unless every stream balances, the hub has no duplicate and no gap, and
// every expected source has records there.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/edgelog/edgelog/internal/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// cycle is the length of one round of faults when nobody said how long the demo runs.
const cycle = 60 * time.Second

func run(ctx context.Context) error {
	length := time.Duration(0)
	if text := os.Getenv("DEMO_SECONDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 10 || n > 86400 {
			return fmt.Errorf("DEMO_SECONDS=%q is not a number from 10 to 86400", text)
		}
		length = time.Duration(n) * time.Second
	}
	dir := os.Getenv("DEMO_DIR")
	if dir == "" {
		d, err := os.MkdirTemp("", "edgelog-demo-")
		if err != nil {
			return err
		}
		dir = d
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s, err := newStage(dir)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(ctx); err != nil {
		return errors.Join(err, fmt.Errorf("logs are in %s", dir))
	}
	fmt.Printf("The box has a web page: http://%s/\n\n", s.page)
	style := term.DetectFile(os.Stdout)
	if err := play(ctx, s, newScreen(style), length); err != nil {
		return errors.Join(err, fmt.Errorf("logs are in %s", dir))
	}
	return finish(s)
}

// act is one thing that happens at a fraction of a round.
type act struct {
	at   float64
	text string
	do   func(*stage) error
}

func acts() []act {
	return []act{
		{0, "Sensors are read, every reading is fsynced, the hub commits it.", func(*stage) error { return nil }},
		{0.15, "The link to the broker is CUT. Readings go on; the backlog grows on disk.", func(s *stage) error { s.link.Cut(); return nil }},
		{0.30, "The agent is KILLED (kill -9) with its backlog.", func(s *stage) error { return s.agent.kill() }},
		{0.38, "The agent is started again: it finds its log as it was and goes on.", func(s *stage) error { return s.agent.start() }},
		{0.50, "The link is RESTORED. The backlog drains; nothing comes twice.", func(s *stage) error { s.link.Restore(); return nil }},
	}
}

// play runs the rounds until the time is over (length > 0) or somebody ends it.
func play(ctx context.Context, s *stage, scr *screen, length time.Duration) error {
	round := length
	if length == 0 {
		round = cycle
	}
	begun := time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	all, next := acts(), 0
	for {
		now := time.Since(begun)
		for next < len(all) && now >= time.Duration(all[next].at*float64(round)) {
			scr.say(all[next].text)
			if err := all[next].do(s); err != nil {
				return err
			}
			next++
		}
		scr.draw(s.observe(ctx), now, length)
		if err := s.alive(); err != nil {
			return err
		}
		if length > 0 && now >= length*17/20 {
			return nil
		}
		if now >= round && next == len(all) {
			begun, next = time.Now(), 0
		}
		select {
		case <-ctx.Done():
			fmt.Println()
			return nil
		case <-tick.C:
		}
	}
}
