package hub

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Kafka is a store in Apache Kafka.
type Kafka struct {
	Brokers           []string         `yaml:"brokers,required"` // host:port
	Prefix            string           `yaml:"prefix"`           // of topics and transactional ids
	Format            string           `yaml:"format"`           // json, protobuf, raw
	Shards            int              `yaml:"shards"`           // partitions of PREFIX-offsets, when it is made
	Partitions        int              `yaml:"partitions"`       // of a stream's topic, when it is made
	ReplicationFactor int              `yaml:"replication_factor"`
	MinInsync         int              `yaml:"min_insync_replicas"`
	Retention         time.Duration    `yaml:"retention"`
	RetentionBytes    strictyaml.Bytes `yaml:"retention_bytes"` // of one partition
	Compression       string           `yaml:"compression"`
	Transaction       time.Duration    `yaml:"transaction_timeout"`
	TLS               *KafkaTLS        `yaml:"tls"`
	SASL              *KafkaSASL       `yaml:"sasl"`
}

// KafkaTLS encrypts the connections to the brokers; an empty block takes the roots of the system.
type KafkaTLS struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// KafkaSASL is how the hub says who it is.
type KafkaSASL struct {
	Mechanism  string `yaml:"mechanism,required"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
	User       string `yaml:"user"`
	SecretFile string `yaml:"secret_file,required"` // its first line: password, or bearer token
}

func (k *Kafka) options() kafka.Options {
	o := kafka.Options{Brokers: k.Brokers, Prefix: k.Prefix, Format: kafka.Format(k.Format), Shards: k.Shards, Partitions: k.Partitions,
		ReplicationFactor: k.ReplicationFactor, MinInsync: k.MinInsync, Retention: k.Retention, RetentionBytes: int64(k.RetentionBytes),
		Compression: k.Compression, TransactionTimeout: k.Transaction}
	if t := k.TLS; t != nil {
		o.TLS = &kafka.TLS{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName}
	}
	if s := k.SASL; s != nil {
		o.SASL = &kafka.SASL{Mechanism: s.Mechanism, User: s.User, SecretFile: s.SecretFile}
	}
	return o
}

func (k *Kafka) paths() (out []*string) {
	if k == nil {
		return nil
	}
	if k.TLS != nil {
		out = append(out, &k.TLS.CAFile, &k.TLS.CertFile, &k.TLS.KeyFile)
	}
	if k.SASL != nil {
		out = append(out, &k.SASL.SecretFile)
	}
	return out
}

func (k *Kafka) validate(r *strictyaml.Report) {
	if k == nil || len(k.Brokers) == 0 {
		return
	}
	if err := k.options().Validate(); err != nil {
		r.Addf("store.kafka", "store.kafka: %v", err)
	}
	if t := k.TLS; t != nil {
		if (t.CertFile == "") != (t.KeyFile == "") {
			r.Addf("store.kafka.tls", "store.kafka.tls.cert_file and key_file come together")
		}
		for name, file := range map[string]string{"ca_file": t.CAFile, "cert_file": t.CertFile, "key_file": t.KeyFile} {
			checkFile(r, "store.kafka.tls."+name, file, true)
		}
	}
	if s := k.SASL; s != nil {
		checkFile(r, "store.kafka.sasl.secret_file", s.SecretFile, false)
		if s.Mechanism == "PLAIN" && k.TLS == nil {
			r.Addf("store.kafka.sasl", "store.kafka.sasl PLAIN sends the password as it is: add tls")
		}
	}
}

// place is where the topics are, for people.
func (k *Kafka) place() string {
	prefix := k.Prefix
	if prefix == "" {
		prefix = kafka.DefaultPrefix
	}
	return fmt.Sprintf("Kafka %v, topics %s.*", k.Brokers, prefix)
}
