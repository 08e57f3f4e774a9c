package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// sign makes a certificate of the broker's authority with any common name, beside the others.
func (b *broker) sign(t *testing.T, file, name string) {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(b.certs, "ca.crt"), filepath.Join(b.certs, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := x509.ParseCertificate(ca.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		suffix, kind string
		body         []byte
	}{{".crt", "CERTIFICATE", der}, {".key", "PRIVATE KEY", k}} {
		if err := os.WriteFile(filepath.Join(b.certs, file+x.suffix), pem.EncodeToMemory(&pem.Block{Type: x.kind, Bytes: x.body}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHostileNames: on a Mosquitto with the shipped configuration neither a name that is a wildcard, nor a last will, nor a filter of
// any form, gives a device what is another one's.
func TestHostileNames(t *testing.T) {
	b := newBroker(t, t.TempDir(), "box-1", "box-2")
	names := map[string]string{"plus": "+", "hash": "#", "slash": "box-1/d", "empty": "", "up": "..", "percent": "%u"}
	for file, name := range names {
		b.sign(t, file, name)
	}
	options := func(file string) mqttclient.Options {
		return mqttclient.Options{Broker: fmt.Sprintf("ssl://127.0.0.1:%d", b.port), ClientID: "hostile-" + file, TLS: mqttclient.TLS{CAFile: filepath.Join(b.certs, "ca.crt"),
			CertFile: filepath.Join(b.certs, file+".crt"), KeyFile: filepath.Join(b.certs, file+".key")}}
	}
	dial := func(o mqttclient.Options) *mqttclient.Conn {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, err := mqttclient.Dial(ctx, o)
		if err != nil {
			return nil
		}
		t.Cleanup(c.Abort)
		return c
	}
	got := make(chan string, 256)
	listen := func(c *mqttclient.Conn, who, filter string) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		// A refused subscription is an answer too: then nothing comes.
		_ = c.Subscribe(ctx, filter, 0, func(m mqttclient.Message) { got <- who + " heard " + m.Topic })
	}
	hub, box1 := dial(options("hub")), dial(options("box-1"))
	if hub == nil || box1 == nil {
		t.Fatal("hub and box do not connect")
	}
	for _, f := range []string{"edge/v1/+/d/+", "edge/v1/+/h", "edge/v1/+/s"} {
		listen(hub, "hub", f)
	}
	listen(box1, "box-1", "edge/v1/box-1/a")
	publish := func(c *mqttclient.Conn, topic string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_ = c.Publish(ctx, topic, 1, true, []byte("x")) // it may be thrown out for it
	}
	for _, file := range []string{"plus", "hash", "slash", "empty", "up", "percent", "box-2"} {
		c := dial(options(file))
		if c == nil {
			continue
		}
		for _, f := range []string{"#", "+/+/+/+", "edge/v1/#", "edge/v1/+/a", "edge/v1/box-1/a", "edge/v1/box-1/#", "edge/v1/+/d/+", "$SYS/#", "$SYS/broker/uptime"} {
			listen(c, file, f)
		}
		for _, topic := range []string{"edge/v1/box-1/d/telemetry", "edge/v1/box-1/h", "edge/v1/box-1/s", "edge/v1/box-1/a", "edge/v1/hub", "$SYS/broker/x"} {
			publish(c, topic)
		}
		o := options(file)
		o.ClientID = "hostile-will"
		for _, topic := range []string{"edge/v1/box-1/s", "edge/v1/box-1/d/telemetry", "edge/v1/box-1/a", "edge/v1/box-1/h"} {
			o.Will = &mqttclient.Will{Topic: topic, QoS: 1, Payload: []byte("will"), Retain: true}
			if w := dial(o); w != nil {
				w.Abort()
			}
		}
	}
	// The hub's own word comes last; whatever was let through comes before it.
	publish(hub, "edge/v1/box-1/a")
	var heard []string
	for end := time.After(patience); ; {
		var h string
		select {
		case h = <-got:
		case <-end:
			t.Fatal("the box hears its hub no more")
		}
		if h == "box-1 heard edge/v1/box-1/a" {
			break
		}
		heard = append(heard, h)
	}
	time.Sleep(300 * time.Millisecond)
	for len(got) > 0 {
		heard = append(heard, <-got)
	}
	if slices.Sort(heard); len(heard) > 0 {
		t.Errorf("got through: %v", slices.Compact(heard))
	}
}
