// Package thermo decodes what 1-Wire thermometers answer, exactly, and says with a quality code when that is not a
// temperature. The kernel's driver and every bus master share it.
package thermo

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/onewire"
)

// Family is the first byte of a ROM: the kind of chip.
type Family byte

// The thermometers.
const (
	DS18S20  Family = 0x10 // also DS1820
	DS1822   Family = 0x22
	DS18B20  Family = 0x28 // also MAX31820
	DS1825   Family = 0x3b // also MAX31850, a thermocouple amplifier
	DS28EA00 Family = 0x42
)

// Known reports whether f is a thermometer.
func (f Family) Known() bool {
	switch f {
	case DS18S20, DS1822, DS18B20, DS1825, DS28EA00:
		return true
	}
	return false
}

// Scratchpad is the nine bytes that a thermometer answers, the last of which is the CRC of the others:
//
//	 0     1     2    3    4        5    6               7     8
//	+-----+-----+----+----+--------+----+---------------+-----+-----+
//	| LSB | MSB | TH | TL | config | FF | count remain  | 10h | CRC |
//	+-----+-----+----+----+--------+----+---------------+-----+-----+
//
// DS18B20 datasheet (19-7487 Rev 6) figure 7; byte 6 is called reserved there and is the count that remained on a
// DS18S20 (19-5474 Rev 4, figure 5).
type Scratchpad [9]byte

// Byte 6 and the temperature after power-on, before any conversion.
const (
	powerOnRaw   = 0x0550 // 85 °C
	powerOnRawS  = 0x00aa // 85 °C on a DS18S20, in half degrees
	powerOnByte6 = 0x0c
	noConversion = 0x07ff // 127.94 °C
	near85       = 5_0000 // 5 °C in 1/10000 °C
	value85      = 85_0000
)

func (s *Scratchpad) raw() uint16 { return uint16(s[0]) | uint16(s[1])<<8 }

// All reports whether every byte is b: ff is what a bus without the chip reads as.
func (s *Scratchpad) All(b byte) bool {
	for _, c := range s {
		if c != b {
			return false
		}
	}
	return true
}

// Resolution is the number of significant bits that the config register states, 9 to 12.
func (s *Scratchpad) Resolution() int { return 9 + int(s[4]>>5&3) }

// Temperature is the exact value in 1/10000 °C. Quality is good, or says why the bytes hold no temperature:
// QualityAllZero, QualityNoConversion, QualityDevice (thermocouple fault), QualityMalformed. The CRC is the
// caller's business, and so is the power-on value, which needs history (see History).
func (s *Scratchpad) Temperature(f Family) (int64, record.Quality) {
	if s.All(0) {
		// CRC-8 of zeros is zero: a line held low reads as a valid frame of 0 °C.
		return 0, record.QualityAllZero
	}
	raw := s.raw()
	switch {
	case f == DS18S20:
		return s.temperatureS()
	case f == DS1825 && s[4]&0x80 != 0: // MAX31850: 14 bits, 1/4 °C; bit 0 is its fault flag
		if raw&1 != 0 {
			return 0, record.QualityDevice
		}
		return int64(int16(raw&^3)) * 625, record.QualityGood
	case s[4]&0x80 != 0: // GX20MH01 with 13 or 14 bits: two more bits stand in the config register
		t := int64(int16(raw<<2 | uint16(s[4]&3)))
		return roundDiv(t*10000, 64), record.QualityGood
	}
	undefined := uint16(1)<<(12-s.Resolution()) - 1 // datasheet p. 6: these bits are undefined below 12 bits
	if raw|undefined == noConversion {
		return 0, record.QualityNoConversion
	}
	return int64(int16(raw&^undefined)) * 625, record.QualityGood
}

// temperatureS extends the half degrees of a DS18S20 by its count remain register (datasheet p. 6):
// TEMP_READ − 0.25 + (COUNT_PER_C − COUNT_REMAIN) / COUNT_PER_C. COUNT_PER_C is 16, so 1/16 °C is exact.
func (s *Scratchpad) temperatureS() (int64, record.Quality) {
	per := int64(s[7])
	if per == 0 || int64(s[6]) > per {
		return 0, record.QualityMalformed
	}
	whole := int64(int16(s.raw()) >> 1)
	return whole*10000 - 2500 + roundDiv((per-int64(s[6]))*10000, per), record.QualityGood
}

func roundDiv(a, b int64) int64 {
	if a < 0 {
		return (a - b/2) / b
	}
	return (a + b/2) / b
}

// History is what must be remembered of one chip to tell a genuine 85 °C from the value that its scratchpad holds
// after power-on (datasheet p. 6). The zero value knows nothing.
//
// A chip that lost its supply between conversion command and reading answers 0x0550 with a valid CRC. A genuine
// DS18B20 then has 0x0C in byte 6, where after a conversion it keeps 0x10 minus the low four bits of the
// temperature, thus 0x10 for a measured 85.0 °C. Many clones keep a constant in byte 6, often 0x0C, and a DS18S20
// has 0x0C in both cases. So:
//
//   - a chip whose byte 6 was seen to follow the temperature is believed both ways: 0x0C is power-on, 0x10 is measured;
//   - byte 6 = 0x0C is power-on as long as the chip has not shown that its byte 6 is constant;
//   - else 85.0 °C is believed only if the last good reading other than 85.0 °C lay within 5 °C: a ramp passes
//     through 85, a chip that restarts jumps there.
type History struct {
	byte6 byte6
	seen  bool  // last is valid
	last  int64 // last good reading that was not 85.0 °C, 1/10000 °C
}

type byte6 uint8

const (
	byte6Unknown byte6 = iota
	byte6Follows
	byte6Fixed
)

// PowerOn reports whether a good reading t of s is the power-on value, and remembers the reading.
func (h *History) PowerOn(f Family, s *Scratchpad, t int64) bool {
	b := f == DS18B20 || f == DS1822 || f == DS28EA00 || f == DS1825 && s[4]&0x80 == 0
	if !b && f != DS18S20 {
		return false
	}
	if b && s.raw() == powerOnRaw || f == DS18S20 && s.raw() == powerOnRawS && t == value85 {
		return h.resets(b, s[6])
	}
	if b {
		h.learn(s)
	}
	h.seen, h.last = true, t
	return false
}

func (h *History) resets(b bool, six byte) bool {
	if b && h.byte6 == byte6Follows {
		return six == powerOnByte6
	}
	if b && six == powerOnByte6 && h.byte6 == byte6Unknown {
		return true
	}
	d := h.last - value85
	return !h.seen || d > near85 || d < -near85
}

// learn looks at a reading other than 85.0 °C. Values of byte 6 that a constant could hold by chance as well
// (0x0C, 0x10, 0xFF) prove nothing when they fit; one that does not fit proves a constant.
func (h *History) learn(s *Scratchpad) {
	want := 0x10 - s[0]&15
	switch {
	case s[6] != want && s.Resolution() == 12:
		h.byte6 = byte6Fixed
	case s[6] == want && want != powerOnByte6 && want != 0x10 && h.byte6 == byte6Unknown:
		h.byte6 = byte6Follows
	}
}

// PowerOnValue reports whether a temperature t, in 1/10000 °C, of which nothing else is known is the power-on value,
// and remembers it: 85 °C is believed only near the last reading.
func (h *History) PowerOnValue(t int64) bool {
	if t == value85 {
		d := h.last - value85
		return !h.seen || d > near85 || d < -near85
	}
	h.seen, h.last = true, t
	return false
}

// Judge turns the nine bytes of a chip into its temperature in 1/10000 °C or the quality code that says why there is
// none. intact is what others found of the CRC; it is checked again.
func Judge(f Family, h *History, s *Scratchpad, intact bool) (int64, record.Quality) {
	switch {
	case s.All(0xff): // nobody pulled the line
		return 0, record.QualityAbsent
	case !intact || onewire.CRC8(s[:]) != 0:
		return 0, record.QualityCRC
	}
	t, q := s.Temperature(f)
	if q.Bad() {
		return 0, q
	}
	if h.PowerOn(f, s, t) {
		return 0, record.QualityPowerOn
	}
	return t, q
}

// Suspect says in words why a chip cannot be a genuine one, or nothing. Genuine DS18B20 carry two zero bytes at the top
// of their serial number, FF and 10 in bytes 5 and 7, and a count in byte 6 that follows the temperature at 12 bits
// (github.com/cpetrich/counterfeit_DS18B20). A copy may measure well; it need not.
func Suspect(a onewire.Address, s *Scratchpad) string {
	if Family(a.Family()) != DS18B20 || s.All(0) || s.All(0xff) || onewire.CRC8(s[:]) != 0 {
		return ""
	}
	switch {
	case s[5] != 0xff || s[7] != 0x10:
		return "scratchpad bytes 5 and 7 are not those of a genuine chip"
	case s[4]&0x9f != 0x1f:
		return "the configuration register has bits that a genuine chip does not"
	case s.Resolution() == 12 && s.raw() != powerOnRaw && s.raw() != noConversion && s[6] != 0x10-s[0]&15:
		return "byte 6 does not follow the temperature"
	case a.Serial()>>32 != 0:
		return "the serial number lies outside the range of genuine chips"
	}
	return ""
}
