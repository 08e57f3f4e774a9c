package w1

// Encode is what a sensor of that ROM's family answers at v/16 °C with a resolution of 9 to 12 bits: a DS18S20 for
// family 10, a DS18B20 for all others. Bits below the resolution, undefined on a real chip, are set.
func Encode(rom string, v, resolution int) Scratchpad {
	p := Scratchpad{2: 0x4b, 3: 0x46, 5: 0xff, 7: 0x10}
	if rom[:2] == "10" {
		// T = half/2 - 1/4 + (16 - remain)/16: the half degree below T + 1/4 leaves a remainder of 1 to 16.
		whole := (v + 4 - 1) >> 4 // full degrees such that remain = 16 - (v + 4 - 16·whole) is 0 to 15
		half := whole << 1
		p[0], p[1] = byte(half), byte(half>>8)
		p[4], p[6] = 0xff, byte(16-(v+4-whole<<4))
		p[8] = CRC8(p[:8])
		return p
	}
	undefined := 1<<(12-resolution) - 1
	raw := v | undefined
	p[0], p[1] = byte(raw), byte(raw>>8)
	p[4] = byte(resolution-9)<<5 | 0x1f
	p[6] = 0x10 - p[0]&15
	p[8] = CRC8(p[:8])
	return p
}

// PowerOn is the scratchpad of a sensor that lost its supply: 85 °C, byte 6 at 0x0C.
func PowerOn(rom string) Scratchpad {
	p := Scratchpad{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}
	if rom[:2] == "10" {
		p = Scratchpad{0xaa, 0x00, 0x4b, 0x46, 0xff, 0xff, 0x0c, 0x10}
	}
	p[8] = CRC8(p[:8])
	return p
}

// NoConversion is 127.94 °C, the answer of a sensor whose conversion did not complete.
func NoConversion() Scratchpad {
	p := Scratchpad{0xff, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}
	p[8] = CRC8(p[:8])
	return p
}

// AllZero is a line held low; its CRC is right.
func AllZero() Scratchpad { return Scratchpad{} }

// Damaged flips one bit, chosen by n, so that the CRC is wrong.
func Damaged(p Scratchpad, n int) Scratchpad {
	p[n/8%9] ^= 1 << (n % 8)
	return p
}

// MilliCelsius is what the kernel prints as t=.
func MilliCelsius(rom string, p Scratchpad) int {
	raw := int(int16(uint16(p[0]) | uint16(p[1])<<8))
	if rom[:2] == "10" {
		if p[7] == 0 {
			return 0
		}
		return (raw>>1)*1000 - 250 + 1000*(int(p[7])-int(p[6]))/int(p[7])
	}
	return raw * 1000 / 16
}

// CRC8 is the checksum of a scratchpad.
func CRC8(p []byte) byte {
	var crc byte
	for _, b := range p {
		for range 8 {
			mix := (crc ^ b) & 1
			crc >>= 1
			if mix != 0 {
				crc ^= 0x8c
			}
			b >>= 1
		}
	}
	return crc
}
