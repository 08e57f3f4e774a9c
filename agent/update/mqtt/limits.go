package mqtt

import "time"

// Bounds.
const (
	maxHeard      = 64      // messages that wait for the loop; chunks beyond it are asked for again
	maxPieces     = 8       // chunks of mirrors that wait for the loop
	maxOutcomes   = 32      // releases that are remembered as failed
	maxEvents     = 32      // that wait for a connection
	maxStateBytes = 1 << 20 // of what is kept on the disk
	maxWholeTries = 3       // of a file without an index whose hash does not match
	maxRequests   = 3       // for the install of one release, before it is given up
	syncBytes     = 8 << 20 // written without a sync at most: a sync holds up the log's commits on the same disk
	reserveBytes  = 64 << 20

	metaTimeout    = 30 * time.Second
	metaRetryMin   = 10 * time.Second
	metaRetryMax   = time.Hour
	subscribeLimit = 30 * time.Second
	sendLimit      = 10 * time.Second
	reportEvery    = time.Second // between two reports at least
	lookEvery      = 2 * time.Second
	idleEvery      = 15 * time.Second
	requestPatient = 90 * time.Second // for the updater to take a request
	slowAfter      = 5 * time.Minute
	slowBytes      = 256 << 10        // that must come within slowAfter
	maxAhead       = 24 * time.Hour   // that a generation may be ahead of a clock that is right
	mirrorRestMin  = 30 * time.Second // of a mirror that failed, doubled each time …
	mirrorRestMax  = time.Hour        // … up to this
	retryFactor    = 100              // tries of the updater: the server's attempts times so many, and the operator's retries
)
