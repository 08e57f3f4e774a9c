package busscan

import "time"

// Bounds of a look around.
const (
	maxBytesListened = 512
	maxChips         = 64 // listed of one bus
	atOnce           = 8  // ports that are looked at at a time

	listenFor   = 1300 * time.Millisecond // reports of sensors that speak by themselves come once a second
	owTimeout   = 2 * time.Second
	unitTimeout = 120 * time.Millisecond
	probeTime   = 20 * time.Second // of one port at most
)
