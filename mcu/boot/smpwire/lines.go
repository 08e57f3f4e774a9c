// Package smpwire is the bytes of SMP, the Simple Management Protocol of mcumgr, on a serial line: lines, header, CBOR.
package smpwire

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// SMP over a console (Zephyr, "SMP over console"): a packet is split into lines of at most 127 bytes,
//
//	06 09 | base64 …             | 0a    the first
//	04 14 | base64 continued …   | 0a    each further
//
// and base64 holds
//
//	length u16 of what follows | packet | CRC-16/XMODEM of the packet u16
//
// A packet is an 8-byte header and a CBOR map:
//
//	op u8 | flags u8 | length u16 | group u16 | sequence u8 | id u8 | CBOR
//
// The protocol's numbers.
const (
	MaxLine    = 127 // bytes with its marks and end
	HeaderLen  = 8
	MaxPacket  = 2048 // bytes
	OpRead     = 0    // an answer has the next number
	OpWrite    = 2
	GroupOS    = 0
	GroupImage = 1
)

var (
	first = []byte{0x06, 0x09}
	next  = []byte{0x04, 0x14}
)

// crc16x is CRC-16/XMODEM.
func crc16x(b []byte) uint16 {
	crc := uint16(0)
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// AppendLines appends a packet as it goes over a serial line.
func AppendLines(dst, packet []byte) []byte {
	raw := binary.BigEndian.AppendUint16(nil, uint16(len(packet)+2))
	raw = binary.BigEndian.AppendUint16(append(raw, packet...), crc16x(packet))
	text := base64.StdEncoding.AppendEncode(nil, raw)
	const room = (MaxLine - 3) / 4 * 4
	for mark := first; len(text) > 0; mark = next {
		n := min(room, len(text))
		dst = append(append(append(dst, mark...), text[:n]...), '\n')
		text = text[n:]
	}
	return dst
}

// Lines collects the lines of one packet; other text on the console is passed over.
type Lines struct {
	raw  []byte
	open bool
}

// Line takes one line without its end. It returns a packet when that is complete; what is damaged is dropped whole.
func (l *Lines) Line(line []byte) (packet []byte, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	switch {
	case bytes.HasPrefix(line, first):
		l.raw, l.open = nil, true
	case bytes.HasPrefix(line, next) && l.open:
	default:
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(string(line[2:]))
	if err != nil || len(l.raw)+len(b) > MaxPacket+4 {
		l.raw, l.open = nil, false
		return nil, false
	}
	l.raw = append(l.raw, b...)
	if len(l.raw) < 2 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(l.raw))
	if len(l.raw) < 2+n {
		return nil, false
	}
	raw := l.raw
	l.raw, l.open = nil, false
	if n < HeaderLen+2 || len(raw) != 2+n {
		return nil, false
	}
	packet = raw[2:n]
	return packet, crc16x(packet) == binary.BigEndian.Uint16(raw[n:])
}

// Packet is one request or answer.
type Packet struct {
	Op       byte
	Group    uint16
	Sequence byte
	ID       byte
	Body     []byte // CBOR
}

// Append appends the header and the body.
func (p Packet) Append(dst []byte) []byte {
	dst = append(dst, p.Op, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(p.Body)))
	dst = binary.BigEndian.AppendUint16(dst, p.Group)
	return append(append(dst, p.Sequence, p.ID), p.Body...)
}

// ParsePacket takes a header and its body apart; the version bits of the first byte are let go.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < HeaderLen || int(binary.BigEndian.Uint16(b[2:])) != len(b)-HeaderLen {
		return Packet{}, fmt.Errorf("%w: %d bytes are no SMP packet", ErrCBOR, len(b))
	}
	return Packet{Op: b[0] & 7, Group: binary.BigEndian.Uint16(b[4:]), Sequence: b[6], ID: b[7], Body: b[HeaderLen:]}, nil
}
