package broker

import "time"

// Bounds of the broker.
const (
	maxPacketBytes   = 256 << 10 // the protocol's limit for one packet
	maxConnections   = 4096      // on one listener
	maxInflight      = 1024      // of one client
	maxQueuedPackets = 32 << 10  // for one client
	// DefaultQueueBytes is how many bytes of frames may wait for hubs; the hub's credits keep honest devices far below.
	DefaultQueueBytes = 64 << 20
	connectTime       = 10 * time.Second // from accept to CONNECT, TLS included
	acceptRetry       = 100 * time.Millisecond
	maxPEMBytes       = 1 << 20
)
