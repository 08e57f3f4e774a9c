package e2e_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/enrol"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TestEnrolment: a new box gets its certificate with the claim certificate and a one-time code, through a real Mosquitto
// with the shipped access list; it delivers with it; a box whose certificate nears its end gets the next one while it
// delivers. The claim certificate opens nothing else.
func TestEnrolment(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-0")
	file := filepath.Join(dir, "hub.yaml")
	text := fmt.Sprintf("store:\n  sqlite: %[2]s/hub.db\nrun_dir: %[2]s/hub-run\nbroker:\n  url: ssl://127.0.0.1:%[1]d\n  ca_file: %[3]s/ca.crt\n  cert_file: %[3]s/hub.crt\n  key_file: %[3]s/hub.key\n"+
		"enrol:\n  ca_cert: %[3]s/ca.crt\n  ca_key: %[3]s/ca.key\n  state: %[2]s/enrol\n", b.port, dir, b.certs)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	hub := programs.New(t, dir, filepath.Join(bin, "edge-hub"), "run", "--config", file)
	hub.Start()
	edgeHub := func(args ...string) (string, int) {
		return tryRun(t, filepath.Join(bin, "edge-hub"), append(args, "--config", file)...)
	}
	out, code := edgeHub("enrol", "add", "box-17", "--json")
	var added struct{ Code string }
	if err := json.Unmarshal([]byte(out), &added); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	broker := fmt.Sprintf("ssl://127.0.0.1:%d", b.port)
	data := filepath.Join(dir, "box-17", "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	enrolBox := func(code string) (string, int) {
		return tryRun(t, filepath.Join(bin, "edge-agent"), "enrol", code, "--config", filepath.Join(dir, "none.yaml"), "--device", "box-17",
			"--broker", broker, "--ca", b.certs+"/ca.crt", "--claim-cert", b.certs+"/claim.crt", "--claim-key", b.certs+"/claim.key", "--dir", filepath.Join(data, "identity"))
	}
	if out, code := enrolBox("0000-0000-0000"); code != 5 || !strings.Contains(out, "refused") {
		t.Fatalf("a wrong code: exit %d: %s", code, out)
	}
	// The hub may still be connecting: then the request is lost and nothing has been used up.
	waitFor(t, 60*time.Second, "box-17 is enrolled", func() bool {
		out, code = enrolBox(added.Code)
		return code == 0
	})
	if !strings.Contains(out, "cert_file: "+filepath.Join(data, "identity/current/cert.pem")) {
		t.Errorf("it does not say what to configure:\n%s", out)
	}
	for _, name := range []string{"cert.pem", "key.pem", "ca.pem"} {
		if info, err := os.Stat(filepath.Join(data, "identity/current", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	uplink := func(data string) string {
		return fmt.Sprintf("uplink:\n  mqtt:\n    broker: %s\n    ca_file: %[2]s/ca.pem\n    cert_file: %[2]s/cert.pem\n    key_file: %[2]s/key.pem\n", broker, filepath.Join(data, "identity/current"))
	}
	signer := commandKey(t, dir, data)
	box := newBox(t, dir, b, boxOptions{device: "box-17", data: data, sources: hostSource, whole: uplink(data),
		extra: fmt.Sprintf("update:\n  trust: %[1]s/root.json\n  product: %[1]s/product\n  releases: %[1]s/edge\n  updater: %[1]s/updater\n", dir)})
	box.up()
	waitFor(t, 60*time.Second, "box-17 delivers with its certificate", isOnline(box))

	// Commands: signed by the fleet's role, answered once, refused when repeated or signed by another.
	waitFor(t, 90*time.Second, "the box carries out a signed command", func() bool {
		out, code := edgeHub("command", "box-17", "hold", "--why", "shift", "--key", filepath.Join(dir, "commands.key"), "--life", "20s")
		return code == 0 && strings.Contains(out, "done")
	})
	if out, code := edgeHub("command", "box-17", "diag", "--key", filepath.Join(dir, "commands.key"), "--json"); code != 0 || !strings.Contains(out, `"device": "box-17"`) {
		t.Errorf("diag: exit %d: %.300s", code, out)
	}
	if out, code := edgeHub("command", "box-17", "logs", "--key", filepath.Join(dir, "commands.key")); code != 0 || !strings.Contains(out, "msg=command op=hold") {
		t.Errorf("logs: exit %d: %.300s", code, out)
	}
	if out, code := edgeHub("command", "box-17", "restart", "--key", filepath.Join(dir, "root.key"), "--life", "10s"); code != 4 {
		t.Errorf("signed by another key: exit %d: %s", code, out)
	}
	replay(t, b, signer)
	if out, code := tryRun(t, filepath.Join(bin, "edgectl"), "update", "events", "--dir", data); code != 0 || strings.Count(out, "command hold") != 1 || !strings.Contains(out, "order hold") ||
		!strings.Contains(out, "command refused") {
		t.Errorf("exit %d:\n%s", code, out)
	}

	old := filepath.Join(dir, "box-18", "data")
	serial := ageing(t, b.certs, old, "box-18")
	aged := newBox(t, dir, b, boxOptions{device: "box-18", data: old, sources: hostSource, whole: uplink(old)})
	aged.up()
	waitFor(t, 120*time.Second, "box-18 has a new certificate, and the broker has taken it", func() bool {
		id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(old, "identity")}
		c, err := id.Load()
		return err == nil && c.Leaf.SerialNumber.Cmp(serial) != 0 && !id.Unproven()
	})
	waitFor(t, 60*time.Second, "box-18 delivers with it", isOnline(aged))

	// 34: what else the claim certificate tries is heard by nobody.
	heard := make(chan string, 256)
	listener, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: broker, ClientID: "listener", TLS: certificate(b, "hub")})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, f := range []string{"edge/v1/+/h", "edge/v1/+/s", "edge/v1/+/cert/req", "edge/v1/enroll/req/+"} {
		if err := listener.Subscribe(t.Context(), f, 1, func(m mqttclient.Message) { heard <- string(m.Payload[:min(len(m.Payload), 1)]) + " " + m.Topic }); err != nil {
			t.Fatal(err)
		}
	}
	for len(heard) > 0 { // retained states
		<-heard
	}
	claim, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: broker, ClientID: "claim", TLS: certificate(b, "claim")})
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Close()
	const allowed = "edge/v1/enroll/req/00112233445566778899aabbccddeeff"
	for _, topic := range []string{"edge/v1/box-17/h", "edge/v1/enroll/h", "edge/v1/enroll/s", "edge/v1/box-17/cert/req", "edge/v1/enroll/cert/req", allowed} {
		if err := claim.Publish(t.Context(), topic, 1, false, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, 60*time.Second, "the last message of the claim is heard", func() bool {
		for {
			select {
			case topic := <-heard:
				if topic == "x "+allowed {
					return true
				}
				// Mosquitto's patterns hold for every client, so it can speak under its own name, which no device has and the
				// hub drops; under that of a device it cannot. box-17 itself says hello now and then, but not with an x.
				if strings.HasPrefix(topic, "x ") && !strings.HasPrefix(topic, "x edge/v1/enroll/") {
					t.Errorf("the claim certificate was heard on %s", topic)
				}
			default:
				return false
			}
		}
	})
	if out, _ := edgeHub("status", "--json"); strings.Contains(out, `"enroll"`) || !strings.Contains(out, "box-17") {
		t.Errorf("the hub knows the claim as a device:\n%.500s", out)
	}
	if out, code := edgeHub("enrol", "audit"); code != 0 || !strings.Contains(out, "enrolled") || !strings.Contains(out, "renewed") || !strings.Contains(out, "wrong code") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := edgeHub("enrol", "list"); code != 0 || !strings.Contains(out, "enrolled") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func isOnline(x *box) func() bool {
	return func() bool {
		s, err := x.status()
		return err == nil && s.Uplink.State == api.UplinkOnline
	}
}

func certificate(b *broker, name string) mqttclient.TLS {
	return mqttclient.TLS{CAFile: filepath.Join(b.certs, "ca.crt"), CertFile: filepath.Join(b.certs, name+".crt"), KeyFile: filepath.Join(b.certs, name+".key")}
}

// ageing gives a box an identity of which nine tenths of the life are over.
func ageing(t *testing.T, certs, data, device string) *big.Int {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(certs, "ca.crt"), filepath.Join(certs, "ca.key"))
	must(err)
	ca, err := x509.ParseCertificate(pair.Certificate[0])
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: device}, NotBefore: time.Now().Add(-90 * time.Hour),
		NotAfter: time.Now().Add(10 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, pair.PrivateKey.(crypto.Signer))
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	caPEM, err := os.ReadFile(filepath.Join(certs, "ca.crt"))
	must(err)
	must(os.MkdirAll(data, 0o755))
	id := enrol.Identity{FS: vfs.OS{}, Dir: filepath.Join(data, "identity")}
	must(id.Install(&enrol.Issued{Cert: append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), caPEM...),
		Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), CA: caPEM}))
	return c.SerialNumber
}

// commandKey makes a fleet whose metadata a box has, with a role for commands, and returns its key.
func commandKey(t *testing.T, dir, data string) repo.Key {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := func(name string) (repo.Key, repo.Holders) {
		k, err := repo.NewKey()
		must(err)
		must(k.Save(filepath.Join(dir, name)))
		p, err := k.Public()
		must(err)
		return k, repo.Holders{Keys: []*metadata.Key{p}, Threshold: 1}
	}
	r := repo.At(filepath.Join(dir, "fleet"))
	rootKey, root := key("root")
	signer, commands := key("commands")
	file, err := r.Root(map[string]repo.Holders{"root": root, "targets": root, "snapshot": root, "timestamp": root}, time.Now())
	must(err)
	must(repo.Sign(file, rootKey))
	file, err = r.Targets([]repo.Delegation{{Name: fleetwire.CommandRole, Paths: []string{"commands/*"}, Holders: commands}}, time.Now())
	must(err)
	must(repo.Sign(file, rootKey))
	must(r.Publish(rootKey, rootKey, time.Now()))
	factory, err := r.FactoryRoot()
	must(err)
	must(os.WriteFile(filepath.Join(dir, "root.json"), factory, 0o644))
	s, err := trust.Open(vfs.OS{}, filepath.Join(data, "update", "trust"), factory)
	must(err)
	bundle, err := r.Bundle(s.Have())
	must(err)
	_, err = s.Ingest(bundle, time.Now())
	must(err)
	return signer
}

// replay sends one command twice, and once retained: it is answered once.
func replay(t *testing.T, b *broker, key repo.Key) {
	t.Helper()
	c, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: fmt.Sprintf("ssl://127.0.0.1:%d", b.port), ClientID: "replay", TLS: certificate(b, "hub")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	results := make(chan string, 8)
	if err := c.Subscribe(t.Context(), "edge/v1/box-17/cmd/res/+", 1, func(m mqttclient.Message) { results <- m.Topic }); err != nil {
		t.Fatal(err)
	}
	send := func(id string, times int) {
		t.Helper()
		body, err := json.Marshal(fleetwire.Command{ID: id, Device: "box-17", Op: fleetwire.OpUnhold, By: "test", Issued: time.Now().UTC(),
			Expires: time.Now().Add(time.Minute).UTC(), Nonce: "nonce of " + id + " 0123456789"})
		if err != nil {
			t.Fatal(err)
		}
		sig, err := key.Detached(body)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(fleetwire.SignedCommand{Body: body, Signatures: []trust.Signature{sig}})
		if err != nil {
			t.Fatal(err)
		}
		for range times {
			if err := c.Publish(t.Context(), "edge/v1/box-17/cmd/req", 1, false, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	send("twice", 3)
	send("last", 1)
	var got []string
	waitFor(t, 60*time.Second, "the last command is answered", func() bool {
		for {
			select {
			case topic := <-results:
				got = append(got, topic)
			default:
				return len(got) > 0 && strings.HasSuffix(got[len(got)-1], "/last")
			}
		}
	})
	if len(got) != 2 {
		t.Errorf("answers %v", got)
	}
}
