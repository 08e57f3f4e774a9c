package onewire

// ds2480b answers as the datasheet (19-5047) says: a command mode, a data mode in which E3 is doubled, the search
// accelerator and the strong pull-up.
type ds2480b struct {
	wire      *Wire
	timed     bool // the first C1 after power-on only sets the timing
	data      bool
	escaped   bool
	search    bool
	pullAfter bool // armed: each byte is followed by a strong pull-up
	pulsing   bool
	param     [8]byte
}

func (d *ds2480b) receive(_ int, b byte) []byte {
	if d.pulsing {
		if b != 0xf1 {
			return nil // only the end of the pulse is heard
		}
		d.pulsing = false
		return []byte{0xec | b&3&^1}
	}
	if !d.data {
		return d.command(b)
	}
	if d.escaped {
		d.escaped = false
		if b != 0xe3 {
			d.data = false
			return d.command(b)
		}
		return d.dataByte(b)
	}
	if b == 0xe3 {
		d.escaped = true
		return nil
	}
	return d.dataByte(b)
}

func (d *ds2480b) dataByte(b byte) []byte {
	if !d.search {
		r := d.wire.touch(b)
		if d.pullAfter {
			d.wire.strongPullup()
			d.pulsing = d.param[3] == 7
		}
		return []byte{r}
	}
	return []byte{d.step(b)}
}

// step is a byte of the search accelerator: four bits of the ROM, twelve slots.
func (d *ds2480b) step(b byte) (out byte) {
	for i := range 4 {
		want := b >> (i*2 + 1) & 1
		id, complement := d.wire.slot(1), d.wire.slot(1)
		taken, differ := id, byte(0)
		switch {
		case id == 0 && complement == 0:
			taken, differ = want, 1
		case id == 1 && complement == 1:
			taken, differ = 1, 1
		}
		d.wire.slot(taken)
		out |= differ<<(i*2) | taken<<(i*2+1)
	}
	return out
}

func (d *ds2480b) command(b byte) []byte {
	if b == 0xe1 {
		d.data = true
		return nil
	}
	if b == 0xe3 {
		return nil
	}
	if b&0x80 == 0 { // configuration: 0 ppp vvv 1
		if b&1 == 0 {
			return nil
		}
		p, v := b>>4&7, b>>1&7
		if p == 0 {
			return []byte{d.param[v] << 1}
		}
		d.param[p] = v
		return []byte{b &^ 1}
	}
	if b&1 == 0 {
		return nil
	}
	switch b & 0xe0 {
	case 0xc0:
		if !d.timed {
			d.timed = true
			return nil
		}
		return []byte{0xcc | [...]byte{present: 1, nobody: 3, stuckLow: 0}[d.wire.reset()]}
	case 0x80: // single bit: 100 v ss p 1, p: followed by a strong pull-up
		r := d.wire.slot(b >> 4 & 1)
		if b&2 != 0 {
			d.wire.strongPullup()
			d.pulsing = d.param[3] == 7
		}
		return []byte{b&0xfc | r<<1 | r}
	case 0xa0:
		d.search = b&0x10 != 0
	case 0xe0: // pulse: 111 1ot p 1; ED and EF arm and disarm, F1 ends
		if b == 0xf1 {
			return nil
		}
		d.pullAfter = b&2 != 0
		if b == 0xed {
			d.wire.strongPullup()
			d.pulsing = d.param[3] == 7
			if d.pulsing {
				return nil
			}
			return []byte{b &^ 3}
		}
		return nil
	}
	return nil
}
