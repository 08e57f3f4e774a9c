package sim

import (
	"errors"
	"time"
)

// Char is one character on a serial line.
type Char struct {
	Byte       byte
	Start, End time.Duration // simulated time of start bit and end of the stop bit
	Baud       int           // at which it was sent; 0: fits every receiver
	Bad        bool          // the stop bit is missing: collision, noise, another speed
}

// Chip is a microcontroller that runs an image. It is not safe for concurrent use.
type Chip interface {
	// Run lets simulated time pass up to the given moment since the chip was made. It fails when the program has
	// left the paths of sane programs (illegal instruction, jump out of the flash).
	Run(until time.Duration) error
	Now() time.Duration
	// Receive delivers a character to the UART; its End must not lie before Now.
	Receive(Char)
	// Sent appends the characters that the UART has begun to send since the last call.
	Sent(dst []Char) []Char
	Reset()      // the reset pin
	PowerCycle() // RAM is lost, flash and EEPROM stay
	Close() error
}

// Node is a chip with its board.
type Node struct {
	Chip
	Name  string
	Board *Board // nil where the simulator has no pins (qemu)
}

// ErrNoImage is an image that has not been built.
var ErrNoImage = errors.New("no firmware image: run make firmware")
