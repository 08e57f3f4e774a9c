package exec

import "time"

// Bounds of the driver.
const (
	defaultInterval     = 10 * time.Second
	minInterval         = 100 * time.Millisecond
	defaultRestartDelay = 10 * time.Second
	steadyAfter         = time.Minute     // a program that ran so long starts with the first pause again
	stopPatience        = 2 * time.Second // for a program to end, after each way of asking
	drainPatience       = time.Second     // for what it left in its pipes
	maxPipe             = 1 << 20         // bytes of that: as large as a pipe is made without privileges
	readBuffer          = 64 << 10
	maxLine             = 1 << 20
	maxLogLine          = 4 << 10 // longer lines of its log are cut
)
