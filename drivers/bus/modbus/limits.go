package modbus

import "time"

// Bounds of the protocol and of this package.
const (
	MaxPDU            = 253 // bytes, function code included
	MaxReadRegisters  = 125
	MaxReadBits       = 2000
	MaxWriteRegisters = 123
	MaxWriteBits      = 1968
	MaxFIFO           = 31 // registers of one queue
	MaxUnit           = 247

	// MaxTimeout bounds the wait for one answer.
	MaxTimeout = 30 * time.Second
	// MaxRetries bounds the repeats of one request.
	MaxRetries = 10

	defaultTimeout = time.Second
	defaultRetries = 2

	maxADU        = MaxPDU + 3            // RTU: unit and CRC
	pollSlice     = 50 * time.Millisecond // a blocked read looks that often whether it should stop
	turnaround    = 100 * time.Millisecond
	drainLimit    = 2 * maxADU // bytes thrown away to find silence
	drainPatience = 500 * time.Millisecond
	dialTimeout   = 5 * time.Second
	reopenDelay   = time.Second // between two tries to open a line
	mbapLen       = 7
	maxStale      = 16 // late answers skipped while waiting for ours
)
