package config

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/internal/strictyaml"
)

// DS18B20 reads 1-Wire chips over a serial adapter, netlink or owserver. Zero fields take the driver's defaults.
type DS18B20 struct {
	Master     string            `yaml:"master,required"` // ds2480b, ds9097, owserver or netlink
	Port       string            `yaml:"port"`            // ds2480b, ds9097: the serial port
	Baud       int               `yaml:"baud"`            // ds2480b: 9600, 19200, 57600 or 115200
	Server     string            `yaml:"server"`          // owserver: host:port
	Kernel     int               `yaml:"kernel"`          // netlink: 1 is w1_bus_master1
	Names      map[string]string `yaml:"names"`           // ROM id → what people call the chip; these are expected
	Resolution int               `yaml:"resolution"`      // 9–12 bits; 0: as each chip has it
	Persist    bool              `yaml:"persist"`         // the resolution goes to the EEPROM, too
	Alarms     bool              `yaml:"alarms"`          // a series "alarm" per thermometer
	Rescan     time.Duration     `yaml:"rescan"`          // between two searches, 1 s to 1 h
	Conversion time.Duration     `yaml:"conversion"`      // for chips slower than their datasheet
}

// Modbus is one line with its slaves. Exactly one of Port, TCP and RTUOverTCP is given.
type Modbus struct {
	Port       string         `yaml:"port"`         // serial port
	TCP        string         `yaml:"tcp"`          // host:port of a Modbus TCP server or gateway
	RTUOverTCP string         `yaml:"rtu_over_tcp"` // host:port of a converter that passes serial frames on
	Baud       int            `yaml:"baud"`
	Parity     string         `yaml:"parity"`    // none, even, odd
	StopBits   int            `yaml:"stop_bits"` // 1 or 2
	Timeout    time.Duration  `yaml:"timeout"`   // for one answer, 10 ms to 30 s
	Retries    *int           `yaml:"retries"`   // after silence or damage, 0–10
	Echo       bool           `yaml:"echo"`      // the adapter hears itself
	RS485      *RS485         `yaml:"rs485"`     // of a port whose transmitter the kernel switches
	Devices    []ModbusDevice `yaml:"devices,required"`
}

// RS485 lets the kernel switch the transmitter of a UART by its RTS line. USB adapters switch by themselves.
type RS485 struct {
	RTSOnSend  bool          `yaml:"rts_on_send,required"` // level of RTS while sending; the other one else
	BeforeSend time.Duration `yaml:"before_send"`          // whole ms
	AfterSend  time.Duration `yaml:"after_send"`
	ReceiveOwn bool          `yaml:"receive_own"` // hear what is sent; then echo: true
}

// ModbusDevice is one slave. Exactly one of Profile and ProfileFile is given.
type ModbusDevice struct {
	Unit        int               `yaml:"unit,required"` // 1–247; 0–255 over TCP
	Name        string            `yaml:"name"`
	Profile     string            `yaml:"profile"`      // one that comes with the program
	ProfileFile string            `yaml:"profile_file"` // one of your own
	Labels      map[string]string `yaml:"labels"`

	ProfileData string `yaml:"-"` // what stands in ProfileFile, so that a reload sees a change of it
}

// Defaults of a Modbus line.
const (
	defaultModbusTimeout = time.Second
	defaultModbusRetries = 2
	defaultBaud          = 9600
	defaultParity        = "none"
)

func (m *Modbus) withDefaults() {
	if m.Port != "" || m.RTUOverTCP != "" {
		m.Baud = orDefault(m.Baud, defaultBaud)
	}
	if m.Port != "" {
		m.Parity, m.StopBits = orDefault(m.Parity, defaultParity), orDefault(m.StopBits, 1)
	}
	m.Timeout = orDefault(m.Timeout, defaultModbusTimeout)
	if m.Retries == nil {
		n := defaultModbusRetries
		m.Retries = &n
	}
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (d *DS18B20) validate(r *strictyaml.Report, path string) {
	needs := map[string]struct{ key, value string }{
		"ds2480b": {"port", d.Port}, "ds9097": {"port", d.Port}, "owserver": {}, "netlink": {},
	}
	if masters := []string{"ds2480b", "ds9097", "owserver", "netlink"}; !slices.Contains(masters, d.Master) {
		r.Addf(path+".master", "%s.master %q is unknown%s", path, d.Master, strictyaml.Suggest(d.Master, masters))
	} else if n := needs[d.Master]; n.key != "" && n.value == "" {
		r.Addf(path, "%s: master %s needs a %s", path, d.Master, n.key)
	}
	if d.Baud != 0 && !slices.Contains([]int{9600, 19200, 57600, 115200}, d.Baud) {
		r.Addf(path+".baud", "%s.baud is %d; possible are 9600, 19200, 57600 and 115200", path, d.Baud)
	}
	between(r, path+".kernel", d.Kernel, 0, MaxKernelMaster)
	if d.Server != "" {
		wantHostPort(r, path+".server", d.Server)
	}
	for rom := range d.Names {
		if !validROM(rom) {
			r.Addf(path+".names."+rom, "%s.names: %q is not the id of a 1-Wire device; they look like 28-0416a1b2c3ff", path, rom)
		}
	}
}

func (m *Modbus) validate(r *strictyaml.Report, path string) {
	ways := 0
	for _, w := range []string{m.Port, m.TCP, m.RTUOverTCP} {
		if w != "" {
			ways++
		}
	}
	if ways != 1 {
		r.Addf(path, "%s: give one of port, tcp and rtu_over_tcp", path)
	}
	if m.TCP != "" {
		wantHostPort(r, path+".tcp", m.TCP)
	}
	if m.RTUOverTCP != "" {
		wantHostPort(r, path+".rtu_over_tcp", m.RTUOverTCP)
	}
	wantParity(r, path, m.Parity)
	if m.Port != "" {
		between(r, path+".stop_bits", m.StopBits, 1, 2)
	}
	if m.RS485 != nil && m.Port == "" {
		r.Addf(path+".rs485", "%s.rs485 belongs to a port", path)
	}
	between(r, path+".timeout", m.Timeout, MinInterval, MaxModbusTimeout)
	between(r, path+".retries", *m.Retries, 0, MaxModbusRetries)
	if n := len(m.Devices); n < 1 || n > MaxModbusUnits {
		r.Addf(path+".devices", "%s.devices has %d devices, possible are 1 to %d", path, n, MaxModbusUnits)
	}
	lo, hi := 1, MaxModbusUnits
	if m.TCP != "" {
		lo, hi = 0, 255
	}
	for i, d := range m.Devices {
		at := path + ".devices[" + strconv.Itoa(i) + "]"
		if m.TCP != "" || d.Unit != anyModbusUnit {
			between(r, at+".unit", d.Unit, lo, hi)
		}
		if (d.Profile == "") == (d.ProfileFile == "") {
			r.Addf(at, "%s: give one of profile and profile_file", at)
		}
	}
}

func wantParity(r *strictyaml.Report, path, parity string) {
	if known := []string{"none", "even", "odd"}; parity != "" && !slices.Contains(known, parity) {
		r.Addf(path+".parity", "%s.parity %q is unknown%s", path, parity, strictyaml.Suggest(parity, known))
	}
}

func wantHostPort(r *strictyaml.Report, path, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.Addf(path, "%s %q is not host:port", path, addr)
	}
}

// readNamed is the content of a file that stands at path; not ok, with a mistake noted, if it cannot be read.
func readNamed(r *strictyaml.Report, host Host, path, name string) (text string, ok bool) {
	data, err := host.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Addf(path, "%s %q does not exist", path, name)
	case errors.Is(err, fs.ErrPermission):
		r.Addf(path, "%s %q may not be read by this user", path, name)
	case err != nil:
		r.Addf(path, "%s %q cannot be read: %v", path, name, reason(err))
	}
	return string(data), err == nil
}

func wantResolution(r *strictyaml.Report, path string, bits int, persist bool) {
	if bits != 0 {
		between(r, path+".resolution", bits, 9, 12)
	}
	if persist && bits == 0 {
		r.Addf(path+".persist", "%s.persist needs a resolution", path)
	}
}
