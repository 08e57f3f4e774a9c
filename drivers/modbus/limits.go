package modbus

import "time"

// Bounds of the driver.
const (
	MaxDevices   = 247 // slaves of one line
	MaxRegisters = 256 // of one profile
	MaxProfile   = 256 << 10

	defaultMaxGap = 8
	// A slave that was silent deadAfter sweeps in a row is asked one thing, once, every probeEvery, so that it does
	// not cost the others their time.
	deadAfter  = 3
	probeEvery = 30 * time.Second
)
