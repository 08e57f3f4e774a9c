package mqtt_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMosquitto runs a real broker and returns its URL.
func startMosquitto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !isFile(path) {
			t.Fatal("this test needs the Debian package mosquitto: apt-get install mosquitto")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(file, []byte("user root\nlog_dest none\npersistence false\nallow_anonymous true\nlistener "+port+" 127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return "tcp://" + addr
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("mosquitto does not listen")
	return ""
}

func isFile(p string) bool { _, err := os.Stat(p); return err == nil }

func options(broker string) mqtt.Options {
	return mqtt.Options{Client: mqttclient.Options{Broker: broker}, Device: "box-1", Agent: "0.1", Boot: "b00t", Stats: &mqtt.Stats{}}
}

// far is the hub's side on the broker.
type far struct {
	conn   *mqttclient.Conn
	in     chan wire.Message
	states chan *wire.State
	values chan mqttclient.Message
}

func newFar(t *testing.T, broker string) *far {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: broker, ClientID: "far"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	f := &far{conn: conn, in: make(chan wire.Message, 1000), states: make(chan *wire.State, 100), values: make(chan mqttclient.Message, 10)}
	var topics wire.Topics
	hear := func(m mqttclient.Message) {
		topic, ok := topics.ParseTopic(m.Topic)
		if !ok {
			t.Errorf("message on %s", m.Topic)
			return
		}
		var got wire.Message
		var err error
		switch topic.Channel {
		case wire.ChannelData:
			got, err = wire.ParseFrame(topic.Stream, m.Payload)
		case wire.ChannelHello:
			got, err = wire.ParseHello(m.Payload)
		case wire.ChannelState:
			s, err := wire.ParseState(m.Payload)
			if err != nil {
				t.Error(err)
				return
			}
			f.states <- s
			return
		default:
			f.values <- m
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		f.in <- got
	}
	for _, filter := range []string{topics.DataFilter(), topics.HelloFilter(), topics.StateFilter(), topics.Values("+")} {
		if err := conn.Subscribe(ctx, filter, 0, hear); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *far) publish(t *testing.T, topic string, payload []byte) {
	t.Helper()
	if err := f.conn.Enqueue(t.Context(), topic, 1, false, payload); err != nil {
		t.Error(err)
	}
}

func (f *far) state(t *testing.T) *wire.State {
	t.Helper()
	select {
	case s := <-f.states:
		return s
	case <-time.After(time.Minute):
		t.Fatal("no birth or will")
		return nil
	}
}

func TestLinkOverMosquitto(t *testing.T) {
	broker := startMosquitto(t)
	uplinktest.TestLink(t, func(t *testing.T) (wire.Link, uplinktest.Far) {
		f := newFar(t, broker)
		l, err := mqtt.Dial(t.Context(), options(broker))
		if err != nil {
			t.Fatal(err)
		}
		return l, uplinktest.Far{
			Recv: func(t *testing.T) wire.Message {
				select {
				case m := <-f.in:
					return m
				case <-time.After(time.Minute):
					t.Fatal("nothing came")
					return nil
				}
			},
			Ack: func(t *testing.T, a *wire.Ack) {
				f.publish(t, wire.Topics{}.Answer("box-1"), wire.AppendAck(nil, a))
			},
		}
	})
}

func TestBirthWillValuesAndNonsense(t *testing.T) {
	broker := startMosquitto(t)
	f := newFar(t, broker)
	o := options(broker)
	l, err := mqtt.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s := f.state(t); *s != (wire.State{Online: true, Agent: "0.1", Boot: "b00t"}) {
		t.Errorf("birth %+v", s)
	}
	if err := l.PublishValues(t.Context(), []byte(`{"a":1}`)); err != nil {
		t.Error(err)
	}
	select {
	case m := <-f.values:
		if m.Topic != "edge/v1/box-1/v" || string(m.Payload) != `{"a":1}` {
			t.Errorf("values %+v", m)
		}
	case <-time.After(time.Minute):
		t.Error("no values")
	}
	if err := l.PublishValues(t.Context(), make([]byte, mqtt.MaxValuesBytes+1)); !errors.Is(err, mqtt.ErrTooLarge) {
		t.Errorf("oversize values: %v", err)
	}
	f.publish(t, wire.Topics{}.Answer("box-1"), []byte("nonsense"))
	f.publish(t, wire.Topics{}.Hub(), wire.AppendHubUp(nil, &wire.HubUp{SpreadSeconds: 5}))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if m, err := l.Recv(ctx); err != nil || *m.(*wire.HubUp) != (wire.HubUp{SpreadSeconds: 5}) {
		t.Errorf("received %v, %v", m, err)
	}
	for range 100 {
		if o.Stats.Malformed.Load() == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if o.Stats.Malformed.Load() != 1 {
		t.Error("nonsense was not counted")
	}
	l.Abort()
	if s := f.state(t); s.Online {
		t.Error("the last will says online")
	}
	l, err = mqtt.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s := f.state(t); !s.Online {
		t.Error("the birth says offline")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if s := f.state(t); s.Online {
		t.Error("a closed link leaves the device online")
	}
	if o.Stats.Out.Load() == 0 || o.Stats.In.Load() == 0 {
		t.Error("no bytes counted")
	}
}

func TestOptions(t *testing.T) {
	for _, device := range []string{"", "hub", "enroll", "a/b", "a+"} {
		o := options("tcp://127.0.0.1:1")
		o.Device = device
		if o.Validate() == nil {
			t.Errorf("device %q is taken", device)
		}
	}
}

// The whole of the agent's half over a real broker: every record once, through links that are cut.
func TestLoopOverMosquitto(t *testing.T) {
	broker := startMosquitto(t)
	f := newFar(t, broker)
	hub := uplinktest.NewHub()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		for {
			select {
			case m := <-f.in:
				if a := hub.Handle(m); a != nil {
					f.publish(t, wire.Topics{}.Answer("box-1"), wire.AppendAck(nil, a))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	id := record.Epoch(0)
	live := uplinktest.NewLive(uplinktest.NewLog("telemetry", 1000, func() record.Epoch { id++; return id }))
	links := make(chan *mqtt.Link, 10)
	loop := uplink.NewLoop(uplink.LoopOptions{Sender: uplink.Options{Codec: uplinktest.Codec{}, Random: rand.Uint64}, Sources: []uplink.Source{live},
		Dial: func(ctx context.Context) (wire.Link, error) {
			l, err := mqtt.Dial(ctx, options(broker))
			if err == nil {
				links <- l
			}
			return l, err
		}})
	go func() {
		defer wg.Done()
		if err := loop.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	const total = 20 * 5000
	for i := range 20 {
		nums := make([]int64, 5000)
		for k := range nums {
			nums[k] = int64(i*5000 + k)
		}
		live.Do(func(l *uplinktest.Log) { l.Append(nums...) })
		if i == 7 || i == 12 {
			(<-links).Abort()
		}
		time.Sleep(10 * time.Millisecond)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) && live.Delivered() != total {
		time.Sleep(20 * time.Millisecond)
	}
	accounts := loop.Accounts()
	cancel()
	wg.Wait()
	e := hub.Epoch(1)
	if e == nil || len(e.Rows) != total || e.Twice != 0 || len(accounts) != 1 || !accounts[0].Balanced || accounts[0].Delivered != total {
		t.Fatalf("hub %+v\naccounts %+v", e != nil && len(e.Rows) == total, accounts)
	}
}
