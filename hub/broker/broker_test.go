package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/broker"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pki writes a CA, the broker's certificate and one for each name.
func pki(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, kind string, der []byte) {
		b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	for i, name := range append([]string{"ca", "server"}, names...) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
			IsCA: i == 0, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
		if i == 0 {
			ca, caKey = c, key
			c.KeyUsage = x509.KeyUsageCertSign
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		priv, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		put(name+".crt", "CERTIFICATE", der)
		put(name+".key", "EC PRIVATE KEY", priv)
	}
	return dir
}

func start(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

func dial(t *testing.T, o mqttclient.Options) *mqttclient.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := mqttclient.Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	return c
}

func TestEachDeviceHasItsOwnTopics(t *testing.T) {
	dir := pki(t, "box-1", "box-2", "hub")
	sock := filepath.Join(t.TempDir(), "b.sock")
	b := start(t, broker.Options{HubSocket: sock, TLS: &broker.TLS{Listen: "127.0.0.1:0",
		CertFile: dir + "/server.crt", KeyFile: dir + "/server.key", ClientCAFile: dir + "/ca.crt"}})
	var tp wire.Topics
	device := func(name string) mqttclient.Options {
		return mqttclient.Options{Broker: "mqtts://" + b.TLSAddr(), ClientID: name,
			TLS: mqttclient.TLS{CAFile: dir + "/ca.crt", CertFile: dir + "/" + name + ".crt", KeyFile: dir + "/" + name + ".key"}}
	}
	got := make(chan string, 100)
	hub := dial(t, mqttclient.Options{Broker: b.HubURL(), ClientID: "hub"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, f := range []string{tp.DataFilter(), tp.HelloFilter(), tp.StateFilter(), tp.Answer("+"), tp.Hub()} {
		if err := hub.Subscribe(ctx, f, 0, func(m mqttclient.Message) { got <- m.Topic }); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{tp.Data("box-2", "telemetry"), tp.Answer("box-1"), tp.Hello("box-2"), tp.Hub(), "other"} {
		// Each is refused, silently or by ending the connection.
		c := dial(t, device("box-1"))
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_ = c.Publish(short, topic, 1, false, []byte("x"))
		cancel()
		c.Abort()
	}
	for _, filter := range []string{tp.Answer("box-2"), "edge/v1/+/a", "#", tp.Data("box-1", "telemetry")} {
		c := dial(t, device("box-1"))
		if err := c.Subscribe(ctx, filter, 0, func(mqttclient.Message) {}); err == nil {
			t.Errorf("box-1 may read %s", filter)
		}
		c.Abort()
	}
	c := dial(t, device("box-1"))
	answers := make(chan string, 10)
	for _, f := range []string{tp.Answer("box-1"), tp.Hub()} {
		if err := c.Subscribe(ctx, f, 1, func(m mqttclient.Message) { answers <- m.Topic }); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{tp.Data("box-1", "telemetry"), tp.Hello("box-1"), tp.State("box-1")} {
		if err := c.Publish(ctx, topic, 1, false, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if first := <-got; first != topic {
			t.Fatalf("the hub got %s, want %s: a refused one came through", first, topic)
		}
	}
	if err := hub.Publish(ctx, tp.Answer("box-1"), 1, false, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a != tp.Answer("box-1") {
		t.Fatal(a)
	}
	o := device("box-1")
	o.Will = &mqttclient.Will{Topic: tp.State("box-2"), QoS: 1, Payload: []byte("x")}
	if c, err := mqttclient.Dial(ctx, o); err == nil {
		c.Abort()
		t.Error("a will on another device's topic was admitted")
	}
	o = device("box-1")
	o.TLS.CertFile, o.TLS.KeyFile = "", ""
	if c, err := mqttclient.Dial(ctx, o); err == nil {
		c.Abort()
		t.Error("a client without a certificate was admitted")
	}
}

// TestHostileClients: a device with a right certificate can neither end the connection of others by their client ids, nor have
// the broker keep what it sends without bound.
func TestHostileClients(t *testing.T) {
	dir := pki(t, "box-1", "box-2")
	b := start(t, broker.Options{HubSocket: filepath.Join(t.TempDir(), "b.sock"), TLS: &broker.TLS{Listen: "127.0.0.1:0",
		CertFile: dir + "/server.crt", KeyFile: dir + "/server.key", ClientCAFile: dir + "/ca.crt"}})
	var tp wire.Topics
	device := func(name, id string) mqttclient.Options {
		return mqttclient.Options{Broker: "mqtts://" + b.TLSAddr(), ClientID: id,
			TLS: mqttclient.TLS{CAFile: dir + "/ca.crt", CertFile: dir + "/" + name + ".crt", KeyFile: dir + "/" + name + ".key"}}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	hub, box := dial(t, mqttclient.Options{Broker: b.HubURL(), ClientID: "edge-hub"}), dial(t, device("box-2", "box-2"))
	for _, id := range []string{"box-2", "edge-hub", "hub/edge-hub"} {
		hostile := dial(t, device("box-1", id))
		if err := hostile.Publish(ctx, tp.State("box-1"), 1, true, []byte("x")); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]*mqttclient.Conn{tp.Answer("box-1"): hub, tp.State("box-2"): box} {
			if err := c.Publish(ctx, name, 1, false, []byte("x")); err != nil {
				t.Errorf("who publishes %s was thrown out by the client id %s: %v", name, id, err)
			}
		}
		hostile.Abort()
	}
	o := device("box-1", "box-1")
	o.Will = &mqttclient.Will{Topic: tp.Data("box-1", "will"), QoS: 1, Payload: []byte("x"), Retain: true}
	hostile := dial(t, o)
	if err := hub.Subscribe(ctx, tp.DataFilter(), 0, func(mqttclient.Message) {}); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{tp.Data("box-1", "a"), tp.Data("box-1", "b"), tp.Hello("box-1"), tp.State("box-1"), tp.Values("box-1")} {
		if err := hostile.Publish(ctx, topic, 1, true, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	gone := make(chan string, 10)
	watcher := dial(t, mqttclient.Options{Broker: b.HubURL(), ClientID: "watcher"})
	if err := watcher.Subscribe(ctx, tp.Data("box-1", "will"), 0, func(m mqttclient.Message) { gone <- m.Topic }); err != nil {
		t.Fatal(err)
	}
	hostile.Abort()
	<-gone // its will
	kept := make(chan mqttclient.Message, 10)
	late := dial(t, mqttclient.Options{Broker: b.HubURL(), ClientID: "late"})
	for _, f := range []string{tp.DataFilter(), tp.HelloFilter(), tp.StateFilter(), "edge/v1/+/v"} {
		if err := late.Subscribe(ctx, f, 0, func(m mqttclient.Message) { kept <- m }); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{tp.State("box-1"), tp.Values("box-1")}
	var got []string
	next := func() string {
		select {
		case m := <-kept:
			return m.Topic
		case <-ctx.Done():
			t.Fatalf("the broker keeps %v, want %v", got, want)
			return ""
		}
	}
	for len(got) < len(want) { // what is retained comes after the SUBACK
		got = append(got, next())
	}
	end := tp.Data("box-9", "end")
	if err := hub.Publish(ctx, end, 1, false, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for topic := next(); topic != end; topic = next() {
		got = append(got, topic)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the broker keeps %v, want %v", got, want)
	}
}

func TestWithoutTLSOnlyOnLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:1883", "nonsense"} {
		if _, err := broker.New(broker.Options{Listen: listen}); !errors.Is(err, broker.ErrOptions) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	b := start(t, broker.Options{Listen: "127.0.0.1:0"})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := dial(t, mqttclient.Options{Broker: "tcp://" + b.Addr(), ClientID: "any"})
	var tp wire.Topics
	if err := c.Subscribe(ctx, tp.DataFilter(), 0, func(mqttclient.Message) {}); err != nil {
		t.Error(err)
	}
}

func TestASlowHubBoundsTheQueue(t *testing.T) {
	b := start(t, broker.Options{Listen: "127.0.0.1:0", QueueBytes: 1000})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var tp wire.Topics
	got := make(chan int, 100)
	hub := dial(t, mqttclient.Options{Broker: "tcp://" + b.Addr(), ClientID: "hub"})
	if err := hub.Subscribe(ctx, tp.DataFilter(), 0, func(m mqttclient.Message) { got <- len(m.Payload) }); err != nil {
		t.Fatal(err)
	}
	c := dial(t, mqttclient.Options{Broker: "tcp://" + b.Addr(), ClientID: "box-1"})
	for _, size := range []int{1001, 900, 2000, 1000, 10} {
		if err := c.Publish(ctx, tp.Data("box-1", "telemetry"), 1, false, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if size > 1000 {
			continue
		}
		if n := <-got; n != size {
			t.Fatalf("got %d bytes, want %d: what is over the bound came through", n, size)
		}
		time.Sleep(20 * time.Millisecond) // the server counts a packet as sent after the hub has it
	}
}

// TestCloseWhileClientsLeave: Run ends although clients leave at the same moment, and one that never said a word stays.
func TestCloseWhileClientsLeave(t *testing.T) {
	for round := range 30 {
		b, err := broker.New(broker.Options{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		mute, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		clients := make([]*mqttclient.Conn, 8)
		for i := range clients {
			clients[i] = dial(t, mqttclient.Options{Broker: "tcp://" + b.Addr(), ClientID: fmt.Sprintf("box-%d", i)})
		}
		go cancel()
		for _, c := range clients {
			c.Abort()
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("round %d: the broker does not end", round)
		}
		mute.Close()
	}
}
