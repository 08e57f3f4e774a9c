package ds2480b

import "time"

// Bounds and times of the master.
const (
	fastest    = 115200
	streaming  = 19200 // with two stop bits a character lasts 573 µs, eight slots 536 µs
	batch      = 512   // bytes on their way at once, at most one transaction more
	maxInitial = 8
	maxFails   = 3 // of the adapter, before a speed that was chosen is given up
	probes     = 5 // round trips that are measured

	settle     = 5 * time.Millisecond
	breakTime  = 20 * time.Millisecond
	syncWait   = 100 * time.Millisecond
	slack      = 500 * time.Millisecond // for USB and a loaded host, on top of the time of the bytes
	resetTime  = 6 * time.Millisecond   // of a reset on a shorted bus, at most
	promptness = 500 * time.Microsecond // a round trip that keeps the chip busy with two bytes at a time
	slotMicros = 67.0                   // a slot with the times that find sets: 10, 8 and 49 µs (datasheet figure 6b)
)
