package onewire

import "math/bits"

// ds9097 has no intelligence: characters at 9600 baud are reset pulses if their first low lasts long enough, those at
// 115200 are slots, and what the host receives is the level of the line (Maxim application note 214).
type ds9097 struct{ wire *Wire }

func (d *ds9097) receive(baud int, b byte) []byte {
	if baud <= 10472 && baud >= 9000 {
		low := 1 + min(bits.TrailingZeros8(b), 8) // bit times of 104 µs that the line is low from the start bit on
		if low < 5 {                              // below 480 µs nothing is reset; what the slaves see is not modelled
			return []byte{b}
		}
		switch d.wire.reset() {
		case stuckLow:
			return []byte{0}
		case nobody:
			return []byte{b}
		}
		return []byte{b &^ 0x10} // the presence pulse reaches into the fifth bit
	}
	sent := b & 1
	if d.wire.slot(sent) == sent {
		return []byte{b}
	}
	return []byte{b &^ 3} // the slave holds the line for 15 to 60 µs: start bit and the first data bits
}
