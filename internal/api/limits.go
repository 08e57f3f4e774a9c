package api

import "time"

// Bounds of requests and answers.
const (
	MaxRequestBytes  = 256 << 10 // a request's body
	MaxAnswerBytes   = 16 << 20  // an answer that is read whole
	MaxLineBytes     = 512 << 10 // one line of NDJSON: a record of 48 KiB, escaped
	MaxQueryRecords  = 10_000_000
	DefaultQuery     = 100_000 // records when a query names no limit
	DefaultTail      = 20      // records when tail names no number
	MaxTail          = 100_000
	MaxIngestRecords = 4096
	DialTimeout      = 500 * time.Millisecond
	RequestTimeout   = 3 * time.Second // of everything but streams
	MaxReloadTime    = 60 * time.Second
)
