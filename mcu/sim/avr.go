package sim

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edgelog/edgelog/internal/sim/onewire"
	"github.com/edgelog/edgelog/mcu/sim/simavr"
)

// avrHz is the crystal of the ATmega328P boards.
const avrHz = 16000000

// AVR is an ATmega328P that runs an image in libsimavr, wired as firmware/port/avr says. It implements Chip.
type AVR struct {
	// DriverAlwaysOn is a serial link that needs no driver switched by the program.
	DriverAlwaysOn bool

	core  *simavr.AVR
	board *Board

	uartIn  uintptr
	wirePin uintptr
	rtcPin  uintptr

	ddrB, ddrD, portB, portD byte
	rtcLevel                 bool
	extMask, extValue        [3]byte // pins that SetPin drives, of ports B, C, D
	sent                     []Char
	sentEnd                  time.Duration
	resets                   int
}

// NewAVR makes a chip with a blank flash on a board.
func NewAVR(b *Board) (*AVR, error) {
	core, err := simavr.New(avrHz)
	if err != nil {
		return nil, err
	}
	c := &AVR{core: core, board: b, rtcLevel: true}
	c.wirePin, c.rtcPin, c.uartIn = core.Port('B', 0), core.Port('D', 4), core.UART(0)
	core.Hook(core.Port('B', simavr.Direction), func(v uint32) { c.setDDRB(byte(v)) })
	core.Hook(core.Port('B', simavr.Output), func(v uint32) { c.portB = byte(v); c.relays() })
	core.Hook(core.Port('C', simavr.Output), func(v uint32) {
		b.LCD.pins(byte(v)&15, v&0x10 != 0, v&0x20 != 0, c.Now())
	})
	core.Hook(core.Port('D', simavr.Output), func(v uint32) { c.setPortD(byte(v)) })
	core.Hook(core.Port('D', simavr.Direction), func(v uint32) { c.ddrD = byte(v); c.clock() })
	core.Hook(core.UART(1), func(v uint32) { c.transmit(byte(v)) })
	core.OnReset = c.floating
	c.PowerCycle()
	return c, nil
}

// LoadELF writes an image into the flash.
func (c *AVR) LoadELF(path string) error { return c.core.LoadELF(path) }

// SetEntry is where resets lead to: 0, or the start of a boot section.
func (c *AVR) SetEntry(pc uint32) { c.core.SetEntry(pc) }

// Flash is the program memory, 32 KiB; it may be read and written while the chip does not run.
func (c *AVR) Flash() []byte { return c.core.Flash() }

// EEPROM is its memory of 1 KiB.
func (c *AVR) EEPROM() []byte { return c.core.EEPROM() }

// RAM is the data memory from address 0.
func (c *AVR) RAM() []byte { return c.core.Data() }

// Cycles counts clock cycles.
func (c *AVR) Cycles() uint64 { return c.core.Cycle() }

// RunCycles runs so many cycles: to cut the power at an exact place.
func (c *AVR) RunCycles(n uint64) error { return c.core.Run(c.core.Cycle() + n) }

// SelfResets counts resets by the watchdog.
func (c *AVR) SelfResets() int { return c.resets }

func cycles(d time.Duration) uint64 { return uint64(d) * (avrHz / 1000000) / 1000 }

// Now implements Chip.
func (c *AVR) Now() time.Duration { return time.Duration(c.core.Cycle() * 1000 / (avrHz / 1000000)) }

// Run implements Chip.
func (c *AVR) Run(until time.Duration) error { return c.core.Run(cycles(until)) }

// Reset is the reset pin: RAM stays.
func (c *AVR) Reset() { c.restart(2) }

// PowerCycle cuts the power and brings it back: RAM holds noise.
func (c *AVR) PowerCycle() {
	ram := c.core.Data()[0x100:]
	for i := range ram {
		ram[i] = byte(i*167 + 13)
	}
	c.board.LCD.PowerCycle(c.Now())
	c.restart(1)
}

func (c *AVR) restart(mcusr byte) {
	c.core.Reset()
	c.core.Data()[simavr.AddrMCUSR] = mcusr
	c.floating()
	c.resets--
}

// floating is what a reset does to the pins.
func (c *AVR) floating() {
	c.resets++
	c.sentEnd = 0
	c.ddrB, c.ddrD, c.portB, c.portD = 0, 0, 0, 0
	c.pull(c.board.Pin.Edge(false, c.Now()))
	c.clock()
	c.board.Relays.set(0, c.Now())
}

// Close frees the chip.
func (c *AVR) Close() error { c.core.Close(); return nil }

// setDDRB drives the 1-Wire line.
func (c *AVR) setDDRB(v byte) {
	c.ddrB = v
	c.pull(c.board.Pin.Edge(v&1 != 0, c.Now()))
	c.relays()
}

func (c *AVR) pull(pulls []onewire.Pull) {
	now := c.Now()
	c.wireLevel()
	for _, p := range pulls {
		if p.From > now {
			c.core.After(cycles(p.From-now), c.wireLevel)
		}
		c.core.After(cycles(p.To-now), c.wireLevel)
	}
}

func (c *AVR) wireLevel() {
	v := uint32(1)
	if c.board.Pin.Low(c.Now()) {
		v = 0
	}
	c.core.Raise(c.wirePin, v)
}

func (c *AVR) setPortD(v byte) {
	if c.portD&4 != 0 && v&4 == 0 && c.sentEnd > c.Now() {
		c.board.note(fmt.Sprintf("RS-485: the driver is switched off %v before the last stop bit ends", c.sentEnd-c.Now()))
	}
	c.portD = v
	c.clock()
	c.relays()
}

// clock tells the DS1302 its pins. The data line floats high while nobody drives it.
func (c *AVR) clock() {
	io := c.portD&c.ddrD&0x10 != 0 || c.ddrD&0x10 == 0
	c.rtcLevel = c.board.Clock.pins(c.portD&8 != 0, c.portD&0x20 != 0, io, c.Now())
	if c.ddrD&0x10 == 0 {
		v := uint32(0)
		if c.rtcLevel {
			v = 1
		}
		c.core.Raise(c.rtcPin, v)
	}
}

// relays reads the outputs.
func (c *AVR) relays() {
	c.board.Relays.set(c.portD&c.ddrD>>6|c.portB&c.ddrB&0x1e<<1, c.Now())
}

func (c *AVR) baud() int {
	d := c.core.Data()
	div := 16
	if d[simavr.AddrUCSR0A]&2 != 0 {
		div = 8
	}
	return avrHz / div / (1 + int(d[simavr.AddrUBRR0L]) + int(d[simavr.AddrUBRR0L+1]&15)<<8)
}

func (c *AVR) transmit(b byte) {
	now, baud := c.Now(), c.baud()
	start := max(now, c.sentEnd)
	c.sentEnd = start + 10*time.Second/time.Duration(baud)
	if !c.DriverAlwaysOn && c.ddrD&4 != 0 && c.portD&4 == 0 {
		c.board.note("RS-485: a character is sent while the driver is off")
		return
	}
	c.sent = append(c.sent, Char{Byte: b, Start: start, End: c.sentEnd, Baud: baud})
}

// Sent implements Chip.
func (c *AVR) Sent(dst []Char) []Char {
	dst = append(dst, c.sent...)
	c.sent = c.sent[:0]
	return dst
}

// Receive implements Chip.
func (c *AVR) Receive(x Char) {
	v := uint32(x.Byte)
	if own := c.baud(); x.Baud != 0 && (x.Baud*100 < own*96 || x.Baud*100 > own*104) {
		v, x.Bad = uint32(x.Byte^0x55), true
	}
	if x.Bad {
		v |= 0x8000
	}
	wait := uint64(1)
	if d := x.End - c.Now(); d > 0 {
		wait = cycles(d)
	}
	c.core.After(wait, func() { c.core.Raise(c.uartIn, v) })
}

// NewAVRNode is a node with the image at path.
func NewAVRNode(name, path string, b *Board) (*Node, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, errors.Join(err, ErrNoImage)
	}
	c, err := NewAVR(b)
	if err != nil {
		return nil, err
	}
	if err := c.LoadELF(path); err != nil {
		return nil, err
	}
	return &Node{Chip: c, Name: name, Board: b}, nil
}

// PC is the address in bytes of the next instruction.
func (c *AVR) PC() uint32 { return c.core.PC() }

// Hang lets the program fall into an endless loop of its own code; its interrupts go on.
func (c *AVR) Hang() error {
	f := c.core.Flash()
	for pc := 0; pc+1 < len(f); pc += 2 {
		if f[pc] == 0xff && f[pc+1] == 0xcf { // RJMP to itself
			c.core.SetPC(uint32(pc))
			return nil
		}
	}
	return errNoLoop
}

// SetPin drives an input of port B, C or D from outside, beside the devices of the board.
func (c *AVR) SetPin(port byte, pin int, high bool) {
	i, v := port-'B', uint32(0)
	c.extMask[i] |= 1 << pin
	c.extValue[i] &^= 1 << pin
	if high {
		c.extValue[i] |= 1 << pin
		v = 1
	}
	c.core.External(port, c.extMask[i], c.extValue[i])
	c.core.Raise(c.core.Port(port, pin), v)
}
