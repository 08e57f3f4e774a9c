package mcu

import "time"

// Bounds of a line and its nodes.
const (
	MaxNodes  = 32 // of one line
	MaxUnit   = 247
	MaxEvents = 39 // in one answer

	MinPoll = 20 * time.Millisecond
	MaxPoll = time.Minute

	defaultPoll    = 500 * time.Millisecond
	defaultTimeout = 500 * time.Millisecond // of one answer, beside the time that its bytes take
	tries          = 3                      // of one question before the node counts as silent
	offlineAfter   = 3 * time.Second        // silent for so long: offline
	maxBackoff     = 15 * time.Second       // between two questions to an offline node
	checkEvery     = 10 * time.Minute       // settings and clock are compared so often
	statsEvery     = 30 * time.Second       // the node's own counters are read so often
	clockSlack     = 2 * time.Second        // a node's clock that is further off is set
	clockRetry     = 30 * time.Second
	maxPending     = 16              // tickets of one node
	maxJobs        = 16              // that wait for the line
	drainFor       = 5 * time.Second // before a node is put into its bootloader
	logRetry       = time.Second
	worstDrift     = 200e-6 // how far a node's ms may run away from the box's, relative
)
