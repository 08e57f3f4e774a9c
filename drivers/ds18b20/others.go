package ds18b20

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
)

// monitor is the DS2438 battery monitor (datasheet 19-4999): temperature, two voltages and the voltage over a shunt.
// Page 0 of its memory:
//
//	+--------+----------+-----------+---------+-----------+-----+
//	| status | temp LSB | temp MSB  | voltage | current   | thr | CRC
//	+--------+----------+-----------+---------+-----------+-----+   1, 1, 1, 2, 2, 1 bytes
type monitor struct{}

const (
	convertV      = 0xb4
	selectSupply  = 1 << 3 // bit AD of status: VDD in place of VAD
	page0         = 0x00
	temperatureAt = 1
	voltageAt     = 3
	currentAt     = 5
)

func (monitor) converts() bool { return true }

func (monitor) quantities(onewire.Address, Options) []drivers.Quantity {
	voltage := func(input string) drivers.Quantity {
		return drivers.Quantity{Series: record.Series{Name: "voltage", Unit: "V", Type: record.Decimal(2),
			Labels: []record.Label{{Key: "input", Value: input}}}, Min: 0, Max: 10.23}
	}
	return []drivers.Quantity{
		{Series: record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(5)}, Min: -55, Max: 125},
		voltage("vdd"), voltage("vad"),
		{Series: record.Series{Name: "voltage", Unit: "V", Type: record.TypeFloat,
			Labels: []record.Label{{Key: "input", Value: "sense"}}}, Min: -0.25, Max: 0.25},
	}
}

func (monitor) meet(_ context.Context, _ *Sensor, c *chip) error {
	c.known = true
	return nil
}

// page recalls page 0 and reads it.
func (monitor) page(ctx context.Context, s *Sensor, c *chip, p []byte) (record.Quality, error) {
	if q, err := s.tell(ctx, c, recallEEPROM, page0); err != nil || q.Bad() {
		return q, err
	}
	return s.ask(ctx, c, []byte{readScratchpad, page0}, p, crc8)
}

func (m monitor) read(ctx context.Context, s *Sensor, c *chip, dst []drivers.Sample) ([]drivers.Sample, error) {
	var p [9]byte
	q, err := m.page(ctx, s, c, p[:])
	if err != nil {
		return dst, err
	}
	if q.Good() && p == [9]byte{} {
		q = record.QualityAllZero
	}
	if q.Bad() {
		return c.all(dst, q, p[:]), nil
	}
	t := int64(int16(binary.LittleEndian.Uint16(p[temperatureAt:]))>>3) * 3125 // 1/32 °C in 1/100,000 °C
	shunt := float64(int16(binary.LittleEndian.Uint16(p[currentAt:]))) / 4096  // 0.2441 mV a bit
	out := []drivers.Sample{c.good(0, record.Decimal(5), t), {}, {},
		c.good(3, record.TypeFloat, int64(math.Float64bits(shunt)))}
	// The input that is selected already comes first, so that one sweep changes the selection once.
	selected := p[0] & selectSupply
	for range 2 {
		i := 2
		if selected != 0 {
			i = 1
		}
		v, q, err := m.voltage(ctx, s, c, &p, selected)
		if err != nil {
			return dst, err
		}
		if out[i] = c.good(i, record.Decimal(2), v); q.Bad() {
			out[i] = c.bad(i, q, p[:])
		}
		selected ^= selectSupply
	}
	return append(dst, out...), nil
}

// voltage measures one input, in 10 mV. p holds page 0 before and after.
func (m monitor) voltage(ctx context.Context, s *Sensor, c *chip, p *[9]byte, selected byte) (int64, record.Quality, error) {
	if p[0]&selectSupply != selected {
		if q, err := s.tell(ctx, c, writeScratchpad, page0, p[0]^selectSupply); err != nil || q.Bad() {
			return 0, q, err
		}
		if q, err := s.tell(ctx, c, copyScratchpad, page0); err != nil || q.Bad() {
			return 0, q, err
		}
		if err := s.wait(ctx, voltageConversion); err != nil {
			return 0, 0, err
		}
	}
	if q, err := s.tell(ctx, c, convertV); err != nil || q.Bad() {
		return 0, q, err
	}
	if err := s.wait(ctx, voltageConversion); err != nil {
		return 0, 0, err
	}
	q, err := m.page(ctx, s, c, p[:])
	if q.Good() && p[0]&selectSupply != selected {
		q = record.QualityDevice // it did not take the selection
	}
	return int64(binary.LittleEndian.Uint16(p[voltageAt:]) & 0x3ff), q, err
}

func (monitor) properties(Options) []property {
	return []property{{names: []string{"temperature"}, parse: parseDecimal(5, 3125), temperature: true},
		{names: []string{"VDD"}, parse: parseDecimal(2, 1)}, {names: []string{"VAD"}, parse: parseDecimal(2, 1)},
		{names: []string{"vis"}, parse: parseFloat}}
}

// pins is the DS2413 dual switch (datasheet 19-4909): the levels of its two pins.
type pins struct{}

const pioRead = 0xf5

func (pins) converts() bool { return false }

func (pins) quantities(onewire.Address, Options) []drivers.Quantity {
	level := func(input string) drivers.Quantity {
		return drivers.Quantity{Series: record.Series{Name: "level", Type: record.TypeBool,
			Labels: []record.Label{{Key: "input", Value: input}}}}
	}
	return []drivers.Quantity{level("a"), level("b")}
}

func (pins) meet(_ context.Context, _ *Sensor, c *chip) error {
	c.known = true
	return nil
}

// read believes an answer whose upper half is the complement of its lower one: pin A, latch A, pin B, latch B.
func (pins) read(ctx context.Context, s *Sensor, c *chip, dst []drivers.Sample) ([]drivers.Sample, error) {
	var p [1]byte
	q, err := s.ask(ctx, c, []byte{pioRead}, p[:], func(p []byte) record.Quality {
		switch {
		case p[0] == 0xff:
			return record.QualityAbsent
		case p[0]&15 != ^p[0]>>4:
			return record.QualityCRC
		}
		return record.QualityGood
	})
	if err != nil {
		return dst, err
	}
	if q.Bad() {
		return c.all(dst, q, p[:]), nil
	}
	return append(dst, c.good(0, record.TypeBool, int64(p[0]&1)), c.good(1, record.TypeBool, int64(p[0]>>2&1))), nil
}

func (pins) properties(Options) []property {
	return []property{{names: []string{"sensed.A"}, parse: parseBool}, {names: []string{"sensed.B"}, parse: parseBool}}
}

// counters is the DS2423 (datasheet 19-5032): inputs A and B count into the pages 14 and 15. They wrap at 2^32 and start
// at 0 when their battery fails.
type counters struct{}

const readMemoryCounter = 0xa5

func (counters) converts() bool { return false }

func (counters) quantities(onewire.Address, Options) []drivers.Quantity {
	count := func(input string) drivers.Quantity {
		return drivers.Quantity{Series: record.Series{Name: "count", Type: record.TypeInt,
			Labels: []record.Label{{Key: "input", Value: input}}}}
	}
	return []drivers.Quantity{count("a"), count("b")}
}

func (counters) meet(_ context.Context, _ *Sensor, c *chip) error {
	c.known = true
	return nil
}

// read asks for the last byte of each page, which the counter, four zero bytes and the CRC-16 over all, command
// included, follow.
func (counters) read(ctx context.Context, s *Sensor, c *chip, dst []drivers.Sample) ([]drivers.Sample, error) {
	before := len(dst)
	for i := range 2 {
		command := []byte{readMemoryCounter, byte(14+i)<<5 | 31, 1}
		var p [11]byte
		q, err := s.ask(ctx, c, command, p[:], func(p []byte) record.Quality {
			switch {
			case onewire.CRC16(append(command[:3:3], p...)) == onewire.CRC16OK:
				return record.QualityGood
			case p[1]&p[5]&p[6]&p[7]&p[8]&p[9]&p[10] == 0xff:
				return record.QualityAbsent
			}
			return record.QualityCRC
		})
		if err != nil {
			return dst[:before], err
		}
		if q.Bad() {
			dst = append(dst, c.bad(i, q, p[:]))
			continue
		}
		dst = append(dst, c.good(i, record.TypeInt, int64(binary.LittleEndian.Uint32(p[1:]))))
	}
	return dst, nil
}

func (counters) properties(Options) []property {
	return []property{{names: []string{"counter.A", "counters.A"}, parse: parseInt},
		{names: []string{"counter.B", "counters.B"}, parse: parseInt}}
}
