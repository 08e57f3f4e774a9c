package mcu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// Line is a serial line with its nodes.
type Line struct {
	o      Options
	nodes  []*node
	jobs   chan job
	ended  chan struct{}
	series map[string]record.SeriesID // owned by Run's goroutine, as all below but what mu guards
	bus    Bus
	port   io.Closer
	probe  byte // unit that discovery asks next
	probed time.Time

	mu     sync.Mutex // guards status and found
	status []Status
	found  map[byte]Found
}

// job is work for the line between two polls.
type job struct {
	node string // "": of the line
	do   func(ctx context.Context, n *node) error
	done chan error
}

// New makes a line; nothing is opened before Run.
func New(o Options) (*Line, error) {
	if len(o.Nodes) > MaxNodes {
		return nil, fmt.Errorf("line %s: %d nodes, at most %d", o.Name, len(o.Nodes), MaxNodes)
	}
	if o.Baud == 0 {
		o.Baud = 9600
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	o.Poll = min(max(o.Poll, MinPoll), MaxPoll)
	if o.Random == nil {
		o.Random = rand.Uint32
	}
	if o.UTC == nil {
		o.UTC = func() (time.Time, bool) { return time.Time{}, false }
	}
	l := &Line{o: o, jobs: make(chan job, maxJobs), ended: make(chan struct{}), series: map[string]record.SeriesID{}, found: map[byte]Found{}}
	for _, c := range o.Nodes {
		if c.Unit < 1 || c.Unit > MaxUnit || slices.ContainsFunc(l.nodes, func(n *node) bool { return n.cfg.Unit == c.Unit || n.cfg.Name == c.Name }) {
			return nil, fmt.Errorf("line %s: node %s: unit %d or its name is taken, or not from 1 to %d", o.Name, c.Name, c.Unit, MaxUnit)
		}
		if err := CheckSettings(c.Settings); err != nil {
			return nil, fmt.Errorf("line %s: node %s: %w", o.Name, c.Name, err)
		}
		n := newNode(c)
		l.nodes = append(l.nodes, n)
		l.status = append(l.status, n.state.status)
	}
	return l, nil
}

// Name is the line's.
func (l *Line) Name() string { return l.o.Name }

// Run polls until ctx ends. It is called once.
func (l *Line) Run(ctx context.Context) error {
	defer close(l.ended)
	defer l.close()
	for _, n := range l.nodes {
		n.due = time.Now()
	}
	for ctx.Err() == nil {
		l.settle()
		now := time.Now()
		if n := l.next(now); n != nil {
			l.visit(ctx, n)
			l.publish(n)
			l.someJobs(ctx)
			continue
		}
		if l.o.Discover && now.Sub(l.probed) > time.Second {
			l.discover(ctx, now)
			continue
		}
		l.rest(ctx, now)
	}
	return nil
}

// next is the node that has been due for the longest.
func (l *Line) next(now time.Time) *node {
	var best *node
	for _, n := range l.nodes {
		if !n.due.After(now) && (best == nil || n.due.Before(best.due)) {
			best = n
		}
	}
	return best
}

// rest waits until a node is due or somebody wants something.
func (l *Line) rest(ctx context.Context, now time.Time) {
	wake := now.Add(time.Second)
	for _, n := range l.nodes {
		if n.due.Before(wake) {
			wake = n.due
		}
	}
	t := time.NewTimer(time.Until(wake))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case j := <-l.jobs:
		l.run(ctx, j)
	}
}

// settle notes what has become durable.
func (l *Line) settle() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, n := range l.nodes {
		for len(n.pending) > 0 {
			_, err := n.pending[0].ticket.Wait(over)
			if err != nil {
				if !errors.Is(err, context.Canceled) { // the log has stopped; it may yet keep it, so it is not read again
					l.refused(n, err)
				}
				break
			}
			n.durable = n.pending[0].sequence
			n.pending = slices.Delete(n.pending, 0, 1)
		}
	}
}

func (l *Line) someJobs(ctx context.Context) {
	for {
		select {
		case j := <-l.jobs:
			l.run(ctx, j)
		default:
			return
		}
	}
}

func (l *Line) run(ctx context.Context, j job) {
	n := l.find(j.node)
	err := ErrNoNode
	if n != nil || j.node == "" {
		err = j.do(ctx, n)
	}
	if n != nil {
		l.publish(n)
	}
	j.done <- err
}

func (l *Line) find(name string) *node {
	for _, n := range l.nodes {
		if n.cfg.Name == name {
			return n
		}
	}
	return nil
}

// submit has work done by Run's goroutine and waits for it.
func (l *Line) submit(ctx context.Context, name string, do func(ctx context.Context, n *node) error) error {
	j := job{name, do, make(chan error, 1)}
	select {
	case l.jobs <- j:
	case <-l.ended:
		return ErrStopped
	default:
		return fmt.Errorf("%w %s", ErrBusy, l.o.Name)
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ended:
		return ErrStopped
	}
}

// publish makes a node's status visible.
func (l *Line) publish(n *node) {
	s := &n.state.status
	s.Identity, s.Incarnation, s.Taken, s.Durable, s.Fill, s.Rate = n.id, n.life, n.taken, n.durable, n.fill, n.rate
	s.Heard = n.state.heard
	if n.ticks.valid {
		s.TimeError = time.Duration(n.ticks.err + int64(float64(n.ticks.lastAt-n.ticks.at)*worstDrift))
		s.DriftPPM = n.ticks.drift * 1e6
	}
	s.Slots = nil
	for _, slot := range n.slots {
		if slot.ROM != "" {
			s.Slots = append(s.Slots, slot)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status[slices.Index(l.nodes, n)] = s.clone()
}

func (s *Status) clone() Status {
	c := *s
	c.Lost, c.Stats, c.Outputs = map[string]uint64{}, map[string]uint32{}, map[string]bool{}
	for k, v := range s.Lost {
		c.Lost[k] = v
	}
	for k, v := range s.Stats {
		c.Stats[k] = v
	}
	for k, v := range s.Outputs {
		c.Outputs[k] = v
	}
	c.Settings = slices.Clone(s.Settings)
	return c
}

// Status is every node, in the order of the configuration, and those found that it does not name.
func (l *Line) Status() ([]Status, []Found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Status, 0, len(l.status))
	for i := range l.status {
		out = append(out, l.status[i].clone())
	}
	var found []Found
	for _, f := range l.found {
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Found) int { return int(a.Unit) - int(b.Unit) })
	return out, found
}

func (s *Status) enter(state State, why error) {
	if s.State != state {
		s.State, s.Since = state, time.Now().UTC()
	}
	if s.Error = ""; why != nil {
		s.Error = why.Error()
	}
}

// open makes the bus unless it is there.
func (l *Line) open() error {
	if l.bus != nil {
		return nil
	}
	bus, port, err := l.o.Open()
	if err != nil {
		return err
	}
	l.bus, l.port = bus, port
	return nil
}

func (l *Line) close() {
	if l.port != nil {
		l.port.Close()
	}
	l.bus, l.port = nil, nil
}

// frame is how long bytes take on the wire.
func (l *Line) frame(bytes int) time.Duration {
	return time.Duration(bytes) * 10 * time.Second / time.Duration(l.o.Baud)
}

// ask puts one question, again while that may help, and notes its outcome. question returns the length of the answer's
// frame; w is when the good answer came, to a question of out bytes.
func (l *Line) ask(ctx context.Context, n *node, most, out int, question func(b Bus) (back int, err error)) (w window, err error) {
	if err := l.open(); err != nil {
		return w, err
	}
	for try := 0; ; try++ {
		w = window{sent: l.o.Stamp().Time, out: l.frame(out)}
		back, err := question(l.bus)
		w.received, w.back = l.o.Stamp().Time, l.frame(back)
		if err == nil {
			return w, nil
		}
		var refused *modbus.Exception
		if errors.As(err, &refused) {
			n.state.answered(time.Now()) // it is there
			return w, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if errors.Is(err, modbus.ErrTimeout) {
			n.state.status.Timeouts++
		} else {
			n.state.status.Damaged++
		}
		if try+1 >= most || ctx.Err() != nil || errors.Is(err, modbus.ErrLine) {
			return w, err
		}
	}
}

// readOnce reads registers with at most so many questions.
func (l *Line) readOnce(ctx context.Context, n *node, most int, addr uint16, count int) (words []uint16, w window, err error) {
	w, err = l.ask(ctx, n, most, 8, func(b Bus) (int, error) {
		var err error
		words, err = b.ReadHolding(ctx, n.cfg.Unit, addr, count)
		return 5 + 2*count, err
	})
	return words, w, err
}

func (l *Line) read(ctx context.Context, n *node, addr uint16, count int) ([]uint16, error) {
	words, _, err := l.readOnce(ctx, n, tries, addr, count)
	return words, err
}

func (l *Line) write(ctx context.Context, n *node, addr uint16, words ...uint16) error {
	_, err := l.ask(ctx, n, tries, 9+2*len(words), func(b Bus) (int, error) {
		return 8, b.WriteRegisters(ctx, n.cfg.Unit, addr, words)
	})
	return err
}
