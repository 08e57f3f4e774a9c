package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	busmodbus "github.com/edgelog/edgelog/drivers/bus/modbus"
	"github.com/edgelog/edgelog/mcu"
)

// lineOptions are a line's without what the agent gives it.
func lineOptions(c *config.NodeLine) (mcu.Options, error) {
	o := mcu.Options{Name: c.Name, Baud: c.Baud, Poll: c.Poll, Discover: c.Discover,
		Clock: map[string]mcu.Clock{config.ClockLocal: mcu.ClockLocal, config.ClockUTC: mcu.ClockUTC, config.ClockOff: mcu.ClockFree}[c.Clock]}
	for _, n := range c.Nodes {
		o.Nodes = append(o.Nodes, mcu.Node{Name: n.Name, Unit: byte(n.Unit), Serial: uint32(n.Serial), Labels: labelsOf(n.Labels), Settings: n.Settings})
	}
	rtu := busmodbus.RTUOptions{Baud: c.Baud, Echo: c.Echo}
	if c.Port != "" {
		port := serialOptions(c.Port, c.Baud, "none", 1)
		if err := port.Validate(); err != nil {
			return o, fmt.Errorf("%w: %w", drivers.ErrConfig, err)
		}
		rtu.Open, rtu.Prompt = busmodbus.OpenSerial(port), true // the firmware answers at once or not at all
	} else {
		rtu.Open = func(ctx context.Context) (busmodbus.Port, error) { return busmodbus.DialPort(ctx, c.RTUOverTCP) }
	}
	o.Open = func() (mcu.Bus, io.Closer, error) {
		line := busmodbus.NewRTU(rtu)
		return busmodbus.NewMaster(line, busmodbus.MasterOptions{Timeout: c.Timeout, Retries: -1}), line, nil // mcu repeats
	}
	return o, nil
}

// nodes runs the lines of microcontroller nodes.
type nodes struct {
	a       *Agent
	changed chan struct{}

	idle []string // nodes of lines that could not be started; Run's own

	mu    sync.Mutex // guards lines
	lines []*nodeLine
}

// nodeLine is one line that runs.
type nodeLine struct {
	config config.NodeLine
	line   *mcu.Line
	stop   context.CancelFunc
	done   chan struct{}
}

func newNodes(a *Agent) *nodes { return &nodes{a: a, changed: make(chan struct{}, 1)} }

// reconfigure asks Run to compare the lines with the configuration.
func (x *nodes) reconfigure() {
	select {
	case x.changed <- struct{}{}:
	default:
	}
}

// Run keeps the configured lines running until ctx ends.
func (x *nodes) Run(ctx context.Context) error {
	defer x.stopAll()
	for {
		x.adapt(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-x.changed:
		}
	}
}

func (x *nodes) stopAll() {
	x.mu.Lock()
	lines := x.lines
	x.lines = nil
	x.mu.Unlock()
	for _, l := range lines {
		l.stop()
	}
	for _, l := range lines {
		<-l.done
	}
}

// adapt stops lines that are gone or changed, then starts those that are new: a port is free before it is opened again.
// One that cannot be started, as its stream waits for a restart of the agent, is declared.
func (x *nodes) adapt(ctx context.Context) {
	want := x.a.configuration().Nodes
	x.mu.Lock()
	var keep, gone []*nodeLine
	for _, l := range x.lines {
		same := false
		for i := range want {
			same = same || reflect.DeepEqual(want[i], l.config)
		}
		if same {
			keep = append(keep, l)
		} else {
			gone = append(gone, l)
		}
	}
	x.lines = keep
	x.mu.Unlock()
	for _, l := range gone {
		l.stop()
		<-l.done
		for _, n := range l.config.Nodes {
			x.a.faults.clearNode(n.Name)
		}
	}
	for _, name := range x.idle {
		x.a.faults.clearNode(name)
	}
	x.idle = nil
	for i := range want {
		if running := x.byName(want[i].Name); running != nil {
			continue
		}
		l, err := x.start(ctx, want[i])
		if err != nil {
			for _, n := range want[i].Nodes {
				x.idle = append(x.idle, n.Name)
				x.a.faults.raise(health.NodeOffline, "node/"+n.Name, "node "+n.Name, "its line does not run: "+err.Error())
			}
			continue
		}
		x.mu.Lock()
		x.lines = append(x.lines, l)
		x.mu.Unlock()
	}
}

func (x *nodes) byName(line string) *nodeLine {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.lines {
		if l.config.Name == line {
			return l
		}
	}
	return nil
}

// of finds the line of a node.
func (x *nodes) of(node string) (*nodeLine, *config.Node) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.lines {
		for i := range l.config.Nodes {
			if l.config.Nodes[i].Name == node {
				return l, &l.config.Nodes[i]
			}
		}
	}
	return nil, nil
}

func (x *nodes) start(ctx context.Context, c config.NodeLine) (*nodeLine, error) {
	o, err := lineOptions(&c)
	if err != nil {
		return nil, err
	}
	stream, err := x.a.set.Log(c.Stream)
	if err != nil {
		return nil, err
	}
	o.Log = nodeLog{stream, x.a.set}
	o.Stamp = func() record.Stamp { return record.Stamp{Time: bootTime(), Clock: record.ClockBoot} } // finer than a stream's: frames are measured
	o.UTC = func() (time.Time, bool) {
		ns, good := x.a.utc()
		return time.Unix(0, ns), good
	}
	o.Events = x.a.faults.nodeEvents()
	line, err := mcu.New(o)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(ctx)
	l := &nodeLine{c, line, stop, make(chan struct{})}
	go func() { // joined through done, by adapt or stopAll
		defer close(l.done)
		if err := line.Run(run); err != nil {
			x.a.log.Error("line of nodes ended", "line", c.Name, "err", err)
		}
	}()
	x.a.log.Info("line of nodes", "line", c.Name, "port", c.Port+c.RTUOverTCP, "nodes", len(c.Nodes), "stream", c.Stream)
	return l, nil
}

// nodeLog fits a stream to mcu.
type nodeLog struct {
	*buffer.Log
	set *buffer.Set
}

func (l nodeLog) Append(ctx context.Context, d record.Draft) (mcu.Ticket, error) {
	t, err := l.Log.Append(ctx, d)
	if errors.Is(err, buffer.ErrRepeated) { // it has it, from us: the ticket tells when it is durable
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Last looks in every stream for the incarnation: a line's stream may have been configured anew.
func (l nodeLog) Last(producer string, incarnation uint64) (record.ProducerPosition, bool) {
	if p, ok := l.set.Producer(producer, incarnation); ok {
		return p, true
	}
	if p, ok := l.Log.LastProducer(producer); ok {
		return p, true
	}
	for _, other := range l.set.Logs() {
		if p, ok := other.LastProducer(producer); ok {
			return p, true
		}
	}
	return record.ProducerPosition{}, false
}

// nodeCodes are the faults that a node can have.
var nodeCodes = []health.Code{health.NodeOffline, health.NodeForeign, health.NodeSettings, health.NodeClock, health.NodeRefused}

func (f *faults) clearNode(name string) {
	for _, c := range nodeCodes {
		f.clear(c, "node/"+name)
	}
}

// nodeEvents turns what lines of nodes report into faults and log lines.
func (f *faults) nodeEvents() mcu.Events {
	keep := func(code health.Code, node string, err error, text string) {
		if err != nil {
			f.raise(code, "node/"+node, "node "+node, text)
			return
		}
		f.clear(code, "node/"+node)
	}
	return mcu.Events{
		Offline: func(node string, _ time.Time, err error) {
			f.raise(health.NodeOffline, "node/"+node, "node "+node, "does not answer: "+err.Error())
		},
		Online: func(node string) { f.clear(health.NodeOffline, "node/"+node) },
		Restarted: func(node string, id mcu.Identity) {
			f.log.Info("node started", "node", node, "cause", id.Cause, "boot", id.Boots, "version", id.Version, "chip", id.Chip)
		},
		Lost: func(node string, l mcu.LostRecord) { f.lostInNode(node, l) },
		Settings: func(node string, err error) {
			keep(health.NodeSettings, node, err, "settings cannot be made true: "+text(err, ""))
		},
		Changed: func(node string, names []string) {
			f.log.Info("settings written to a node", "node", node, "settings", names)
		},
		Foreign: func(node string, err error) { keep(health.NodeForeign, node, err, text(err, "")) },
		Clock:   func(node string, _ time.Duration, err error) { keep(health.NodeClock, node, err, text(err, "")) },
		Refused: func(node string, err error) {
			keep(health.NodeRefused, node, err, "the log takes no events; they wait in the node: "+text(err, ""))
		},
	}
}

// lostInNode notes lost events. A reset that lost nothing for certain is a line of the log only.
func (f *faults) lostInNode(node string, l mcu.LostRecord) {
	switch l.Reason {
	case mcu.LostReset, mcu.LostUnseen:
		f.log.Log(context.Background(), slog.LevelInfo, "node was reset; events may be lost", "node", node, "boot", l.Boot, "at_most", l.AtMost,
			"last_sequence", l.Last, "more_possible", l.More)
	case mcu.LostOverflow:
		f.note(health.NodeOverflow, "node/"+node, "node "+node, fmt.Sprintf("its queue ran over: %d events of boot %d are lost", l.Count, l.Boot))
	case mcu.LostLog:
		f.note(health.NodeLogLost, "node/"+node, "node "+node, fmt.Sprintf("%d events of boot %d were acknowledged to it and are not in the log", l.Count, l.Boot))
	}
}
