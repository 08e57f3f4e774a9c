package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// Changer is found by assertion on a Source: the channel is closed when the source has changed. It may be called
// from any goroutine.
type Changer interface{ Changed() <-chan struct{} }

// LoopOptions of a Loop. Sender.Random, Sources and Dial are required.
type LoopOptions struct {
	Sender  Options
	Sources []Source
	// Dial makes a connection that is ready: its Recv hears answers from the first Send on.
	Dial func(context.Context) (wire.Link, error)
	// BootTime is CLOCK_BOOTTIME in ns; with it HubTime is called for each answer that tells the hub's time: utc ns
	// at bootTime ns, with the bound of the error, half the round trip.
	BootTime func() int64
	HubTime  func(bootTime, utc, errorBound int64, synced bool)
	Up       func()          // a connection stands
	Down     func(err error) // it ended, or could not be made
	// Rival says that another client seems to use our name at the broker, or that it is gone; once for each change.
	Rival func(there bool)
}

// Loop drives a Sender over one connection after another. The callbacks in its options run while it holds its
// lock and must not call it.
type Loop struct {
	o       LoopOptions
	changed chan struct{} // holds one element when a source has changed

	mu      sync.Mutex // guards what follows
	sender  *Sender
	pending []string // streams that have changed
	rival   rivalry
	stood   time.Time // since when the present connection stands
	taken   bool      // another client had our name before the last connection
	before  bool      // there was a connection before the present one
}

// ErrSilent ends a connection on which the hub has not answered several hellos in a row.
var ErrSilent = errors.New("the hub does not answer on this connection")

// maxSilent is how many unanswered hellos are taken as a dead connection: after about ten minutes.
const maxSilent = 6

// NewLoop makes a loop; Run starts it.
func NewLoop(o LoopOptions) *Loop {
	l := &Loop{o: o, changed: make(chan struct{}, 1)}
	if o.BootTime != nil && o.HubTime != nil {
		o.Sender.Events.HubTime = func(sent, received time.Time, utc int64, synced bool) {
			half := received.Sub(sent) / 2
			o.HubTime(o.BootTime()-int64(time.Since(received)+half), utc, int64(half), synced)
		}
	}
	l.sender = New(o.Sender, o.Sources...)
	return l
}

// Status is a snapshot; it never waits for the link.
func (l *Loop) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sender.Status()
}

// Accounts are the accounts of all epochs; it never waits for the link.
func (l *Loop) Accounts() []Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applyChanges()
	return l.sender.Accounts()
}

// Run connects, delivers and connects again until ctx ends; it returns nil then.
func (l *Loop) Run(ctx context.Context) error {
	var watchers sync.WaitGroup
	defer watchers.Wait()
	for _, src := range l.o.Sources {
		if c, ok := src.(Changer); ok {
			watchers.Add(1)
			go func() {
				defer watchers.Done()
				l.watch(ctx, src.Stream(), c)
			}()
		}
	}
	wait := backoffMin
	for ctx.Err() == nil {
		start := time.Now()
		err := l.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if l.o.Down != nil {
			l.mu.Lock()
			l.o.Down(err)
			l.mu.Unlock()
		}
		if time.Since(start) > backoffMax {
			wait = backoffMin
		}
		sleep(ctx, l.pause(wait))
		wait = min(2*wait, backoffMax)
	}
	return nil
}

// pause is how long to wait after a connection that ended, or could not be made.
func (l *Loop) pause(wait time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.rival.active
	if !l.stood.IsZero() {
		l.rival.ended(time.Since(l.stood), l.taken)
	}
	l.stood, l.taken = time.Time{}, false
	if l.rival.active != before && l.o.Rival != nil {
		l.o.Rival(l.rival.active)
	}
	if l.rival.active {
		return l.rival.pause(l.sender.jitter)
	}
	return wait/2 + l.sender.jitter(wait)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// watch notes every change of a source.
func (l *Loop) watch(ctx context.Context, stream string, c Changer) {
	for {
		ch := c.Changed()
		l.mu.Lock()
		l.pending = append(l.pending, stream)
		if len(l.pending) > 4*len(l.o.Sources) { // nobody is connected to read it
			l.applyChanges()
		}
		l.mu.Unlock()
		select {
		case l.changed <- struct{}{}:
		default:
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return
		}
	}
}

// applyChanges is called with the lock held.
func (l *Loop) applyChanges() {
	for _, name := range l.pending {
		l.sender.LogChanged(name)
	}
	l.pending = l.pending[:0]
}

// once makes one connection and serves it to its end.
func (l *Loop) once(ctx context.Context) error {
	link, err := l.o.Dial(ctx)
	if err != nil {
		l.mu.Lock()
		l.sender.Disconnected(time.Now(), err)
		l.mu.Unlock()
		return err
	}
	l.mu.Lock()
	l.stood = time.Now()
	l.sender.Connected(l.stood)
	if l.o.Up != nil {
		l.o.Up()
	}
	l.mu.Unlock()

	inner, cancel := context.WithCancel(ctx)
	in := make(chan received, maxReceived)
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		receive(inner, link, in)
	}()
	err = l.serve(ctx, link, in)
	cancel()
	closeErr := link.Close()
	reader.Wait()
	l.mu.Lock()
	if t, ok := link.(Taken); ok { // at the first connection of a run it was an earlier run of this box
		l.taken = l.before && t.Taken()
	}
	l.before = true
	l.sender.Disconnected(time.Now(), err)
	l.mu.Unlock()
	return errors.Join(err, closeErr)
}

type received struct {
	m   wire.Message
	err error
}

// receive passes on what comes in until the first error. It never waits for the loop, which may wait for the link to
// take a frame, which may wait for the hub to get rid of its acks: what is too much is dropped, and the next ack or
// a time-out makes good for it.
func receive(ctx context.Context, link wire.Link, in chan<- received) {
	for {
		m, err := link.Recv(ctx)
		if err != nil {
			select {
			case in <- received{err: err}:
			case <-ctx.Done():
			}
			return
		}
		select {
		case in <- received{m: m}:
		default:
		}
	}
}

// serve is the loop over one connection.
func (l *Loop) serve(ctx context.Context, link wire.Link, in <-chan received) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m, wake, err := l.step()
		if err != nil {
			return err
		}
		if m != nil {
			if err := link.Send(ctx, m); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			select { // hear acks between frames: they decide what comes next
			case r := <-in:
				if err := l.take(r); err != nil {
					return err
				}
			default:
			}
			continue
		}
		if wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(time.Until(wake), 0))
		}
		select {
		case r := <-in:
			if err := l.take(r); err != nil {
				return err
			}
		case <-l.changed:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// step lets time and changes reach the sender and returns what to send, or when to come again.
func (l *Loop) step() (wire.Message, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.rival.stands(now.Sub(l.stood)) && l.o.Rival != nil {
		l.o.Rival(false)
	}
	l.applyChanges()
	l.sender.Tick(now)
	if l.sender.silent >= maxSilent {
		return nil, time.Time{}, ErrSilent
	}
	if m, ok := l.sender.Next(now); ok {
		return m, time.Time{}, nil
	}
	return nil, l.sender.Wake(), nil
}

func (l *Loop) take(r received) error {
	if r.err != nil {
		return fmt.Errorf("receive: %w", r.err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sender.Received(r.m, time.Now())
	return nil
}
