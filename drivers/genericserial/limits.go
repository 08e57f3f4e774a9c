package genericserial

import "time"

// Bounds of the driver.
const (
	MaxFields  = 128
	MaxLine    = 4 << 10
	MaxFrame   = 1024
	MaxRequest = 256

	minInterval    = 10 * time.Millisecond
	defaultSilence = time.Minute
	steadyAfter    = time.Minute
	pollSlice      = 50 * time.Millisecond
)
