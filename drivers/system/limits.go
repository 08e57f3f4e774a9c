package system

import "time"

// Bounds of the driver.
const (
	// MaxQuantities is how many quantities a host can have; what appears beyond it is not listed, and Read says so.
	MaxQuantities = 4096

	maxFileBytes  = 1 << 20 // read of one file
	defaultRescan = time.Minute
)
