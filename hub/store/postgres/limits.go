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

	// of a step of maintenance, which no commit waits for: counting the rows of a day before it is dropped takes its time
	maintainTimeout = time.Hour
	dropPatience    = time.Second     // for those who read a day that retention drops: so long others wait behind it
	dropAgain       = 5 * time.Minute // until it is tried again

	// µs of arrivals that the first transaction of a time correction reads; then as many as take correctAim
	correctSpan = int64(5 * time.Minute / time.Microsecond)
	correctAim  = 2 * time.Second

	partitionDay  = int64(24 * time.Hour / time.Microsecond)
	correctChunk  = 100_000  // rows rewritten in one transaction of a time correction, about
	maxKeptBuffer = 16 << 20 // of one COPY, kept for the next

	maxVerifyFaults = 100
)
