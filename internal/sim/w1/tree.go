// Package w1 is a 1-Wire bus that does not exist: a directory with the files of the kernel's w1_therm driver, laid
// out and animated without root. Every file is replaced atomically, so that a reader sees one reading or the next.
//
// A marker file "simulated" stands beside the sensors; whoever reads the tree labels what it shows accordingly.
// What a directory cannot do, it does not: a read takes no time and a write has its effect at the next Step.
package w1

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MaxSensors bounds a tree.
const MaxSensors = 4096

const master = "w1_bus_master1"

// Tree is one bus master and its sensors below a directory. It is not safe for concurrent use; readers of the files
// need no care.
type Tree struct {
	dir     string
	sensors map[string]*sensor
}

type sensor struct {
	rom  string
	good Scratchpad // of the last good read, which the kernel repeats in line 2
}

// Scratchpad is the nine bytes that a sensor answers; the last is the CRC of the others.
type Scratchpad [9]byte

// New makes dir, if it does not exist, and an empty bus in it. A tree that stands there already is taken over and
// its sensors are removed; a directory with anything else in it is refused.
func New(dir string) (*Tree, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make bus: %w", err)
	}
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("make bus: %w", err)
	}
	mine := slices.ContainsFunc(es, func(e os.DirEntry) bool { return e.Name() == "simulated" })
	if len(es) > 0 && !mine {
		return nil, fmt.Errorf("make bus: %s is not empty and holds no simulated bus", dir)
	}
	t := &Tree{dir: dir, sensors: map[string]*sensor{}}
	if err := t.write("simulated", "laid out by edge-w1sim; nothing here was measured\n"); err != nil {
		return nil, err
	}
	for _, e := range es {
		if isROM(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("clear bus: %w", err)
			}
		}
	}
	if err := os.RemoveAll(t.path(master)); err != nil {
		return nil, fmt.Errorf("clear bus: %w", err)
	}
	if err := os.Mkdir(t.path(master), 0o755); err != nil {
		return nil, fmt.Errorf("make bus: %w", err)
	}
	return t, t.writeMaster()
}

// Dir is the directory to give to a reader as /sys/bus/w1/devices.
func (t *Tree) Dir() string { return t.dir }

// ROMs lists the sensors that are on the bus now.
func (t *Tree) ROMs() []string {
	out := make([]string, 0, len(t.sensors))
	for rom := range t.sensors {
		out = append(out, rom)
	}
	slices.Sort(out)
	return out
}

// Add puts a sensor on the bus, reading 20 °C. The rom is a family and a serial number, "28-0000055f1c3a".
func (t *Tree) Add(rom string) error {
	if !isROM(rom) {
		return fmt.Errorf("add sensor: %q is not like 28-0000055f1c3a", rom)
	}
	if t.sensors[rom] != nil {
		return fmt.Errorf("add sensor: %s is on the bus", rom)
	}
	if len(t.sensors) >= MaxSensors {
		return fmt.Errorf("add sensor: more than %d", MaxSensors)
	}
	s := &sensor{rom: rom}
	hidden := filepath.Join(master, ".new-"+rom)
	if err := os.MkdirAll(t.path(hidden, "hwmon", "hwmon0"), 0o755); err != nil {
		return fmt.Errorf("add sensor: %w", err)
	}
	for name, text := range attributes(rom) {
		if err := t.write(filepath.Join(hidden, name), text); err != nil {
			return err
		}
	}
	if err := t.show(hidden, s, Encode(rom, 20*16, 12), true); err != nil {
		return err
	}
	if err := os.Rename(t.path(hidden), t.path(master, rom)); err != nil {
		return fmt.Errorf("add sensor: %w", err)
	}
	if err := os.Symlink(filepath.Join(master, rom), t.path(rom)); err != nil {
		return fmt.Errorf("add sensor: %w", err)
	}
	t.sensors[rom] = s
	return t.writeMaster()
}

// Remove takes a sensor off the bus; the kernel forgets its directory.
func (t *Tree) Remove(rom string) error {
	if t.sensors[rom] == nil {
		return fmt.Errorf("remove sensor: %s is not on the bus", rom)
	}
	delete(t.sensors, rom)
	gone := t.path(master, ".gone-"+rom)
	err := errors.Join(os.Remove(t.path(rom)), os.Rename(t.path(master, rom), gone), os.RemoveAll(gone))
	if err != nil {
		return fmt.Errorf("remove sensor: %w", err)
	}
	return t.writeMaster()
}

// Set makes the next reads answer these bytes. A wrong CRC in them, or yes false, is a damaged read: line 2 then
// repeats the last good bytes, with a t= computed from the damaged ones, as the kernel does.
func (t *Tree) Set(rom string, p Scratchpad, yes bool) error {
	s := t.sensors[rom]
	if s == nil {
		return fmt.Errorf("set sensor: %s is not on the bus", rom)
	}
	return t.show(filepath.Join(master, rom), s, p, yes && CRC8(p[:]) == 0)
}

// SetSixteenths makes the next reads answer a temperature in 1/16 °C at the sensor's resolution.
func (t *Tree) SetSixteenths(rom string, v int) error {
	return t.Set(rom, Encode(rom, v, t.resolution(rom)), true)
}

// SetText replaces the text of w1_slave as it is: "" is how the kernel answers its own errors.
func (t *Tree) SetText(rom, text string) error {
	if t.sensors[rom] == nil {
		return fmt.Errorf("set sensor: %s is not on the bus", rom)
	}
	return t.write(filepath.Join(master, rom, "w1_slave"), text)
}

func (t *Tree) show(dir string, s *sensor, p Scratchpad, yes bool) error {
	milli, verdict := MilliCelsius(s.rom, p), "NO"
	temperature := ""
	if yes {
		s.good, verdict = p, "YES"
		temperature = strconv.Itoa(milli) + "\n"
	}
	slave := fmt.Sprintf("% x : crc=%02x %s\n% x t=%d\n", p[:], CRC8(p[:8]), verdict, s.good[:], milli)
	return errors.Join(
		t.write(filepath.Join(dir, "w1_slave"), slave),
		t.write(filepath.Join(dir, "temperature"), temperature),
		t.write(filepath.Join(dir, "hwmon", "hwmon0", "temp1_input"), temperature))
}

// resolution is what a user wrote to the attribute, 12 if that makes no sense.
func (t *Tree) resolution(rom string) int {
	b, err := os.ReadFile(t.path(master, rom, "resolution"))
	if v, bad := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && bad == nil && v >= 9 && v <= 12 {
		return v
	}
	return 12
}

func (t *Tree) path(parts ...string) string {
	return filepath.Join(append([]string{t.dir}, parts...)...)
}

// write replaces a file atomically.
func (t *Tree) write(name, text string) error {
	tmp := t.path(filepath.Dir(name), ".tmp-"+filepath.Base(name))
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write attribute: %w", err)
	}
	if err := os.Rename(tmp, t.path(name)); err != nil {
		return fmt.Errorf("write attribute: %w", err)
	}
	return nil
}

func (t *Tree) writeMaster() error {
	slaves := "not found.\n"
	if roms := t.ROMs(); len(roms) > 0 {
		slaves = strings.Join(roms, "\n") + "\n"
	}
	var errs []error
	for name, text := range map[string]string{
		"w1_master_slaves": slaves, "w1_master_slave_count": strconv.Itoa(len(t.sensors)) + "\n",
		"w1_master_name": master + "\n", "w1_master_search": "-1\n", "w1_master_attempts": "1\n",
		"w1_master_max_slave_count": "64\n", "w1_master_pullup": "1\n", "w1_master_timeout": "10\n",
		"w1_master_add":    "write device id xx-xxxxxxxxxxxx to add slave\n",
		"w1_master_remove": "write device id xx-xxxxxxxxxxxx to remove slave\n", "therm_bulk_read": "0\n",
	} {
		errs = append(errs, t.write(filepath.Join(master, name), text))
	}
	return errors.Join(errs...)
}

// attributes are the files of a sensor that do not change with its temperature.
func attributes(rom string) map[string]string {
	serial, _ := hex.DecodeString(rom[3:])
	family, _ := hex.DecodeString(rom[:2])
	id := append([]byte{}, family...)
	for i := len(serial) - 1; i >= 0; i-- {
		id = append(id, serial[i])
	}
	id = append(id, CRC8(id))
	m := map[string]string{
		"name": rom + "\n", "id": string(id), "ext_power": "1\n", "alarms": "-55 100\n", "eeprom_cmd": "",
		"features": "0\n", "conv_time": "750\n",
		"uevent": fmt.Sprintf("DRIVER=w1_slave_driver\nW1_FID=%s\nW1_SLAVE_ID=%016X\n", strings.ToUpper(rom[:2]), id),
	}
	m["hwmon/hwmon0/name"] = "w1_slave_temp\n"
	if rom[:2] != "10" { // a DS18S20 has one resolution
		m["resolution"] = "12\n"
	}
	return m
}

func isROM(s string) bool {
	if len(s) != 15 || s[2] != '-' {
		return false
	}
	_, err := hex.DecodeString(s[:2] + s[3:])
	return err == nil && s == strings.ToLower(s)
}
