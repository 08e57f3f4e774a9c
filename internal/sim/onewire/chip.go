package onewire

import "time"

// Chip is one slave. Set the exported fields before it is on a wire, later within Wire.Do.
type Chip struct {
	ROM      [8]byte
	Gone     bool // does not answer
	Parasite bool // fed by the data line: loses its supply in a conversion without strong pull-up
	Damage   int  // so many bytes that it sends from now on have a flipped bit
	Convert  time.Duration

	function function

	phase    phase
	in       byte
	inBits   int
	index    int    // bit of the ROM in a search or match
	step     int    // of a search: bit, complement, direction
	received []byte // of this transaction, after the ROM command
	out      []byte
	outBits  int

	busyUntil    time.Duration // end of a conversion
	busy, fed    bool
	conversions  int
	eepromWrites int
}

// function is what lies behind the ROM commands of a family. receive gets every byte of a transaction in p and says
// what to send from now on; nil to go on receiving. power is the fall back to power-on, done the end of a conversion.
type function interface {
	receive(c *Chip, p []byte, now time.Duration) []byte
	done(c *Chip)
	power(c *Chip)
	alarm() bool
}

type phase int

const (
	phaseDeaf phase = iota // until the next reset
	phaseROM
	phaseMatch
	phaseSearch
	phaseReceive
	phaseSend
	phaseBusy // read slots give 0 while converting
)

// ROMOf puts the CRC behind a family and a serial number of 48 bits.
func ROMOf(family byte, serial uint64) (rom [8]byte) {
	rom[0] = family
	for i := range 6 {
		rom[i+1] = byte(serial >> (8 * i))
	}
	rom[7] = crc8(rom[:7])
	return rom
}

func newChip(family byte, serial uint64, f function) *Chip {
	c := &Chip{ROM: ROMOf(family, serial), function: f, Convert: 750 * time.Millisecond}
	f.power(c)
	return c
}

func (c *Chip) reset() {
	c.phase, c.in, c.inBits, c.index, c.step, c.out, c.outBits = phaseROM, 0, 0, 0, 0, nil, 0
	c.received = c.received[:0]
}

// settle ends a conversion whose time is over, or breaks one that was cut off from its supply.
func (c *Chip) settle(now time.Duration, use bool) {
	if !c.busy {
		return
	}
	if c.Parasite && use && (!c.fed || now < c.busyUntil) {
		c.busy = false
		c.function.power(c)
		return
	}
	if now >= c.busyUntil {
		c.busy = false
		c.function.done(c)
	}
}

func (c *Chip) startConversion(now time.Duration, d time.Duration) {
	c.busy, c.fed, c.busyUntil = true, false, now+d
	c.conversions++
}

func (c *Chip) romBit(i int) byte { return c.ROM[i/8] >> (i % 8) & 1 }

// drive is what the chip does to the line in this slot: 0 pulls.
func (c *Chip) drive() byte {
	switch c.phase {
	case phaseSearch:
		switch c.step {
		case 0:
			return c.romBit(c.index)
		case 1:
			return c.romBit(c.index) ^ 1
		}
	case phaseSend:
		if c.outBits < 8*len(c.out) {
			return c.out[c.outBits/8] >> (c.outBits % 8) & 1
		}
	case phaseBusy:
		if c.busy {
			return 0
		}
	}
	return 1
}

// sample is the end of the slot, when the level of the line is known.
func (c *Chip) sample(level byte, now time.Duration) {
	switch c.phase {
	case phaseSearch:
		if c.step < 2 {
			c.step++
			return
		}
		c.step = 0
		c.match(level)
	case phaseMatch:
		c.match(level)
	case phaseSend:
		c.outBits++
	case phaseROM, phaseReceive:
		c.in |= level << c.inBits
		if c.inBits++; c.inBits == 8 {
			b := c.in
			c.in, c.inBits = 0, 0
			c.takeByte(b, now)
		}
	}
}

func (c *Chip) match(level byte) {
	if c.romBit(c.index) != level {
		c.phase = phaseDeaf
		return
	}
	if c.index++; c.index == 64 {
		c.phase = phaseReceive
	}
}

func (c *Chip) takeByte(b byte, now time.Duration) {
	if c.phase == phaseROM {
		switch b {
		case 0x33:
			c.send(c.ROM[:])
		case 0x55:
			c.phase = phaseMatch
		case 0xcc:
			c.phase = phaseReceive
		case 0xf0:
			c.phase = phaseSearch
		case 0xec:
			c.phase = phaseSearch
			if !c.function.alarm() {
				c.phase = phaseDeaf
			}
		default:
			c.phase = phaseDeaf
		}
		return
	}
	c.received = append(c.received, b)
	if out := c.function.receive(c, c.received, now); out != nil {
		c.send(out)
	}
}

func (c *Chip) send(p []byte) {
	c.out, c.outBits, c.phase = append([]byte(nil), p...), 0, phaseSend
	for i := 0; i < len(c.out) && c.Damage > 0; i, c.Damage = i+1, c.Damage-1 {
		c.out[i] ^= 1 << (i % 8)
	}
}

func crc8(p []byte) byte {
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

// crc16 is the inverted CRC-16 that counters and memories send.
func crc16(p []byte) uint16 {
	var crc uint16
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}
