package mcu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
)

// setting is one value that a node keeps.
type setting struct {
	name  string
	addr  uint16
	words int
	kind  settingKind
	lo    int
	hi    int
	unit  string
	apart bool // commissioning: never declared, since it changes how the node is reached
}

type settingKind int

const (
	kindNumber settingKind = iota
	kindTemperature
	kindROM
	kindTime // minute of the day
	kindBaud
	kindMask // of the outputs heater and fan
	kindSerial
)

// settings are those of firmware/REGISTERS.md.
var settings = func() []setting {
	out := []setting{
		{"unit", 0xa0, 1, kindNumber, 1, MaxUnit, "", true},
		{"baud", 0xa1, 1, kindBaud, 0, 3, "baud", true},
		{"serial", 0xa2, 2, kindSerial, 0, 0, "", true},
		{"control_sensor", 0xa4, 4, kindROM, 0, 0, "", false},
		{"heater_on", 0xa8, 1, kindTemperature, -880, 2000, "°C", false},
		{"heater_off", 0xa9, 1, kindTemperature, -880, 2000, "°C", false},
		{"fan_on", 0xaa, 1, kindTemperature, -880, 2000, "°C", false},
		{"fan_off", 0xab, 1, kindTemperature, -880, 2000, "°C", false},
		{"heater_min_on", 0xac, 1, kindNumber, 0, 3600, "s", false},
		{"heater_min_off", 0xad, 1, kindNumber, 0, 3600, "s", false},
		{"fan_min_on", 0xae, 1, kindNumber, 0, 3600, "s", false},
		{"fan_min_off", 0xaf, 1, kindNumber, 0, 3600, "s", false},
		{"failsafe", 0xb0, 1, kindMask, 0, 3, "", false},
		{"failsafe_delay", 0xb1, 1, kindNumber, 1, 3600, "s", false},
		{"report", 0xb2, 1, kindNumber, 1, 3600, "s", false},
		{"resolution", 0xb3, 1, kindNumber, 9, 12, "bit", false},
	}
	for i := range 4 {
		out = append(out, setting{fmt.Sprintf("timer%d_on", i+1), uint16(0xb4 + 2*i), 1, kindTime, 0, 1439, "", false},
			setting{fmt.Sprintf("timer%d_off", i+1), uint16(0xb5 + 2*i), 1, kindTime, 0, 1439, "", false})
	}
	return append(out, setting{"page", 0xbc, 1, kindNumber, 0, 60, "s", false})
}()

var bauds = []string{"9600", "19200", "57600", "115200"}

func settingOf(name string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// SettingNames lists what may be declared for a node.
func SettingNames() []string {
	var out []string
	for _, s := range settings {
		if !s.apart {
			out = append(out, s.name)
		}
	}
	return out
}

// CheckSettings finds what is wrong with declared settings; its errors wrap ErrSetting.
func CheckSettings(declared map[string]string) error {
	value := map[string]int{}
	for name, text := range declared {
		s, ok := settingOf(name)
		if !ok || s.apart {
			return fmt.Errorf("%w: there is no %q; known are %s", ErrSetting, name, strings.Join(SettingNames(), ", "))
		}
		w, err := s.encode(text)
		if err != nil {
			return err
		}
		value[name] = int(int16(w[0]))
	}
	both := func(a, b string) bool {
		_, ok := value[a]
		_, ok2 := value[b]
		return ok && ok2
	}
	if both("heater_on", "heater_off") && value["heater_on"] >= value["heater_off"] {
		return fmt.Errorf("%w: heater_on %s must be below heater_off %s", ErrSetting, declared["heater_on"], declared["heater_off"])
	}
	if both("fan_on", "fan_off") && value["fan_off"] >= value["fan_on"] {
		return fmt.Errorf("%w: fan_off %s must be below fan_on %s", ErrSetting, declared["fan_off"], declared["fan_on"])
	}
	return nil
}

// encode turns a value as people write it into registers.
func (s setting) encode(text string) ([]uint16, error) {
	bad := func(want string) ([]uint16, error) {
		return nil, fmt.Errorf("%w: %s: %q is not %s", ErrSetting, s.name, text, want)
	}
	within := func(v int) ([]uint16, error) {
		if v < s.lo || v > s.hi {
			return nil, fmt.Errorf("%w: %s is %s; possible are %s to %s", ErrSetting, s.name, text, s.decode([]uint16{uint16(s.lo)}), s.decode([]uint16{uint16(s.hi)}))
		}
		return []uint16{uint16(v)}, nil
	}
	switch s.kind {
	case kindTemperature:
		f, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "°C")), 64)
		if err != nil || f*16 != float64(int(f*16)) {
			return bad("a temperature in steps of 0.0625 °C")
		}
		return within(int(f * 16))
	case kindROM:
		rom, err := parseROM(text)
		if err != nil {
			return nil, err
		}
		return words64(rom), nil
	case kindTime:
		var h, m int
		if n, err := fmt.Sscanf(text, "%d:%d", &h, &m); err != nil || n != 2 || m > 59 || h > 23 || h < 0 || m < 0 || len(text) > 5 {
			return bad("a time such as 08:30")
		}
		return within(h*60 + m)
	case kindBaud:
		i := slices.Index(bauds, text)
		if i < 0 {
			return bad("one of " + strings.Join(bauds, ", "))
		}
		return []uint16{uint16(i)}, nil
	case kindMask:
		v := 0
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '+' }) {
			switch w {
			case "heater":
				v |= 1
			case "fan":
				v |= 2
			case "none":
			default:
				return bad("none, heater, fan or heater,fan")
			}
		}
		return within(v)
	case kindSerial:
		v, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return bad("a number of 32 bits")
		}
		return []uint16{uint16(v >> 16), uint16(v)}, nil
	}
	v, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(text, s.unit)))
	if err != nil {
		return bad("a whole number")
	}
	return within(v)
}

// decode is the value as people write it.
func (s setting) decode(w []uint16) string {
	switch s.kind {
	case kindTemperature:
		text := string(record.AppendDecimal(nil, int64(int16(w[0]))*625, 4))
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	case kindROM:
		if name := romName(u64(w)); name != "" {
			return name
		}
		return "first"
	case kindTime:
		return fmt.Sprintf("%02d:%02d", w[0]/60, w[0]%60)
	case kindBaud:
		return nameOf(bauds, w[0])
	case kindMask:
		return []string{"none", "heater", "fan", "heater,fan"}[w[0]&3]
	case kindSerial:
		return strconv.FormatUint(uint64(u32(w)), 10)
	}
	return strconv.Itoa(int(int16(w[0])))
}

// Setting is one value of a node as it is and as it should be.
type Setting struct {
	Name     string
	Value    string
	Unit     string
	Declared string // "": the configuration leaves it to the node
}

// parseSettings reads the registers from RegSettings on.
func parseSettings(w []uint16) ([]Setting, error) {
	if len(w) < settingsWords {
		return nil, ErrShort
	}
	out := make([]Setting, 0, len(settings))
	for _, s := range settings {
		at := s.addr - RegSettings
		out = append(out, Setting{Name: s.name, Unit: s.unit, Value: s.decode(w[at : int(at)+s.words])})
	}
	return out, nil
}

// run is registers to write in one request.
type run struct {
	addr  uint16
	words []uint16
}

// differing are the writes that make declared settings true, in runs of neighbours that one request may carry, and the
// names of what they change.
func differing(have []uint16, want map[string]string, most int) (runs []run, names []string, err error) {
	for _, s := range settings {
		text, ok := want[s.name]
		if !ok {
			continue
		}
		w, err := s.encode(text)
		if err != nil {
			return nil, nil, err
		}
		at := int(s.addr - RegSettings)
		if slices.Equal(have[at:at+s.words], w) {
			continue
		}
		names = append(names, s.name)
		if n := len(runs); n > 0 && int(runs[n-1].addr)+len(runs[n-1].words) == int(s.addr) && len(runs[n-1].words)+len(w) <= most {
			runs[n-1].words = append(runs[n-1].words, w...)
			continue
		}
		runs = append(runs, run{s.addr, w})
	}
	return runs, names, nil
}
