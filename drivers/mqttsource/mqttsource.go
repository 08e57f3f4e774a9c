// Package mqttsource subscribes to a local MQTT broker and turns what is published there into readings: JSON, Tasmota,
// ESPHome, Zigbee2MQTT and Sparkplug B.
//
// MQTT itself loses what is published while nobody listens; Sparkplug's sequence numbers show it, the other dialects
// cannot. A message that the broker had retained is older than its arrival: its readings are uncertain:stale.
package mqttsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
	"github.com/edgelog/edgelog/internal/mqttclient"
)

// Formats of a subscription.
const (
	FormatJSON        = "json"
	FormatTasmota     = "tasmota"
	FormatESPHome     = "esphome"
	FormatZigbee2MQTT = "zigbee2mqtt"
	FormatSparkplug   = "sparkplug"
)

// Subscription is what to listen to and how to read it.
type Subscription struct {
	Format string
	// Topic is a filter whose {name} levels become labels: "plant/{line}/state". For tasmota it is the prefix before
	// the topic (default "tele"), for esphome the node's topic prefix (may be {node}), for zigbee2mqtt the base topic
	// (default "zigbee2mqtt"), for sparkplug the group ("" for all).
	Topic string
	JSON  door.Mapping // for json
}

// Options of a Source. Broker, ClientID and Subscriptions are required.
type Options struct {
	Client        mqttclient.Options
	Subscriptions []Subscription
	Labels        []record.Label
	MaxSeries     int  // default and at most door.MaxSeries
	NoRebirth     bool // never ask a Sparkplug node to announce its metrics again
	Events        door.Events
}

// Source is a door.Source.
type Source struct {
	o     Options
	subs  []dialect
	limit door.Limit
}

// dialect reads the messages of one subscription. It is used by one goroutine.
type dialect interface {
	filters() []string
	// read appends the readings of a message. ask, if not empty, is a topic to which a rebirth command goes.
	read(dst []door.Reading, m mqttclient.Message, tell func(door.Missed, int, error)) (out []door.Reading, ask string)
	// lost is called when the connection ended: what was announced may have changed since.
	lost()
}

// New checks the options; nothing is dialled yet. The error wraps drivers.ErrConfig.
func New(o Options) (*Source, error) {
	bad := func(format string, a ...any) (*Source, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{drivers.ErrConfig}, a...)...)
	}
	o.Client.MaxPacket = MaxPayload
	if err := o.Client.Validate(); err != nil {
		return bad("%w", err)
	}
	if n := len(o.Subscriptions); n < 1 || n > MaxSubscriptions {
		return bad("%d subscriptions: want 1 to %d", n, MaxSubscriptions)
	}
	if o.MaxSeries < 0 || o.MaxSeries > door.MaxSeries {
		return bad("max_series %d: want at most %d", o.MaxSeries, door.MaxSeries)
	}
	s := &Source{o: o, limit: door.Limit{Max: o.MaxSeries}}
	for i, sub := range o.Subscriptions {
		d, err := dialectOf(sub)
		if err != nil {
			return bad("subscriptions[%d]: %v", i, err)
		}
		s.subs = append(s.subs, d)
	}
	return s, nil
}

// Run implements door.Source.
func (s *Source) Run(ctx context.Context, emit door.Emit) error {
	for fails := 0; ; fails++ {
		started := time.Now()
		err := s.once(ctx, emit)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(started) > steadyAfter {
			fails = 0
		}
		s.o.Events.TellDown(err)
		select {
		case <-time.After(door.Backoff(fails, 0)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// arrived is one message with the subscription that it came by.
type arrived struct {
	sub int
	m   mqttclient.Message
}

// inbox is the bounded queue between the connection, which must not wait, and the log.
type inbox struct {
	ready chan arrived

	mu    sync.Mutex // guards bytes
	bytes int
}

func (q *inbox) put(a arrived) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+len(a.m.Payload) > queueBytes {
		return false
	}
	select {
	case q.ready <- a:
		q.bytes += len(a.m.Payload)
		return true
	default:
		return false
	}
}

func (q *inbox) took(a arrived) {
	q.mu.Lock()
	q.bytes -= len(a.m.Payload)
	q.mu.Unlock()
}

// once is one connection.
func (s *Source) once(ctx context.Context, emit door.Emit) error {
	c, err := mqttclient.Dial(ctx, s.o.Client)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, d := range s.subs {
		d.lost()
	}
	q := &inbox{ready: make(chan arrived, queueMessages)}
	for i, d := range s.subs {
		for _, f := range d.filters() {
			err := c.Subscribe(ctx, f, 1, func(m mqttclient.Message) {
				if !q.put(arrived{i, m}) {
					s.o.Events.TellMissed(door.MissedOverload, 1, fmt.Errorf("message to %s: %d are waiting for the log", m.Topic, len(q.ready)))
				}
			})
			if err != nil {
				return err
			}
		}
	}
	s.o.Events.TellUp()
	asked := map[string]time.Time{}
	var out []door.Reading
	for {
		select {
		case a := <-q.ready:
			q.took(a)
			var ask string
			out, ask = s.subs[a.sub].read(out[:0], a.m, s.o.Events.TellMissed)
			s.put(ctx, emit, out)
			if ask != "" && !s.o.NoRebirth && time.Since(asked[ask]) > rebirthPause && len(asked) < MaxNodes {
				asked[ask] = time.Now()
				if err := c.Enqueue(ctx, ask, 0, false, rebirthCommand(time.Now())); err != nil {
					return err
				}
			}
		case <-c.Done():
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Source) put(ctx context.Context, emit door.Emit, rs []door.Reading) {
	for len(rs) > 0 {
		n := min(len(rs), door.MaxReadings)
		part := rs[:n]
		for i := range part {
			if len(s.o.Labels) > 0 {
				part[i].Series.Labels = door.Labels(part[i].Series.Labels, s.o.Labels...)
			}
		}
		err := s.limit.Admit(part)
		if err == nil {
			err = emit(ctx, door.Message{Readings: part})
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			s.o.Events.TellMissed(door.WhyMissed(err), n, err)
		}
		rs = rs[n:]
	}
}

func dialectOf(s Subscription) (dialect, error) {
	if err := s.JSON.Check(); err != nil {
		return nil, err
	}
	switch s.Format {
	case FormatJSON:
		t, err := parseTopic(s.Topic)
		return &jsonTopic{t, s.JSON}, err
	case FormatTasmota:
		return newTasmota(s.Topic)
	case FormatESPHome:
		t, err := parseTopic(s.Topic)
		return &esphome{t}, err
	case FormatZigbee2MQTT:
		if s.Topic == "" {
			s.Topic = "zigbee2mqtt"
		}
		if strings.ContainsAny(s.Topic, "+#{}") {
			return nil, fmt.Errorf("topic %q: want the base topic, without wildcards", s.Topic)
		}
		return &zigbee{s.Topic}, nil
	case FormatSparkplug:
		if strings.ContainsAny(s.Topic, "+#/{}") {
			return nil, fmt.Errorf("topic %q: want a group, or nothing for all groups", s.Topic)
		}
		return newSparkplug(s.Topic), nil
	}
	return nil, fmt.Errorf("format %q: want json, tasmota, esphome, zigbee2mqtt or sparkplug", s.Format)
}
