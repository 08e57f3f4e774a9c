package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Format is how the value of a row is written.
type Format string

// The formats. docs/stores.md describes each.
const (
	FormatJSON     Format = "json"     // one record a row, self-contained
	FormatProtobuf Format = "protobuf" // one record a row: edgelog.v1.Reading of reading.proto
	FormatRaw      Format = "raw"      // one record a batch: the encoded body as boxes send it
)

// Options of Open. Only Brokers is required; the zero value of everything else works.
type Options struct {
	Brokers []string // host:port
	Prefix  string   // of all topics and transactional ids
	// ID tells apart who may write at the same time: it stands in the transactional ids. Hubs leave it empty; a box that
	// writes directly has its own name here.
	ID     string
	Format Format

	Shards            int // partitions of PREFIX-offsets, when it is made
	Partitions        int // of a stream's topic, when it is made
	ReplicationFactor int // 0: the cluster's default; topics with fewer replicas are refused
	MinInsync         int // min.insync.replicas; 0: one less than the replicas, at least 1
	Retention         time.Duration
	RetentionBytes    int64  // of one partition; 0: the cluster's default
	Compression       string // zstd, lz4, snappy, gzip, none; "" is zstd

	TransactionTimeout time.Duration // after it the cluster ends what a dead hub has left open
	TLS                *TLS          // nil: plain text
	SASL               *SASL         // nil: none
	ReadOnly           bool          // changes nothing
	Now                func() time.Time
	ClientID           string
}

// TLS names files in PEM form. An empty CAFile means the roots of the system.
type TLS struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// SASL is how the client says who it is. The secret's first line is read anew for each connection, so it may be
// replaced while the hub runs.
type SASL struct {
	Mechanism  string `yaml:"mechanism,required"`   // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
	User       string `yaml:"user"`                 // not with OAUTHBEARER
	SecretFile string `yaml:"secret_file,required"` // password, or the bearer token
}

// ErrOptions is wrapped by what Validate refuses.
var ErrOptions = errors.New("bad options of the Kafka store")

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Shards, DefaultShards)
	def(&o.Partitions, DefaultPartitions)
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Format == "" {
		o.Format = FormatJSON
	}
	if o.TransactionTimeout == 0 {
		o.TransactionTimeout = DefaultTransactionTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClientID == "" {
		o.ClientID = "edge-hub"
	}
	return o
}

// Validate checks the options without touching the network.
func (o Options) Validate() error {
	o = o.withDefaults()
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrOptions}, a...)...)
	}
	if len(o.Brokers) == 0 {
		return bad("no broker is named")
	}
	if len(o.Prefix) > 64 || strings.Trim(o.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return bad("prefix %q; want at most 64 letters, digits, dashes", o.Prefix)
	}
	switch o.Format {
	case FormatJSON, FormatProtobuf, FormatRaw:
	default:
		return bad("format %q; want json, protobuf or raw", o.Format)
	}
	if o.Shards < 1 || o.Shards > maxPartitions || o.Partitions < 1 || o.Partitions > maxPartitions {
		return bad("%d shards and %d partitions; want 1 to %d", o.Shards, o.Partitions, maxPartitions)
	}
	if o.ReplicationFactor < 0 || o.ReplicationFactor > 100 || o.MinInsync < 0 || o.ReplicationFactor > 0 && o.MinInsync > o.ReplicationFactor {
		return bad("replication_factor %d with min_insync_replicas %d", o.ReplicationFactor, o.MinInsync)
	}
	if o.TransactionTimeout < minTransactionTimeout || o.TransactionTimeout > maxTransactionTimeout {
		return bad("transaction_timeout %v; want %v to %v", o.TransactionTimeout, minTransactionTimeout, maxTransactionTimeout)
	}
	if _, err := o.codec(); err != nil {
		return err
	}
	if o.SASL != nil {
		if _, err := o.SASL.mechanism(); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) codec() (kgo.CompressionCodec, error) {
	switch o.Compression {
	case "", "zstd":
		return kgo.ZstdCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "none":
		return kgo.NoCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("%w: compression %q; want zstd, lz4, snappy, gzip or none", ErrOptions, o.Compression)
}

func secret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes))
	if err != nil {
		return "", fmt.Errorf("read secret %s: %w", file, err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimRight(line, "\r"), nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s.SecretFile == "" {
		return nil, fmt.Errorf("%w: SASL needs the file of its secret", ErrOptions)
	}
	pass := func() (scram.Auth, error) {
		p, err := secret(s.SecretFile)
		return scram.Auth{User: s.User, Pass: p}, err
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			a, err := pass()
			return plain.Auth{User: a.User, Pass: a.Pass}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(func(context.Context) (scram.Auth, error) { return pass() }), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(func(context.Context) (scram.Auth, error) { return pass() }), nil
	case "OAUTHBEARER":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := secret(s.SecretFile)
			return oauth.Auth{Token: token}, err
		}), nil
	}
	return nil, fmt.Errorf("%w: SASL mechanism %q; want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", ErrOptions, s.Mechanism)
}

func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		b, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("read CA %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// client are the options of every client: how the cluster is reached.
func (o Options) client() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(o.Brokers...), kgo.ClientID(o.ClientID), kgo.DialTimeout(5 * time.Second),
		kgo.RetryTimeout(o.TransactionTimeout), kgo.MetadataMinAge(100 * time.Millisecond), kgo.ConnIdleTimeout(10 * time.Minute)}
	if o.TLS != nil {
		c, err := o.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(c))
	}
	if o.SASL != nil {
		m, err := o.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

// producer are the options of one scope's client on top of those.
func (o Options) producer(transactionalID string) ([]kgo.Opt, error) {
	opts, err := o.client()
	if err != nil {
		return nil, err
	}
	codec, err := o.codec()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.TransactionalID(transactionalID), kgo.TransactionTimeout(o.TransactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.ProducerLinger(gatherTime), kgo.MaxBufferedRecords(maxBuffered), kgo.MaxBufferedBytes(maxBufferedBytes),
		kgo.RecordPartitioner(byDevice{}), kgo.RecordDeliveryTimeout(o.TransactionTimeout*2/3),
		kgo.ProduceRequestTimeout(o.TransactionTimeout/2), kgo.StopProducerOnDataLossDetected()), nil
}
