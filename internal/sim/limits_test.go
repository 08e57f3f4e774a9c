package sim_test

import "time"

// Bounds and proportions of one run.
const (
	device = "box" // all boxes are one device: a cloned card bears the same name

	shortest, longest = 30 * time.Second, 150 * time.Second // of the faulty part, virtual
	settleWithin      = 3 * time.Hour                       // virtual, from the end of the faults until all is quiet
	betweenFaults     = 520 * time.Millisecond              // of machines, disks, hubs and broker, on average: in a seed 1, 2 or 4 times
	tidyEvery         = 5 * time.Second                     // commits of a stream to which nothing was appended
	maxBoxes          = 3
	maxHubs           = 3
	pumpFrames        = 64          // messages that a sender hands out in one go
	netDelay          = 20          // ms, about, one way
	lateDelay         = 20_000      // ms at most, of a message that is overtaken
	seedsAtOnce       = uint64(100) // that one process runs before it asks for more
	heapLimit         = 256 << 20   // bytes that a run may hold before garbage is collected
	maxTranscript     = 4000        // lines that a failing seed prints
	diskWhole         = 64 << 20    // bytes; a disk never fills by itself
)
