package ds18b20

import (
	"context"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/thermo"
)

// thermometer is every family that drivers/bus/onewire/thermo decodes.
type thermometer struct{}

// Function commands (DS18B20 datasheet p. 11).
const (
	convertT        = 0x44
	readScratchpad  = 0xbe
	writeScratchpad = 0x4e
	copyScratchpad  = 0x48
	recallEEPROM    = 0xb8
	readPower       = 0xb4
)

func (thermometer) converts() bool { return true }

func (thermometer) quantities(a onewire.Address, o Options) []drivers.Quantity {
	q := drivers.Quantity{Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)}, Min: -55, Max: 125}
	if a.Family() == byte(thermo.DS1825) {
		q.Min, q.Max = -270, 1800 // MAX31850 with any thermocouple
	}
	if !o.Alarms {
		return []drivers.Quantity{q}
	}
	return []drivers.Quantity{q, {Series: record.Series{Name: "alarm", Type: record.TypeBool}}}
}

// meet asks for the supply and the resolution, and sets the latter if it is to be another one.
func (thermometer) meet(ctx context.Context, s *Sensor, c *chip) error {
	var supply [1]byte
	q, err := s.ask(ctx, c, []byte{readPower}, supply[:], func([]byte) record.Quality { return record.QualityGood })
	if err != nil {
		return err
	}
	c.parasite = q.Good() && supply[0] == 0
	var p thermo.Scratchpad
	q, err = s.ask(ctx, c, []byte{readScratchpad}, p[:], crc8)
	if err != nil {
		return err
	}
	if q.Bad() || p.All(0) {
		return nil // met again with the next search
	}
	c.known, c.resolution = true, bitsOf(c, &p)
	return s.setResolution(ctx, c, &p)
}

// bitsOf is the resolution that decides on the time of a conversion; 0 for chips that take the longest.
func bitsOf(c *chip, p *thermo.Scratchpad) int {
	if c.rom.Family() == byte(thermo.DS18S20) || p[4]&0x80 != 0 {
		return 0
	}
	return p.Resolution()
}

// setResolution writes the resolution to a chip that has another one; alarm limits stay. With Persist the EEPROM is
// asked first and written only if it differs, at most once while this sensor is open: it wears.
func (s *Sensor) setResolution(ctx context.Context, c *chip, p *thermo.Scratchpad) error {
	if s.o.Resolution == 0 || c.resolution == 0 || c.resolution == s.o.Resolution {
		return nil
	}
	persist := s.o.Persist && !c.persisted
	if persist {
		if _, err := s.tell(ctx, c, recallEEPROM); err != nil {
			return err
		}
		var saved thermo.Scratchpad
		q, err := s.ask(ctx, c, []byte{readScratchpad}, saved[:], crc8)
		if err != nil || q.Bad() {
			return err
		}
		if *p = saved; p.Resolution() == s.o.Resolution {
			c.persisted, c.resolution = true, s.o.Resolution
			return nil
		}
	}
	if _, err := s.tell(ctx, c, writeScratchpad, p[2], p[3], byte(s.o.Resolution-9)<<5|0x1f); err != nil {
		return err
	}
	var now thermo.Scratchpad
	q, err := s.ask(ctx, c, []byte{readScratchpad}, now[:], crc8)
	if err != nil || q.Bad() {
		return err
	}
	c.resolution = now.Resolution()
	if !persist || c.resolution != s.o.Resolution || now[2] != p[2] || now[3] != p[3] {
		return nil // a chip that cannot change its resolution keeps what it has
	}
	c.persisted = true
	rom := c.rom.Bytes()
	command := append(append([]byte{onewire.MatchROM}, rom[:]...), copyScratchpad)
	if err := s.bus.Tx(ctx, command, nil, onewire.StrongPullup); err != nil {
		return err
	}
	return s.wait(ctx, eepromWrite)
}

func (thermometer) read(ctx context.Context, s *Sensor, c *chip, dst []drivers.Sample) ([]drivers.Sample, error) {
	var p thermo.Scratchpad
	q, err := s.scratchpad(ctx, c, &p)
	if err != nil {
		return dst, err
	}
	if q == record.QualityBus {
		return c.all(dst, q, []byte("transfer disturbed three times")), nil
	}
	t, q := thermo.Judge(thermo.Family(c.rom.Family()), &c.history, &p, q != record.QualityCRC)
	if q == record.QualityPowerOn && c.parasite {
		q = record.QualityBrownOut // it lost the supply that the data line gives while it converted
	}
	if q.Bad() {
		dst = c.all(dst, q, p[:])
	} else {
		dst = append(dst, c.good(0, record.Decimal(4), t))
		if s.o.Alarms {
			alarm := int64(0)
			if c.alarm {
				alarm = 1
			}
			dst = append(dst, c.good(1, record.TypeBool, alarm))
		}
	}
	s.suspect(c, &p)
	if q == record.QualityAbsent || q == record.QualityCRC || q == record.QualityAllZero {
		return dst, nil
	}
	// A chip that restarted has the resolution of its EEPROM again.
	c.resolution = bitsOf(c, &p)
	before := len(dst)
	if err := s.setResolution(ctx, c, &p); err != nil {
		if ended := s.ended(ctx); ended != nil {
			return dst[:before], ended
		}
		s.rescan = time.Time{} // the sample is good; what is wrong with the bus shows at the next one
	}
	return dst, nil
}

// suspect reports a copy, once.
func (s *Sensor) suspect(c *chip, p *thermo.Scratchpad) {
	if c.judged {
		return
	}
	if why := thermo.Suspect(c.rom, p); why != "" {
		c.judged = true
		if s.o.Events.Suspect != nil {
			s.o.Events.Suspect(c.rom.String(), why)
		}
	}
}

func (thermometer) properties(Options) []property {
	return []property{{names: []string{"latesttemp", "temperature"}, parse: parseDecimal(4, 625), temperature: true}}
}
