package hub

import "time"

// Bounds of the hub.
const (
	maxNameInID      = 32 // bytes of a hub's name in its client id at the broker
	maxSecretBytes   = 64 << 10
	maxStoreWait     = 30 * time.Second // between two tries to open a store that is away
	maintainEvery    = 10 * time.Second // time corrections and retention are looked at
	watchdogDefault  = 20 * time.Second // between reports where systemd names no time
	statusTimeout    = 2 * time.Second
	maxStatusBytes   = 64 << 20 // of one answer on the status socket
	maxSocketClients = 64
	lateAfter        = time.Hour // without a sign of life a device is called silent
	minBufferBytes   = 1 << 20
	maxBufferBytes   = 4 << 30
	minMessages      = 100
	maxMessages      = 1_000_000
)
