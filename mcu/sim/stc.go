package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/mcu/sim/mcs51"
)

// The STC89C52RC boards: 11.0592 MHz, twelve clocks a cycle.
const (
	stcHz        = 11059200
	stcDataFlash = 0x2000
	stcSector    = 512
	stcSectors   = 8
	stcErase     = 20 * time.Millisecond
	stcProgram   = 60 * time.Microsecond
)

// SFRs that an STC89 adds.
const (
	wdtContr = 0xe1
	ispData  = 0xe2
	ispAddrH = 0xe3
	ispAddrL = 0xe4
	ispCmd   = 0xe5
	ispTrig  = 0xe6
	ispContr = 0xe7
)

// STC is an STC89C52RC, or an STC89C54RD+ where the image is larger than 8 KiB, that runs an image on the 8052 core, wired as firmware/port/stc89 says. It implements Chip.
type STC struct {
	CPU   mcs51.CPU
	Flash [stcSectors * stcSector]byte // the data flash
	// Loader says that the program has entered the ISP loader: the core stands still until a reset or power cycle.
	Loader bool
	// CutIn cuts the power after so many further bytes or sectors of the data flash are written or erased, in the
	// middle of the last one; 0 never. Cut says that it has happened.
	CutIn int
	Cut   bool
	// StackTop is the highest SP seen.
	StackTop byte

	board    *Board
	unlocked bool // ISP_TRIG has seen 0x46
	wdtEnd   uint64
	resetDue bool
	sent     []Char
	sentEnd  time.Duration
	rx       []Char
	selfs    int
	latch    [4]byte
}

// newSTC makes a chip with the program on a board.
func newSTC(code []byte, b *Board) *STC {
	c := &STC{board: b}
	for i := range c.Flash {
		c.Flash[i] = 0xff
	}
	xram := 256
	if len(code) > 8192 { // an STC89C54RD+
		xram = 1024
	}
	c.CPU = mcs51.CPU{Code: code, XRAM: make([]byte, xram), NoPage: true, Pins: c.pins, PortOut: c.portOut, Read: c.read, Write: c.write, Transmit: c.transmit}
	c.PowerCycle()
	return c
}

// SelfResets counts resets by the watchdog and by software.
func (c *STC) SelfResets() int { return c.selfs }

// Now implements Chip.
func (c *STC) Now() time.Duration {
	n := c.CPU.Cycles // 12/11.0592 µs = 625/576 µs
	return time.Duration(n/576*625000 + n%576*625000/576)
}

func stcCycles(d time.Duration) uint64 { return uint64(d) / 625 * 576 / 1000 }

// Reset is the reset pin: RAM stays.
func (c *STC) Reset() { c.restart(0, 0) }

// PowerCycle cuts the power and brings it back: RAM holds noise.
func (c *STC) PowerCycle() {
	for i := range c.CPU.RAM {
		c.CPU.RAM[i] = byte(i*167 + 13)
	}
	for i := range c.CPU.XRAM {
		c.CPU.XRAM[i] = byte(i*91 + 7)
	}
	c.board.LCD.PowerCycle(c.Now())
	c.restart(0x10, 0)
	c.Cut, c.CutIn = false, 0
}

func (c *STC) restart(pcon, wdt byte) {
	c.Loader, c.unlocked, c.wdtEnd, c.sentEnd, c.StackTop = false, false, 0, 0, 0
	c.rx = c.rx[:0]
	c.CPU.Reset()
	c.CPU.SFR[mcs51.PCON-0x80] = pcon
	c.CPU.SFR[wdtContr-0x80] = wdt
}

// Hang lets the program fall into an endless loop of its own code; its interrupts go on.
func (c *STC) Hang() error {
	for pc := range len(c.CPU.Code) - 1 {
		if c.CPU.Code[pc] == 0x80 && c.CPU.Code[pc+1] == 0xfe { // SJMP to itself
			c.CPU.PC = uint16(pc)
			return nil
		}
	}
	return errNoLoop
}

var errNoLoop = errors.New("the program has no endless loop to fall into")

// Close implements Chip.
func (c *STC) Close() error { return nil }

// Run implements Chip.
func (c *STC) Run(until time.Duration) error {
	for c.Now() < until {
		if c.Loader || c.Cut {
			c.CPU.Cycles++
			continue
		}
		for len(c.rx) > 0 && c.rx[0].End <= c.Now() {
			c.deliver(c.rx[0])
			c.rx = c.rx[1:]
		}
		pc := c.CPU.PC
		if int(pc) >= len(c.CPU.Code) {
			return fmt.Errorf("the program left its code at %#x", pc)
		}
		if err := c.CPU.Step(); err != nil {
			return fmt.Errorf("at %#x: %w", pc, err)
		}
		if sp := c.CPU.SFR[1]; sp > c.StackTop {
			c.StackTop = sp
		}
		if c.wdtEnd != 0 && c.CPU.Cycles >= c.wdtEnd {
			c.selfs++
			c.restart(0, 0x80)
		}
		if c.resetDue {
			c.resetDue = false
			c.selfs++
			c.restart(0, 0)
		}
	}
	return nil
}

// pins are the levels that the board puts on the ports.
func (c *STC) pins(port int) byte {
	if port != 3 {
		return 0xff
	}
	v := byte(0xff)
	now := c.Now()
	if c.board.Pin.Low(now) {
		v &^= 0x80
	}
	if !c.clockPins(now) {
		v &^= 0x40
	}
	return v
}

func (c *STC) clockPins(now time.Duration) bool {
	p := c.latch[3]
	return c.board.Clock.pins(p&0x10 != 0, p&0x20 != 0, p&0x40 != 0, now)
}

func (c *STC) portOut(port int, v byte) {
	now := c.Now()
	c.latch[port] = v
	switch port {
	case 1:
		c.board.LCD.pins(v&15, v&0x10 != 0, v&0x20 != 0, now)
	case 2:
		c.board.Relays.set(^v&0x3f, now)
	case 3:
		c.board.Pin.Edge(v&0x80 == 0, now)
		c.clockPins(now)
		if v&4 != 0 && c.sentEnd > now {
			c.board.note(fmt.Sprintf("RS-485: the driver is switched off %v before the last stop bit ends", c.sentEnd-now))
			c.sentEnd = 0
		}
	}
}

func (c *STC) transmit(b byte, bit uint64) {
	now := c.Now()
	baud := int(stcHz / 12 / bit)
	start := max(now, c.sentEnd)
	c.sentEnd = start + 10*time.Second/time.Duration(baud)
	if c.latch[3]&4 != 0 {
		c.board.note("RS-485: a character is sent while the driver is off")
		return
	}
	c.sent = append(c.sent, Char{Byte: b, Start: start, End: c.sentEnd, Baud: baud})
}

// Sent implements Chip.
func (c *STC) Sent(dst []Char) []Char {
	dst = append(dst, c.sent...)
	c.sent = c.sent[:0]
	return dst
}

// Receive implements Chip.
func (c *STC) Receive(x Char) { c.rx = append(c.rx, x) }

// deliver ends a character at RXD. The UART of mode 1 tells no framing error: a missing stop bit comes in RB8 only.
func (c *STC) deliver(x Char) {
	bit := c.CPU.BitCycles()
	if bit == 0 {
		return
	}
	if own := stcHz / 12 / int(bit); x.Baud != 0 && (x.Baud*100 < own*96 || x.Baud*100 > own*104) {
		x.Byte, x.Bad = x.Byte^0x55, true
	}
	if c.CPU.SFR[mcs51.SCON-0x80]&1 != 0 {
		c.board.note("UART: a character came before the one before was fetched")
	}
	c.CPU.Receive(x.Byte, !x.Bad)
}

func (c *STC) read(addr byte) (byte, bool) { return 0, false }

func (c *STC) write(addr, v byte) {
	switch addr {
	case wdtContr:
		if v&0x20 != 0 && (v&0x10 != 0 || c.wdtEnd == 0) {
			c.wdtEnd = c.CPU.Cycles + 32768<<(v&7+1)
		}
		c.CPU.SFR[wdtContr-0x80] = v &^ 0x10
	case ispTrig:
		if c.unlocked && v == 0xb9 {
			c.isp()
		}
		c.unlocked = v == 0x46
	case ispContr:
		if v&0x20 != 0 {
			if v&0x40 != 0 {
				c.Loader = true
			} else {
				c.resetDue = true
			}
		}
	}
}

// isp does what ISP_CMD says; the processor stands still meanwhile.
func (c *STC) isp() {
	s := &c.CPU.SFR
	if s[ispContr-0x80]&0x80 == 0 {
		return
	}
	at := int(s[ispAddrH-0x80])<<8 | int(s[ispAddrL-0x80])
	at -= stcDataFlash
	if at < 0 || at >= len(c.Flash) {
		c.board.note(fmt.Sprintf("IAP: address %#x is not data flash", at+stcDataFlash))
		return
	}
	switch s[ispCmd-0x80] & 7 {
	case 1:
		s[ispData-0x80] = c.Flash[at]
	case 2:
		v := s[ispData-0x80]
		if c.Flash[at] != 0xff {
			c.board.note(fmt.Sprintf("IAP: byte %#x is written without an erase", at+stcDataFlash))
		}
		if c.cut() {
			v |= 0x5a // some of its bits
		}
		c.Flash[at] &= v
		c.CPU.Stall(stcCycles(stcProgram))
	case 3:
		sector := c.Flash[at/stcSector*stcSector:][:stcSector]
		torn := c.cut()
		for i := range sector {
			if !torn || i%3 == 0 {
				sector[i] = 0xff
			}
		}
		c.CPU.Stall(stcCycles(stcErase))
	}
}

func (c *STC) cut() bool {
	if c.CutIn == 0 {
		return false
	}
	c.CutIn--
	c.Cut = c.CutIn == 0
	return c.Cut
}

// NewSTCNode is a node with the Intel HEX image at path.
func NewSTCNode(name, path string, b *Board) (*Node, error) {
	code, err := mcs51.LoadHex(path)
	if err != nil {
		return nil, errors.Join(err, ErrNoImage)
	}
	return &Node{Chip: newSTC(code, b), Name: name, Board: b}, nil
}
