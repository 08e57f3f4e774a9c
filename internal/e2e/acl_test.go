package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// TestACL publishes and subscribes with device certificates on a Mosquitto with the shipped ACL: what belongs to
// another device, or to the hub, does not get through.
func TestACL(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1", "box-2")
	dial := func(name string) *mqttclient.Conn {
		t.Helper()
		c, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: fmt.Sprintf("ssl://127.0.0.1:%d", b.port), ClientID: name + "-acl",
			TLS: mqttclient.TLS{CAFile: filepath.Join(b.certs, "ca.crt"), CertFile: filepath.Join(b.certs, name+".crt"), KeyFile: filepath.Join(b.certs, name+".key")}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	got := make(chan string, 64)
	listen := func(c *mqttclient.Conn, who string, filters ...string) {
		t.Helper()
		for _, f := range filters {
			// A refused subscription is an answer too: then nothing comes.
			_ = c.Subscribe(t.Context(), f, 1, func(m mqttclient.Message) { got <- who + " heard " + m.Topic })
		}
	}
	hub, box1, box2 := dial("hub"), dial("box-1"), dial("box-2")
	listen(hub, "hub", "edge/v1/+/d/+", "edge/v1/+/h", "edge/v1/+/s", "edge/v1/+/v")
	listen(box1, "box-1", "edge/v1/box-1/a", "edge/v1/hub")
	listen(box2, "box-2", "edge/v1/box-1/a", "edge/v1/box-2/a", "edge/v1/+/d/+", "edge/v1/+/a", "edge/v1/+/h", "edge/v1/box-1/v", "edge/v1/box-1/#")

	for _, c := range []struct {
		who   string
		conn  *mqttclient.Conn
		topic string
		want  string // "" if nobody may hear it
	}{
		{"box-1", box1, "edge/v1/box-1/d/telemetry", "hub heard edge/v1/box-1/d/telemetry"},
		{"box-1", box1, "edge/v1/box-1/h", "hub heard edge/v1/box-1/h"},
		{"box-1", box1, "edge/v1/box-1/s", "hub heard edge/v1/box-1/s"},
		{"box-1", box1, "edge/v1/box-1/v", "hub heard edge/v1/box-1/v"},
		{"hub", hub, "edge/v1/box-1/a", "box-1 heard edge/v1/box-1/a"},
		{"hub", hub, "edge/v1/hub", "box-1 heard edge/v1/hub"},
		{"box-2", box2, "edge/v1/box-1/d/telemetry", ""}, // under another device's name
		{"box-2", box2, "edge/v1/box-1/h", ""},
		{"box-2", box2, "edge/v1/box-1/s", ""},
		{"box-2", box2, "edge/v1/box-1/a", ""}, // in the hub's place
		{"box-1", box1, "edge/v1/box-1/a", ""}, // on its own answer topic
		{"box-1", box1, "edge/v1/hub", ""},
		{"box-1", box1, "edge/v1/hub/d/telemetry", ""},
		{"box-1", box1, "edge/v1/box-1/d/a/b", ""},
		{"hub", hub, "edge/v1/box-1/d/telemetry", ""}, // a hub does not send data
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		// Mosquitto 2.0 answers a refused publish with a PUBACK all the same: only who hears it tells.
		err := c.conn.Publish(ctx, c.topic, 1, false, []byte("x"))
		cancel()
		if err != nil {
			t.Fatalf("%s to %s: %v", c.who, c.topic, err)
		}
		heard := ""
		wait := patience
		if c.want == "" {
			wait = 300 * time.Millisecond
		}
		select {
		case heard = <-got:
		case <-time.After(wait):
		}
		if heard != c.want {
			t.Errorf("%s publishes to %s: %q, want %q", c.who, c.topic, heard, c.want)
		}
	}
	// A certificate of another CA, or none, does not connect at all.
	other := t.TempDir()
	run(t, "../../deploy/ca.sh", other, "box-1")
	for what, tls := range map[string]mqttclient.TLS{
		"no certificate":              {CAFile: filepath.Join(b.certs, "ca.crt")},
		"a certificate of another CA": {CAFile: filepath.Join(b.certs, "ca.crt"), CertFile: filepath.Join(other, "box-1.crt"), KeyFile: filepath.Join(other, "box-1.key")},
		"a broker with an unknown CA": {CAFile: filepath.Join(other, "ca.crt"), CertFile: filepath.Join(b.certs, "box-1.crt"), KeyFile: filepath.Join(b.certs, "box-1.key")},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, err := mqttclient.Dial(ctx, mqttclient.Options{Broker: fmt.Sprintf("ssl://127.0.0.1:%d", b.port), ClientID: "x", TLS: tls})
		cancel()
		if err == nil {
			c.Close()
			t.Errorf("%s: connected", what)
		}
	}
}
