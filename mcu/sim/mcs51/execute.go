package mcs51

// cycles of each opcode.
var cycles = func() (t [256]byte) {
	for i := range t {
		t[i] = 1
	}
	two := []byte{
		0x02, 0x12, 0x22, 0x32, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, // jumps, calls, returns, bit jumps
		0x43, 0x53, 0x63, 0x72, 0x82, 0xa0, 0xb0, 0x92, // direct with data, bit logic, MOV bit,C
		0x73, 0x83, 0x93, 0xa3, 0x90, 0xc0, 0xd0, 0xe0, 0xf0, 0xe2, 0xe3, 0xf2, 0xf3,
		0x75, 0x85, 0x86, 0x87, 0xa6, 0xa7, 0xb4, 0xb5, 0xb6, 0xb7, 0xd5,
	}
	for _, op := range two {
		t[op] = 2
	}
	for i := range 8 {
		for _, base := range []int{0x88, 0xa8, 0xb8, 0xd8} { // MOV dir,Rn; MOV Rn,dir; CJNE Rn; DJNZ Rn
			t[base+i] = 2
		}
		t[i<<5|1], t[i<<5|0x11] = 2, 2 // AJMP, ACALL
	}
	t[0x84], t[0xa4] = 4, 4
	return t
}()

func (c *CPU) execute(op byte) error {
	switch {
	case op&0x1f == 0x01: // AJMP
		lo := c.fetch()
		c.PC = c.PC&0xf800 | uint16(op>>5)<<8 | uint16(lo)
		return nil
	case op&0x1f == 0x11: // ACALL
		lo := c.fetch()
		c.push(byte(c.PC))
		c.push(byte(c.PC >> 8))
		c.PC = c.PC&0xf800 | uint16(op>>5)<<8 | uint16(lo)
		return nil
	case op&0x0f >= 4:
		return c.operand(op)
	}
	return c.special(op)
}

// operand handles the columns 4 to f: an accumulator or memory operation on #data, direct, @Ri or Rn.
func (c *CPU) operand(op byte) error {
	acc := c.sfr(ACC)
	switch op >> 4 {
	case 0x0, 0x1: // INC, DEC
		d := byte(1)
		if op>>4 == 1 {
			d = 0xff
		}
		c.modify(op, func(v byte) byte { return v + d })
	case 0x2:
		c.add(c.source(op), 0)
	case 0x3:
		c.add(c.source(op), c.carry())
	case 0x4:
		*acc |= c.source(op)
	case 0x5:
		*acc &= c.source(op)
	case 0x6:
		*acc ^= c.source(op)
	case 0x7: // MOV …,#data
		if op == 0x74 {
			*acc = c.fetch()
			return nil
		}
		set := c.target(op)
		set(c.fetch())
	case 0x8: // MOV dir,…; DIV AB
		return c.movFromSource(op)
	case 0x9:
		c.subb(c.source(op))
	case 0xa: // MOV …,dir; MUL AB
		return c.movFromDirect(op)
	case 0xb:
		c.cjne(op)
	case 0xc:
		c.exchange(op)
	case 0xd:
		c.djnz(op)
	case 0xe: // MOV A,…; CLR A
		if op == 0xe4 {
			*acc = 0
			return nil
		}
		*acc = c.source(op)
	case 0xf: // MOV …,A; CPL A
		if op == 0xf4 {
			*acc = ^*acc
			return nil
		}
		c.target(op)(*acc)
	}
	return nil
}

// source is the operand of the low nibble: 4 #data, 5 direct, 6–7 @Ri, 8–f Rn.
func (c *CPU) source(op byte) byte {
	switch n := op & 15; {
	case n == 4:
		return c.fetch()
	case n == 5:
		return c.read(c.fetch(), false)
	case n < 8:
		return c.RAM[*c.reg(n & 1)]
	default:
		return *c.reg(n & 7)
	}
}

// target fetches the address of an operand to be written.
func (c *CPU) target(op byte) func(byte) {
	switch n := op & 15; {
	case n == 5:
		a := c.fetch()
		return func(v byte) { c.write(a, v) }
	case n < 8:
		p := &c.RAM[*c.reg(n & 1)]
		return func(v byte) { *p = v }
	default:
		p := c.reg(n & 7)
		return func(v byte) { *p = v }
	}
}

func (c *CPU) modify(op byte, f func(byte) byte) {
	switch n := op & 15; {
	case n == 4:
		c.write(ACC, f(*c.sfr(ACC)))
	case n == 5:
		a := c.fetch()
		c.write(a, f(c.read(a, true)))
	case n < 8:
		p := &c.RAM[*c.reg(n & 1)]
		*p = f(*p)
	default:
		p := c.reg(n & 7)
		*p = f(*p)
	}
}

func (c *CPU) movFromSource(op byte) error {
	acc := c.sfr(ACC)
	switch op {
	case 0x84: // DIV AB
		b := c.sfr(B)
		*c.sfr(PSW) &^= cy | ov
		if *b == 0 {
			*c.sfr(PSW) |= ov
			return nil
		}
		*acc, *b = *acc / *b, *acc%*b
	case 0x85: // source first
		v := c.read(c.fetch(), false)
		c.write(c.fetch(), v)
	default:
		v := c.source(op)
		c.write(c.fetch(), v)
	}
	return nil
}

func (c *CPU) movFromDirect(op byte) error {
	switch op {
	case 0xa4: // MUL AB
		acc, b := c.sfr(ACC), c.sfr(B)
		v := uint16(*acc) * uint16(*b)
		*acc, *b = byte(v), byte(v>>8)
		*c.sfr(PSW) &^= cy | ov
		if v > 255 {
			*c.sfr(PSW) |= ov
		}
	case 0xa5:
		return ErrIllegal
	default:
		v := c.read(c.fetch(), false)
		c.target(op)(v)
	}
	return nil
}

func (c *CPU) add(v, in byte) {
	a := *c.sfr(ACC)
	sum := uint16(a) + uint16(v) + uint16(in)
	p := c.sfr(PSW)
	*p &^= cy | ac | ov
	if sum > 255 {
		*p |= cy
	}
	if a&15+v&15+in > 15 {
		*p |= ac
	}
	if (a^byte(sum))&(v^byte(sum))&0x80 != 0 {
		*p |= ov
	}
	*c.sfr(ACC) = byte(sum)
}

func (c *CPU) subb(v byte) {
	a, in := *c.sfr(ACC), c.carry()
	diff := int(a) - int(v) - int(in)
	p := c.sfr(PSW)
	*p &^= cy | ac | ov
	if diff < 0 {
		*p |= cy
	}
	if int(a&15)-int(v&15)-int(in) < 0 {
		*p |= ac
	}
	if (a^v)&(a^byte(diff))&0x80 != 0 {
		*p |= ov
	}
	*c.sfr(ACC) = byte(diff)
}

func (c *CPU) cjne(op byte) {
	var l, r byte
	switch n := op & 15; n {
	case 4:
		l, r = *c.sfr(ACC), c.fetch()
	case 5:
		l, r = *c.sfr(ACC), c.read(c.fetch(), false)
	default:
		l = c.source(op)
		r = c.fetch()
	}
	rel := c.fetch()
	c.setCarry(l < r)
	if l != r {
		c.jump(rel)
	}
}

func (c *CPU) exchange(op byte) {
	acc := c.sfr(ACC)
	switch n := op & 15; {
	case n == 4: // SWAP
		*acc = *acc<<4 | *acc>>4
	case n == 5:
		a := c.fetch()
		v := c.read(a, false)
		c.write(a, *acc)
		*acc = v
	case n < 8:
		p := &c.RAM[*c.reg(n & 1)]
		*acc, *p = *p, *acc
	default:
		p := c.reg(n & 7)
		*acc, *p = *p, *acc
	}
}

func (c *CPU) djnz(op byte) {
	acc := c.sfr(ACC)
	switch n := op & 15; {
	case n == 4: // DA A
		v, p := uint16(*acc), c.sfr(PSW)
		if v&15 > 9 || *p&ac != 0 {
			v += 6
		}
		if v > 255 {
			*p |= cy
		}
		if v>>4&15 > 9 || *p&cy != 0 {
			v += 0x60
		}
		if v > 255 {
			*p |= cy
		}
		*acc = byte(v)
	case n == 5:
		a := c.fetch()
		rel := c.fetch()
		v := c.read(a, true) - 1
		c.write(a, v)
		if v != 0 {
			c.jump(rel)
		}
	case n < 8: // XCHD
		p := &c.RAM[*c.reg(n & 1)]
		*acc, *p = *acc&0xf0|*p&15, *p&0xf0|*acc&15
	default:
		p := c.reg(n & 7)
		rel := c.fetch()
		if *p--; *p != 0 {
			c.jump(rel)
		}
	}
}

func (c *CPU) jump(rel byte) { c.PC += uint16(int16(int8(rel))) }

func (c *CPU) branch(on bool) {
	if rel := c.fetch(); on {
		c.jump(rel)
	}
}

// special handles columns 0, 2 and 3.
func (c *CPU) special(op byte) error {
	acc := c.sfr(ACC)
	switch op {
	case 0x00:
	case 0x02:
		hi := c.fetch()
		c.PC = uint16(hi)<<8 | uint16(c.fetch())
	case 0x12:
		hi := c.fetch()
		to := uint16(hi)<<8 | uint16(c.fetch())
		c.push(byte(c.PC))
		c.push(byte(c.PC >> 8))
		c.PC = to
	case 0x22, 0x32: // RET, RETI
		hi := c.pop()
		c.PC = uint16(hi)<<8 | uint16(c.pop())
		if op == 0x32 {
			c.hold = true
			c.leave()
		}
	case 0x03:
		*acc = *acc>>1 | *acc<<7
	case 0x13:
		in := c.carry()
		c.setCarry(*acc&1 != 0)
		*acc = *acc>>1 | in<<7
	case 0x23:
		*acc = *acc<<1 | *acc>>7
	case 0x33:
		in := c.carry()
		c.setCarry(*acc&0x80 != 0)
		*acc = *acc<<1 | in
	case 0x42, 0x52, 0x62, 0x43, 0x53, 0x63:
		a := c.fetch()
		v := *acc
		if op&1 != 0 {
			v = c.fetch()
		}
		old := c.read(a, true)
		switch op >> 4 {
		case 4:
			v |= old
		case 5:
			v &= old
		case 6:
			v ^= old
		}
		c.write(a, v)
	case 0x73:
		c.PC = c.dptr() + uint16(*acc)
	case 0x83:
		*acc = c.code(c.PC + uint16(*acc))
	case 0x93:
		*acc = c.code(c.dptr() + uint16(*acc))
	case 0xa3:
		d := c.dptr() + 1
		*c.sfr(DPL), *c.sfr(DPH) = byte(d), byte(d>>8)
	case 0x90:
		*c.sfr(DPH) = c.fetch()
		*c.sfr(DPL) = c.fetch()
	case 0xc0:
		c.push(c.read(c.fetch(), false))
	case 0xd0:
		v := c.pop()
		c.write(c.fetch(), v)
	case 0xe0:
		*acc = *c.xram(c.dptr())
	case 0xf0:
		*c.xram(c.dptr()) = *acc
	case 0xe2, 0xe3:
		*acc = *c.xram(c.paged(op))
	case 0xf2, 0xf3:
		*c.xram(c.paged(op)) = *acc
	default:
		c.bits(op)
	}
	return nil
}

// paged is the address of MOVX with Ri: P2 gives its high byte.
func (c *CPU) paged(op byte) uint16 {
	a := uint16(*c.reg(op & 1))
	if !c.NoPage {
		a |= uint16(*c.sfr(P2)) << 8
	}
	return a
}

func (c *CPU) bits(op byte) {
	switch op {
	case 0x10: // JBC
		b := c.fetch()
		on := c.bit(b, true)
		if on {
			c.setBit(b, false)
		}
		c.branch(on)
	case 0x20:
		c.branch(c.bit(c.fetch(), false))
	case 0x30:
		c.branch(!c.bit(c.fetch(), false))
	case 0x40:
		c.branch(c.carry() != 0)
	case 0x50:
		c.branch(c.carry() == 0)
	case 0x60:
		c.branch(*c.sfr(ACC) == 0)
	case 0x70:
		c.branch(*c.sfr(ACC) != 0)
	case 0x80:
		c.branch(true)
	case 0x72:
		if c.bit(c.fetch(), false) {
			c.setCarry(true)
		}
	case 0xa0:
		if !c.bit(c.fetch(), false) {
			c.setCarry(true)
		}
	case 0x82:
		if !c.bit(c.fetch(), false) {
			c.setCarry(false)
		}
	case 0xb0:
		if c.bit(c.fetch(), false) {
			c.setCarry(false)
		}
	case 0x92:
		c.setBit(c.fetch(), c.carry() != 0)
	case 0xa2:
		c.setCarry(c.bit(c.fetch(), false))
	case 0xb2:
		b := c.fetch()
		c.setBit(b, !c.bit(b, true))
	case 0xb3:
		c.setCarry(c.carry() == 0)
	case 0xc2:
		c.setBit(c.fetch(), false)
	case 0xc3:
		c.setCarry(false)
	case 0xd2:
		c.setBit(c.fetch(), true)
	case 0xd3:
		c.setCarry(true)
	}
}
