package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// Faults of a line: probabilities of each character or frame, changed by SetFaults at any time.
type Faults struct {
	Noise       float64 // a character gets a flipped bit or loses its stop bit
	LostRequest float64 // a frame of the master does not arrive
	LostReply   float64 // a frame of a node does not reach the master
	Cut         bool    // nothing passes
}

// LineCounts is what has happened on a line.
type LineCounts struct {
	FromMaster, FromNodes      int // characters
	Collisions, Noise          int // characters
	LostRequests, LostReplies  int // frames
	MasterBytes, MasterDropped int // what the tty delivered, what did not fit the queue
}

// Line is an RS-485 pair with a master and nodes. Nothing moves unless Run, Exchange or Serve is called; these must not
// run at the same time. The other methods may be called at any time.
type Line struct {
	baud int

	mu     sync.Mutex // guards what follows; held while a slice runs, so that Do sees nodes at rest
	nodes  []*Node
	rng    *rand.Rand
	faults Faults
	counts LineCounts
	now    time.Duration
	stall  time.Duration // that a talker may stop for in its frame
	watch  func(now time.Duration)

	master     []byte        // bytes that wait for the line
	masterFree time.Duration // when the master's transmitter is free again
	flight     []flying
	heard      []byte // what reached the master and was not taken
	heardAt    time.Duration
	losing     map[int]time.Duration // talker → the frame that is being lost ends when nothing came until then
	lastOf     map[int]time.Duration // talker → end of its latest character

	tty tty
}

type flying struct {
	Char
	from int // index of the node, or -1 for the master
}

// NewLine makes a line at baud with the nodes on it. The seed decides where faults strike.
func NewLine(baud int, seed uint64, nodes ...*Node) *Line {
	l := &Line{baud: baud, nodes: nodes, rng: rand.New(rand.NewPCG(seed, 1)), losing: map[int]time.Duration{}, lastOf: map[int]time.Duration{}}
	for _, n := range nodes { // chips may have run before
		l.now = max(l.now, n.Now())
		if _, ok := n.Chip.(*QEMU); ok { // it shares the processor with everybody else
			l.stall = qemuStall
		}
	}
	return l
}

// SetFaults replaces the faults.
func (l *Line) SetFaults(f Faults) { l.Do(func() { l.faults = f }) }

// Counts returns what happened so far.
func (l *Line) Counts() LineCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Now is the simulated time of the line.
func (l *Line) Now() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Do runs f while all nodes stand still between two slices: the way to reset nodes and to change devices.
func (l *Line) Do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// Watch has f called after each slice of simulated time, while all nodes stand still.
func (l *Line) Watch(f func(now time.Duration)) { l.Do(func() { l.watch = f }) }

// Send puts bytes of the master on the line, one behind the other.
func (l *Line) Send(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue(b)
}

// queue must be called with mu held.
func (l *Line) queue(b []byte) {
	n := min(len(b), masterQueue-len(l.master))
	l.counts.MasterBytes += len(b)
	l.counts.MasterDropped += len(b) - n
	l.master = append(l.master, b[:n]...)
}

// Received takes what the master has heard, and says when the last of it ended.
func (l *Line) Received() ([]byte, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.heard
	l.heard = nil
	return b, l.heardAt
}

// Run lets simulated time pass.
func (l *Line) Run(d time.Duration) error {
	end := l.Now() + d
	for l.Now() < end {
		if err := l.step(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Line) step() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.now + slice
	for len(l.master) > 0 && max(l.masterFree, l.now) < to {
		start := max(l.masterFree, l.now)
		l.masterFree = start + l.charTime()
		l.flight = append(l.flight, flying{Char{Byte: l.master[0], Start: start, End: l.masterFree, Baud: l.baud}, -1})
		l.master = l.master[1:]
	}
	var chars []Char
	for i, n := range l.nodes {
		if err := n.Run(to); err != nil {
			return fmt.Errorf("run %s: %w", n.Name, err)
		}
		chars = n.Sent(chars[:0])
		for _, c := range chars {
			l.flight = append(l.flight, flying{c, i})
		}
	}
	l.now = to
	l.collide()
	l.deliver()
	if l.watch != nil {
		l.watch(to)
	}
	return nil
}

func (l *Line) charTime() time.Duration { return 10 * time.Second / time.Duration(l.baud) }

// collide spoils characters of different talkers that overlap.
func (l *Line) collide() {
	for i := range l.flight {
		a := &l.flight[i]
		for j := range l.flight[:i] {
			b := &l.flight[j]
			if a.from != b.from && a.Start < b.End && b.Start < a.End {
				if !a.Bad || !b.Bad {
					l.counts.Collisions++
				}
				a.Bad, b.Bad = true, true
				a.Byte &= b.Byte
				b.Byte &= a.Byte
			}
		}
	}
}

// deliver hands over the characters that have ended, in the order of their ends.
func (l *Line) deliver() {
	slices.SortStableFunc(l.flight, func(a, b flying) int { return int(a.End - b.End) })
	n := 0
	for _, c := range l.flight {
		if c.End > l.now {
			break
		}
		n++
		l.carry(c)
	}
	l.flight = append(l.flight[:0], l.flight[n:]...)
}

func (l *Line) carry(c flying) {
	if c.from < 0 {
		l.counts.FromMaster++
	} else {
		l.counts.FromNodes++
	}
	if l.faults.Cut || l.lost(c) {
		return
	}
	if l.faults.Noise > 0 && l.rng.Float64() < l.faults.Noise {
		l.counts.Noise++
		c.Byte ^= 1 << l.rng.IntN(8)
		c.Bad = c.Bad || l.rng.IntN(4) == 0
	}
	for i, n := range l.nodes {
		if i != c.from {
			d := c.Char
			d.End = l.now
			n.Receive(d)
		}
	}
	if c.from >= 0 {
		l.heard, l.heardAt = append(l.heard, c.Byte), c.End
	}
}

// lost decides at the first character of a frame whether the frame gets through.
func (l *Line) lost(c flying) bool {
	gap := echoGap * l.charTime()
	first := c.Start > l.lastOf[c.from]+gap || l.lastOf[c.from] == 0
	l.lastOf[c.from] = c.End
	p, count := l.faults.LostReply, &l.counts.LostReplies
	if c.from < 0 {
		p, count = l.faults.LostRequest, &l.counts.LostRequests
	}
	if first {
		delete(l.losing, c.from)
		if p > 0 && l.rng.Float64() < p {
			*count++
			l.losing[c.from] = c.End
		}
	}
	_, losing := l.losing[c.from]
	return losing
}

// Exchange implements modbus.Line in simulated time: the time-out counts simulated time too, from the end of the
// request. It works as fast as the chips can be simulated, and so does a test that uses it.
func (l *Line) Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	gap := echoGap * l.charTime()
	_, heard := l.Received()
	if err := l.Run(heard + max(gap, modbus.FramePause(l.baud)) - l.Now()); err != nil {
		return nil, err
	}
	l.Received()
	frame := modbus.AppendRTU(nil, unit, pdu)
	l.Send(frame)
	if err := l.Run(time.Duration(len(frame)) * l.charTime()); err != nil {
		return nil, err
	}
	if unit == 0 {
		return nil, l.Run(100 * time.Millisecond)
	}
	limit := l.Now() + timeout
	var answer []byte
	for last := time.Duration(0); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := l.step(); err != nil {
			return nil, err
		}
		b, at := l.Received()
		if answer = append(answer, b...); len(b) > 0 {
			last = at
		}
		switch now := l.Now(); {
		case len(answer) > 0 && now > last+gap:
			if a, err := checkAnswer(answer, unit, pdu[0]); err == nil || now > last+gap+l.stall {
				return a, err
			}
		case len(answer) == 0 && now > limit:
			return nil, modbus.ErrTimeout
		}
	}
}

func checkAnswer(b []byte, unit, function byte) ([]byte, error) {
	if len(b) < 5 {
		return nil, fmt.Errorf("%w: % x", modbus.ErrFrame, b)
	}
	if crc := modbus.CRC(b[:len(b)-2]); byte(crc) != b[len(b)-2] || byte(crc>>8) != b[len(b)-1] {
		return nil, fmt.Errorf("%w: % x", modbus.ErrChecksum, b)
	}
	if b[0] != unit || b[1]&0x7f != function {
		return nil, fmt.Errorf("%w: unit %d, function %#x", modbus.ErrFrame, b[0], b[1])
	}
	return b[1 : len(b)-2], nil
}

// Close closes the tty and all nodes.
func (l *Line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := []error{l.tty.close()}
	for _, n := range l.nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}
