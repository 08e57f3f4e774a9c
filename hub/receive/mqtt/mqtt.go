// Package mqtt connects the hub's receiver to an MQTT broker: it subscribes to what devices say, hands each message
// to the receiver, publishes its answers and acks, and announces the hub. A connection that ends is made again; what
// was lost with it is sent again by the agents, because nobody acknowledged it.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
)

// Options of an Adapter. Client.Broker and Client.ClientID are required.
type Options struct {
	Client mqttclient.Options
	Topics wire.Topics
	Spread time.Duration // over which agents spread the hellos that an announcement asks for, whole seconds
	// Quiet is how long nothing may come while devices have credit before the connection is made anew: a broker that
	// has forgotten a subscription looks just like that. It doubles while only hellos come, up to MaxQuiet.
	Quiet time.Duration
	// Mine says which devices are this hub's where several share a broker; nil: all. Frames and hellos of others are
	// ignored unread. It must be quick.
	Mine   func(device string) bool
	Events Events
}

// Events are called from Run and from the connection's reader; each may be nil and must not block.
type Events struct {
	Connected    func()
	Disconnected func(err error)             // or could not connect; tried again
	Quiet        func(silence time.Duration) // nothing came for that long: connecting anew
}

// Bounds of an Adapter.
const (
	DefaultSpread = 5 * time.Second
	// greetedPerSecond is how many hellos a second a hub asks for when it takes devices over: few devices do not wait.
	greetedPerSecond = 500
	DefaultQuiet     = 30 * time.Second // three ack time-outs
	MaxQuiet         = 20 * time.Minute // every device says hello more often

	maxReplies = 4096 // acks that wait for the connection; more are dropped: the agent asks again
	backoffMin = time.Second
	backoffMax = 30 * time.Second
	watchEvery = time.Second
)

// Adapter runs one connection at a time. Stats may be called concurrently with Run.
type Adapter struct {
	o        Options
	receiver Receiver
	out      chan outgoing
	stats    counters
}

type outgoing struct {
	topic   string
	payload []byte
}

type counters struct {
	connected         atomic.Bool
	connects, dropped atomic.Uint64
	bytesIn, bytesOut atomic.Uint64
	foreign           atomic.Uint64
}

// Stats counts since the adapter was made.
type Stats struct {
	Connected         bool
	Connects          uint64
	DroppedAcks       uint64
	Foreign           uint64 // messages of devices that are another hub's
	BytesIn, BytesOut uint64 // MQTT packets of connections that have ended, and of this one as of a second ago
}

// New makes an adapter; Run connects.
func New(o Options, r Receiver) (*Adapter, error) {
	if o.Spread == 0 {
		o.Spread = DefaultSpread
	}
	if o.Quiet == 0 {
		o.Quiet = DefaultQuiet
	}
	if err := o.Client.Validate(); err != nil {
		return nil, err
	}
	if err := o.Topics.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", mqttclient.ErrOptions, err)
	}
	return &Adapter{o: o, receiver: r, out: make(chan outgoing, maxReplies)}, nil
}

// Stats returns what was counted.
func (a *Adapter) Stats() Stats {
	c := &a.stats
	return Stats{Connected: c.connected.Load(), Connects: c.connects.Load(), DroppedAcks: c.dropped.Load(),
		Foreign: c.foreign.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load()}
}

// errQuiet ends a connection on which nothing came for too long.
var errQuiet = errors.New("nothing came although devices have credit")

// Run keeps a connection until ctx ends and returns nil then. Only options that can never work end it earlier.
func (a *Adapter) Run(ctx context.Context) error {
	backoff, quiet := backoffMin, a.o.Quiet
	for {
		began := time.Now()
		_, framesUntil, _ := a.receiver.Heard()
		err := a.session(ctx, quiet)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, mqttclient.ErrOptions) {
			return err
		}
		if a.o.Events.Disconnected != nil {
			a.o.Events.Disconnected(err)
		}
		_, lastFrame, _ := a.receiver.Heard()
		switch {
		case lastFrame.After(framesUntil):
			quiet = a.o.Quiet
		case errors.Is(err, errQuiet):
			quiet = min(2*quiet, max(MaxQuiet, a.o.Quiet))
		}
		if time.Since(began) > backoffMax {
			backoff = backoffMin
		}
		t := time.NewTimer(backoff/2 + rand.N(backoff/2+1))
		backoff = min(2*backoff, backoffMax)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// session is one connection, from dialling to its end.
func (a *Adapter) session(ctx context.Context, quiet time.Duration) error {
	conn, err := mqttclient.Dial(ctx, a.o.Client)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range []struct {
		filter  string
		handler mqttclient.Handler
	}{
		// At QoS 0: a broker holds back or drops what a slow subscriber at QoS 1 has not acknowledged, while the
		// protocol's own window bounds what is on its way.
		{a.o.Topics.StateFilter(), a.state},
		{a.o.Topics.HelloFilter(), a.hello},
		{a.o.Topics.DataFilter(), a.data},
	} {
		if err := conn.Subscribe(ctx, s.filter, 0, s.handler); err != nil {
			return err
		}
	}
	up := wire.AppendHubUp(nil, &wire.HubUp{SpreadSeconds: uint16(a.o.Spread / time.Second)})
	if err := conn.Publish(ctx, a.o.Topics.Hub(), 0, false, up); err != nil {
		return err
	}
	a.stats.connects.Add(1)
	a.stats.connected.Store(true)
	defer a.stats.connected.Store(false)
	if a.o.Events.Connected != nil {
		a.o.Events.Connected()
	}
	return a.serve(ctx, conn, quiet)
}

// serve publishes replies and watches for silence until the connection ends.
func (a *Adapter) serve(ctx context.Context, conn *mqttclient.Conn, quiet time.Duration) error {
	watch := time.NewTicker(min(watchEvery, quiet))
	defer watch.Stop()
	began, in, out := time.Now(), uint64(0), uint64(0)
	count := func() {
		nowIn, nowOut := conn.Bytes()
		a.stats.bytesIn.Add(nowIn - in)
		a.stats.bytesOut.Add(nowOut - out)
		in, out = nowIn, nowOut
	}
	defer count()
	for {
		select {
		case o := <-a.out:
			if err := conn.Enqueue(ctx, o.topic, 1, false, o.payload); err != nil {
				return err
			}
		case <-watch.C:
			count()
			last, _, credit := a.receiver.Heard()
			if silence := time.Since(later(began, last)); credit > 0 && silence > quiet {
				if a.o.Events.Quiet != nil {
					a.o.Events.Quiet(silence)
				}
				return errQuiet
			}
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return nil
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// data takes a frame. The header's checksum covers the stream's name, so that a frame on another stream's topic does
// not parse; the broker's access rules see to it that the device is the one that the topic names.
func (a *Adapter) data(m mqttclient.Message) {
	t, ok := a.o.Topics.ParseTopic(m.Topic)
	if !ok || t.Channel != wire.ChannelData || m.Retained {
		a.receiver.Hostile(t.Device)
		return
	}
	if a.theirs(t.Device) {
		return
	}
	f, err := wire.ParseFrame(t.Stream, m.Payload)
	if err != nil {
		a.receiver.Hostile(t.Device)
		return
	}
	a.receiver.Handle(t.Device, f, a.reply(t.Device))
}

func (a *Adapter) hello(m mqttclient.Message) {
	t, ok := a.o.Topics.ParseTopic(m.Topic)
	if !ok || t.Channel != wire.ChannelHello || m.Retained {
		a.receiver.Hostile(t.Device)
		return
	}
	if a.theirs(t.Device) {
		return
	}
	h, err := wire.ParseHello(m.Payload)
	if err != nil {
		a.receiver.Hostile(t.Device)
		return
	}
	a.receiver.Handle(t.Device, h, a.reply(t.Device))
}

// theirs counts a message of a device that another hub serves.
func (a *Adapter) theirs(device string) bool {
	if a.o.Mine == nil || a.o.Mine(device) {
		return false
	}
	a.stats.foreign.Add(1)
	return true
}

// Greet asks devices that this hub serves from now on to say hello, on their answer topics, so that those of other hubs
// go on undisturbed. It waits while the connection is busy; without one it has nothing to do, because every connection
// begins with an announcement to all.
func (a *Adapter) Greet(ctx context.Context, devices []string) error {
	spread := min(a.o.Spread, time.Duration(len(devices)/greetedPerSecond)*time.Second)
	up := wire.AppendHubUp(nil, &wire.HubUp{SpreadSeconds: uint16(spread / time.Second)})
	for _, d := range devices {
		if !a.stats.connected.Load() {
			return nil
		}
		select {
		case a.out <- outgoing{a.o.Topics.Answer(d), up}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// state takes a birth or a will.
func (a *Adapter) state(m mqttclient.Message) {
	t, ok := a.o.Topics.ParseTopic(m.Topic)
	if !ok || t.Channel != wire.ChannelState {
		a.receiver.Hostile(t.Device)
		return
	}
	if len(m.Payload) == 0 { // somebody has cleared it
		a.receiver.Online(t.Device, false)
		return
	}
	st, err := wire.ParseState(m.Payload)
	if err != nil {
		a.receiver.Hostile(t.Device)
		return
	}
	a.receiver.Online(t.Device, st.Online)
}

// reply publishes acks on the connection of the moment, whichever brought the frame.
func (a *Adapter) reply(device string) func(*wire.Ack) {
	return func(ack *wire.Ack) {
		select {
		case a.out <- outgoing{a.o.Topics.Answer(device), wire.AppendAck(nil, ack)}:
		default:
			a.stats.dropped.Add(1)
		}
	}
}
