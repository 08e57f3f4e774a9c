package mqtt_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/receive/mqtt"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type allow struct{ mochi.HookBase }

func (*allow) ID() string { return "allow" }
func (*allow) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (*allow) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*allow) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// broker runs an embedded broker on an address; "127.0.0.1:0" for any.
func broker(t *testing.T, addr string) (stop func(), at string) {
	t.Helper()
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.AddHook(new(allow), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: addr})
	if err := s.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	done := false
	stop = func() {
		if !done {
			done = true
			s.Close()
		}
	}
	t.Cleanup(stop)
	return stop, l.Address()
}

// rig is a hub and a device at one broker.
type rig struct {
	t         *testing.T
	addr      string
	receiver  *receive.Receiver
	adapter   *mqtt.Adapter
	store     *memory.Store
	connected chan struct{}
	quiet     chan time.Duration
}

func newRig(t *testing.T, addr string, o mqtt.Options) *rig {
	r := &rig{t: t, addr: addr, store: memory.New(nil), connected: make(chan struct{}, 16), quiet: make(chan time.Duration, 16)}
	r.receiver = receive.New(receive.Options{Store: r.store})
	o.Client = mqttclient.Options{Broker: "tcp://" + addr, ClientID: "hub"}
	o.Events = mqtt.Events{Connected: func() { r.connected <- struct{}{} }, Quiet: func(d time.Duration) { r.quiet <- d }}
	var err error
	if r.adapter, err = mqtt.New(o, r.receiver); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- r.receiver.Run(ctx) }()
	go func() { done <- r.adapter.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	return r
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("no %s within 10 s", what)
		panic("unreachable")
	}
}

// device is a client that hears its answers and the announcements of hubs.
type device struct {
	*mqttclient.Conn
	t    *testing.T
	acks chan *wire.Ack
	ups  chan *wire.HubUp
}

func (r *rig) device(name string) *device {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: "tcp://" + r.addr, ClientID: name})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	d := &device{Conn: c, t: r.t, acks: make(chan *wire.Ack, 16), ups: make(chan *wire.HubUp, 16)}
	subscribe := func(topic string, h mqttclient.Handler) {
		if err := c.Subscribe(ctx, topic, 1, h); err != nil {
			r.t.Fatal(err)
		}
	}
	var topics wire.Topics
	subscribe(topics.Answer(name), func(m mqttclient.Message) {
		a, err := wire.ParseAck(m.Payload)
		if err != nil {
			r.t.Errorf("ack: %v", err)
			return
		}
		d.acks <- a
	})
	subscribe(topics.Hub(), func(m mqttclient.Message) {
		if u, err := wire.ParseHubUp(m.Payload); err == nil {
			d.ups <- u
		}
	})
	return d
}

func (d *device) publish(topic string, payload []byte) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Publish(ctx, topic, 1, false, payload); err != nil {
		d.t.Fatal(err)
	}
}

// frame is a data frame of n readings from offset 0, or the same as it was sent on another stream's topic.
func frame(stream string, n int) []byte {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Time: int64(i), Type: record.TypeInt, Num: int64(i), Series: 1}
	}
	body, used, raw, err := new(record.Encoder).Encode(nil, recs, record.CodecColumns)
	if err != nil {
		panic(err)
	}
	return wire.AppendData(nil, &wire.Data{FrameHeader: wire.FrameHeader{Stream: stream, Epoch: 7, Nonce: 5}, Count: uint32(n),
		ChainEnd: record.FoldChain(0, recs), Codec: used, RawLen: uint32(raw), CRC: wire.Checksum(body), Body: body,
		Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "cpu.busy", Type: record.TypeInt}}}})
}

func TestFramesAndAnswers(t *testing.T) {
	_, addr := broker(t, "127.0.0.1:0")
	r := newRig(t, addr, mqtt.Options{Spread: 3 * time.Second})
	await(t, r.connected, "connection")
	d := r.device("box")
	var topics wire.Topics
	d.publish(topics.State("box"), wire.AppendState(nil, &wire.State{Online: true}))
	d.publish(topics.Hello("box"), wire.AppendHello(nil, &wire.Hello{Nonce: 5, Parts: 1, Agent: "0.1"}))
	if a := await(t, d.acks, "answer"); !a.Answer || a.Nonce != 5 || a.Credit == 0 {
		t.Errorf("answer: %+v", a)
	}
	d.publish(topics.Data("box", "telemetry"), frame("telemetry", 3))
	if a := await(t, d.acks, "ack"); a.Answer || len(a.Positions) != 1 || a.Positions[0].Next != 3 {
		t.Errorf("ack: %+v", a)
	}
	if n := len(r.store.Rows("box", "telemetry", 7)); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	// a frame on the topic of another stream, and bytes that are none of ours
	d.publish(topics.Data("box", "alarms"), frame("telemetry", 3))
	d.publish(topics.Data("box", "telemetry"), []byte("hello"))
	d.publish(topics.Hello("box"), []byte{1, 2, 3})
	d.publish(topics.State("box"), []byte("x"))
	d.publish(topics.Data("box", "telemetry"), frame("telemetry", 3)) // a duplicate: all before it has been seen
	await(t, d.acks, "ack")
	if s := r.receiver.Stats(); s.Hostile != 4 || s.Duplicates != 1 {
		t.Errorf("hostile %d, duplicates %d; want 4, 1", s.Hostile, s.Duplicates)
	}
	if l := r.receiver.Devices(); len(l) != 1 || !l[0].Online || l[0].Agent != "0.1" || l[0].Hostile != 4 {
		t.Errorf("devices: %+v", l)
	}
	if s := r.adapter.Stats(); !s.Connected || s.Connects != 1 {
		t.Errorf("adapter: %+v", s)
	}
}

// TestHostilePayloads: whatever comes on any topic that a hub hears costs a counter. No row, no epoch and no device comes of
// it, and the next good frame is served.
func TestHostilePayloads(t *testing.T) {
	_, addr := broker(t, "127.0.0.1:0")
	r := newRig(t, addr, mqtt.Options{Spread: 3 * time.Second})
	await(t, r.connected, "connection")
	d := r.device("box")
	var topics wire.Topics
	good := map[string][]byte{
		topics.Data("box", "telemetry"): frame("telemetry", 3),
		topics.Hello("box"):             wire.AppendHello(nil, &wire.Hello{Nonce: 5, Parts: 1, Agent: "0.1"}),
		topics.State("box"):             wire.AppendState(nil, &wire.State{Online: true}),
	}
	rng := rand.New(rand.NewPCG(1, 2))
	sent := uint64(0)
	for topic, whole := range good {
		for range 300 {
			p := bytes.Clone(whole)
			switch rng.IntN(3) {
			case 0:
				p = p[:1+rng.IntN(min(len(p)-1, 40))] // a body that is cut off is a damaged one, which is another matter
			case 1: // of the header, which has a checksum of its own; the JSON of a state is broken at its first byte
				at := rng.IntN(16)
				if topic == topics.State("box") {
					at = 0
				}
				p[at] ^= 1 << rng.IntN(8)
			default:
				p = make([]byte, 1+rng.IntN(300))
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
			}
			d.publish(topic, p)
			sent++
		}
	}
	d.publish(topics.Data("box", "telemetry")+"/x", []byte("deeper")) // topics that nobody is to use
	d.publish(topics.Data("box", "TELEMETRY"), frame("telemetry", 3))
	d.publish(topics.Hello("box"), good[topics.Hello("box")])
	if a := await(t, d.acks, "answer"); !a.Answer || a.Nonce != 5 {
		t.Errorf("answer: %+v", a)
	}
	d.publish(topics.Data("box", "telemetry"), frame("telemetry", 3))
	if a := await(t, d.acks, "ack"); len(a.Positions) != 1 || a.Positions[0].Next != 3 {
		t.Errorf("ack: %+v", a)
	}
	if s := r.receiver.Stats(); s.Hostile < sent || s.Hostile > sent+2 {
		t.Errorf("hostile %d of %d", s.Hostile, sent)
	}
	if n := len(r.store.Rows("box", "telemetry", 7)); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	if l := r.receiver.Devices(); len(l) != 1 {
		t.Errorf("devices: %+v", l)
	}
}

// TestBrokerRestarts: the hub comes back by itself and says so.
func TestBrokerRestarts(t *testing.T) {
	stop, addr := broker(t, "127.0.0.1:0")
	r := newRig(t, addr, mqtt.Options{Spread: 2 * time.Second})
	await(t, r.connected, "connection")
	stop()
	time.Sleep(50 * time.Millisecond)
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("the broker still listens")
	}
	_, _ = broker(t, addr)
	d := r.device("box")
	await(t, r.connected, "second connection")
	if u := await(t, d.ups, "announcement"); u.SpreadSeconds != 2 {
		t.Errorf("announcement: %+v", u)
	}
	d.publish(wire.Topics{}.Data("box", "telemetry"), frame("telemetry", 2))
	await(t, d.acks, "ack")
}

// TestSilence: credit was given and nothing comes: the connection is made anew, later and later while nothing changes.
func TestSilence(t *testing.T) {
	_, addr := broker(t, "127.0.0.1:0")
	const quiet = 200 * time.Millisecond
	r := newRig(t, addr, mqtt.Options{Quiet: quiet})
	await(t, r.connected, "connection")
	select {
	case <-r.quiet:
		t.Fatal("nobody has credit, and the hub misses somebody")
	case <-time.After(500 * time.Millisecond):
	}
	d := r.device("box")
	d.publish(wire.Topics{}.Hello("box"), wire.AppendHello(nil, &wire.Hello{Nonce: 5, Parts: 1}))
	await(t, d.acks, "answer")
	first := await(t, r.quiet, "word of silence")
	await(t, r.connected, "second connection")
	await(t, d.ups, "announcement")
	// The bounds that the adapter keeps; how much later it notices is the machine's affair.
	if second := await(t, r.quiet, "second word of silence"); first <= quiet || second <= 2*quiet {
		t.Errorf("silences of %v and %v", first, second)
	}
}

func TestOptions(t *testing.T) {
	if _, err := mqtt.New(mqtt.Options{}, nil); err == nil {
		t.Error("no broker, no client id, and no error")
	}
	o := mqtt.Options{Client: mqttclient.Options{Broker: "tcp://127.0.0.1:1", ClientID: "hub"}, Topics: wire.Topics{Prefix: "a/+"}}
	if _, err := mqtt.New(o, nil); err == nil {
		t.Error("a prefix with a wildcard, and no error")
	}
}
