package w1

import "time"

// Bounds of the driver.
const (
	// MaxSlaves is how many thermometers one Bus takes; Read reports further ones as an error.
	MaxSlaves = 1024
	// MaxAttrBytes bounds what is read of one attribute; w1_slave holds some 75 bytes.
	MaxAttrBytes = 512

	defaultReadTimeout = 5 * time.Second // a 12-bit conversion takes 750 ms, some clones twice that
	maxReadTimeout     = time.Minute
	fullConversion     = 750 * time.Millisecond // at 12 bits
	bulkMargin         = 2 * time.Millisecond   // behind the time of the datasheet
	bulkPoll           = 20 * time.Millisecond
	bulkTimeout        = 3 * time.Second
)
