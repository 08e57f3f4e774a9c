package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Host is what a check asks of the machine. OS is the real one.
type Host interface {
	ReadFile(name string) ([]byte, error)
	Stat(name string) (fs.FileInfo, error)
	Hostname() (string, error)
}

// OS is the machine that the program runs on.
type OS struct{}

// ReadFile reads a file of bounded size: a configuration or a secret.
func (OS) ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > strictyaml.MaxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, info.Size(), strictyaml.MaxFileBytes)
	}
	return os.ReadFile(name)
}

// Stat is os.Stat.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Hostname is os.Hostname.
func (OS) Hostname() (string, error) { return os.Hostname() }

// Load reads, completes and checks a file. Relative paths in it count from its directory. A mistake in the file is a
// *strictyaml.Error with all that were found.
func Load(file string, host Host) (*Config, error) {
	data, err := host.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(file, data, host)
}

// Parse is Load for a file that has been read.
func Parse(file string, data []byte, host Host) (*Config, error) {
	c := base()
	pos, err := strictyaml.DecodePos(file, data, c)
	report := strictyaml.NewReport(pos, err)
	c.withDefaults(pos.Has)
	c.absolute(filepath.Dir(file))
	c.validate(report)
	c.check(report, host)
	if c.Device == "" {
		c.resolveDevice(report, host)
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	c.pos = pos
	return c, nil
}

// absolute makes the paths that a person wrote independent of the working directory.
func (c *Config) absolute(dir string) {
	if abs, err := filepath.Abs(dir); err == nil { // an error: there is no working directory, and nothing better than dir
		dir = abs
	}
	fix := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	fix(&c.DataDir)
	fix(&c.RunDir)
	if c.NPU != nil {
		fix(&c.NPU.RunDir)
	}
	for _, p := range append(c.Update.paths(), c.Control.HTTP.paths()...) {
		fix(p)
	}
	for i := range c.Sources {
		for _, p := range c.Sources[i].paths() {
			fix(p)
		}
	}
	for i := range c.Nodes {
		fix(&c.Nodes[i].Port)
		for k := range c.Nodes[i].Nodes {
			if f := c.Nodes[i].Nodes[k].Flash; f != nil {
				fix(&f.Port)
			}
		}
	}
	fix(&c.Storage.Encryption.KeyFile)
	for i := range c.Storage.Encryption.OldKeyFiles {
		fix(&c.Storage.Encryption.OldKeyFiles[i])
	}
	if k := c.Uplink.Kafka; k != nil {
		_, paths := k.files()
		for _, p := range paths {
			fix(p)
		}
	}
	if m := c.Uplink.MQTT; m != nil {
		for _, p := range []*string{&m.CAFile, &m.CertFile, &m.KeyFile, &m.PasswordFile} {
			fix(p)
		}
	}
}

// check looks at the machine: every file that the configuration names must be there and readable.
func (c *Config) check(r *strictyaml.Report, host Host) {
	c.Storage.Encryption.check(r, host)
	c.Control.HTTP.check(r, host)
	for i := range c.Sources {
		c.Sources[i].checkFiles(r, host, "sources["+strconv.Itoa(i)+"]")
	}
	type named struct{ path, name string }
	var files []named
	if m := c.Uplink.MQTT; m != nil {
		files = []named{{"uplink.mqtt.ca_file", m.CAFile}, {"uplink.mqtt.cert_file", m.CertFile},
			{"uplink.mqtt.key_file", m.KeyFile}, {"uplink.mqtt.password_file", m.PasswordFile}}
	}
	if k := c.Uplink.Kafka; k != nil {
		keys, paths := k.files()
		for i, p := range paths {
			files = append(files, named{keys[i], *p})
		}
	}
	if u := c.Update; u != nil {
		for i, m := range u.Mirrors {
			path := "update.mirrors[" + strconv.Itoa(i) + "]."
			files = append(files, named{path + "ca_file", m.CAFile}, named{path + "cert_file", m.CertFile}, named{path + "key_file", m.KeyFile})
		}
	}
	for _, f := range files {
		if f.name == "" {
			continue
		}
		data, err := host.ReadFile(f.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Addf(f.path, "%s %q does not exist", f.path, f.name)
		case errors.Is(err, fs.ErrPermission):
			r.Addf(f.path, "%s %q may not be read by this user", f.path, f.name)
		case err != nil:
			r.Addf(f.path, "%s %q cannot be read: %v", f.path, f.name, reason(err))
		case len(data) > maxSecretBytes:
			r.Addf(f.path, "%s %q has %d bytes, at most %d are expected", f.path, f.name, len(data), maxSecretBytes)
		case f.path == "uplink.mqtt.password_file", f.path == "uplink.kafka.sasl.secret_file":
			if strings.TrimSpace(string(data)) == "" {
				r.Addf(f.path, "%s %q is empty", f.path, f.name)
			}
		case !hasPEM(data):
			r.Addf(f.path, "%s %q is not a PEM file", f.path, f.name)
		}
	}
	if m := c.Uplink.MQTT; m != nil {
		checkPair(r, host, "uplink.mqtt", m.CertFile, m.KeyFile)
	}
	if k := c.Uplink.Kafka; k != nil && k.TLS != nil {
		checkPair(r, host, "uplink.kafka.tls", k.TLS.CertFile, k.TLS.KeyFile)
	}
}

// checkPair refuses a key that is not that of the certificate. What cannot be read was said before.
func checkPair(r *strictyaml.Report, host Host, path, certFile, keyFile string) {
	if certFile == "" || keyFile == "" {
		return
	}
	cert, err := host.ReadFile(certFile)
	if err != nil || !hasPEM(cert) {
		return
	}
	key, err := host.ReadFile(keyFile)
	if err != nil || !hasPEM(key) {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		r.Addf(path+".key_file", "%s.key_file %q is not the key of cert_file %q: %s", path, keyFile, certFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// reason is the error without the path that the sentence names already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func hasPEM(data []byte) bool {
	block, _ := pem.Decode(data)
	return block != nil
}

// resolveDevice names the box by its certificate, else by its host name.
func (c *Config) resolveDevice(r *strictyaml.Report, host Host) {
	if m := c.Uplink.MQTT; m != nil && m.CertFile != "" {
		cert, err := ReadCertificate(host, m.CertFile)
		if err != nil {
			r.Addf("uplink.mqtt.cert_file", "uplink.mqtt.cert_file: %v", err)
			return
		}
		c.Device = cert.Subject.CommonName
		if why := badDevice(c.Device); why != "" {
			r.Addf("uplink.mqtt.cert_file", "the certificate's common name %q cannot name a device: %s", c.Device, why)
		}
		return
	}
	name, err := host.Hostname()
	if err != nil {
		r.Addf("device", "device is not set and the host name cannot be read: %v", err)
		return
	}
	c.Device = name
	if why := badDevice(name); why != "" {
		r.Addf("device", "device is not set and the host name %q cannot name a device: %s", name, why)
	}
}

// ReadCertificate reads the first certificate of a PEM file.
func ReadCertificate(host Host, file string) (*x509.Certificate, error) {
	data, err := host.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("parse certificate %s: %w", file, err)
			}
			return cert, nil
		}
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRight(line, "\r")
}

// Outline is Parse without a look at the machine: what is configured, though files that it names may be missing yet.
func Outline(file string, host Host) (*Config, error) {
	data, err := host.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c := base()
	pos, err := strictyaml.DecodePos(file, data, c)
	report := strictyaml.NewReport(pos, err)
	c.withDefaults(pos.Has)
	c.absolute(filepath.Dir(file))
	if err := report.Err(); err != nil {
		return nil, err
	}
	c.pos = pos
	return c, nil
}
