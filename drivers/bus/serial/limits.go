package serial

import "time"

// Bounds of a port.
const (
	MinBaud, MaxBaud = 50, 4_000_000

	defaultBaud      = 9600
	defaultTimeout   = time.Second
	maxTimeout       = time.Minute
	maxBreak         = 2 * time.Second
	drainPoll        = time.Millisecond
	maxRS485Delay    = time.Second
	maxLockFileBytes = 64
	maxListed        = 256 // ports that List returns at most
)
