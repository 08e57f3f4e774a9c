package logtool

import "math"

// Bounds of the tools.
const (
	maxFaultsPerFile = 64      // damaged places named of one file; further ones are counted
	maxExports       = 256     // nonces remembered; the oldest are forgotten
	maxStateBytes    = 1 << 20 // of the file that remembers them
	maxSizeCells     = 1 << 20 // (series, day) pairs of one measurement
	maxHelloParts    = 256
	maxProblems      = 256 // of one stream

	salvageSegment = 16 << 20           // bytes of a segment that salvage writes
	unlimited      = math.MaxInt64 >> 2 // MaxBytes of a log that a tool opens: nothing is ever dropped
)
