package updates_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
)

// certificates are an authority of a plant's own, a server's certificate and one of a box, as files below dir.
func certificates(t *testing.T, dir string) {
	t.Helper()
	var authority *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "box"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
		must(t, err)
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true}
		switch name {
		case "ca":
			c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
			authority, signer = c, key
		case "server":
			c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		case "box":
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
		der, err := x509.CreateCertificate(crand.Reader, c, authority, &key.PublicKey, signer)
		must(t, err)
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		must(t, err)
		write(t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	}
}

// webServer is a real one that serves the releases below /fleet to who has a certificate of the plant.
type webServer struct {
	*programs.Process
	port int
}

func newWebServer(t *testing.T, kind, dir, releases string) *webServer {
	t.Helper()
	program := map[string]string{"nginx": "nginx", "apache": "apache2"}[kind]
	path := programs.Server(t, program, "deploy/bootstrap/setup.sh updates")
	w := &webServer{port: programs.FreePort(t)}
	root := os.Getuid() == 0
	conf, args := "", []string(nil)
	switch kind {
	case "nginx":
		if root {
			conf = "user root;\n"
		}
		conf += fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr warn;
events {}
http {
	access_log %[1]s/access.log; sendfile on;
	client_body_temp_path %[1]s/tmp; proxy_temp_path %[1]s/tmp; fastcgi_temp_path %[1]s/tmp; uwsgi_temp_path %[1]s/tmp; scgi_temp_path %[1]s/tmp;
	server {
		listen 127.0.0.1:%[2]d ssl;
		ssl_certificate %[1]s/server.crt; ssl_certificate_key %[1]s/server.key; ssl_client_certificate %[1]s/ca.crt; ssl_verify_client on;
		location /fleet/ { alias %[3]s/; }
	}
}
`, dir, w.port, releases)
		args = []string{path, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "web.conf")}
	case "apache":
		for _, m := range []string{"mpm_event", "authz_core", "alias", "ssl"} {
			conf += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
		}
		if root {
			conf += "User www-data\nGroup www-data\n"
		}
		conf += fmt.Sprintf(`ServerRoot %[1]s
ServerName 127.0.0.1
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
Mutex default:%[1]s
ErrorLog %[1]s/error.log
Listen 127.0.0.1:%[2]d
SSLEngine on
SSLCertificateFile %[1]s/server.crt
SSLCertificateKeyFile %[1]s/server.key
SSLCACertificateFile %[1]s/ca.crt
SSLVerifyClient require
Alias /fleet %[3]s
<Directory />
Require all granted
</Directory>
`, dir, w.port, releases)
		args = []string{path, "-X", "-f", filepath.Join(dir, "web.conf")}
	}
	if root { // Apache reads as another user
		must(t, os.Chmod(filepath.Dir(dir), 0o755))
		must(t, os.Chmod(dir, 0o755))
	}
	write(t, filepath.Join(dir, "web.conf"), conf)
	w.Process = programs.New(t, dir, args...)
	w.up()
	return w
}

func (w *webServer) up() {
	w.T.Helper()
	w.Start()
	programs.WaitFor(w.T, time.Minute, "the web server listens", func() bool { return programs.Listens(w.port) })
}

// TestMirrorServers: a real agent fetches a release of 12 MB from nginx, which is killed in the middle, so that the broker
// brings the rest; and one from Apache while the hub has lost the file. Both servers ask for the box's certificate.
func TestMirrorServers(t *testing.T) {
	for _, kind := range []string{"nginx", "apache"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			certificates(t, dir)
			f := repotest.New(t, filepath.Join(dir, "releases"), time.Now())
			content := make([]byte, 12<<20)
			rand.NewChaCha8([32]byte{2}).Read(content)
			f.Release(release.Manifest{Release: "2026.11.1", Counter: 1, Components: []release.Component{
				f.Component(release.Model, "model/defect", "1", "models/defect.om", bytes.NewReader(content), true)}})
			f.Publish()
			served := filepath.Join(dir, "served")
			must(t, os.CopyFS(served, os.DirFS(f.Dir)))
			if kind == "apache" {
				must(t, os.Remove(filepath.Join(f.Dir, "targets", "models", "defect.om")))
			}
			w := newWebServer(t, kind, dir, served)
			m := newMosquitto(t, dir)
			b := newRealBox(t, m.port, f.FactoryRoot())
			address := fmt.Sprintf("https://127.0.0.1:%d/fleet", w.port)
			text := strings.Replace(b.config(m.port), "progress: 1s}", fmt.Sprintf("progress: 1s, max_rate: 2MiB,\n"+
				"  mirrors: [{url: %q, ca_file: %s/ca.crt, cert_file: %[2]s/box.crt, key_file: %[2]s/box.key}]}", address, dir), 1)
			write(t, b.path("agent.yaml"), text)
			h := newHub(t, dir, m.port, f.Dir)
			b.up()
			programs.WaitFor(t, 2*time.Minute, "the box is known", func() bool {
				var l fleet.List
				must(t, json.Unmarshal([]byte(h.rollout(0, "list", "--json")), &l))
				return l.Online == 1
			})
			h.rollout(0, "create", write(t, filepath.Join(dir, "rollout.yaml"), "release: 2026.11.1\nwaves: [{name: all, percent: 100}]\n"), "--yes")
			source := func() (u api.Update) {
				must(t, json.Unmarshal([]byte(run(t, 0, program("edgectl"), "update", "--json", "--run-dir", b.path("run"))), &u))
				return u
			}
			programs.WaitFor(t, 2*time.Minute, "content comes from "+address, func() bool { u := source(); return u.Source == address && u.DoneBytes > 1<<20 })
			if out := run(t, 0, program("edgectl"), "update", "--run-dir", b.path("run")); !strings.Contains(out, "from "+address) && source().Source == address {
				t.Errorf("edgectl update does not say where content comes from:\n%s", out)
			}
			if kind == "nginx" {
				w.Kill()
				programs.WaitFor(t, 2*time.Minute, "the broker brings the rest", func() bool { u := source(); return u.Source == "broker" || b.requested() })
			}
			programs.WaitFor(t, 3*time.Minute, "all has come", b.requested)
			staged, err := os.ReadFile(b.path("data/update/stage/targets/models/defect.om"))
			must(t, err)
			if !bytes.Equal(staged, content) {
				t.Fatal("another file came out")
			}
			var l fleet.List
			must(t, json.Unmarshal([]byte(h.rollout(0, "list", "--json")), &l))
			if n := l.Stats.Content.Bytes; kind == "nginx" && (n == 0 || n > 11<<20) || kind == "apache" && n > 1<<20 {
				t.Errorf("the hub sent %d bytes", n)
			}
		})
	}
}
