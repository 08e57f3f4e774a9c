// Package broker is the embedded MQTT broker for a demonstration, tests and a single site. It keeps nothing on disk
// and forgets everything when it stops; that is all the protocol asks of a broker.
//
// A device is who its certificate says: it may write its own data, hello, state and values, read its own answers and
// the hub's announcements, and nothing else. On a listener without TLS nobody is known, everybody may do everything
// under the prefix: such a listener must be on the loopback interface.
package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/edgelog/edgelog/internal/wire"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"golang.org/x/net/netutil"
)

// Options of the broker.
type Options struct {
	Listen     string      // host:port without TLS, loopback only; "" for none
	TLS        *TLS        // nil for none
	HubSocket  string      // path of the unix socket on which the hub connects, mode 0600; "" for none
	Topics     wire.Topics // the prefix
	QueueBytes int         // for hubs; DefaultQueueBytes if 0
	Log        *slog.Logger
}

// TLS is a listener that asks every client for a certificate.
type TLS struct {
	Listen            string // host:port
	CertFile, KeyFile string // PEM, the broker's own
	ClientCAFile      string // PEM: signs the devices' certificates
}

// Broker is a running broker once Run is called.
type Broker struct {
	server *mochi.Server
	addrs  map[string]string
	socket string
	once   sync.Once
	err    error
}

// Names of the listeners; the rules look at them.
const (
	openListener = "open"
	tlsListener  = "tls"
	hubListener  = "hub"
)

// ErrOptions is wrapped by the refusal of options that would leave the broker open to others.
var ErrOptions = errors.New("broker options")

// New opens the listeners. Nobody is served before Run; Close gives them back where Run is never called.
func New(o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = DefaultQueueBytes
	}
	if err := o.Topics.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = maxPacketBytes
	caps.MaximumClientWritesPending = maxQueuedPackets
	caps.MaximumSessionExpiryInterval = 0
	caps.ReceiveMaximum, caps.MaximumInflight = maxInflight, maxInflight
	b := &Broker{addrs: map[string]string{}, socket: o.HubSocket, server: mochi.New(&mochi.Options{
		Capabilities: caps, Logger: o.Log, ClientNetReadBufferSize: 8 << 10, ClientNetWriteBufferSize: 8 << 10})}
	if err := b.server.AddHook(newRules(o), nil); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	if err := b.listen(o); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Broker) listen(o Options) error {
	if o.Listen != "" {
		if !loopback(o.Listen) {
			return fmt.Errorf("%w: %s is not on the loopback interface; without TLS the broker listens nowhere else",
				ErrOptions, o.Listen)
		}
		if err := b.add(openListener, "tcp", o.Listen, nil); err != nil {
			return err
		}
	}
	if o.TLS != nil {
		config, err := o.TLS.config()
		if err != nil {
			return err
		}
		if err := b.add(tlsListener, "tcp", o.TLS.Listen, config); err != nil {
			return err
		}
	}
	if o.HubSocket == "" {
		return nil
	}
	// A socket that a dead process left behind is in the way.
	if info, err := os.Lstat(o.HubSocket); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(o.HubSocket); err != nil {
			return fmt.Errorf("start broker: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(o.HubSocket), 0o750); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	if err := b.add(hubListener, "unix", o.HubSocket, nil); err != nil {
		return err
	}
	if err := os.Chmod(o.HubSocket, 0o600); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	return nil
}

func (b *Broker) add(id, network, address string, config *tls.Config) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	b.addrs[id] = l.Addr().String()
	p := &patient{Listener: netutil.LimitListener(l, maxConnections), open: map[net.Conn]struct{}{}}
	l = p
	if config != nil {
		l = tls.NewListener(l, config)
	}
	if err := b.server.AddListener(&door{Net: listeners.NewNet(id, l), server: b.server, patient: p}); err != nil {
		l.Close()
		return fmt.Errorf("start broker: %w", err)
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (t *TLS) config() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("start broker: read certificate: %w", err)
	}
	f, err := os.Open(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("start broker: read client CA: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxPEMBytes))
	if err != nil {
		return nil, fmt.Errorf("start broker: read client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: %s holds no certificate", ErrOptions, t.ClientCAFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}, nil
}

// Addr is the address of the listener without TLS, "" if there is none.
func (b *Broker) Addr() string { return b.addrs[openListener] }

// TLSAddr is the address of the listener with TLS, "" if there is none.
func (b *Broker) TLSAddr() string { return b.addrs[tlsListener] }

// HubURL is how the hub reaches the broker.
func (b *Broker) HubURL() string { return "unix://" + b.socket }

// Run serves until ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("run broker: %w", err)
	}
	<-ctx.Done()
	return b.Close()
}

// Close ends all connections and gives the addresses back. It is idempotent.
func (b *Broker) Close() error {
	b.once.Do(func() {
		if err := b.server.Close(); err != nil {
			b.err = fmt.Errorf("stop broker: %w", err)
		}
	})
	return b.err
}
