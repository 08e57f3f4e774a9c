package config

import (
	"strconv"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Places on a box.
const (
	DefaultFile    = "/etc/edge-agent/agent.yaml"
	DefaultDataDir = "/var/lib/edge-agent"
	DefaultRunDir  = "/run/edge-agent"
)

// The streams that every box has.
const (
	StreamTelemetry = "telemetry"
	StreamEvents    = "events"
	StreamAlarms    = "alarms"
	StreamHealth    = "health"
)

// base is what a file starts from: the four streams and the places on a box.
func base() *Config {
	return &Config{
		DataDir: DefaultDataDir,
		RunDir:  DefaultRunDir,
		Streams: map[string]Stream{
			StreamTelemetry: {CommitInterval: time.Second, MaxBytes: 4 * strictyaml.GiB, Priority: 1},
			StreamEvents:    {CommitInterval: time.Second, MaxBytes: 256 * strictyaml.MiB, Priority: 5},
			StreamAlarms:    {CommitInterval: 0, MaxBytes: 64 * strictyaml.MiB, Priority: 9},
			StreamHealth:    {CommitInterval: 10 * time.Second, MaxBytes: 64 * strictyaml.MiB, Priority: 3},
		},
		Control: Control{ViewGroup: "edge-view", OpsGroup: "edge-ops", IngestGroup: "edge-ingest"},
		Log:     Log{Level: "info"},
	}
}

// withDefaults fills what the file left open. set tells whether the file gives a path a value, so that an explicit
// zero stays.
func (c *Config) withDefaults(set func(path string) bool) {
	for name, s := range c.Streams {
		path := "streams." + name
		if s.MaxBytes == 0 && !set(path+".max_bytes") {
			s.MaxBytes = 256 * strictyaml.MiB
		}
		if s.SegmentBytes == 0 && !set(path+".segment_bytes") {
			// Whole segments are dropped, so a small stream has small ones; a large one has files of 64 MiB.
			s.SegmentBytes = min(max(s.MaxBytes/16, MinSegmentBytes), 64*strictyaml.MiB)
		}
		if s.Full == "" {
			s.Full = FullDropOldest
		}
		c.Streams[name] = s
	}
	for i := range c.Sources {
		c.Sources[i].withDefaults()
	}
	for i := range c.Nodes {
		c.Nodes[i].withDefaults()
	}
	for i := range c.Pipelines {
		c.Pipelines[i].withDefaults(set, "pipelines["+strconv.Itoa(i)+"]")
	}
	if m := c.Uplink.MQTT; m != nil {
		if m.Values == 0 && !set("uplink.mqtt.values") {
			m.Values = time.Minute
		}
		if m.TopicPrefix == "" {
			m.TopicPrefix = "edge/v1"
		}
		if m.KeepAlive == 0 {
			m.KeepAlive = 30 * time.Second
		}
		if m.Window == 0 {
			m.Window = 4 * strictyaml.MiB
		}
	}
	if k := c.Uplink.Kafka; k != nil {
		k.withDefaults()
	}
	if c.NPU != nil && c.NPU.RunDir == "" {
		c.NPU.RunDir = "/run/edge-npu"
	}
	c.Update.withDefaults()
	c.Control.HTTP.withDefaults()
	for name, p := range c.Control.Producers {
		if p.Stream == "" {
			p.Stream = StreamTelemetry
		}
		c.Control.Producers[name] = p
	}
}

func (s *Source) withDefaults() {
	if s.Interval == 0 {
		s.Interval = 10 * time.Second
	}
	if s.Stream == "" {
		s.Stream = StreamTelemetry
	}
	switch s.Driver {
	case DriverSystem:
		if s.System == nil {
			s.System = &System{}
		}
		if s.System.Root == "" {
			s.System.Root = "/"
		}
	case DriverW1:
		if s.W1 == nil {
			s.W1 = &W1{}
		}
		if s.W1.Root == "" {
			s.W1.Root = "/sys/bus/w1/devices"
		}
		if s.W1.ReadTimeout == 0 {
			s.W1.ReadTimeout = 5 * time.Second
		}
	case DriverSynthetic:
		if s.Synthetic == nil {
			s.Synthetic = &Synthetic{}
		}
		if s.Synthetic.Series == 0 {
			s.Synthetic.Series = 100
		}
	case DriverModbus:
		if s.Modbus != nil {
			s.Modbus.withDefaults()
		}
	}
}
