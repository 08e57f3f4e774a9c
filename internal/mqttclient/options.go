package mqttclient

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"
)

// Options say how to reach a broker. Broker and ClientID are required; the rest has defaults.
type Options struct {
	Broker       string // tcp://host:1883, mqtt://…, ssl://host:8883, mqtts://…, tls://…, unix:///path
	ClientID     string // 1–64 bytes
	Username     string
	PasswordFile string // its content without the last line end is the password
	TLS          TLS    // for ssl://, tls:// and mqtts://
	// Now is the time at which certificates are verified; time.Now if nil. A box without a clock gives a floor.
	Now            func() time.Time
	Will           *Will
	KeepAlive      time.Duration // whole seconds, 1 s to 18 h
	ConnectTimeout time.Duration // for TCP, TLS and CONNACK together
	WriteTimeout   time.Duration // for one packet
	MaxPacket      int           // bytes; a larger incoming packet ends the connection before memory is taken for it
	MaxUnacked     int           // publishes at QoS 1 without a PUBACK, 1–1000
	// Unrouted is called with messages that no subscription asked for. May be nil.
	Unrouted func(Message)
}

// TLS names the files of a TLS connection. They are read at each Dial, so that renewed files are used.
type TLS struct {
	CAFile     string // PEM; the system's roots if empty
	CertFile   string // PEM, client certificate; none if empty
	KeyFile    string // PEM
	ServerName string // the broker's host if empty
}

// Will is what the broker publishes when the connection ends without a DISCONNECT.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// ErrOptions is wrapped by every refusal of options.
var ErrOptions = errors.New("mqtt options")

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = DefaultKeepAlive
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.MaxPacket == 0 {
		o.MaxPacket = DefaultMaxPacket
	}
	if o.MaxUnacked == 0 {
		o.MaxUnacked = DefaultMaxUnacked
	}
	return o
}

// Validate checks what can be checked without touching a file or the network.
func (o Options) Validate() error {
	o = o.withDefaults()
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(o.Broker)
	if err != nil {
		return bad("broker %q: %v", o.Broker, err)
	}
	switch u.Scheme {
	case "tcp", "mqtt", "ssl", "tls", "mqtts":
		if u.Hostname() == "" {
			return bad("broker %q names no host", o.Broker)
		}
	case "unix":
		if u.Path == "" {
			return bad("broker %q names no path", o.Broker)
		}
	default:
		return bad("broker %q: want tcp://, mqtts:// or unix://", o.Broker)
	}
	if u.User != nil {
		return bad("broker %q holds a user; use username and a password file", u.Redacted())
	}
	if n := len(o.ClientID); n < 1 || n > 64 {
		return bad("client id %q: want 1 to 64 bytes", o.ClientID)
	}
	if o.PasswordFile != "" && o.Username == "" {
		return bad("a password file needs a username")
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		return bad("client certificate and key come together")
	}
	if o.KeepAlive < time.Second || o.KeepAlive > 18*time.Hour {
		return bad("keep-alive %v: want 1 s to 18 h", o.KeepAlive)
	}
	if o.ConnectTimeout < 0 || o.WriteTimeout < 0 || o.MaxPacket < 0 || o.MaxUnacked < 1 || o.MaxUnacked > 1000 {
		return bad("a time-out or bound is out of range")
	}
	return nil
}

// address is the network and address to dial, and whether TLS is spoken there.
func (o Options) address() (network, addr, host string, secure bool) {
	u, err := url.Parse(o.Broker)
	if err != nil { // Validate has parsed it
		return "tcp", o.Broker, "", false
	}
	if u.Scheme == "unix" {
		return "unix", u.Path, "", false
	}
	secure = u.Scheme != "tcp" && u.Scheme != "mqtt"
	port := u.Port()
	if port == "" {
		port = "1883"
		if secure {
			port = "8883"
		}
	}
	return "tcp", net.JoinHostPort(u.Hostname(), port), u.Hostname(), secure
}

func (o Options) tlsConfig(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, Time: o.Now}
	if o.TLS.ServerName != "" {
		c.ServerName = o.TLS.ServerName
	}
	if o.TLS.CAFile != "" {
		pem, err := readBounded(o.TLS.CAFile, maxPEMFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: CA file %s holds no certificate in PEM form", ErrOptions, o.TLS.CAFile)
		}
	}
	if o.TLS.CertFile != "" {
		cert, err := readBounded(o.TLS.CertFile, maxPEMFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		key, err := readBounded(o.TLS.KeyFile, maxPEMFile)
		if err != nil {
			return nil, fmt.Errorf("read client key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%w: client certificate %s: %v", ErrOptions, o.TLS.CertFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (o Options) password() (string, error) {
	if o.PasswordFile == "" {
		return "", nil
	}
	b, err := readBounded(o.PasswordFile, maxPasswordFile)
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, nil
}
