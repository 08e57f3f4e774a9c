// Package onewire is the contract of a 1-Wire bus, the addresses of its chips and the search for them.
//
// Masters are the packages below it: ds2480b and ds9097 on a serial port, netlink through the kernel. The contract is
// that of periph.io/x/conn/v3/onewire with a context, so that any bus of that project fits with a small adapter
// (netlink.Wrap).
package onewire

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
)

// Bounds.
const (
	// MaxDevices is how many chips a search returns at most.
	MaxDevices = 1024
	// MaxTx bounds what one transaction writes and reads together, in bytes.
	MaxTx = 1024

	searchTries = 3 // of one path, when the ROM found has a wrong CRC
)

// Errors of a bus. ErrNoDevices and ErrShorted are answers of the wire; ErrBus is noise on it; ErrAdapter means that
// the adapter or the road to it failed and nothing is known of the wire.
var (
	ErrNoDevices = errors.New("no presence pulse on the 1-Wire bus")
	ErrShorted   = errors.New("1-Wire bus is shorted to ground")
	ErrBus       = errors.New("1-Wire transfer disturbed")
	ErrAdapter   = errors.New("1-Wire adapter failed")
)

// Pullup is how the bus is left after a transaction.
type Pullup bool

// A strong pull-up feeds chips that have no supply of their own. It lasts until the next transaction.
const (
	WeakPullup   Pullup = false
	StrongPullup Pullup = true
)

// Bus is one 1-Wire bus. Methods belong to one goroutine at a time, except Close, which makes a running method return.
type Bus interface {
	// Tx resets the bus, writes w, reads len(r) bytes into r and leaves the pull-up as power says; r is undefined with
	// an error. w starts with a ROM command. A master without strong pull-up leaves the bus idle (high) instead.
	Tx(ctx context.Context, w, r []byte, power Pullup) error
	// Search returns the chips on the bus, or only those in alarm; an empty list if no chip is in alarm. Chips found
	// before an error are returned with it.
	Search(ctx context.Context, alarm bool) ([]Address, error)
	Close() error
}

// Transaction is one Tx of a batch, without strong pull-up. Err is what that Tx would have returned.
type Transaction struct {
	W, R []byte
	Err  error
}

// Batcher is a Bus that does several transactions at the cost of one round trip to its adapter. An error means that
// the adapter failed: nothing is known of any of them.
type Batcher interface {
	TxBatch(ctx context.Context, ts []Transaction) error
}

// Address is the 64-bit ROM of a chip, family in the low byte and CRC in the high one, as they go over the wire.
type Address uint64

// NewAddress puts the CRC behind a family and a 48-bit serial number.
func NewAddress(family byte, serial uint64) Address {
	a := Address(family) | Address(serial&(1<<48-1))<<8
	b := a.Bytes()
	return a | Address(CRC8(b[:7]))<<56
}

// Bytes are those of the wire: family first, CRC last.
func (a Address) Bytes() (b [8]byte) {
	for i := range b {
		b[i] = byte(a >> (8 * i))
	}
	return b
}

// Family is the kind of chip.
func (a Address) Family() byte { return byte(a) }

// Serial is the 48-bit number of the chip.
func (a Address) Serial() uint64 { return uint64(a) >> 8 & (1<<48 - 1) }

// Valid reports whether the CRC is right and the family not 0.
func (a Address) Valid() bool {
	b := a.Bytes()
	return a.Family() != 0 && CRC8(b[:]) == 0
}

// String is what the kernel calls the chip: 28-0000055f1c3a.
func (a Address) String() string { return fmt.Sprintf("%02x-%012x", a.Family(), a.Serial()) }

// ParseAddress reads the form of String, in lower case.
func ParseAddress(s string) (Address, error) {
	bad := fmt.Errorf("%q is not the ROM of a chip: want 28-0000055f1c3a", s)
	if len(s) != 15 || s[2] != '-' {
		return 0, bad
	}
	var v uint64
	for i := range len(s) {
		if i == 2 {
			continue
		}
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, bad
		}
	}
	if v>>48 == 0 {
		return 0, bad
	}
	return NewAddress(byte(v>>48), v), nil
}

// CRC8 is the Dallas CRC-8 (x^8+x^5+x^4+1, reflected) of p; over bytes that end with their own CRC it is 0.
func CRC8(p []byte) byte {
	var crc byte
	for _, b := range p {
		crc ^= b
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8c
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// CRC16 is the CRC-16 (x^16+x^15+x^2+1, reflected) of p; over bytes that end with their inverted CRC it is 0xB001.
func CRC16(p []byte) uint16 {
	var crc uint16
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

// CRC16OK is what CRC16 gives over bytes that end with their inverted CRC.
const CRC16OK = 0xb001

// The ROM commands.
const (
	SearchROM   = 0xf0
	AlarmSearch = 0xec
	MatchROM    = 0x55
	SkipROM     = 0xcc
	ReadROM     = 0x33
)

// Pass is one descent through the tree of ROMs after a reset and the command (SearchROM or AlarmSearch): where chips
// differ in bit i, it follows bit i of path. It returns the ROM at the end and the bits in which chips differed. A ROM
// of all ones means that no chip took part.
type Pass func(ctx context.Context, command byte, path Address) (rom, differ Address, err error)

// SearchAll finds all chips with one pass each. A ROM that cannot be (CRC, not behind the one before) is asked for
// again, then ErrBus ends the search.
func SearchAll(ctx context.Context, alarm bool, pass Pass) ([]Address, error) {
	command := byte(SearchROM)
	if alarm {
		command = AlarmSearch
	}
	var found []Address
	var path, last Address
	for tries := 0; ; {
		rom, differ, err := pass(ctx, command, path)
		if err != nil {
			return found, err
		}
		if rom == ^Address(0) && len(found) == 0 && alarm {
			return nil, nil
		}
		// Passes visit the ROMs in the order of their bits as they are sent: that, too, ends every search.
		if !rom.Valid() || len(found) > 0 && bits.Reverse64(uint64(rom)) <= bits.Reverse64(uint64(last)) {
			if tries++; tries == searchTries {
				return found, fmt.Errorf("%w: search found %016x after %d chips", ErrBus, uint64(rom), len(found))
			}
			continue
		}
		tries = 0
		found, last = append(found, rom), rom
		left := uint64(differ &^ rom) // where the 0 was taken
		if left == 0 {
			return found, nil
		}
		if len(found) == MaxDevices {
			return found, fmt.Errorf("%w: more than %d chips", ErrBus, MaxDevices)
		}
		i := bits.Len64(left) - 1
		path = rom&(1<<i-1) | 1<<i
	}
}
