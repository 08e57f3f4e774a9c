package mcs51

// pass lets cycles pass: timers count, the UART sends, pins are sampled.
func (c *CPU) pass(n uint64) {
	c.Cycles += n
	p3 := byte(0xff)
	if c.Pins != nil && (*c.sfr(TMOD)&0xcc != 0 || *c.sfr(IE)&5 != 0) { // somebody counts or waits for edges
		p3 = c.Pins(3)
	}
	p3 &= *c.sfr(P3)
	fell := c.pins3 &^ p3
	c.pins3 = p3
	c.external(p3, fell)
	c.timer01(n, fell)
	c.timer2(n)
	if c.sending != 0 && c.Cycles >= c.sending {
		c.sending = 0
		*c.sfr(SCON) |= ti
	}
}

// Stall lets cycles pass without an instruction: the processor stands still, the peripherals do not.
func (c *CPU) Stall(n uint64) {
	for ; n > 200; n -= 200 {
		c.pass(200)
	}
	c.pass(n)
}

// external samples INT0 and INT1: an edge latches its flag, a level is its flag.
func (c *CPU) external(p3, fell byte) {
	t := c.sfr(TCON)
	for i, pin := range []byte{4, 8} {
		flag, edge := ie0<<(2*i), it0<<(2*i)
		switch {
		case *t&edge != 0:
			if fell&pin != 0 {
				*t |= flag
			}
		case p3&pin == 0:
			*t |= flag
		default:
			*t &^= flag
		}
	}
}

func (c *CPU) timer01(n uint64, fell byte) {
	tmod, t := *c.sfr(TMOD), c.sfr(TCON)
	for i := range 2 {
		mode := tmod >> (4 * i)
		run := *t&(tr0<<(2*i)) != 0
		if mode&8 != 0 && c.pins3&(4<<i) == 0 { // GATE
			run = false
		}
		count := uint64(0)
		if run {
			count = n
			if mode&4 != 0 { // counts falling edges of T0, T1
				count = uint64(fell >> (4 + i) & 1)
			}
		}
		if i == 1 && tmod&3 == 3 && mode&3 != 3 { // timer 0 took TF1 and TR1: timer 1 runs, without a flag
			count = n
		}
		flags := c.count(i, mode&3, count, n)
		if i == 1 && tmod&3 == 3 {
			flags = false
		}
		if flags {
			*t |= tf0 << (2 * i)
		}
	}
}

// count advances timer i and says whether it overflowed.
func (c *CPU) count(i int, mode byte, count, n uint64) bool {
	l, h := c.sfr(TL0+byte(i)), c.sfr(TH0+byte(i))
	switch mode {
	case 0, 1:
		bits := uint64(16)
		v := uint64(*h)<<8 | uint64(*l)
		if mode == 0 { // 13 bits: TL's upper three are not defined; they stay
			bits = 13
			v = uint64(*h)<<5 | uint64(*l)&31
		}
		v += count
		if mode == 0 {
			*h, *l = byte(v>>5), *l&0xe0|byte(v)&31
		} else {
			*h, *l = byte(v>>8), byte(v)
		}
		return v>>bits != 0
	case 2:
		v := uint64(*l) + count
		over := v > 255
		for v > 255 {
			v += uint64(*h) - 256
		}
		*l = byte(v)
		return over
	}
	if i == 1 {
		return false // stands still
	}
	if *c.sfr(TCON)&tr1 != 0 {
		v := uint64(*h) + n
		if *h = byte(v); v > 255 {
			*c.sfr(TCON) |= tf1
		}
	}
	v := uint64(*l) + count
	*l = byte(v)
	return v > 255
}

func (c *CPU) timer2(n uint64) {
	t := c.sfr(T2CON)
	if *t&tr2 == 0 || *t&ct2 != 0 {
		return
	}
	l, h := c.sfr(TL2), c.sfr(TH2)
	baud := *t&(rclk|tclk) != 0
	if baud {
		n *= 6 // counts every second clock
	}
	v := uint64(*h)<<8 | uint64(*l)
	v += n
	if v > 0xffff {
		v &= 0xffff
		if baud || *t&cprl2 == 0 {
			v += uint64(*c.sfr(RCAP2H))<<8 | uint64(*c.sfr(RCAP2L))
		}
		if !baud {
			*t |= tf2
		}
	}
	*h, *l = byte(v>>8), byte(v)
}

// bitCycles is the time of one bit on the serial line, 0 if nothing clocks it.
func (c *CPU) bitCycles(receive bool) uint64 {
	double := uint64(*c.sfr(PCON) >> 7)
	switch *c.sfr(SCON) >> 6 {
	case 0:
		return 1
	case 2:
		return 5 >> double // 64 clocks, or 32
	}
	t2 := *c.sfr(T2CON)
	if !receive && t2&tclk != 0 || receive && t2&rclk != 0 {
		return (0x10000 - (uint64(*c.sfr(RCAP2H))<<8 | uint64(*c.sfr(RCAP2L)))) * 16 / 6
	}
	if *c.sfr(TMOD)>>4&3 != 2 || *c.sfr(TCON)&tr1 == 0 {
		return 0
	}
	return (256 - uint64(*c.sfr(TH1))) * 32 >> double
}

func (c *CPU) startSend(v byte) {
	bit := c.bitCycles(false)
	if bit == 0 {
		return
	}
	n := uint64(10)
	switch *c.sfr(SCON) >> 6 {
	case 0:
		n = 8
	case 2, 3:
		n = 11
	}
	// TI comes when the stop bit begins; a character written then starts behind that bit.
	start := max(c.Cycles, c.sendEnd)
	c.sending, c.sendEnd = start+(n-1)*bit, start+n*bit
	if c.Transmit != nil {
		c.Transmit(v, bit)
	}
}

// BitCycles is the time of one bit that the receiver expects, in cycles; 0: it is not clocked.
func (c *CPU) BitCycles() uint64 { return c.bitCycles(true) }

// Receive is the end of a character on RXD; stop is its stop bit (the ninth bit in modes 2 and 3). It is lost when the one before was not fetched (RI still set), as
// the silicon does.
func (c *CPU) Receive(b byte, stop bool) {
	s := c.sfr(SCON)
	if *s&ren == 0 || *s&ri != 0 || *s&sm2 != 0 && !stop {
		return
	}
	c.sbufIn = b
	*s = *s&^rb8 | ri
	if stop {
		*s |= rb8
	}
}

// leave ends the interrupt of the highest priority in service.
func (c *CPU) leave() {
	if c.level&2 != 0 {
		c.level &^= 2
	} else {
		c.level = 0
	}
}
