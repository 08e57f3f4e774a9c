package w1fuse

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"syscall"

	sim "github.com/edgelog/edgelog/internal/sim/w1"
)

func text(s string) func() (string, syscall.Errno) {
	return func() (string, syscall.Errno) { return s, 0 }
}

// master are the files of w1_bus_master1, its slaves among them.
func (b *Bus) master() map[string]entry {
	roms := b.roms()
	slaves := "not found.\n"
	if len(roms) > 0 {
		slaves = strings.Join(roms, "\n") + "\n"
	}
	out := map[string]entry{
		"w1_master_slaves":          {file: &file{mode: 0o444, show: text(slaves)}},
		"w1_master_slave_count":     {file: &file{mode: 0o444, show: text(strconv.Itoa(len(roms)) + "\n")}},
		"w1_master_max_slave_count": {file: &file{mode: 0o644, show: text("64\n")}},
		"w1_master_name":            {file: &file{mode: 0o444, show: text(master + "\n")}},
		"w1_master_attempts":        {file: &file{mode: 0o444, show: text("1\n")}},
		"w1_master_pullup":          {file: &file{mode: 0o644, show: text("1\n")}},
		"w1_master_search":          {file: &file{mode: 0o644, show: text("-1\n")}},
		"w1_master_timeout":         {file: &file{mode: 0o444, show: text("10\n")}},
		"therm_bulk_read": {file: &file{mode: 0o644,
			show: func() (string, syscall.Errno) { return b.bulk(), 0 },
			store: func(s string) syscall.Errno {
				if s != "trigger" {
					return syscall.EINVAL
				}
				b.trigger()
				return 0
			}}},
	}
	for _, rom := range roms {
		out[rom] = entry{dir: func() map[string]entry { return b.slave(rom) }}
	}
	return out
}

// slave are the files of one thermometer.
func (b *Bus) slave(rom string) map[string]entry {
	out := map[string]entry{
		"name":        {file: &file{mode: 0o444, show: text(rom + "\n")}},
		"w1_slave":    {file: &file{mode: 0o644, show: b.showSlave(rom), store: b.storeSlave(rom)}},
		"temperature": {file: &file{mode: 0o444, show: b.showTemperature(rom)}},
		"alarms":      {file: &file{mode: 0o644, show: b.showAlarms(rom), store: b.storeAlarms(rom)}},
		"eeprom_cmd":  {file: &file{mode: 0o200, store: b.storeEEPROM(rom)}},
		"ext_power": {file: &file{mode: 0o444, show: b.show(rom, func(s *Slave) string {
			if s.Parasite {
				return "0\n"
			}
			return "1\n"
		}, fmt.Sprintf("%d\n", -int(syscall.ENODEV)))}},
		"features":  {file: &file{mode: 0o644, show: b.show(rom, func(s *Slave) string { return fmt.Sprintf("%d\n", s.features) }, ""), store: b.storeFeatures(rom)}},
		"conv_time": {file: &file{mode: 0o644, show: b.show(rom, func(s *Slave) string { return fmt.Sprintf("%d\n", s.conversion().Milliseconds()) }, ""), store: b.storeConvTime(rom)}},
	}
	if rom[:2] != "10" { // a DS18S20 has one resolution
		out["resolution"] = entry{file: &file{mode: 0o644, show: b.show(rom, func(s *Slave) string { return fmt.Sprintf("%d\n", s.resolution) }, ""),
			store: b.storeResolution(rom)}}
	}
	return out
}

// show asks a slave over the wire; a bus error reads as absent.
func (b *Bus) show(rom string, f func(s *Slave) string, absent string) func() (string, syscall.Errno) {
	return func() (out string, errno syscall.Errno) {
		b.wire.Lock()
		defer b.wire.Unlock()
		b.waitHang()
		b.sleep(1, ReadSlots, 0)
		b.Do(rom, func(s *Slave) {
			if out = absent; s != nil && !s.Silent {
				out = f(s)
			}
		})
		return out, 0
	}
}

// store writes to a slave over the wire.
func (b *Bus) store(rom string, f func(s *Slave)) syscall.Errno {
	b.wire.Lock()
	defer b.wire.Unlock()
	b.waitHang()
	b.sleep(2, 2*ReadSlots, 0)
	errno := syscall.EIO
	b.Do(rom, func(s *Slave) {
		if s != nil && !s.Silent {
			f(s)
			s.stamp()
			errno = 0
		}
	})
	return errno
}

// showSlave is the two lines of w1_slave: behind a CRC error t= comes from the damaged bytes, the bytes of the second
// line from the last good reading.
func (b *Bus) showSlave(rom string) func() (string, syscall.Errno) {
	return func() (string, syscall.Errno) {
		got, good, ok, found := b.read(rom)
		if !found {
			return "", 0
		}
		verdict := "NO"
		if ok {
			verdict = "YES"
		}
		return fmt.Sprintf("% x : crc=%02x %s\n% x t=%d\n", got[:], sim.CRC8(got[:8]), verdict, good[:], sim.MilliCelsius(rom, got)), 0
	}
}

func (b *Bus) showTemperature(rom string) func() (string, syscall.Errno) {
	return func() (string, syscall.Errno) {
		got, _, ok, found := b.read(rom)
		checked := false
		b.Do(rom, func(s *Slave) { checked = s != nil && s.features&1 != 0 })
		if !found || !ok || checked && got[6] == 0x0c && (got == sim.PowerOn(rom) || got == sim.NoConversion()) {
			return "", 0
		}
		return fmt.Sprintf("%d\n", sim.MilliCelsius(rom, got)), 0
	}
}

func (b *Bus) showAlarms(rom string) func() (string, syscall.Errno) {
	return b.show(rom, func(s *Slave) string { return fmt.Sprintf("%d %d\n", s.low, s.high) }, "")
}

func (b *Bus) storeAlarms(rom string) func(string) syscall.Errno {
	return func(t string) syscall.Errno {
		var v [2]int
		if n, err := fmt.Sscan(t, &v[0], &v[1]); n != 2 || err != nil {
			return syscall.EINVAL
		}
		for i := range v {
			v[i] = max(-128, min(127, v[i]))
		}
		sort.Ints(v[:])
		return b.store(rom, func(s *Slave) { s.low, s.high = int8(v[0]), int8(v[1]) })
	}
}

func (b *Bus) storeResolution(rom string) func(string) syscall.Errno {
	return func(t string) syscall.Errno {
		n, err := strconv.Atoi(t)
		if err != nil || n < 9 || n > 12 {
			return syscall.EINVAL
		}
		return b.store(rom, func(s *Slave) { s.resolution, s.convTime = n, 0 })
	}
}

// storeSlave: 9 to 12 sets the resolution, 0 saves it.
func (b *Bus) storeSlave(rom string) func(string) syscall.Errno {
	set := b.storeResolution(rom)
	return func(t string) syscall.Errno {
		if t == "0" {
			return b.store(rom, (*Slave).save)
		}
		return set(t)
	}
}

func (s *Slave) save() {
	s.eeprom = s.resolution
	s.eepromCost++
}

func (b *Bus) storeEEPROM(rom string) func(string) syscall.Errno {
	return func(t string) syscall.Errno {
		switch t {
		case "save":
			return b.store(rom, (*Slave).save)
		case "restore":
			return b.store(rom, func(s *Slave) { s.resolution = s.eeprom })
		}
		return syscall.EINVAL
	}
}

func (b *Bus) storeFeatures(rom string) func(string) syscall.Errno {
	return func(t string) syscall.Errno {
		n, err := strconv.Atoi(t)
		if err != nil || n < 0 || n > 3 {
			return syscall.EINVAL
		}
		return b.store(rom, func(s *Slave) { s.features = n })
	}
}

// storeConvTime: 0 is the default of the resolution, 1 lets the kernel measure it, else milliseconds.
func (b *Bus) storeConvTime(rom string) func(string) syscall.Errno {
	return func(t string) syscall.Errno {
		n, err := strconv.Atoi(t)
		if err != nil || n < 0 {
			return syscall.EINVAL
		}
		return b.store(rom, func(s *Slave) {
			if s.convTime = n; n == 1 {
				s.convTime = int((fullTime >> (12 - s.resolution)).Milliseconds()) * 6 / 5
			}
		})
	}
}
