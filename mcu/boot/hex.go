package boot

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// Record types of Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A).
const (
	hexData    = 0
	hexEnd     = 1
	hexSegment = 2 // base × 16
	hexStart   = 3
	hexLinear  = 4 // upper half of the address
	hexEntry   = 5
)

// ParseHex reads Intel HEX with segment or linear addresses. Every line is checked; the file must end with its end
// record, so that one cut short is not taken for whole. Errors name the line.
//
//	: | count u8 | address u16 | type u8 | count bytes | checksum: all bytes of a line sum to 0 mod 256
func ParseHex(file []byte) (*Image, error) {
	var segs []Segment
	var base uint32
	ended := false
	for n, line := range bytes.Split(file, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		bad := func(why string, a ...any) error {
			return fmt.Errorf("%w: line %d: %s", ErrImage, n+1, fmt.Sprintf(why, a...))
		}
		if ended {
			return nil, bad("something follows the end record")
		}
		kind, addr, data, err := hexLine(line)
		if err != nil {
			return nil, bad("%v", err)
		}
		switch kind {
		case hexData:
			segs = appendData(segs, base+uint32(addr), data)
		case hexEnd:
			ended = true
		case hexSegment, hexLinear:
			if len(data) != 2 {
				return nil, bad("an address record of %d bytes", len(data))
			}
			base = (uint32(data[0])<<8 | uint32(data[1])) << 16
			if kind == hexSegment {
				base >>= 12
			}
		case hexStart, hexEntry: // where a debugger would start; reset decides that here
		default:
			return nil, bad("record type %d", kind)
		}
	}
	if !ended {
		return nil, fmt.Errorf("%w: the file is cut short: it has no end record", ErrImage)
	}
	return newImage(MachineUnknown, segs)
}

// appendData grows the last segment where the data continues it: files have tens of thousands of short lines.
func appendData(segs []Segment, addr uint32, data []byte) []Segment {
	if n := len(segs); n > 0 && uint64(segs[n-1].Addr)+uint64(len(segs[n-1].Data)) == uint64(addr) {
		segs[n-1].Data = append(segs[n-1].Data, data...)
		return segs
	}
	return append(segs, Segment{addr, data})
}

func hexLine(line []byte) (kind byte, addr uint16, data []byte, err error) {
	if line[0] != ':' {
		return 0, 0, nil, fmt.Errorf("it does not begin with a colon")
	}
	b := make([]byte, hex.DecodedLen(len(line)-1))
	if _, err := hex.Decode(b, line[1:]); err != nil {
		return 0, 0, nil, err
	}
	if len(b) < 5 || len(b) != 5+int(b[0]) {
		return 0, 0, nil, fmt.Errorf("its length does not fit its count")
	}
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	if sum != 0 {
		return 0, 0, nil, fmt.Errorf("its checksum is wrong")
	}
	return b[3], uint16(b[1])<<8 | uint16(b[2]), b[4 : len(b)-1], nil
}
