package config

import (
	"strconv"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// Exec runs a program that writes readings. Zero fields take the driver's defaults.
type Exec struct {
	Command      []string      `yaml:"command,required"` // program and arguments; no shell
	Dir          string        `yaml:"dir"`              // to run it in
	Environment  []string      `yaml:"environment"`      // KEY=value
	Signal       string        `yaml:"signal"`           // none, STDIN, SIGHUP, SIGUSR1 or SIGUSR2
	Interval     time.Duration `yaml:"interval"`         // between two signals
	RestartDelay time.Duration `yaml:"restart_delay"`
	Format       string        `yaml:"format"` // influx or json
	JSON         JSON          `yaml:"json"`
}

// Serial is a device that speaks text or frames of its own.
type Serial struct {
	Port      string        `yaml:"port,required"`
	Baud      int           `yaml:"baud"`
	Parity    string        `yaml:"parity"`          // none, even, odd
	StopBits  int           `yaml:"stop_bits"`       // 1 or 2
	Format    string        `yaml:"format,required"` // regexp, csv, json, binary
	Pattern   string        `yaml:"pattern"`         // regexp
	Separator string        `yaml:"separator"`       // csv
	JSON      JSON          `yaml:"json"`
	Frame     SerialFrame   `yaml:"frame"` // binary
	Fields    []SerialField `yaml:"fields"`
	Request   string        `yaml:"request"`  // sent every Interval
	Interval  time.Duration `yaml:"interval"` // between two requests
	Silence   time.Duration `yaml:"silence"`
}

// SerialFrame is the layout of a binary message. Its fields are those of the driver, in the same order.
type SerialFrame struct {
	Sync     string `yaml:"sync"`     // hexadecimal
	Length   int    `yaml:"length"`   // bytes
	Checksum string `yaml:"checksum"` // none, sum8, xor8, sum16be, crc16-modbus
}

// SerialField is one quantity. Its fields are those of the driver, in the same order.
type SerialField struct {
	Name     string            `yaml:"name"`
	Group    string            `yaml:"group"`
	Type     string            `yaml:"type"`
	Decimals int               `yaml:"decimals"`
	Offset   int               `yaml:"offset"`
	Unit     string            `yaml:"unit"`
	Min      float64           `yaml:"min"`
	Max      float64           `yaml:"max"`
	Labels   map[string]string `yaml:"labels"`
}

// Listen takes what local programs send. At least one of HTTP, Unix and UDP is given.
type Listen struct {
	HTTP        string `yaml:"http"` // host:port
	Unix        string `yaml:"unix"` // path
	UDP         string `yaml:"udp"`  // host:port
	AllowRemote bool   `yaml:"allow_remote"`
	TokenFile   string `yaml:"token_file"` // its first line
	MaxSeries   int    `yaml:"max_series"`
	JSON        JSON   `yaml:"json"`

	Token string `yaml:"-"` // what stands in TokenFile
}

// MQTTSource listens to a broker for readings.
type MQTTSource struct {
	Broker        string             `yaml:"broker,required"`
	ClientID      string             `yaml:"client_id,required"`
	CAFile        string             `yaml:"ca_file"`
	CertFile      string             `yaml:"cert_file"`
	KeyFile       string             `yaml:"key_file"`
	Username      string             `yaml:"username"`
	PasswordFile  string             `yaml:"password_file"`
	KeepAlive     time.Duration      `yaml:"keep_alive"`
	MaxSeries     int                `yaml:"max_series"`
	NoRebirth     bool               `yaml:"no_rebirth"` // never ask a Sparkplug node to announce itself again
	Subscriptions []MQTTSubscription `yaml:"subscriptions,required"`
}

// MQTTSubscription is what to listen to and how to read it.
type MQTTSubscription struct {
	Format string `yaml:"format,required"` // json, tasmota, esphome, zigbee2mqtt, sparkplug
	Topic  string `yaml:"topic"`
	JSON   JSON   `yaml:"json"`
}

// JSON says how objects become readings. Its fields are those of door.Mapping, in the same order.
type JSON struct {
	Prefix   string            `yaml:"prefix"`
	Only     []string          `yaml:"only"`
	Drop     []string          `yaml:"drop"`
	Decimals map[string]int    `yaml:"decimals"`
	Units    map[string]string `yaml:"units"`
	Tags     []string          `yaml:"tags"`
	Time     string            `yaml:"time"`
	TimeUnit string            `yaml:"time_unit"`
}

func (x *Exec) validate(r *strictyaml.Report, path string) {
	if len(x.Command) == 0 || x.Command[0] == "" {
		r.Addf(path+".command", "%s.command names no program", path)
	}
}

func (s *Serial) validate(r *strictyaml.Report, path string) { wantParity(r, path, s.Parity) }

func (m *MQTTSource) validate(r *strictyaml.Report, path string) {
	if (m.CertFile == "") != (m.KeyFile == "") {
		r.Addf(path, "%s: cert_file and key_file belong together; give both or none", path)
	}
	if n := len(m.Subscriptions); n == 0 {
		r.Addf(path+".subscriptions", "%s.subscriptions is empty", path)
	}
}

// paths are those that a block names and that may be relative.
func (s *Source) paths() []*string {
	var out []*string
	if x := s.System; x != nil {
		out = append(out, &x.Root)
	}
	if x := s.W1; x != nil {
		out = append(out, &x.Root)
	}
	if x := s.DS18B20; x != nil {
		out = append(out, &x.Port)
	}
	if x := s.Modbus; x != nil {
		out = append(out, &x.Port)
		for i := range x.Devices {
			out = append(out, &x.Devices[i].ProfileFile)
		}
	}
	if x := s.Exec; x != nil {
		out = append(out, &x.Dir)
	}
	if x := s.Serial; x != nil {
		out = append(out, &x.Port)
	}
	if x := s.Air; x != nil {
		out = append(out, &x.Port)
	}
	if x := s.NMEA; x != nil {
		out = append(out, &x.Port)
	}
	if x := s.Listen; x != nil {
		out = append(out, &x.Unix, &x.TokenFile)
	}
	if x := s.MQTT; x != nil {
		out = append(out, &x.CAFile, &x.CertFile, &x.KeyFile, &x.PasswordFile)
	}
	return out
}

// checkFiles reads the files that a source names.
func (s *Source) checkFiles(r *strictyaml.Report, host Host, path string) {
	if m := s.Modbus; m != nil {
		for i := range m.Devices {
			if d := &m.Devices[i]; d.ProfileFile != "" {
				d.ProfileData, _ = readNamed(r, host, path+".modbus.devices["+strconv.Itoa(i)+"].profile_file", d.ProfileFile)
			}
		}
	}
	if l := s.Listen; l != nil && l.TokenFile != "" {
		at := path + ".listen.token_file"
		text, ok := readNamed(r, host, at, l.TokenFile)
		if l.Token = firstLine(text); ok && l.Token == "" {
			r.Addf(at, "%s %q is empty", at, l.TokenFile)
		}
	}
	if m := s.MQTT; m != nil {
		for _, f := range []struct{ key, name string }{
			{"ca_file", m.CAFile}, {"cert_file", m.CertFile}, {"key_file", m.KeyFile}, {"password_file", m.PasswordFile},
		} {
			if f.name != "" {
				readNamed(r, host, path+".mqtt."+f.key, f.name)
			}
		}
	}
}
