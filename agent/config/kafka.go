package config

import (
	"net"
	"strings"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Kafka is delivery straight into Apache Kafka, without a hub.
type Kafka struct {
	Brokers           []string         `yaml:"brokers,required"` // host:port
	Prefix            string           `yaml:"prefix"`           // of topics and transactional ids
	Format            string           `yaml:"format"`           // json, protobuf, raw
	Partitions        int              `yaml:"partitions"`       // of a stream's topic, when it is made
	ReplicationFactor int              `yaml:"replication_factor"`
	MinInsync         int              `yaml:"min_insync_replicas"`
	Compression       string           `yaml:"compression"`
	Window            strictyaml.Bytes `yaml:"window"` // bytes in flight
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

// KafkaSASL is how the box says who it is.
type KafkaSASL struct {
	Mechanism  string `yaml:"mechanism,required"` // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
	User       string `yaml:"user"`
	SecretFile string `yaml:"secret_file,required"` // its first line
}

// To is where the uplink delivers, for people; "" if nowhere.
func (u Uplink) To() string {
	switch {
	case u.MQTT != nil:
		return u.MQTT.Broker
	case u.Kafka != nil:
		return "kafka://" + strings.Join(u.Kafka.Brokers, ",")
	}
	return ""
}

func (k *Kafka) withDefaults() {
	if k.Window == 0 {
		k.Window = 4 * strictyaml.MiB
	}
}

// files are those that must be there, with the names of their keys.
func (k *Kafka) files() (keys []string, paths []*string) {
	if t := k.TLS; t != nil {
		keys = append(keys, "uplink.kafka.tls.ca_file", "uplink.kafka.tls.cert_file", "uplink.kafka.tls.key_file")
		paths = append(paths, &t.CAFile, &t.CertFile, &t.KeyFile)
	}
	if s := k.SASL; s != nil {
		keys, paths = append(keys, "uplink.kafka.sasl.secret_file"), append(paths, &s.SecretFile)
	}
	return keys, paths
}

func (k *Kafka) validate(r *strictyaml.Report) {
	const path = "uplink.kafka"
	for _, b := range k.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			r.Addf(path+".brokers", "%s.brokers: %q is not a broker; write host:9092", path, b)
		}
	}
	switch k.Format {
	case "", "json", "protobuf", "raw":
	default:
		r.Addf(path+".format", "%s.format %q; want json, protobuf or raw", path, k.Format)
	}
	if k.Partitions < 0 || k.ReplicationFactor < 0 || k.MinInsync < 0 {
		r.Addf(path, "%s: partitions, replication_factor and min_insync_replicas are not negative", path)
	}
	if k.Window < MinWindow || k.Window > MaxWindow {
		r.Addf(path+".window", "%s.window is %s; possible are %s to %s", path, k.Window, MinWindow, MaxWindow)
	}
	if t := k.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		r.Addf(path+".tls", "%s.tls: cert_file and key_file belong together; give both or none", path)
	}
	if s := k.SASL; s != nil {
		switch s.Mechanism {
		case "PLAIN":
			if k.TLS == nil {
				r.Addf(path+".sasl", "%s.sasl: PLAIN sends the password as it is; add tls", path)
			}
		case "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER":
		default:
			r.Addf(path+".sasl.mechanism", "%s.sasl.mechanism %q; want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", path, s.Mechanism)
		}
	}
}
