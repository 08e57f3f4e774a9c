package postgres

import "time"

// Bounds of the engine.
const (
	maxReaders       = 3
	maxCachedDevices = 8192 // whose state is kept between commits; others are read again
	maxConflicts     = 8    // commits decided anew because another hub was first, before it is an error

	connectTimeout = 10 * time.Second
	commitTimeout  = 60 * time.Second // of one transaction; a server that answers nothing is left
	readTimeout    = 60 * time.Second
	closeTimeout   = 2 * time.Second
	idleInTx       = 90 * time.Second // the server ends a transaction of a hub that has vanished

	partitionDay  = int64(24 * time.Hour / time.Microsecond)
	correctChunk  = 100_000  // rows rewritten in one transaction of a time correction, about
	maxKeptBuffer = 16 << 20 // of one COPY, kept for the next

	maxVerifyFaults = 100
)
