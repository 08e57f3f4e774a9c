package onewire

import (
	"encoding/binary"
	"time"
)

// Thermometer is what can be set of a DS18B20 and its kin. Sixteenths is the temperature around it, in 1/16 °C.
type Thermometer struct {
	Sixteenths int
	Clone      bool // byte 6 is a constant, as in many copies
	old        bool // DS18S20
	pad        [8]byte
	eeprom     [3]byte // TH, TL, configuration
}

// NewThermometer is a chip of family 10 (DS18S20), 22 (DS1822) or 28 (DS18B20, MAX31820) at v/16 °C.
func NewThermometer(family byte, serial uint64, v int) (*Chip, *Thermometer) {
	t := &Thermometer{Sixteenths: v, old: family == 0x10, eeprom: [3]byte{0x4b, 0x46, 0x7f}}
	if t.old {
		t.eeprom[2] = 0xff
	}
	return newChip(family, serial, t), t
}

// EEPROM is what survives a power failure: TH, TL, configuration.
func (t *Thermometer) EEPROM() [3]byte { return t.eeprom }

// SetConfig writes the configuration byte into the EEPROM, as a former owner may have.
func (t *Thermometer) SetConfig(c *Chip, b byte) {
	t.eeprom[2] = b
	t.power(c)
}

// PowerFail restarts the chip.
func (t *Thermometer) PowerFail(c *Chip) { c.busy = false; t.power(c) }

func (t *Thermometer) power(*Chip) {
	t.pad = [8]byte{0x50, 0x05, t.eeprom[0], t.eeprom[1], t.eeprom[2], 0xff, 0x0c, 0x10}
	if t.old {
		t.pad[0], t.pad[1] = 0xaa, 0
	}
}

func (t *Thermometer) resolution() int { return 9 + int(t.pad[4]>>5&3) }

func (t *Thermometer) done(*Chip) {
	raw := t.Sixteenths
	if t.old {
		// T = half/2 - 1/4 + (16 - remain)/16, thus remain = 12 + 16·whole - sixteenths, 1 to 16.
		whole := (raw + 3) >> 4
		binary.LittleEndian.PutUint16(t.pad[:], uint16(int16(whole<<1)))
		t.pad[6] = byte(12 + whole<<4 - raw)
		return
	}
	raw &^= 1<<(12-t.resolution()) - 1
	binary.LittleEndian.PutUint16(t.pad[:], uint16(int16(raw)))
	if !t.Clone {
		t.pad[6] = 0x10 - t.pad[0]&15
	}
}

// alarm compares whole degrees with TH and TL, as the datasheet says (figure 4).
func (t *Thermometer) alarm() bool {
	whole := int8(int16(binary.LittleEndian.Uint16(t.pad[:])) >> 4)
	if t.old {
		whole = int8(int16(binary.LittleEndian.Uint16(t.pad[:])) >> 1)
	}
	return whole >= int8(t.pad[2]) || whole <= int8(t.pad[3])
}

func (t *Thermometer) receive(c *Chip, p []byte, now time.Duration) []byte {
	switch p[0] {
	case 0x44:
		d := c.Convert
		if !t.old {
			d >>= 12 - t.resolution()
		}
		c.startConversion(now, d)
		c.phase = phaseBusy
	case 0xbe:
		return append(t.pad[:], crc8(t.pad[:]))
	case 0x4e:
		want := 4
		if t.old {
			want = 3
		}
		if len(p) == want {
			copy(t.pad[2:], p[1:])
			if !t.old {
				t.pad[4] = p[3]&0x60 | 0x1f
			}
			c.phase = phaseDeaf
		}
	case 0x48:
		copy(t.eeprom[:], t.pad[2:5])
		c.eepromWrites++
		c.phase = phaseDeaf
	case 0xb8:
		copy(t.pad[2:5], t.eeprom[:])
		c.phase = phaseDeaf
	case 0xb4:
		if c.Parasite {
			return []byte{0}
		}
		return []byte{0xff}
	default:
		c.phase = phaseDeaf
	}
	return nil
}
