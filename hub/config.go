package hub

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/wire"
)

// Places where a packaged hub has its files.
const (
	DefaultFile   = "/etc/edge-hub/hub.yaml"
	DefaultStore  = "/var/lib/edge-hub/hub.db"
	DefaultRunDir = "/run/edge-hub"
)

// Config is a whole configuration. After Load every field holds its final value: defaults filled in, paths absolute.
type Config struct {
	Broker    *Broker   `yaml:"broker"`          // the broker that the hub reads from, or
	Embedded  *Embedded `yaml:"embedded_broker"` // the one that it brings
	Store     Store     `yaml:"store"`
	Hubs      *Hubs     `yaml:"hubs"` // where several hubs share the store
	Fleet     *Fleet    `yaml:"fleet"`
	Enrol     *Enrol    `yaml:"enrol"`
	Retention Retention `yaml:"retention"`
	Limits    Limits    `yaml:"limits"`
	RunDir    string    `yaml:"run_dir"` // status socket, and the embedded broker's for the hub
	Log       Log       `yaml:"log"`
}

// Broker is the connection to an MQTT broker.
type Broker struct {
	URL          string `yaml:"url,required"` // tcp://host:1883, ssl://host:8883 or unix:///path
	ClientID     string `yaml:"client_id"`
	CAFile       string `yaml:"ca_file"`
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	TopicPrefix  string `yaml:"topic_prefix"`
}

// Embedded is the broker inside the hub.
type Embedded struct {
	Listen      string       `yaml:"listen"` // without TLS: loopback only
	TLS         *EmbeddedTLS `yaml:"tls"`
	TopicPrefix string       `yaml:"topic_prefix"`
}

// EmbeddedTLS asks every device for a certificate.
type EmbeddedTLS struct {
	Listen       string `yaml:"listen,required"`
	CertFile     string `yaml:"cert_file,required"`
	KeyFile      string `yaml:"key_file,required"`
	ClientCAFile string `yaml:"client_ca_file,required"`
}

// Store says where rows are kept.
type Store struct {
	SQLite   string    `yaml:"sqlite"` // path of the file; or
	Postgres *Postgres `yaml:"postgres"`
	Kafka    *Kafka    `yaml:"kafka"`
}

// Hubs is how this hub shares its store and broker with others: each serves the devices of its shards.
type Hubs struct {
	Name   string        `yaml:"name,required"` // of this one; no other hub has it
	Lease  time.Duration `yaml:"lease"`         // after so long without a sign of life its shards go to the others
	Shards int           `yaml:"shards"`        // the same in all hubs
}

// Retention says what goes. 0 keeps everything.
type Retention struct {
	Age      time.Duration    `yaml:"age"`
	MaxBytes strictyaml.Bytes `yaml:"max_bytes"`
}

// Limits bound the hub's memory and the broker's queue.
type Limits struct {
	Buffer strictyaml.Bytes `yaml:"buffer"` // frames that wait for the store
	Credit strictyaml.Bytes `yaml:"credit"` // frames that devices may have under way, together
	// Messages is how many frames the broker queues for the hub; up to so many devices send at the same time.
	Messages int `yaml:"messages"`
}

// Log is the hub's own log on standard error.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn, error
}

// Load reads, completes and checks a file. Relative paths in it count from its directory. A mistake in the file is a
// *strictyaml.Error with all that were found.
func Load(file string) (*Config, error) {
	data, err := readBounded(file, strictyaml.MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(file, data)
}

func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return data, err
}

// Parse is Load for a file that has been read.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{RunDir: DefaultRunDir, Log: Log{Level: "info"},
		Limits: Limits{Buffer: receive.DefaultQueueBytes, Credit: receive.DefaultCreditBytes, Messages: receive.DefaultMessages}}
	pos, err := strictyaml.DecodePos(file, data, c)
	r := strictyaml.NewReport(pos, err)
	if len(c.Store.engines()) == 0 {
		c.Store.SQLite = DefaultStore
	}
	if c.Broker != nil && c.Broker.ClientID == "" {
		c.Broker.ClientID = "edge-hub"
		if c.Hubs != nil {
			c.Broker.ClientID += "-" + c.Hubs.Name[:min(len(c.Hubs.Name), maxNameInID)]
		}
		// Whoever connects with it ends the connection of the hub, and a device may call itself what it likes.
		c.Broker.ClientID += fmt.Sprintf("-%08x", rand.Uint32())
	}
	c.Hubs.defaults()
	c.Fleet.defaults()
	c.Enrol.defaults()
	c.absolute(filepath.Dir(file))
	c.validate(r)
	if p := c.Store.Postgres; p != nil {
		checkFile(r, "store.postgres.password_file", p.PasswordFile, false)
	}
	for _, f := range c.files() {
		checkFile(r, f.path, f.name, f.pem)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// absolute makes the paths that a person wrote independent of the working directory.
func (c *Config) absolute(dir string) {
	paths := []*string{&c.Store.SQLite, &c.RunDir}
	if b := c.Broker; b != nil {
		paths = append(paths, &b.CAFile, &b.CertFile, &b.KeyFile, &b.PasswordFile)
	}
	if p := c.Store.Postgres; p != nil {
		paths = append(paths, &p.PasswordFile)
	}
	paths = append(paths, c.Store.Kafka.paths()...)
	if e := c.Embedded; e != nil && e.TLS != nil {
		paths = append(paths, &e.TLS.CertFile, &e.TLS.KeyFile, &e.TLS.ClientCAFile)
	}
	if f := c.Fleet; f != nil {
		paths = append(paths, &f.Releases, &f.State)
	}
	if e := c.Enrol; e != nil {
		paths = append(paths, &e.CACert, &e.CAKey, &e.BrokerCA, &e.State)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
		if abs, err := filepath.Abs(*p); *p != "" && err == nil {
			*p = abs
		}
	}
}

func (c *Config) validate(r *strictyaml.Report) {
	switch {
	case c.Broker == nil && c.Embedded == nil:
		r.Addf("", `one of "broker" and "embedded_broker" is needed: where do the devices' messages come from?`)
	case c.Broker != nil && c.Embedded != nil:
		r.Addf("embedded_broker", `"broker" and "embedded_broker" exclude each other: remove one`)
	case c.Broker != nil:
		c.Broker.validate(r)
	default:
		c.Embedded.validate(r)
	}
	c.Store.validate(r)
	if c.Retention.Age < 0 || c.Retention.Age > 0 && c.Retention.Age < time.Hour {
		r.Addf("retention.age", "retention.age is %v; at least 1h, or 0s to keep everything", c.Retention.Age)
	}
	if n := c.Retention.MaxBytes; n > 0 && n < strictyaml.MiB {
		r.Addf("retention.max_bytes", "retention.max_bytes is %v; at least 1MiB, or 0 to keep everything", n)
	}
	for path, n := range map[string]strictyaml.Bytes{"limits.buffer": c.Limits.Buffer, "limits.credit": c.Limits.Credit} {
		if n < minBufferBytes || n > maxBufferBytes {
			r.Addf(path, "%s is %v; want 1MiB to 4GiB", path, n)
		}
	}
	if n := c.Limits.Messages; n < minMessages || n > maxMessages {
		r.Addf("limits.messages", "limits.messages is %d; want %d to %d", n, minMessages, maxMessages)
	}
	if c.Hubs != nil {
		c.Hubs.validate(r, c.Embedded != nil)
	}
	c.Fleet.validate(r)
	c.Enrol.validate(r)
	if _, err := c.Log.level(); err != nil {
		r.Addf("log.level", "log.level %q; want debug, info, warn or error", c.Log.Level)
	}
}

func (b *Broker) validate(r *strictyaml.Report) {
	u, err := url.Parse(b.URL)
	switch {
	case b.URL == "": // required, said already
	case err != nil:
		r.Addf("broker.url", "broker.url %q is not a URL; want tcp://host:1883 or ssl://host:8883", b.URL)
	case u.Scheme == "unix" && u.Path != "":
	case (u.Scheme == "tcp" || u.Scheme == "mqtt" || u.Scheme == "ssl" || u.Scheme == "tls" || u.Scheme == "mqtts") && u.Hostname() != "":
	default:
		r.Addf("broker.url", "broker.url %q; want tcp://host:1883, ssl://host:8883 or unix:///path", u.Redacted())
	}
	if err == nil && u.User != nil {
		r.Addf("broker.url", "broker.url holds a user; use username and password_file")
	}
	if len(b.ClientID) > 64 {
		r.Addf("broker.client_id", "broker.client_id has %d bytes; at most 64", len(b.ClientID))
	}
	if (b.CertFile == "") != (b.KeyFile == "") {
		r.Addf("broker", "broker.cert_file and broker.key_file come together")
	}
	if b.PasswordFile != "" && b.Username == "" {
		r.Addf("broker.password_file", "broker.password_file needs broker.username")
	}
	checkPrefix(r, "broker.topic_prefix", b.TopicPrefix)
}

func (e *Embedded) validate(r *strictyaml.Report) {
	if e.Listen == "" && e.TLS == nil {
		r.Addf("embedded_broker", "embedded_broker listens nowhere: give listen, or tls")
	}
	if e.Listen != "" {
		host, _, err := net.SplitHostPort(e.Listen)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			r.Addf("embedded_broker.listen", "embedded_broker.listen %q; want 127.0.0.1:1883", e.Listen)
		case host != "localhost" && (ip == nil || !ip.IsLoopback()):
			r.Addf("embedded_broker.listen", "embedded_broker.listen %q is open to others without TLS; use 127.0.0.1, or embedded_broker.tls", e.Listen)
		}
	}
	if e.TLS != nil && e.TLS.Listen != "" {
		if _, _, err := net.SplitHostPort(e.TLS.Listen); err != nil {
			r.Addf("embedded_broker.tls.listen", "embedded_broker.tls.listen %q; want host:port such as 0.0.0.0:8883", e.TLS.Listen)
		}
	}
	checkPrefix(r, "embedded_broker.topic_prefix", e.TopicPrefix)
}

func checkPrefix(r *strictyaml.Report, path, prefix string) {
	if err := (wire.Topics{Prefix: prefix}).Validate(); err != nil {
		r.Addf(path, "%s: %v", path, err)
	}
}

type namedFile struct {
	path, name string
	pem        bool
}

// files are those that must be there and readable.
func (c *Config) files() []namedFile {
	if b := c.Broker; b != nil {
		return []namedFile{{"broker.ca_file", b.CAFile, true}, {"broker.cert_file", b.CertFile, true},
			{"broker.key_file", b.KeyFile, true}, {"broker.password_file", b.PasswordFile, false}}
	}
	if c.Embedded != nil && c.Embedded.TLS != nil {
		t := c.Embedded.TLS
		return []namedFile{{"embedded_broker.tls.cert_file", t.CertFile, true},
			{"embedded_broker.tls.key_file", t.KeyFile, true}, {"embedded_broker.tls.client_ca_file", t.ClientCAFile, true}}
	}
	return nil
}

func checkFile(r *strictyaml.Report, path, name string, isPEM bool) {
	if name == "" {
		return
	}
	data, err := readBounded(name, maxSecretBytes)
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Addf(path, "%s %q does not exist", path, name)
	case errors.Is(err, fs.ErrPermission):
		r.Addf(path, "%s %q may not be read by this user", path, name)
	case errors.As(err, &p):
		r.Addf(path, "%s %q cannot be read: %v", path, name, p.Err)
	case err != nil:
		r.Addf(path, "%s: %v", path, err)
	case isPEM:
		if block, _ := pem.Decode(data); block == nil {
			r.Addf(path, "%s %q is not a PEM file", path, name)
		}
	}
}

func (l Log) level() (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(l.Level))
	return level, err
}

// Topics are the protocol's topics on the configured broker.
func (c *Config) Topics() wire.Topics {
	if c.Broker != nil {
		return wire.Topics{Prefix: c.Broker.TopicPrefix}
	}
	return wire.Topics{Prefix: c.Embedded.TopicPrefix}
}

// StatusSocket is where a running hub answers `edge-hub status`.
func (c *Config) StatusSocket() string { return filepath.Join(c.RunDir, "status.sock") }

func (c *Config) brokerSocket() string { return filepath.Join(c.RunDir, "broker.sock") }
