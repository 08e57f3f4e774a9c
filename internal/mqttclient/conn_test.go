package mqttclient_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, o mqttclient.Options) *mqttclient.Conn {
	t.Helper()
	c, err := mqttclient.Dial(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func recv(t *testing.T, ch <-chan mqttclient.Message) mqttclient.Message {
	t.Helper()
	select {
	case m := <-ch:
		return m
	case <-time.After(time.Minute):
		t.Fatal("no message")
		return mqttclient.Message{}
	}
}

// conversation is what every broker must carry.
func conversation(t *testing.T, a, b mqttclient.Options) {
	ctx := testContext(t)
	got := make(chan mqttclient.Message, 1000)
	hear := dial(t, a)
	if err := hear.Subscribe(ctx, "x/+", 1, func(m mqttclient.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	b.Will = &mqttclient.Will{Topic: "x/will", Payload: []byte("gone"), QoS: 1, Retain: true}
	say := dial(t, b)
	if err := say.Publish(ctx, "x/1", 1, false, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if m := recv(t, got); m.Topic != "x/1" || string(m.Payload) != "one" || m.Retained {
		t.Fatalf("got %+v", m)
	}
	if err := say.Publish(ctx, "x/0", 0, true, []byte("zero")); err != nil {
		t.Fatal(err)
	}
	recv(t, got)
	big := bytes.Repeat([]byte("b"), 64<<10)
	for i := range 600 { // more than may be unacknowledged
		p := []byte(fmt.Sprint(i))
		if i%100 == 0 {
			p = append(p, big...)
		}
		if err := say.Enqueue(ctx, "x/many", 1, false, p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 600 {
		if m := recv(t, got); !strings.HasPrefix(string(m.Payload), fmt.Sprint(i)) {
			t.Fatalf("message %d is %.10q", i, m.Payload)
		}
	}
	in, _ := hear.Bytes()
	if _, out := say.Bytes(); out < 6*64<<10 || in < 6*64<<10 {
		t.Errorf("counted %d out, %d in", out, in)
	}
	say.Abort()
	<-say.Done()
	if m := recv(t, got); m.Topic != "x/will" || string(m.Payload) != "gone" {
		t.Fatalf("got %+v in place of the will", m)
	}
	if err := say.Publish(ctx, "x/1", 1, false, nil); !errors.Is(err, mqttclient.ErrClosed) && !errors.Is(err, mqttclient.ErrLost) {
		t.Errorf("publish on an ended connection: %v", err)
	}
	late := make(chan mqttclient.Message, 10)
	if err := hear.Subscribe(ctx, "x/0", 0, func(m mqttclient.Message) { late <- m }); err != nil {
		t.Fatal(err)
	}
	if m := recv(t, late); !m.Retained {
		t.Errorf("got %+v, want the retained message", m)
	}
}

func TestConversationMochi(t *testing.T) {
	addr := startMochi(t)
	conversation(t, mqttclient.Options{Broker: "tcp://" + addr, ClientID: "a"}, mqttclient.Options{Broker: "mqtt://" + addr, ClientID: "b"})
}

func TestConversationMosquitto(t *testing.T) {
	addr := startMosquitto(t, "allow_anonymous true")
	conversation(t, mqttclient.Options{Broker: "tcp://" + addr, ClientID: "a"}, mqttclient.Options{Broker: "tcp://" + addr, ClientID: "b"})
}

func TestMosquittoOverUnixSocket(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "m.sock")
	startMosquitto(t, "allow_anonymous true", "listener 0 "+sock, "allow_anonymous true")
	dial(t, mqttclient.Options{Broker: "unix://" + sock, ClientID: "u"})
}

func TestMosquittoTLSWithClientCertificate(t *testing.T) {
	// The certificates are valid years before the test runs: only the given time makes them so.
	then := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, at := range []time.Time{time.Now().Add(-time.Hour), then} {
		dir := pki(t, at.Add(-time.Hour))
		serverDir := dir
		addr := startMosquitto(t, "allow_anonymous true", "certfile "+filepath.Join(serverDir, "server.crt"), "keyfile "+filepath.Join(serverDir, "server.key"))
		o := mqttclient.Options{Broker: "mqtts://" + addr, ClientID: "a", Now: func() time.Time { return at },
			TLS: mqttclient.TLS{CAFile: filepath.Join(dir, "ca.crt")}}
		b := o
		b.ClientID = "b"
		conversation(t, o, b)
	}
	dir := pki(t, time.Now().Add(-time.Hour))
	addr := startMosquitto(t, "allow_anonymous true", "require_certificate true", "cafile "+filepath.Join(dir, "ca.crt"),
		"certfile "+filepath.Join(dir, "server.crt"), "keyfile "+filepath.Join(dir, "server.key"))
	o := mqttclient.Options{Broker: "ssl://" + addr, ClientID: "a", ConnectTimeout: time.Minute, TLS: mqttclient.TLS{CAFile: filepath.Join(dir, "ca.crt")}}
	if c, err := mqttclient.Dial(testContext(t), o); err == nil {
		c.Close()
		t.Error("connected without a client certificate")
	}
	o.TLS.CertFile, o.TLS.KeyFile = filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	dial(t, o)
	o.TLS.CAFile = filepath.Join(pki(t, time.Now()), "ca.crt")
	if c, err := mqttclient.Dial(testContext(t), o); err == nil {
		c.Close()
		t.Error("trusted a server of another CA")
	}
}

func TestRefused(t *testing.T) {
	addr := startMosquitto(t, "allow_anonymous false")
	_, err := mqttclient.Dial(testContext(t), mqttclient.Options{Broker: "tcp://" + addr, ClientID: "a"})
	if !errors.Is(err, mqttclient.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestSubscribeRefused(t *testing.T) {
	addr := fakeBroker(t, []byte("\x90\x03\x00\x01\x80"))
	c := dial(t, mqttclient.Options{Broker: "tcp://" + addr, ClientID: "a"})
	if err := c.Subscribe(testContext(t), "no", 0, func(mqttclient.Message) {}); err == nil {
		t.Error("a refused subscription counts as one")
	}
}

func TestPacketGuard(t *testing.T) {
	publish := func(n int) []byte { // a fixed header that claims n bytes
		b := []byte{0x30}
		for {
			if n < 128 {
				return append(b, byte(n))
			}
			b, n = append(b, byte(n)|0x80), n>>7
		}
	}
	for _, raw := range [][]byte{publish(256<<10 + 1), publish(256 << 20), {0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		c := dial(t, mqttclient.Options{Broker: "tcp://" + fakeBroker(t, raw), ClientID: "a"})
		select {
		case <-c.Done():
		case <-time.After(time.Minute):
			t.Fatal("the connection stands")
		}
		if !errors.Is(c.Err(), mqttclient.ErrPacketTooLarge) {
			t.Errorf("%x: %v", raw, c.Err())
		}
	}
}

func TestDialEndsWithContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	_, err = mqttclient.Dial(t.Context(), mqttclient.Options{Broker: "tcp://" + l.Addr().String(), ClientID: "a", ConnectTimeout: 300 * time.Millisecond})
	if err == nil || time.Since(start) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

// A broker that takes the connection and then nothing more must not hang the publisher for ever.
func TestPublishToASilentBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			buf := make([]byte, 1024)
			c.Read(buf)
			c.Write([]byte("\x20\x02\x00\x00"))
			conns <- c
		}
	}()
	c := dial(t, mqttclient.Options{Broker: "tcp://" + l.Addr().String(), ClientID: "a", WriteTimeout: 300 * time.Millisecond})
	broker := <-conns
	defer broker.Close()
	start := time.Now()
	for i := 0; ; i++ {
		if err := c.Enqueue(testContext(t), "x", 1, false, make([]byte, 200<<10)); err != nil {
			break
		}
	}
	<-c.Done()
	start2 := time.Now()
	c.Close()
	if time.Since(start) > time.Minute || time.Since(start2) > 30*time.Second {
		t.Errorf("took %v, close %v", time.Since(start), time.Since(start2))
	}
}

func TestOptions(t *testing.T) {
	good := mqttclient.Options{Broker: "tcp://h", ClientID: "a"}
	for name, change := range map[string]func(*mqttclient.Options){
		"scheme":    func(o *mqttclient.Options) { o.Broker = "http://h" },
		"no host":   func(o *mqttclient.Options) { o.Broker = "tcp://" },
		"user":      func(o *mqttclient.Options) { o.Broker = "tcp://u:p@h" },
		"no path":   func(o *mqttclient.Options) { o.Broker = "unix://" },
		"client id": func(o *mqttclient.Options) { o.ClientID = "" },
		"password":  func(o *mqttclient.Options) { o.PasswordFile = "f" },
		"key":       func(o *mqttclient.Options) { o.TLS.CertFile = "f" },
		"keepalive": func(o *mqttclient.Options) { o.KeepAlive = time.Millisecond },
		"window":    func(o *mqttclient.Options) { o.MaxUnacked = 100000 },
	} {
		o := good
		change(&o)
		if err := o.Validate(); !errors.Is(err, mqttclient.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good.Broker, good.TLS.CAFile = "mqtts://127.0.0.1:1", file
	if _, err := mqttclient.Dial(t.Context(), good); !errors.Is(err, mqttclient.ErrOptions) {
		t.Errorf("empty CA file: %v", err)
	}
}
