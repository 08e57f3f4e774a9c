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
	TLS               *kafka.TLS       `yaml:"tls"`
	SASL              *kafka.SASL      `yaml:"sasl"`
}

func (k *Kafka) options() kafka.Options {
	return kafka.Options{Brokers: k.Brokers, Prefix: k.Prefix, Format: kafka.Format(k.Format), Shards: k.Shards, Partitions: k.Partitions,
		ReplicationFactor: k.ReplicationFactor, MinInsync: k.MinInsync, Retention: k.Retention, RetentionBytes: int64(k.RetentionBytes),
		Compression: k.Compression, TransactionTimeout: k.Transaction, TLS: k.TLS, SASL: k.SASL}
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
