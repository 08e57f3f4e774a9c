package onewire

import (
	"encoding/binary"
	"time"
)

// Monitor is a DS2438 battery monitor (datasheet 19-4999).
type Monitor struct {
	Temperature int // in 1/32 °C
	VDD, VAD    int // in 10 mV
	Current     int // in 1/4096 V over the shunt
	page, pad   [8]byte
	pages       [8][8]byte
	volts       bool
	channel     byte
}

// NewMonitor is a DS2438.
func NewMonitor(serial uint64) (*Chip, *Monitor) {
	m := &Monitor{Temperature: 20 * 32, VDD: 500, VAD: 200}
	c := newChip(0x26, serial, m)
	c.Convert = 10 * time.Millisecond
	return c, m
}

func (m *Monitor) power(*Chip) { m.page = [8]byte{0: 0x0f} } // IAD, CA, EE and AD are set
func (m *Monitor) alarm() bool { return false }
func (m *Monitor) done(*Chip) {
	if !m.volts {
		binary.LittleEndian.PutUint16(m.page[1:], uint16(int16(m.Temperature<<3)))
		return
	}
	v := m.VAD
	if m.channel != 0 {
		v = m.VDD
	}
	binary.LittleEndian.PutUint16(m.page[3:], uint16(v))
}

func (m *Monitor) receive(c *Chip, p []byte, now time.Duration) []byte {
	switch {
	case p[0] == 0x44 || p[0] == 0xb4:
		m.volts, m.channel = p[0] == 0xb4, m.page[0]>>3&1
		c.startConversion(now, c.Convert)
		c.phase = phaseBusy
	case len(p) < 2:
	case p[0] == 0xb8: // recall memory to scratchpad
		m.pad = m.pages[p[1]&7]
		if p[1] == 0 {
			binary.LittleEndian.PutUint16(m.page[5:], uint16(int16(m.Current)))
			m.pad = m.page
		}
		c.phase = phaseDeaf
	case p[0] == 0xbe:
		return append(m.pad[:], crc8(m.pad[:]))
	case p[0] == 0x4e:
		if len(p) <= 10 {
			copy(m.pad[:], p[2:])
		}
	case p[0] == 0x48:
		if p[1] == 0 {
			m.page[0], m.page[7] = m.pad[0]&0x0f, m.pad[7]
		} else {
			m.pages[p[1]&7] = m.pad
			c.eepromWrites++
		}
		c.phase = phaseDeaf
	default:
		c.phase = phaseDeaf
	}
	return nil
}

// Switch is a DS2413: two pins.
type Switch struct {
	A, B bool // levels outside
}

// NewSwitch is a DS2413 with both outputs off.
func NewSwitch(serial uint64) (*Chip, *Switch) {
	s := &Switch{A: true, B: true}
	return newChip(0x3a, serial, s), s
}

func (s *Switch) power(*Chip) {}
func (s *Switch) done(*Chip)  {}
func (s *Switch) alarm() bool { return false }

func (s *Switch) receive(c *Chip, p []byte, _ time.Duration) []byte {
	if p[0] != 0xf5 {
		c.phase = phaseDeaf
		return nil
	}
	b := byte(0x0a) // both latches off
	if s.A {
		b |= 1
	}
	if s.B {
		b |= 4
	}
	b |= ^b << 4
	return []byte{b, b, b, b}
}

// Counter is a DS2423: 16 pages of 32 bytes, the last four with counters; 14 and 15 are the inputs A and B.
type Counter struct{ A, B uint32 }

// NewCounter is a DS2423.
func NewCounter(serial uint64) (*Chip, *Counter) {
	n := &Counter{}
	return newChip(0x1d, serial, n), n
}

func (n *Counter) power(*Chip) {}
func (n *Counter) done(*Chip)  {}
func (n *Counter) alarm() bool { return false }

// receive answers Read Memory + Counter from any address to the end of memory.
func (n *Counter) receive(c *Chip, p []byte, _ time.Duration) []byte {
	if p[0] != 0xa5 {
		c.phase = phaseDeaf
		return nil
	}
	if len(p) < 3 {
		return nil
	}
	var out []byte
	part := append([]byte(nil), p[:3]...)
	for at := int(p[1]) | int(p[2])&1<<8; at < 512; at = at&^31 + 32 {
		mem := make([]byte, 32-at%32)
		for i := range mem {
			mem[i] = 0x55
		}
		v := uint32(0)
		switch at / 32 {
		case 14:
			v = n.A
		case 15:
			v = n.B
		}
		body := binary.LittleEndian.AppendUint32(mem, v)
		body = append(body, 0, 0, 0, 0)
		part = append(part, body...)
		out = append(out, body...)
		out = binary.LittleEndian.AppendUint16(out, crc16(part))
		part = part[:0]
	}
	return out
}
