// Package kafka delivers straight to Apache Kafka, for sites without a hub: the hub's own rules (hub/receive) run in
// this process over the hub's Kafka store, behind wire.Link. So the same frames, answers and failure cases apply, and
// what stands in Kafka is what a hub would have written.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/receive"
	store "github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/wire"
)

// What the store is told; agent wires these without knowing the hub's packages.
type (
	StoreOptions = store.Options
	Format       = store.Format
	TLS          = store.TLS
	SASL         = store.SASL
)

// Options of a link.
type Options struct {
	Device string
	Store  store.Options // ID is set here: the device
	Window int           // bytes in flight, the credit that is given; 0: DefaultWindow
}

// Bounds of a link.
const (
	DefaultWindow = 4 << 20
	maxReceived   = 64 // answers not yet taken; further ones are dropped, and a time-out makes good for them
	linger        = 50 * time.Millisecond
	closeWait     = 30 * time.Second
)

// ErrClosed ends a link that was closed.
var ErrClosed = errors.New("link to Kafka is closed")

// end is the hub's side: it takes messages and answers.
type end interface {
	Handle(device string, m wire.Message, reply func(*wire.Ack))
}

// Link is one opening of the store. It implements wire.Link.
type Link struct {
	device string
	far    end
	in     chan wire.Message
	done   chan struct{}

	mu     sync.Mutex // guards what follows
	err    error      // why it is over
	closed bool
	free   func() error // ends what runs and closes the store; called once, without mu
	freed  chan struct{}
}

// Validate checks the options without touching the network.
func (o Options) Validate() error {
	if !wire.ValidDevice(o.Device) {
		return fmt.Errorf("device id %q: want 1 to %d printable bytes without / + #, not hub or enroll", o.Device, wire.MaxDeviceBytes)
	}
	return o.store().Validate()
}

func (o Options) store() store.Options {
	s := o.Store
	s.ID, s.ClientID = "box-"+o.Device, "edge-agent-"+o.Device
	return s
}

// Dial opens the store. The device's transactional id fences any other box that calls itself the same at its first
// transaction, and positions are read from the cluster for each answer.
func Dial(ctx context.Context, o Options) (*Link, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, o.store())
	if err != nil {
		return nil, err
	}
	window := o.Window
	if window <= 0 {
		window = DefaultWindow
	}
	l := newLink(o.Device, nil)
	r := receive.New(receive.Options{Store: s, QueueBytes: 2 * window, CreditBytes: window, Linger: linger, Events: receive.Events{
		// A link that carries nothing is over: the loop says why, and dials again with its own backoff.
		StoreDown: func(err error) { l.fail(err) },
	}})
	l.far = r
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(run) }() // free waits for it
	l.free = func() error {
		stop()
		select {
		case err := <-ended:
			return errors.Join(err, s.Close())
		case <-time.After(closeWait):
			return errors.New("close link to Kafka: a transaction does not end")
		}
	}
	return l, nil
}

func newLink(device string, far end) *Link {
	return &Link{device: device, far: far, in: make(chan wire.Message, maxReceived), done: make(chan struct{}), freed: make(chan struct{})}
}

// Send implements wire.Link. The bytes are copied before it returns.
func (l *Link) Send(ctx context.Context, m wire.Message) error {
	select {
	case <-l.done:
		return l.cause()
	default:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch x := m.(type) {
	case *wire.Data:
		c := *x
		c.Body = append([]byte(nil), x.Body...)
		m = &c
	case *wire.Gap:
		c := *x
		m = &c
	case *wire.Hello:
	default:
		return fmt.Errorf("an agent does not send %T", m)
	}
	l.far.Handle(l.device, m, l.reply)
	return nil
}

// reply runs in the receiver's loop: it never waits.
func (l *Link) reply(a *wire.Ack) {
	c := *a
	c.HubTime, c.HubSynced = 0, false // this machine's own clock: no news to it
	select {
	case l.in <- &c:
	case <-l.done:
	default:
	}
}

// Recv implements wire.Link.
func (l *Link) Recv(ctx context.Context) (wire.Message, error) {
	select {
	case m := <-l.in:
		return m, nil
	case <-l.done:
		return nil, l.cause()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *Link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// fail ends the link.
func (l *Link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.done)
	}
}

// Close implements wire.Link. It waits for the transaction under way.
func (l *Link) Close() (err error) {
	l.fail(ErrClosed)
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if !first {
		<-l.freed
		return nil
	}
	defer close(l.freed)
	if l.free != nil {
		err = l.free()
	}
	return err
}
