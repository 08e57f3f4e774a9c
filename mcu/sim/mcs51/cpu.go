// Package mcs51 is an 8052: all instructions, three timers, the UART, interrupts with two priorities, quasi-bidirectional
// ports. A machine cycle is 12 clocks; instructions take 1, 2 or 4 cycles, as Intel's manual says (MCS-51 user's manual,
// order number 272383). What a chip adds (watchdog, in-application programming) is hung in by the SFR hooks.
//
// Not modelled: external program memory, idle and power-down beyond standing still, slots within a cycle: a pin is read at the end and written at
// the end of the instruction's cycles.
package mcs51

import "errors"

// Addresses of SFRs that the core itself uses.
const (
	P0, SP, DPL, DPH, PCON          = 0x80, 0x81, 0x82, 0x83, 0x87
	TCON, TMOD, TL0, TL1            = 0x88, 0x89, 0x8a, 0x8b
	TH0, TH1, P1, SCON, SBUF        = 0x8c, 0x8d, 0x90, 0x98, 0x99
	P2, IE, P3, IP, T2CON           = 0xa0, 0xa8, 0xb0, 0xb8, 0xc8
	RCAP2L, RCAP2H, TL2, TH2        = 0xca, 0xcb, 0xcc, 0xcd
	PSW, ACC, B                     = 0xd0, 0xe0, 0xf0
	cy, ac, ov                 byte = 0x80, 0x40, 0x04
	tf1, tr1, tf0, tr0         byte = 0x80, 0x40, 0x20, 0x10
	ie1, it1, ie0, it0         byte = 8, 4, 2, 1
	ri, ti, rb8, tb8, ren      byte = 1, 2, 4, 8, 0x10
	sm2                        byte = 0x20
	tf2, exf2, rclk, tclk, tr2      = 0x80, 0x40, 0x20, 0x10, 4
	exen2, ct2, cprl2               = 8, 2, 1
)

// ErrIllegal is the one opcode that the 8052 does not have, 0xa5.
var ErrIllegal = errors.New("illegal instruction 0xa5")

// CPU is the state. Set Code before the first Step; code outside it reads as 0xff.
type CPU struct {
	PC     uint16
	RAM    [256]byte // internal; 0x80–0xff indirectly
	SFR    [128]byte // address − 0x80; ACC, B, PSW, SP too
	XRAM   []byte    // external data, by addresses modulo its length; empty: reads as 0xff
	Code   []byte
	Cycles uint64
	NoPage bool // MOVX with Ri reaches the first 256 bytes only, whatever P2 says: XRAM on the chip

	// Pins gives the levels that the world puts on port 0–3; a pin reads as latch AND world. nil: all high.
	Pins func(port int) byte
	// PortOut hears of each write to a port's latch.
	PortOut func(port int, v byte)
	// Read and Write see accesses to SFRs that the core does not know, and Write also those to IE and PCON. ok false: plain memory.
	Read  func(addr byte) (v byte, ok bool)
	Write func(addr, v byte)
	// Transmit hears of a character that begins to be sent, with the cycles that one bit takes.
	Transmit func(b byte, bit uint64)

	level   byte // bits of the interrupt priorities in service
	hold    bool // RETI or an access to IE or IP: one more instruction before an interrupt
	sbufIn  byte
	sending uint64  // cycle at which TI is set; 0 idle
	sendEnd uint64  // end of the stop bit
	pins3   byte    // last levels of P3, for edges
	polled  [3]byte // TCON, SCON, T2CON before the last cycle
}

// Reset is the reset pin; RAM and XRAM keep their contents.
func (c *CPU) Reset() {
	c.PC, c.SFR, c.level, c.hold, c.sending, c.sbufIn = 0, [128]byte{}, 0, false, 0, 0
	c.SFR[SP-0x80] = 7
	c.pins3 = 0xff
	for i, p := range []int{P0, P1, P2, P3} {
		c.SFR[p-0x80] = 0xff
		if c.PortOut != nil {
			c.PortOut(i, 0xff)
		}
	}
}

func (c *CPU) sfr(a byte) *byte { return &c.SFR[a-0x80] }

func (c *CPU) code(a uint16) byte {
	if int(a) < len(c.Code) {
		return c.Code[a]
	}
	return 0xff
}

func (c *CPU) fetch() byte {
	b := c.code(c.PC)
	c.PC++
	return b
}

func (c *CPU) xram(a uint16) *byte {
	if len(c.XRAM) == 0 {
		none := byte(0xff)
		return &none
	}
	return &c.XRAM[int(a)%len(c.XRAM)]
}

// read is a direct read; latch chooses a port's latch instead of its pins (read-modify-write instructions).
func (c *CPU) read(a byte, latch bool) byte {
	if a < 0x80 {
		return c.RAM[a]
	}
	switch a {
	case P0, P1, P2, P3:
		v := *c.sfr(a)
		if !latch && c.Pins != nil {
			v &= c.Pins(int(a-0x80) >> 4)
		}
		return v
	case SBUF:
		return c.sbufIn
	case PSW:
		return c.psw()
	}
	if c.Read != nil {
		if v, ok := c.Read(a); ok {
			return v
		}
	}
	return *c.sfr(a)
}

func (c *CPU) write(a, v byte) {
	if a < 0x80 {
		c.RAM[a] = v
		return
	}
	*c.sfr(a) = v
	switch a {
	case P0, P1, P2, P3:
		if c.PortOut != nil {
			c.PortOut(int(a-0x80)>>4, v)
		}
		return
	case SBUF:
		c.startSend(v)
		return
	case IE, IP:
		c.hold = true
	case ACC, B, PSW, SP, DPL, DPH, TCON, TMOD, TL0, TL1, TH0, TH1, SCON:
		return
	}
	if c.Write != nil {
		c.Write(a, v)
	}
}

// psw brings the parity up to date.
func (c *CPU) psw() byte {
	p, a := byte(0), c.SFR[ACC-0x80]
	for ; a != 0; a &= a - 1 {
		p ^= 1
	}
	v := c.sfr(PSW)
	*v = *v&^1 | p
	return *v
}

func (c *CPU) reg(i byte) *byte { return &c.RAM[*c.sfr(PSW)&0x18|i] }

// at is a bit's byte address and mask.
func at(bit byte) (addr, mask byte) {
	if bit < 0x80 {
		return 0x20 + bit>>3, 1 << (bit & 7)
	}
	return bit & 0xf8, 1 << (bit & 7)
}

func (c *CPU) bit(b byte, latch bool) bool {
	a, m := at(b)
	return c.read(a, latch)&m != 0
}

func (c *CPU) setBit(b byte, on bool) {
	a, m := at(b)
	v := c.read(a, true)
	if on {
		v |= m
	} else {
		v &^= m
	}
	c.write(a, v)
}

func (c *CPU) carry() byte { return *c.sfr(PSW) >> 7 }

func (c *CPU) setCarry(on bool) {
	if on {
		*c.sfr(PSW) |= cy
	} else {
		*c.sfr(PSW) &^= cy
	}
}

func (c *CPU) push(b byte) {
	s := c.sfr(SP)
	*s++
	c.RAM[*s] = b
}

func (c *CPU) pop() byte {
	s := c.sfr(SP)
	b := c.RAM[*s]
	*s--
	return b
}

func (c *CPU) dptr() uint16 { return uint16(*c.sfr(DPH))<<8 | uint16(*c.sfr(DPL)) }

// entryCycles is what the hardware's LCALL takes. s51 takes one cycle less; the comparison with it changes this.
var entryCycles uint64 = 2

// Step executes one instruction, or enters an interrupt, and lets its cycles pass. In idle or power-down mode one
// cycle passes.
func (c *CPU) Step() error {
	if pcon := c.sfr(PCON); *pcon&3 != 0 {
		c.pass(1)
		if *pcon&2 != 0 || !c.interrupt() {
			return nil
		}
		*pcon &^= 3
		return nil
	}
	if !c.hold && c.interrupt() {
		return nil
	}
	c.hold = false
	op := c.fetch()
	err := c.execute(op)
	// Flags are polled in the last cycle: one that comes up in it waits for the end of the next instruction.
	if n := uint64(cycles[op]); n > 1 {
		c.pass(n - 1)
	}
	c.polled = [3]byte{*c.sfr(TCON), *c.sfr(SCON), *c.sfr(T2CON)}
	c.pass(1)
	return err
}

// sources are flag SFR, flag, whether hardware clears it, bit in IE and IP, vector; in the order of their rank.
var sources = [...]struct {
	sfr, flag byte
	clear     byte
	enable    byte
	vector    uint16
	polled    int // index in CPU.polled
}{
	{TCON, ie0, it0, 1, 0x03, 0}, {TCON, tf0, 0xff, 2, 0x0b, 0}, {TCON, ie1, it1, 4, 0x13, 0}, {TCON, tf1, 0xff, 8, 0x1b, 0},
	{SCON, ri | ti, 0, 0x10, 0x23, 1}, {T2CON, tf2 | exf2, 0, 0x20, 0x2b, 2},
}

// interrupt enters the highest pending one, if it may.
func (c *CPU) interrupt() bool {
	ie := *c.sfr(IE)
	if ie&0x80 == 0 || ie&0x3f == 0 {
		return false
	}
	for _, high := range []bool{true, false} {
		if c.level&2 != 0 || !high && c.level != 0 {
			return false
		}
		for _, s := range sources {
			if ie&s.enable == 0 || *c.sfr(s.sfr)&c.polled[s.polled]&s.flag == 0 || (*c.sfr(IP)&s.enable != 0) != high {
				continue
			}
			if s.clear == 0xff || s.clear != 0 && *c.sfr(TCON)&s.clear != 0 {
				*c.sfr(s.sfr) &^= s.flag
			}
			if high {
				c.level |= 2
			} else {
				c.level |= 1
			}
			c.push(byte(c.PC))
			c.push(byte(c.PC >> 8))
			c.PC = s.vector
			c.pass(entryCycles)
			return true
		}
	}
	return false
}
