package page

import "time"

// Bounds of the page's door.
const (
	MaxConnections = 32 // open at once; more are closed unanswered
	MaxFromOne     = 12 // of them from one address (IPv6: one /64), so that one machine cannot keep the others out
	MaxBody        = 4 << 10
	maxHeader      = 16 << 10
	writeBuffer    = 64 << 10 // of the kernel for each connection: a slow reader holds no more
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second // of a file of the page; answers of the API have limits of their own
	idleTimeout    = 30 * time.Second
	stopTimeout    = 2 * time.Second
	loginLife      = 30 * 24 * time.Hour
	wrongTokenWait = time.Second      // before a wrong token is answered
	certificateAge = 10 * time.Second // before a certificate's file is looked at again
	minRetry       = 2 * time.Second
	maxRetry       = time.Minute
)

// Bounds of what the door's readers may cost; the agent gives them to its API.
const (
	MaxStreams   = 4                // queries and tails at once
	MaxRecords   = 100_000          // of one query or tail
	MaxQueryTime = 20 * time.Second // of one query
	MaxTailTime  = 10 * time.Minute // of one followed tail
	MaxSensors   = 500              // in one answer, worst first
	SameAnswer   = time.Second      // status and sensors that are younger are not made again
)
