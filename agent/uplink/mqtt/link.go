// Package mqtt carries the delivery protocol over an MQTT broker: wire.Link for one device over internal/mqttclient.
//
// Frames and hellos go out at QoS 1, which paces them by the broker and promises nothing more: delivery is what the
// hub acknowledges.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
)

// Bounds of a link.
const (
	MaxValuesBytes = 64 << 10
	maxReceived    = 64 // messages of the hub not yet taken by Recv; further ones are dropped and counted
	farewell       = time.Second
)

// ErrTooLarge refuses a message that no broker would have to carry.
var ErrTooLarge = errors.New("message is over the limit of the protocol")

// Options of a link. Client.ClientID and Client.Will are set here.
type Options struct {
	Client mqttclient.Options
	Topics wire.Topics
	Device string // the certificate's common name
	Agent  string // version, for the birth message
	Boot   string // kernel boot id, for the birth message
	Run    string // random, of this run of the agent, for birth and will; "": nobody asks who had the name before
	Stats  *Stats // counters over all links of a device; may be nil
}

// Stats are counters that outlive a link. They may be read at any time.
type Stats struct {
	In, Out   atomic.Uint64 // bytes of MQTT packets of ended links
	Malformed atomic.Uint64 // messages on our topics that could not be read
	Foreign   atomic.Uint64 // messages on topics we never asked for
	Dropped   atomic.Uint64 // messages of the hub that came faster than they were taken
	Oversize  atomic.Uint64 // connections ended by a packet over the limit
	values    values
}

// Link is one connection of a device to the central broker. It implements wire.Link; Publish and Subscribe give the
// connection to others (updates).
type Link struct {
	o    Options
	conn *mqttclient.Conn
	in   chan wire.Message

	taken   atomic.Bool
	closing sync.Once
}

// Validate checks the options without touching the network.
func (o Options) Validate() error {
	if !wire.ValidDevice(o.Device) {
		return fmt.Errorf("device id %q: want 1 to %d printable bytes without / + #, not hub or enroll", o.Device, wire.MaxDeviceBytes)
	}
	if err := o.Topics.Validate(); err != nil {
		return err
	}
	o.Client.ClientID = o.Device
	return o.Client.Validate()
}

// Dial connects, hears the device's answers and the hub's announcements, and announces the device. When it returns,
// an answer to the first Send will be heard.
func Dial(ctx context.Context, o Options) (*Link, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	l := &Link{o: o, in: make(chan wire.Message, maxReceived)}
	c := o.Client
	c.ClientID = o.Device
	c.Will = &mqttclient.Will{Topic: o.Topics.State(o.Device), Payload: wire.AppendState(nil, &wire.State{Run: o.Run}), QoS: 1, Retain: true}
	c.Unrouted = func(mqttclient.Message) { o.Stats.Foreign.Add(1) }
	conn, err := mqttclient.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	if err := l.open(ctx); err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

func (l *Link) open(ctx context.Context) error {
	timeout := l.o.Client.ConnectTimeout
	if timeout == 0 {
		timeout = mqttclient.DefaultConnectTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := l.conn.Subscribe(ctx, l.o.Topics.Answer(l.o.Device), 1, l.hearAck); err != nil {
		return err
	}
	if err := l.conn.Subscribe(ctx, l.o.Topics.Hub(), 0, l.hearHub); err != nil {
		return err
	}
	if l.o.Run != "" { // who had the name before; a broker whose access rules hide it only leaves us without an answer
		if err := l.conn.Subscribe(ctx, l.o.Topics.State(l.o.Device), 0, l.hearState); err != nil && !errors.Is(err, mqttclient.ErrRefused) {
			return err
		}
	}
	birth := wire.AppendState(nil, &wire.State{Online: true, Agent: l.o.Agent, Boot: l.o.Boot, Run: l.o.Run})
	if err := l.conn.Publish(ctx, l.o.Topics.State(l.o.Device), 1, true, birth); err != nil {
		return fmt.Errorf("publish birth: %w", err)
	}
	return nil
}

// hearAck and hearHub run on the reader's path: they never wait. A hub that takes devices over from another one
// announces itself to each of them on its answer topic.
func (l *Link) hearAck(m mqttclient.Message) {
	a, err := wire.ParseAck(m.Payload)
	if err != nil {
		if up, err := wire.ParseHubUp(m.Payload); err == nil && !m.Retained {
			l.deliver(up)
			return
		}
		l.o.Stats.Malformed.Add(1)
		return
	}
	l.deliver(a)
}

// hearState hears the last birth or will under our name: whose connection was the one before this.
func (l *Link) hearState(m mqttclient.Message) {
	if !m.Retained { // our own birth, as it goes out
		return
	}
	if st, err := wire.ParseState(m.Payload); err == nil && st.Run != "" && st.Run != l.o.Run {
		l.taken.Store(true)
	}
}

// Taken reports whether another client, or an earlier run of this one, had our name before this connection.
func (l *Link) Taken() bool { return l.taken.Load() }

func (l *Link) hearHub(m mqttclient.Message) {
	h, err := wire.ParseHubUp(m.Payload)
	if err != nil || m.Retained { // a retained announcement says nothing of now
		l.o.Stats.Malformed.Add(1)
		return
	}
	l.deliver(h)
}

func (l *Link) deliver(m wire.Message) {
	select {
	case l.in <- m:
	default: // the next ack, or a time-out, makes good for it
		l.o.Stats.Dropped.Add(1)
	}
}

// Send implements wire.Link. It returns when the connection has taken the message, which waits for the network when
// that is slow. The bytes are made before it returns.
func (l *Link) Send(ctx context.Context, m wire.Message) error {
	var topic string
	var payload []byte
	switch m := m.(type) {
	case *wire.Data:
		topic = l.o.Topics.Data(l.o.Device, m.Stream)
		payload = wire.AppendData(make([]byte, 0, len(m.Body)+256), m)
	case *wire.Gap:
		topic = l.o.Topics.Data(l.o.Device, m.Stream)
		payload = wire.AppendGap(nil, m)
	case *wire.Hello:
		topic = l.o.Topics.Hello(l.o.Device)
		payload = wire.AppendHello(nil, m)
	default:
		return fmt.Errorf("an agent does not send %T", m)
	}
	if len(payload)+len(topic)+8 > wire.MaxPacketBytes {
		return fmt.Errorf("%w: %d bytes to %s", ErrTooLarge, len(payload), topic)
	}
	return l.conn.Enqueue(ctx, topic, 1, false, payload)
}

// Recv implements wire.Link.
func (l *Link) Recv(ctx context.Context) (wire.Message, error) {
	select {
	case m := <-l.in:
		return m, nil
	case <-l.conn.Done():
		return nil, l.conn.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// PublishValues publishes the latest values, retained: a view, never part of the account.
func (l *Link) PublishValues(ctx context.Context, json []byte) error {
	if len(json) > MaxValuesBytes {
		return fmt.Errorf("%w: %d bytes of latest values", ErrTooLarge, len(json))
	}
	if !l.o.Stats.values.may(l, len(json), time.Now()) {
		return fmt.Errorf("%w: %d bytes of latest values", ErrHeld, len(json))
	}
	return l.conn.Enqueue(ctx, l.o.Topics.Values(l.o.Device), 0, true, json)
}

// Publish sends a message of another part of the agent and waits for the broker's PUBACK if qos is 1.
func (l *Link) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return l.conn.Publish(ctx, topic, qos, retain, payload)
}

// Enqueue hands over a message of another part of the agent and returns when the connection has taken it.
func (l *Link) Enqueue(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return l.conn.Enqueue(ctx, topic, qos, retain, payload)
}

// Subscribe hears a topic for another part of the agent. The handler must not block.
func (l *Link) Subscribe(ctx context.Context, filter string, qos byte, h func(fleetwire.Message)) error {
	return l.conn.Subscribe(ctx, filter, qos, func(m mqttclient.Message) { h(fleetwire.Message(m)) })
}

var _ fleetwire.Link = (*Link)(nil)

// Done is closed when the connection is over.
func (l *Link) Done() <-chan struct{} { return l.conn.Done() }

// Bytes is how many bytes of MQTT packets this connection has carried.
func (l *Link) Bytes() (in, out uint64) { return l.conn.Bytes() }

// Close says that the device goes offline and ends the connection.
func (l *Link) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	select {
	case <-l.conn.Done():
	default: // not worth an error: the last will says the same if this does not arrive
		_ = l.conn.Publish(ctx, l.o.Topics.State(l.o.Device), 1, true, wire.AppendState(nil, &wire.State{Run: l.o.Run}))
	}
	return l.end()
}

// Abort ends the connection as a cut cable would.
func (l *Link) Abort() {
	l.conn.Abort()
	l.end()
}

func (l *Link) end() (err error) {
	l.closing.Do(func() {
		if lost := l.conn.Err(); lost != nil {
			l.o.Stats.values.ended(l, time.Now())
		}
		err = l.conn.Close()
		in, out := l.conn.Bytes()
		l.o.Stats.In.Add(in)
		l.o.Stats.Out.Add(out)
		if errors.Is(l.conn.Err(), mqttclient.ErrPacketTooLarge) {
			l.o.Stats.Oversize.Add(1)
		}
	})
	return err
}
