package mcu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// attend does what is due beside polling: counters, settings, clock. One thing a turn, so that polls stay near.
func (l *Line) attend(ctx context.Context, n *node, now time.Time) error {
	switch {
	case n.state.checked.IsZero() || now.Sub(n.state.checked) > checkEvery:
		n.state.checked = now
		err := l.keepSettings(ctx, n)
		n.state.status.SettingsOK = err == nil
		switch {
		case err != nil && (errors.Is(err, ErrRefused) || errors.Is(err, ErrNotTaken)):
			n.state.wrong = true
			n.state.checked = now.Add(clockRetry - checkEvery)
			if l.o.Events.Settings != nil {
				l.o.Events.Settings(n.cfg.Name, err)
			}
			return nil
		case err != nil:
			n.state.checked = time.Time{}
			return err
		case n.state.wrong && l.o.Events.Settings != nil:
			l.o.Events.Settings(n.cfg.Name, nil)
		}
		n.state.wrong = false
		return l.keepClock(ctx, n)
	case now.Sub(n.state.stats) > statsEvery:
		n.state.stats = now
		return l.readStats(ctx, n)
	}
	return nil
}

// statNames are the counters from RegStats on.
var statNames = []struct {
	name  string
	at, n int
}{{"frames", 0, 1}, {"frame_errors", 1, 1}, {"exceptions", 2, 1}, {"overflows", 3, 2}, {"onewire_errors", 5, 1}, {"store_errors", 6, 1},
	{"clock_errors", 7, 1}, {"loop_ms", 8, 1}, {"events", 9, 2}}

func (l *Line) takeStats(n *node, w []uint16) {
	m := map[string]uint32{}
	for _, s := range statNames {
		if s.n == 2 {
			m[s.name] = u32(w[s.at:])
		} else {
			m[s.name] = uint32(w[s.at])
		}
	}
	n.state.status.Stats = m
}

func (l *Line) readStats(ctx context.Context, n *node) error {
	w, err := l.read(ctx, n, RegStats, statsWords)
	if err != nil {
		return err
	}
	if len(w) < statsWords {
		return ErrShort
	}
	l.takeStats(n, w)
	if w, err = l.read(ctx, n, RegOutputs, 2); err != nil {
		return err
	}
	m := map[string]bool{}
	for i := range min(len(outputNames), 2+n.id.Timers) {
		m[outputNames[i]] = w[0]>>i&1 != 0
	}
	n.state.status.Outputs, n.state.status.FailSafe = m, w[1] == 1
	if n.id.Features&FeatureOneWire == 0 {
		return nil
	}
	return l.readTable(ctx, n)
}

// keepSettings makes declared settings true, verifies them and has them saved. Errors of the node itself wrap ErrRefused
// or ErrNotTaken.
func (l *Line) keepSettings(ctx context.Context, n *node) error {
	have, err := l.read(ctx, n, RegSettings, settingsWords)
	if err != nil {
		return err
	}
	names, err := l.apply(ctx, n, have, n.cfg.Settings)
	if err != nil {
		return err
	}
	if len(names) > 0 && l.o.Events.Changed != nil {
		l.o.Events.Changed(n.cfg.Name, names)
	}
	return nil
}

// apply writes what differs from have, reads all back and saves what is not saved.
func (l *Line) apply(ctx context.Context, n *node, have []uint16, want map[string]string) ([]string, error) {
	runs, names, err := differing(have, want, 16)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	for _, r := range runs {
		if err := l.write(ctx, n, r.addr, r.words...); err != nil {
			return nil, fmt.Errorf("write settings: %w", err)
		}
	}
	now, err := l.read(ctx, n, RegSettings, settingsWords)
	if err != nil {
		return nil, err
	}
	if _, left, _ := differing(now, want, 16); len(left) > 0 {
		return nil, fmt.Errorf("%w: %v", ErrNotTaken, left)
	}
	state, err := l.read(ctx, n, RegState, 2)
	if err != nil {
		return nil, err
	}
	if state[0] != 0 && (len(names) > 0 || len(want) > 0) && n.id.Features&FeatureSettings != 0 {
		if err := l.write(ctx, n, RegSave, saveWord); err != nil {
			return nil, fmt.Errorf("save settings: %w", err)
		}
	}
	list, err := parseSettings(now)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Declared = n.cfg.Settings[list[i].Name]
	}
	n.state.status.Settings = list
	return names, nil
}

// keepClock compares the node's clock chip with the box and sets it when it is off.
func (l *Line) keepClock(ctx context.Context, n *node) error {
	_, good := l.o.UTC()
	s := &n.state.status
	if l.o.Clock == ClockFree || n.id.Features&FeatureClock == 0 {
		s.ClockState = ""
		return nil
	}
	off, state, err := l.readWall(ctx, n)
	if err != nil {
		return err
	}
	s.ClockState = nameOf([]string{"runs", "absent", "stopped", "not plausible"}, state)
	if state == 0 {
		s.ClockOff = off
		if span := time.Since(n.state.clockAt); !n.state.clockAt.IsZero() && span > time.Hour {
			s.ClockDrift = float64(off-n.state.clockBy) / float64(span) * 1e6
		}
	}
	var problem error
	switch {
	case state == 1:
		problem = errors.New("the clock chip does not answer")
	case !good:
		return nil
	case state != 0 || off > clockSlack || off < -clockSlack:
		problem = l.setWall(ctx, n)
		if errors.Is(problem, modbus.ErrTimeout) || errors.Is(problem, modbus.ErrLine) {
			return problem
		}
	}
	if l.o.Events.Clock != nil {
		l.o.Events.Clock(n.cfg.Name, s.ClockOff, problem)
	}
	return nil
}

func (l *Line) zone() *time.Location {
	if l.o.Clock == ClockUTC {
		return time.UTC
	}
	return time.Local
}

// readWall is how far the node's clock chip is ahead of the box; it counts whole seconds.
func (l *Line) readWall(ctx context.Context, n *node) (off time.Duration, state uint16, err error) {
	w, err := l.read(ctx, n, RegClock, 5)
	if err != nil {
		return 0, 0, err
	}
	utc, _ := l.o.UTC()
	t, state, err := parseWall(w, l.zone())
	return t.Add(500 * time.Millisecond).Sub(utc), state, err
}

// setWall sets the clock chip so that it turns to the next second with the box, and reads it back.
func (l *Line) setWall(ctx context.Context, n *node) error {
	utc, good := l.o.UTC()
	if !good {
		return errors.New("the time of this box is not known well enough to set a clock by it")
	}
	next := utc.Truncate(time.Second).Add(time.Second)
	out := l.frame(9 + 8)
	if next.Sub(utc) < out { // too late for this one
		next = next.Add(time.Second)
	}
	t := time.NewTimer(next.Sub(utc) - out)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.write(ctx, n, RegClock, wallOf(next.In(l.zone()))...); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}
	off, state, err := l.readWall(ctx, n)
	switch {
	case err != nil:
		return err
	case state != 0 || off > clockSlack || off < -clockSlack:
		return fmt.Errorf("set clock: %w: it is off by %v", ErrNotTaken, off)
	}
	n.state.clockAt, n.state.clockBy = time.Now(), off
	n.state.status.ClockOff, n.state.status.ClockState = off, "runs"
	return nil
}

// discover asks one address that the configuration does not name.
func (l *Line) discover(ctx context.Context, now time.Time) {
	l.probed = now
	for range MaxUnit {
		if l.probe++; l.probe > MaxUnit {
			l.probe = 1
		}
		if !slices.ContainsFunc(l.nodes, func(n *node) bool { return n.cfg.Unit == l.probe }) {
			l.probeUnit(ctx, l.probe)
			return
		}
	}
}

// probeUnit asks once whether an Edgelog node is at an address.
func (l *Line) probeUnit(ctx context.Context, unit byte) bool {
	if err := l.open(); err != nil {
		return false
	}
	w, err := l.bus.ReadHolding(ctx, unit, RegMagic, identityWords)
	id, perr := ParseIdentity(w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || perr != nil {
		if errors.Is(err, modbus.ErrTimeout) {
			delete(l.found, unit)
		}
		return false
	}
	l.found[unit] = Found{Unit: unit, Identity: id, At: time.Now().UTC()}
	return true
}
