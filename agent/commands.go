package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/agent/command"
	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

const (
	maxHeard       = 16 // commands that wait
	resultLimit    = 30 * time.Second
	commandSubject = "commands"
)

// errRestart ends the agent because a command asked for it; its unit starts it again.
var errRestart = errors.New("restarted by a command")

// commands carries out what signed commands ask for; nil where the box has no part in updates.
type commands struct {
	a     *Agent
	heard chan fleetwire.Message
	links chan *mqtt.Link
}

func newCommands(a *Agent) *commands {
	if a.o.Config.Update == nil {
		return nil
	}
	return &commands{a: a, heard: make(chan fleetwire.Message, maxHeard), links: make(chan *mqtt.Link, 1)}
}

// connected passes the connection on that stands; nil: it is over.
func (c *commands) connected(l *mqtt.Link) {
	if c == nil {
		return
	}
	for {
		select {
		case c.links <- l:
			return
		default:
		}
		select { // only the newest counts
		case <-c.links:
		default:
		}
	}
}

func (c *commands) topics() fleetwire.Topics {
	conf := c.a.configuration()
	return fleetwire.Topics{Topics: wire.Topics{Prefix: conf.Uplink.MQTT.TopicPrefix}, Device: conf.Device}
}

// Run carries commands out until ctx ends, or one of them asks for a restart.
func (c *commands) Run(ctx context.Context) error {
	if c == nil {
		return nil
	}
	guard, err := command.Open(c.a.o.FS, c.a.events.dir, c.a.o.Config.Device)
	if err != nil {
		c.a.faults.raise(health.EventLogDamaged, commandSubject, commandSubject, "no commands are taken: "+err.Error())
		<-ctx.Done()
		return nil
	}
	for _, what := range guard.Recovered {
		c.a.faults.note(health.EventLogDamaged, commandSubject, commandSubject, what)
	}
	interrupted, err := guard.Interrupted()
	if err != nil {
		c.a.log.Warn("commands", "err", err)
	}
	var link *mqtt.Link
	for {
		select {
		case <-ctx.Done():
			return nil
		case link = <-c.links:
			if link == nil {
				continue
			}
			if err := c.subscribe(ctx, link); err != nil {
				c.a.log.Warn("no commands over this connection", "err", err)
				continue
			}
			if interrupted != "" {
				c.answer(ctx, link, fleetwire.Result{ID: interrupted, State: fleetwire.ResultInterrupted, Text: "the agent ended while it was at it, or because of it"})
				interrupted = ""
			}
		case m := <-c.heard:
			if err := c.take(ctx, guard, link, m); err != nil {
				return err
			}
		}
	}
}

func (c *commands) subscribe(ctx context.Context, l *mqtt.Link) error {
	ctx, cancel := context.WithTimeout(ctx, resultLimit)
	defer cancel()
	return l.Subscribe(ctx, c.topics().Command(), 1, func(m fleetwire.Message) {
		select {
		case c.heard <- m:
		default: // faster than they are carried out: who asks gets no answer, and asks again
		}
	})
}

// take carries one message out, if it may. An error ends the agent.
func (c *commands) take(ctx context.Context, g *command.Guard, l *mqtt.Link, m fleetwire.Message) error {
	now, told := c.a.clock.now(), c.a.clock.anchor().Good()
	v, err := c.view(now)
	var cmd *fleetwire.Command
	if err == nil {
		cmd, err = g.Take(m, v, now, told)
	}
	if err != nil {
		c.a.faults.note(health.CommandRefused, commandSubject, commandSubject, err.Error())
		if e := c.a.events.add(event{What: "command refused", Detail: err.Error()}); e != nil {
			c.a.log.Warn("event not noted", "err", e)
		}
		return nil
	}
	// Noted before it is done: what was done from afar can be read at the box.
	if err := c.a.events.add(event{What: "command " + cmd.Op, By: cmd.By, ID: cmd.ID, Detail: cmd.Why}); err != nil {
		c.answer(ctx, l, fleetwire.Result{ID: cmd.ID, State: fleetwire.ResultFailed, Text: "it cannot be noted: " + err.Error()})
		return g.Done()
	}
	c.a.log.Info("command", "op", cmd.Op, "by", cmd.By, "id", cmd.ID, "why", cmd.Why)
	if cmd.Op == fleetwire.OpRestart && c.a.desk.Update().State == string(fleetwire.Probation) {
		c.answer(ctx, l, fleetwire.Result{ID: cmd.ID, State: fleetwire.ResultFailed, Text: "a release is in probation: a restart would end it"})
		return g.Done()
	}
	if cmd.Op == fleetwire.OpRestart {
		c.answer(ctx, l, fleetwire.Result{ID: cmd.ID, State: fleetwire.ResultDone, Text: "the agent restarts"})
		return errors.Join(errRestart, g.Done())
	}
	c.answer(ctx, l, c.do(ctx, cmd))
	if err := g.Done(); err != nil {
		c.a.log.Warn("commands", "err", err)
	}
	return nil
}

// view is what the fleet's metadata says. Expired metadata still names who may sign: only installs wait for newer.
func (c *commands) view(now time.Time) (*trust.View, error) {
	conf := c.a.o.Config.Update
	root, err := config.OS{}.ReadFile(conf.Trust)
	if err != nil {
		return nil, fmt.Errorf("read the fleet's root: %w", err)
	}
	s, err := trust.Open(vfs.OS{}, filepath.Join(c.a.events.dir, "trust"), root)
	if err != nil {
		return nil, err
	}
	if f := s.TimeFloor(); f.After(now) {
		now = f
	}
	return s.View(now)
}

// do carries out one operation.
func (c *commands) do(ctx context.Context, cmd *fleetwire.Command) fleetwire.Result {
	r := fleetwire.Result{ID: cmd.ID, State: fleetwire.ResultDone}
	var err error
	switch cmd.Op {
	case fleetwire.OpDiag:
		r.Output, err = json.Marshal(map[string]any{"status": c.a.view.Status(), "update": c.a.desk.Update()})
	case fleetwire.OpLogs:
		lines := ""
		if c.a.o.Recent != nil {
			lines = c.a.o.Recent()
		}
		r.Output, err = json.Marshal(lines)
	default:
		_, err = c.a.desk.Order(ctx, &api.UpdateRequest{Op: cmd.Op, Why: cmd.Why}, cmd.By+" (from afar)")
	}
	if err == nil && len(r.Output) > fleetwire.MaxResultBytes-(16<<10) {
		r.Output, err = nil, errors.New("the answer is larger than a message may be")
	}
	if err != nil {
		r.State, r.Text = fleetwire.ResultFailed, err.Error()
	}
	return r
}

// answer tells the result, once.
func (c *commands) answer(ctx context.Context, l *mqtt.Link, r fleetwire.Result) {
	ctx, cancel := context.WithTimeout(ctx, resultLimit)
	defer cancel()
	data, err := json.Marshal(r)
	if err == nil && l == nil {
		err = errors.New("there is no connection")
	}
	if err == nil {
		err = l.Publish(ctx, c.topics().Result(r.ID), 1, false, data)
	}
	if err != nil {
		c.a.log.Warn("result of a command not told", "id", r.ID, "err", err)
	}
}
