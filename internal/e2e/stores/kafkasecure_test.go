package stores

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// writeCert makes a certificate for 127.0.0.1: a file with it, and one with key and certificate.
func writeCert(t *testing.T, dir string) (cert, both string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Kafka under test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, both = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "broker.pem")
	for file, b := range map[string][]byte{cert: certPEM, both: append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), certPEM...)} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, both
}

// unsignedToken is a bearer token that says who it is of and that nobody has signed.
func unsignedToken(subject string, expires time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, time.Now().Unix(), expires.Unix())) + "."
}

// TestKafkaSecure writes to a broker over TLS with every SASL mechanism, and is refused with a wrong secret, without a
// name, and where the broker's certificate is not known. Another client
// reads over the same listener by the same mechanism.
func TestKafkaSecure(t *testing.T) {
	t.Parallel() // after those that kill servers; it mostly waits for programs to start
	dir := t.TempDir()
	ca, keystore := writeCert(t, dir)
	k, err := servers.StartSecureKafka(servers.Secure{Keystore: keystore, User: "hub", Password: "a secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", k.Nodes[0].SecurePort)
	secret := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	password, wrong := secret("password", "a secret"), secret("wrong", "another")
	token, stale := secret("token", unsignedToken("hub", time.Now().Add(time.Hour))), secret("stale", unsignedToken("hub", time.Now().Add(-time.Hour)))
	for i, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"} {
		t.Run(m, func(t *testing.T) {
			good, bad := password, wrong
			if m == "OAUTHBEARER" {
				good, bad = token, stale
			}
			o := kafka.Options{Brokers: []string{addr}, Prefix: newPrefix(), TLS: &kafka.TLS{CAFile: ca}, SASL: &kafka.SASL{Mechanism: m, User: "hub", SecretFile: good}}
			s := openKafka(t, o)
			d := newDevice(i)
			c := d.change(5)
			res, err := s.Commit(t.Context(), []store.Change{c})
			if err != nil || !res[0].Applied {
				t.Errorf("commit: %+v, %v", res, err)
			}
			s.Close()
			out, err := reads(t, m, addr, o.Prefix+".telemetry", ca).CombinedOutput()
			if n := bytes.Count(out, []byte(d.name+" ")); err != nil || n != 5 {
				t.Errorf("an independent client sees %d records, want 5: %v\n%s", n, err, out)
			}
			refused(t, "a wrong secret", func(o *kafka.Options) { o.SASL.SecretFile = bad }, o)
			refused(t, "an unknown certificate", func(o *kafka.Options) { o.TLS = &kafka.TLS{} }, o)
			refused(t, "no SASL", func(o *kafka.Options) { o.SASL = nil }, o)
			refused(t, "no TLS", func(o *kafka.Options) { o.TLS = nil }, o)
		})
	}
}

// reads is a command of a client that is not ours which reads a topic over the secure listener: kcat where it can. With
// SCRAM that needs librdkafka 2.6.1 (before, it repeats the client's nonce, which Kafka refuses from 3.8.1 on), which Debian 12
// does not have: there kafka-python reads.
func reads(t *testing.T, mechanism, addr, topic, ca string) *exec.Cmd {
	t.Helper()
	if strings.HasPrefix(mechanism, "SCRAM") {
		cmd := exec.Command(pythonWithKafka(t), "testdata/consume.py", addr, topic, mechanism, "hub", ca)
		cmd.Env = append(os.Environ(), "KAFKA_PASSWORD=a secret")
		return cmd
	}
	who := []string{"-X", "sasl.username=hub", "-X", "sasl.password=a secret"}
	if mechanism == "OAUTHBEARER" {
		who = []string{"-X", "enable.sasl.oauthbearer.unsecure.jwt=true", "-X", "sasl.oauthbearer.config=principal=hub"}
	}
	return exec.Command("kcat", append([]string{"-C", "-q", "-e", "-b", addr, "-t", topic, "-o", "beginning", "-f", `%k %o\n`,
		"-X", "security.protocol=SASL_SSL", "-X", "ssl.ca.location=" + ca, "-X", "sasl.mechanism=" + mechanism}, who...)...)
}

func refused(t *testing.T, what string, change func(*kafka.Options), o kafka.Options) {
	t.Helper()
	sasl := *o.SASL
	o.SASL = &sasl
	change(&o)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if s, err := kafka.Open(ctx, o); err == nil {
		s.Close()
		t.Errorf("%s was taken", what)
	} else if what == "a wrong secret" && !strings.Contains(strings.ToLower(err.Error()), "auth") && !strings.Contains(err.Error(), "SASL") {
		t.Errorf("%s: the error does not tell: %v", what, err)
	}
}
