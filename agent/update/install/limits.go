package install

import "time"

const (
	maxAttempts     = 2 // starts of one candidate
	maxPast         = 10
	maxFailed       = 64
	maxAlarms       = 8
	maxJournalBytes = 4 << 20
	maxLogBytes     = 256 << 10 // of the last candidate that failed
	maxPastLogs     = 3         // candidates before it whose last lines are kept
	maxPastLogBytes = 32 << 10

	maxArchiveFiles = 4096
	maxArchiveBytes = 1 << 30  // of all files of an archive, unpacked
	maxWindow       = 64 << 20 // zstd window, and so memory of unpacking
	copyBytes       = 256 << 10

	probeEvery = 5 * time.Second
	// ReserveBytes is what an install leaves at least of the disk to the log.
	ReserveBytes = 64 << 20
)
