package mcu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Scan asks every address of the line that the configuration does not name. step is told how many of MaxUnit are done.
// Polls go on in between.
func (l *Line) Scan(ctx context.Context, step func(done int)) error {
	for unit := 1; unit <= MaxUnit; {
		err := l.submit(ctx, "", func(ctx context.Context, _ *node) error {
			for range 2 { // half a second each at most: nodes are polled in between
				for unit <= MaxUnit && slices.ContainsFunc(l.nodes, func(n *node) bool { return int(n.cfg.Unit) == unit }) {
					unit++
				}
				if unit <= MaxUnit {
					l.probeUnit(ctx, byte(unit))
					unit++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		step(min(unit-1, MaxUnit))
	}
	return nil
}

// Set writes settings to a node, reads them back and has them saved. What the configuration declares is refused: it
// would be put back. The commissioning settings unit, baud and serial work from the node's next start on.
func (l *Line) Set(ctx context.Context, name string, want map[string]string) error {
	for k, v := range want {
		s, ok := settingOf(k)
		if !ok {
			return fmt.Errorf("%w: there is no %q", ErrSetting, k)
		}
		if _, err := s.encode(v); err != nil {
			return err
		}
	}
	return l.online(ctx, name, func(ctx context.Context, n *node) error {
		for k := range want {
			if _, ok := n.cfg.Settings[k]; ok {
				return fmt.Errorf("%w: %s; change it there and reload", ErrDeclared, k)
			}
		}
		have, err := l.read(ctx, n, RegSettings, settingsWords)
		if err != nil {
			return err
		}
		_, err = l.apply(ctx, n, have, want)
		return err
	})
}

// online is submit for a node that answers.
func (l *Line) online(ctx context.Context, name string, do func(ctx context.Context, n *node) error) error {
	return l.submit(ctx, name, func(ctx context.Context, n *node) error {
		if n.state.status.State != StateOnline || !n.known {
			return fmt.Errorf("%w: %s is %s", ErrOffline, name, n.state.status.State)
		}
		return do(ctx, n)
	})
}

// SetClock sets the node's clock chip.
func (l *Line) SetClock(ctx context.Context, name string) error {
	return l.online(ctx, name, func(ctx context.Context, n *node) error {
		if n.id.Features&FeatureClock == 0 {
			return fmt.Errorf("%w: it has no clock chip", ErrUnable)
		}
		return l.setWall(ctx, n)
	})
}

// Override puts outputs under manual control for a time; 0 ends it. The node confirms by reading back.
func (l *Line) Override(ctx context.Context, name string, on map[string]bool, d time.Duration) error {
	var mask, state uint16
	for out, v := range on {
		i := slices.Index(outputNames, out)
		if i < 0 {
			return fmt.Errorf("%w: there is no output %q; outputs are %v", ErrSetting, out, outputNames)
		}
		mask |= 1 << i
		if v {
			state |= 1 << i
		}
	}
	seconds := int64(d / time.Second)
	if seconds < 0 || seconds > 65535 {
		return fmt.Errorf("%w: manual control lasts 1 s to 18 h, 0 ends it", ErrSetting)
	}
	return l.online(ctx, name, func(ctx context.Context, n *node) error {
		if err := l.write(ctx, n, RegOverride, mask, state, uint16(seconds)); err != nil {
			return err
		}
		w, err := l.read(ctx, n, RegOverride, 3)
		if err != nil {
			return err
		}
		if w[0] != mask || w[1] != state || seconds > 0 && w[2] == 0 {
			return fmt.Errorf("%w: manual control", ErrNotTaken)
		}
		n.state.stats = time.Time{}
		return nil
	})
}

// Rescan makes the node look for its sensors anew.
func (l *Line) Rescan(ctx context.Context, name string) error {
	return l.online(ctx, name, func(ctx context.Context, n *node) error { return l.write(ctx, n, RegRescan, 1) })
}

// TestEvents makes the node queue test events as room appears.
func (l *Line) TestEvents(ctx context.Context, name string, count uint16) error {
	return l.online(ctx, name, func(ctx context.Context, n *node) error { return l.write(ctx, n, RegTestEvents, count) })
}

// Restart resets the node, its queue run empty before.
func (l *Line) Restart(ctx context.Context, name string) error {
	return l.online(ctx, name, func(ctx context.Context, n *node) error {
		if err := l.drain(ctx, n); err != nil {
			return err
		}
		return l.command(ctx, n, commandRst)
	})
}

// command arms the node and gives it a command, which it answers before it obeys.
func (l *Line) command(ctx context.Context, n *node, code uint16) error {
	if err := l.write(ctx, n, RegArm, armWord); err != nil {
		return fmt.Errorf("arm: %w", err)
	}
	err := l.write(ctx, n, RegCommand, code)
	if err != nil && !errors.Is(err, ErrRefused) {
		return nil // the answer may be lost, and the node gone: whoever gave the command finds out
	}
	return err
}

// drain polls a node until the log has all its events and it has let go of them.
func (l *Line) drain(ctx context.Context, n *node) error {
	for end := time.Now().Add(drainFor); time.Now().Before(end) && ctx.Err() == nil; {
		if _, err := l.poll(ctx, n); err != nil {
			return err
		}
		if err := l.o.Log.Sync(ctx); err != nil {
			return err
		}
		l.settle()
		if len(n.pending) == 0 && n.more == 0 && n.state.released == n.taken {
			return nil
		}
	}
	return errors.Join(ErrImpatient, ctx.Err())
}

// Loader is what a flash of one node needs of its line.
type Loader struct {
	// Enter tells the firmware to start its bootloader; the line must still be the nodes'.
	Enter func(ctx context.Context) error
	// Take gives the port away: nothing of the line uses it until the job returns or Confirm is called.
	Take func() error
	// Confirm takes the port back and waits until the node answers; it returns its version.
	Confirm func(ctx context.Context) (string, error)
	// Identity is what the node said last, Known whether it was ever heard.
	Identity Identity
	Known    bool
}

// Exclusive runs do with the line to itself: no node is polled meanwhile, their queues hold what happens. The node's own
// queue is run empty before, as far as it answers; then whatever happens to it loses nothing.
func (l *Line) Exclusive(ctx context.Context, name string, do func(ctx context.Context, x Loader) error) error {
	return l.submit(ctx, name, func(run context.Context, n *node) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(run, cancel)()
		x := Loader{Identity: n.id, Known: n.id.Chip != ""}
		if n.state.status.State == StateOnline {
			if err := l.drain(ctx, n); err != nil && ctx.Err() == nil {
				n.state.status.Error = err.Error() // it is flashed all the same; what is lost will be named
			}
		}
		n.state.status.enter(StateFlash, nil)
		l.publish(n)
		x.Enter = func(ctx context.Context) error {
			if n.id.Chip != "" && n.id.Features&FeatureBootloader == 0 {
				return fmt.Errorf("%w: enter its bootloader on command", ErrUnable)
			}
			return l.command(ctx, n, commandBoot)
		}
		x.Take = func() error { l.close(); return nil }
		x.Confirm = func(ctx context.Context) (string, error) { return l.await(ctx, n) }
		err := do(ctx, x)
		n.known = false
		n.due = time.Now()
		n.state.fails, n.state.offline = 0, false
		n.state.status.enter(StateUnknown, nil)
		return err
	})
}

// await asks a node that starts until it answers, and returns its version.
func (l *Line) await(ctx context.Context, n *node) (string, error) {
	n.state.fails, n.state.offline = 0, false
	for {
		_, err := l.identify(ctx, n)
		if err == nil {
			return n.id.Version, nil
		}
		t := time.NewTimer(200 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return "", errors.Join(err, ctx.Err())
		}
	}
}
