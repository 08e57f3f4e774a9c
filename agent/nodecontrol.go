package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/control"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/mcu"
)

// Nodes implements control.Nodes.
func (x *nodes) Nodes() *api.Nodes {
	x.mu.Lock()
	lines := slices.Clone(x.lines)
	x.mu.Unlock()
	out := &api.Nodes{SchemaVersion: api.SchemaVersion, Device: x.a.configuration().Device, Time: time.Now().UTC(), Lines: []api.NodeLine{}}
	for _, l := range lines {
		line := api.NodeLine{Name: l.config.Name, Port: l.config.Port + l.config.RTUOverTCP, Baud: l.config.Baud, Stream: l.config.Stream, Nodes: []api.Node{}}
		list, found := l.line.Status()
		for i := range list {
			n := nodeOf(&list[i])
			if f := l.config.Nodes[i].Flash; f != nil {
				n.Flash, n.Slots = f.Protocol, slotsOf(f.Protocol)
			}
			line.Nodes = append(line.Nodes, n)
		}
		for _, f := range found {
			line.Found = append(line.Found, api.FoundNode{Unit: int(f.Unit), Chip: f.Identity.Chip, Version: f.Identity.Version, Serial: f.Identity.Serial, At: f.At})
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

func nodeOf(s *mcu.Status) api.Node {
	n := api.Node{Name: s.Name, Unit: int(s.Unit), State: string(s.State), Error: s.Error, Since: s.Since, Heard: s.Heard.UTC(),
		Chip: s.Identity.Chip, Version: s.Identity.Version, Serial: s.Identity.Serial, Boots: s.Identity.Boots, Cause: s.Identity.Cause,
		Uptime: s.Uptime.Seconds(), Taken: s.Taken, Durable: s.Durable, Queue: s.Identity.Queue, Fill: s.Fill, Events: s.EventsTotal, Rate: s.Rate,
		Lost: s.Lost, Resets: s.Resets, Timeouts: s.Timeouts, Damaged: s.Damaged, Stats: s.Stats, TimeError: s.TimeError.Seconds(), TimeWorst: s.TimeWorst.Seconds(), DriftPPM: s.DriftPPM,
		ClockState: s.ClockState, ClockOff: s.ClockOff.Seconds(), ClockDrift: s.ClockDrift, Outputs: s.Outputs, FailSafe: s.FailSafe, SettingsOK: s.SettingsOK}
	if s.Heard.IsZero() {
		n.Heard = time.Time{}
	}
	if s.Incarnation != 0 {
		n.Incarnation = fmt.Sprintf("%016x", s.Incarnation)
	}
	for _, slot := range s.Slots {
		n.Sensors = append(n.Sensors, api.NodeSensor{ROM: slot.ROM, Value: float64(slot.Value) / 16, Quality: record.Quality(slot.Quality).String(),
			Age: float64(slot.AgeS), Errors: slot.Errors})
	}
	for _, v := range s.Settings {
		n.Settings = append(n.Settings, api.NodeSetting(v))
	}
	return n
}

// nodeError is an error of a line in the words of the control API.
func nodeError(err error) error {
	for _, m := range []struct{ from, to error }{
		{mcu.ErrNoNode, control.ErrNotFound}, {mcu.ErrSetting, control.ErrBadRequest}, {mcu.ErrDeclared, control.ErrBadRequest},
		{mcu.ErrUnable, control.ErrBadRequest},
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", m.to, err)
		}
	}
	return fmt.Errorf("%w: %w", control.ErrUnavailable, err)
}

// Change implements control.Nodes.
func (x *nodes) Change(ctx context.Context, name string, r *api.NodeRequest, by string) (*api.NodeDone, error) {
	if r.Scan {
		l := x.byName(name)
		if l == nil {
			return nil, fmt.Errorf("%w: no line %q in the configuration", control.ErrNotFound, name)
		}
		if err := l.line.Scan(ctx, func(int) {}); err != nil {
			return nil, nodeError(err)
		}
		_, found := l.line.Status()
		return &api.NodeDone{SchemaVersion: api.SchemaVersion, Node: name, Text: fmt.Sprintf("%d nodes found that are not configured", len(found))}, nil
	}
	l, _ := x.of(name)
	if l == nil {
		return nil, fmt.Errorf("%w: no node %q in the configuration", control.ErrNotFound, name)
	}
	var text string
	var err error
	switch {
	case len(r.Settings) > 0:
		err = l.line.Set(ctx, name, r.Settings)
		var names []string
		for k, v := range r.Settings {
			names = append(names, k+" = "+v)
		}
		slices.Sort(names)
		text = strings.Join(names, ", ") + ", read back and saved"
	case r.Clock:
		err = l.line.SetClock(ctx, name)
		text = "its clock is set"
	case r.Outputs != nil:
		d := time.Duration(r.For * float64(time.Second))
		err = l.line.Override(ctx, name, r.Outputs, d)
		text = fmt.Sprintf("manual control of %d outputs for %v", len(r.Outputs), d)
	case r.Command == api.NodeRescan:
		err = l.line.Rescan(ctx, name)
		text = "it looks for its sensors"
	case r.Command == api.NodeReset:
		err = l.line.Restart(ctx, name)
		text = "it restarts"
	case r.Test > 0:
		err = l.line.TestEvents(ctx, name, r.Test)
		text = fmt.Sprintf("it queues %d test events", r.Test)
	default:
		return nil, fmt.Errorf("%w: nothing to change", control.ErrBadRequest)
	}
	if err != nil {
		return nil, nodeError(err)
	}
	return &api.NodeDone{SchemaVersion: api.SchemaVersion, Node: name, Text: text}, nil
}
