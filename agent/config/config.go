// Package config is the agent's configuration: file → struct → defaults → checks.
//
// Everything but Load is pure. A mistake is a *strictyaml.Error that names file, line and column of each problem.
// deploy/agent.yaml shows every key with its default.
package config

import (
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Config is a whole configuration. After Load every field holds its final value: defaults filled in, paths absolute,
// the device's id resolved.
type Config struct {
	Device  string            `yaml:"device"`   // id of the box: certificate's common name, else host name
	DataDir string            `yaml:"data_dir"` // log and state
	RunDir  string            `yaml:"run_dir"`  // sockets
	Streams map[string]Stream `yaml:"streams"`
	Storage Storage           `yaml:"storage"`
	Sources []Source          `yaml:"sources"`
	Nodes   []NodeLine        `yaml:"nodes"`
	Uplink  Uplink            `yaml:"uplink"`
	Control Control           `yaml:"control"`
	NPU     *NPU              `yaml:"npu"`
	Update  *Update           `yaml:"update"`
	Log     Log               `yaml:"log"`

	Pipelines []Pipeline `yaml:"pipelines"`

	pos *strictyaml.Positions // of Parse
}

// Report begins a report of what else is wrong: problems are told with their place in the file.
func (c *Config) Report() *strictyaml.Report { return strictyaml.NewReport(c.pos, nil) }

// NPU says that this box has an NPU worker (edge-npu), whose faults the agent declares.
type NPU struct {
	RunDir string `yaml:"run_dir"` // of the worker's socket
}

// What a stream does when undelivered records fill it.
const (
	FullDropOldest = "drop-oldest" // make room: the oldest go, as a recorded gap
	FullBlock      = "block"       // keep them and take no new ones
)

// Stream is one named log.
type Stream struct {
	CommitInterval time.Duration    `yaml:"commit_interval"` // 0: at once; at most 1 min
	MaxBytes       strictyaml.Bytes `yaml:"max_bytes"`       // retention
	SegmentBytes   strictyaml.Bytes `yaml:"segment_bytes"`   // size of one file
	Full           string           `yaml:"full"`            // FullDropOldest or FullBlock
	MaxAge         time.Duration    `yaml:"max_age"`         // retention by age, where the time is known; 0: none
	Priority       int              `yaml:"priority"`        // 0–9; higher is sent first, and gives way last on a full disk
}

// Storage is about the disk that all streams lie on.
type Storage struct {
	MinFree    strictyaml.Bytes `yaml:"min_free"`     // space to leave for others; 0: none in particular
	WearPerDay strictyaml.Bytes `yaml:"wear_per_day"` // what the flash is meant to take; 0: not watched
	Encryption Encryption       `yaml:"encryption"`
}

// Encryption at rest. Key files hold 32 raw bytes, 64 hexadecimal digits, or base64 of 32 bytes.
type Encryption struct {
	KeyFile     string   `yaml:"key_file"`      // of what is written from now on; empty: not encrypted
	OldKeyFiles []string `yaml:"old_key_files"` // to read what was written with another key; at a start it is rewrapped
}

// Source drivers.
const (
	DriverSystem    = "system"
	DriverW1        = "w1"
	DriverSynthetic = "synthetic"
	DriverDS18B20   = "ds18b20"
	DriverModbus    = "modbus"
	DriverExec      = "exec"
	DriverSerial    = "serial"
	DriverListen    = "listen"
	DriverMQTT      = "mqtt"
	DriverAir       = "air"
	DriverNMEA      = "nmea"
)

// Source is one thing that is read. Exactly the block of its driver may be given.
type Source struct {
	Name       string            `yaml:"name,required"`   // [a-z0-9-]{1,32}, unique
	Driver     string            `yaml:"driver,required"` // one of the constants above
	Interval   time.Duration     `yaml:"interval"`        // between readings, 10 ms to 24 h
	Stream     string            `yaml:"stream"`          // where its records go
	Ranges     map[string]Range  `yaml:"ranges"`          // plausible range by name of series; outside is uncertain
	Labels     map[string]string `yaml:"labels"`          // added to every series of the source
	Rules      []Rule            `yaml:"rules"`           // how single series are treated, in order
	Timeout    time.Duration     `yaml:"timeout"`         // of one reading of the whole source, up to 10 min
	StuckAfter time.Duration     `yaml:"stuck_after"`     // exactly the same value for longer is uncertain; 0: not checked
	System     *System           `yaml:"system"`
	W1         *W1               `yaml:"w1"`
	Synthetic  *Synthetic        `yaml:"synthetic"`
	DS18B20    *DS18B20          `yaml:"ds18b20"`
	Modbus     *Modbus           `yaml:"modbus"`
	Exec       *Exec             `yaml:"exec"`
	Serial     *Serial           `yaml:"serial"`
	Listen     *Listen           `yaml:"listen"`
	MQTT       *MQTTSource       `yaml:"mqtt"`
	Air        *Air              `yaml:"air"`
	NMEA       *NMEA             `yaml:"nmea"`
}

// Range is inclusive.
type Range struct {
	Min float64 `yaml:"min,required"`
	Max float64 `yaml:"max,required"`
}

// System reads the host itself.
type System struct {
	Root string   `yaml:"root"` // where /proc and /sys hang; another tree is another machine
	Only []string `yaml:"only"` // prefixes of series names to keep, such as cpu or memory; empty: all
}

// W1 reads thermometers over the kernel's 1-Wire masters.
type W1 struct {
	Root        string            `yaml:"root"`   // directory of the devices
	Master      string            `yaml:"master"` // only this bus; empty: all
	Names       map[string]string `yaml:"names"`  // ROM id → what people call the sensor; these are expected
	ReadTimeout time.Duration     `yaml:"read_timeout"`
	NoBulk      bool              `yaml:"no_bulk"`    // read the sensors one by one
	Resolution  int               `yaml:"resolution"` // 9–12 bits; 0: as each sensor has it
	Persist     bool              `yaml:"persist"`    // the resolution goes to the EEPROM, too
	Simulated   bool              `yaml:"simulated"`  // label the readings simulated=true
}

// Synthetic makes load: readings that nothing measured, labelled simulated=true.
type Synthetic struct {
	Series int     `yaml:"series"` // 1–65,000
	Rate   float64 `yaml:"rate"`   // samples per second of all series together; 0: each series once an interval
	Seed   uint64  `yaml:"seed"`
}

// Uplink says where records are delivered; without a block they stay on the box.
type Uplink struct {
	MQTT  *MQTT  `yaml:"mqtt"` // to a hub behind a broker, or
	Kafka *Kafka `yaml:"kafka"`
}

// MQTT is the connection to the broker.
type MQTT struct {
	Broker       string           `yaml:"broker,required"` // tcp://host:1883 or ssl://host:8883
	CAFile       string           `yaml:"ca_file"`
	CertFile     string           `yaml:"cert_file"`
	KeyFile      string           `yaml:"key_file"`
	Username     string           `yaml:"username"`
	PasswordFile string           `yaml:"password_file"` // its first line
	TopicPrefix  string           `yaml:"topic_prefix"`
	KeepAlive    time.Duration    `yaml:"keep_alive"`
	Window       strictyaml.Bytes `yaml:"window"` // own limit of bytes in flight
	Values       time.Duration    `yaml:"values"` // between two messages of latest values; 0s: none

	BacklogRate    strictyaml.Bytes `yaml:"backlog_rate"`     // bytes a second of what is older than 10 s; 0: no bound
	BudgetPerHour  strictyaml.Bytes `yaml:"budget_per_hour"`  // bytes of MQTT packets, both ways; 0: no bound
	BudgetPerMonth strictyaml.Bytes `yaml:"budget_per_month"` // when used up, only alarms are sent
}

// Control says who may use the sockets.
type Control struct {
	ViewGroup   string              `yaml:"view_group"`
	OpsGroup    string              `yaml:"ops_group"`
	IngestGroup string              `yaml:"ingest_group"`
	Producers   map[string]Producer `yaml:"producers"` // local producers by name
	HTTP        *HTTP               `yaml:"http"`      // nil: no page
}

// Producer is a local source that pushes over the ingest socket.
type Producer struct {
	Stream string `yaml:"stream"` // the one stream that its messages go to
}

// Log is the agent's own log on standard error.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn, error
}

// LogDir is where the durable log lies.
func (c *Config) LogDir() string { return LogDir(c.DataDir) }

// LogDir is where the durable log lies in a data directory.
func LogDir(dataDir string) string { return filepath.Join(dataDir, "log") }

// UsesTLS reports whether the broker's URL asks for TLS.
func (m *MQTT) UsesTLS() bool {
	scheme, _, _ := cutScheme(m.Broker)
	return scheme == "ssl" || scheme == "tls" || scheme == "mqtts"
}
