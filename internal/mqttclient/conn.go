// Package mqttclient is one connection to an MQTT 3.1.1 broker: dial, publish, subscribe, and word of its end. It
// is the only importer of paho, which it uses as a plain pipe: a new client for each connection, a clean session,
// no reconnecting, no stored messages. What must arrive is the business of the protocol above.
//
// A publish that ended without an error was written (QoS 0) or answered with a PUBACK by the broker (QoS 1); neither
// says that a subscriber has it.
package mqttclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Errors of a connection. Err wraps one of them, or what the transport said.
var (
	ErrClosed  = errors.New("mqtt connection is closed")
	ErrLost    = errors.New("mqtt connection was lost")
	ErrRefused = errors.New("refused by the broker")
)

// Message is one received message. Payload belongs to the receiver.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Handler takes a message. It runs on the reader's path and must not block: while it runs nothing is received.
type Handler func(Message)

// Conn is one connection. Its methods may be called concurrently. It never comes back after Done.
type Conn struct {
	client paho.Client
	guard  *guard
	queue  chan *publish

	done chan struct{}
	stop chan struct{} // closed by Close
	pump sync.WaitGroup

	mu     sync.Mutex // guards what follows
	err    error      // set before done is closed
	ended  bool
	closed bool
}

type publish struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
	token   chan paho.Token // receives the token, or nil if there never was one; nil if nobody asks
}

// Dial connects and returns when the broker has accepted. Files that the options name are read now.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	raw, err := o.dialTransport(ctx)
	if err != nil {
		return nil, &DialError{o.Broker, err}
	}
	c := &Conn{guard: newGuard(raw, o.MaxPacket, o.WriteTimeout), queue: make(chan *publish, maxQueued),
		done: make(chan struct{}), stop: make(chan struct{})}
	c.client = paho.NewClient(c.pahoOptions(o, password))
	// Closing the transport ends paho's handshake when ctx ends before it.
	release := context.AfterFunc(ctx, func() { raw.Close() })
	token := c.client.Connect()
	<-token.Done()
	if !release() && token.Error() == nil {
		c.client.Disconnect(disconnectWait)
		return nil, &DialError{o.Broker, context.Cause(ctx)}
	}
	if err := token.Error(); err != nil {
		raw.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else if t, ok := token.(*paho.ConnectToken); ok && t.ReturnCode() >= 1 && t.ReturnCode() <= 5 {
			err = fmt.Errorf("%w: %v", ErrRefused, err)
		}
		return nil, &DialError{o.Broker, err}
	}
	c.pump.Add(1)
	go c.run(o)
	return c, nil
}

func (o Options) dialTransport(ctx context.Context) (net.Conn, error) {
	network, addr, host, secure := o.address()
	var d net.Dialer
	if !secure {
		return d.DialContext(ctx, network, addr)
	}
	config, err := o.tlsConfig(host)
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{NetDialer: &d, Config: config}).DialContext(ctx, network, addr)
}

func (c *Conn) pahoOptions(o Options, password string) *paho.ClientOptions {
	p := paho.NewClientOptions().AddBroker("tcp://transport").SetClientID(o.ClientID).SetProtocolVersion(4).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetResumeSubs(false).SetOrderMatters(true).
		SetUsername(o.Username).SetPassword(password).
		SetKeepAlive(o.KeepAlive.Truncate(time.Second)).SetPingTimeout(min(max(o.KeepAlive/2, time.Second), 30*time.Second)).
		SetConnectTimeout(o.ConnectTimeout).SetWriteTimeout(handoverTimeout)
	p.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return c.guard, nil })
	p.SetConnectionLostHandler(func(_ paho.Client, err error) { c.end(fmt.Errorf("%w: %w", ErrLost, lost{err})) })
	unrouted := o.Unrouted
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { // without one, paho never acknowledges such messages
		if unrouted != nil {
			unrouted(message(m))
		}
	})
	if w := o.Will; w != nil {
		p.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	return p
}

func message(m paho.Message) Message {
	return Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}
}

// run hands publishes to paho one at a time: only when the last one has left does paho get the next, so that a call
// never hangs in a queue of a client whose connection is gone. At most MaxUnacked wait for a PUBACK.
func (c *Conn) run(o Options) {
	defer c.pump.Done()
	var unacked []paho.Token
	for {
		var p *publish
		select {
		case p = <-c.queue:
		case <-c.done:
			return
		case <-c.stop:
			return
		}
		var ok bool
		if unacked, ok = c.room(unacked, o.MaxUnacked, o.WriteTimeout); !ok {
			return
		}
		select {
		case <-c.guard.wrote:
		default:
		}
		token := c.client.Publish(p.topic, p.qos, p.retain, p.payload)
		if p.token != nil {
			p.token <- token
		}
		if finished(token) && token.Error() != nil {
			c.end(fmt.Errorf("%w: %w", ErrLost, token.Error()))
			return
		}
		select {
		case <-c.guard.wrote:
		case <-c.done:
			return
		case <-c.stop:
			return
		}
		if p.qos > 0 {
			unacked = append(unacked, token)
		}
	}
}

// room forgets publishes that were acknowledged, and waits while too many were not. A broker acknowledges them in
// order; where one acknowledgement is lost on the way, the others still count. If none comes for so long, the connection
// is over: whatever takes packets at its other end does not answer them. False: it is over, or closed.
func (c *Conn) room(unacked []paho.Token, most int, limit time.Duration) ([]paho.Token, bool) {
	for waited := time.Duration(0); ; waited += unackedLook {
		for len(unacked) > 0 && finished(unacked[0]) {
			unacked = unacked[1:]
		}
		if len(unacked) < most {
			return unacked, true
		}
		if unacked = slices.DeleteFunc(unacked, finished); len(unacked) < most {
			return unacked, true
		}
		if waited >= limit {
			c.end(fmt.Errorf("%w: none of %d messages was acknowledged for %v", ErrLost, len(unacked), limit))
			return nil, false
		}
		t := time.NewTimer(unackedLook)
		select {
		case <-unacked[0].Done():
		case <-t.C:
		case <-c.done:
			t.Stop()
			return nil, false
		case <-c.stop:
			t.Stop()
			return nil, false
		}
		t.Stop()
	}
}

func finished(t paho.Token) bool {
	select {
	case <-t.Done():
		return true
	default:
		return false
	}
}

// end notes why the connection is over. The first reason stays.
func (c *Conn) end(err error) {
	if own := c.guard.reason(); own != nil {
		err = fmt.Errorf("%w: %w", ErrLost, own)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.err = true, err
	close(c.done)
}

// Enqueue hands a message to the connection and returns when there was room for it, not when it left. The payload
// belongs to the connection from now on. An error means that the connection is over or ctx ended.
func (c *Conn) Enqueue(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	return c.enqueue(ctx, &publish{topic: topic, qos: qos, retain: retain, payload: payload})
}

func (c *Conn) enqueue(ctx context.Context, p *publish) error {
	if len(p.topic) == 0 || len(p.topic) > maxTopicBytes || p.qos > 1 {
		return fmt.Errorf("%w: publish to %q at QoS %d", ErrOptions, p.topic, p.qos)
	}
	select { // an ended connection takes nothing, even if there is room
	case <-c.done:
		return c.Err()
	case <-c.stop:
		return ErrClosed
	default:
	}
	select {
	case c.queue <- p:
		return nil
	case <-c.done:
		return c.Err()
	case <-c.stop:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Publish sends a message and waits until it was written (QoS 0) or the broker answered with a PUBACK (QoS 1).
func (c *Conn) Publish(ctx context.Context, topic string, qos byte, retain bool, payload []byte) error {
	p := &publish{topic: topic, qos: qos, retain: retain, payload: payload, token: make(chan paho.Token, 1)}
	if err := c.enqueue(ctx, p); err != nil {
		return err
	}
	var token paho.Token
	select {
	case token = <-p.token:
	case <-c.done:
		return c.Err()
	case <-c.stop:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return c.wait(ctx, token)
}

func (c *Conn) wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-c.done:
		return c.Err()
	case <-c.stop:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Subscribe asks for the messages of a filter and returns when the broker has agreed.
func (c *Conn) Subscribe(ctx context.Context, filter string, qos byte, h Handler) error {
	token := c.client.Subscribe(filter, qos, func(_ paho.Client, m paho.Message) { h(message(m)) })
	if err := c.wait(ctx, token); err != nil {
		return fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	if t, ok := token.(*paho.SubscribeToken); ok && t.Result()[filter] > 2 {
		return fmt.Errorf("subscribe to %s: %w", filter, ErrRefused)
	}
	return nil
}

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil while the connection stands, then the reason of its end.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Bytes is how many bytes of MQTT packets came in and went out, without TLS and TCP.
func (c *Conn) Bytes() (in, out uint64) { return c.guard.in.Load(), c.guard.out.Load() }

// Close says good-bye to the broker, which then drops the will, and waits until nothing of the connection runs.
func (c *Conn) Close() error {
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		<-c.done
		return nil
	}
	close(c.stop)
	c.pump.Wait()
	c.client.Disconnect(disconnectWait)
	c.guard.Conn.Close()
	c.end(ErrClosed)
	return nil
}

// Abort drops the connection without a good-bye, as a cut cable would: the broker publishes the will.
func (c *Conn) Abort() {
	c.guard.Conn.Close()
	_ = c.Close()
}
