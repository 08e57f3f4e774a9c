package collect

import "time"

// Bounds of collecting.
const (
	MaxSources  = 1024
	MinInterval = time.Millisecond
	MaxInterval = 24 * time.Hour
	MaxTimeout  = 10 * time.Minute

	// MaxOutstanding is how many sweeps of one source may wait for the disk at most; fewer for slow ones, see
	// Source.outstanding. Readings beyond it are missed(backlog).
	MaxOutstanding = 4096

	// MaxRules of a source, MaxTable points of a calibration, MaxHeartbeat between two equal readings.
	MaxRules     = 256
	MaxTable     = 64
	MaxHeartbeat = 7 * 24 * time.Hour

	trendLen        = 24              // values of a sparkline
	trendEvery      = time.Second     // at most one value of it per second
	latestTextBytes = 256             // of a string, json or bytes value, kept for display
	draftRecords    = 8192            // a sweep is appended in drafts of at most this many records …
	draftBytes      = 512 << 10       // … and canonical bytes
	faultAfter      = 3               // sweeps in a row before a silent source or a bad series is a fault
	stopPatience    = 5 * time.Second // for a read that runs when its source ends
	drainPatience   = 10 * time.Second
	appendPatience  = 5 * time.Second        // for a log that blocks because it is full; less than a stop waits
	lastPatience    = time.Second            // for a log that blocks, when a door that is being closed has a last message
	fullPause       = 250 * time.Millisecond // before a door's message is tried again that the log had no room for
	doorOutstanding = 1024                   // messages of a door that may wait for the disk
	upSteady        = 5 * time.Second        // a door that was up for so long is not about to fail again
	defaultTimeout  = time.Minute
	defaultInterval = 10 * time.Second
	defaultStream   = "telemetry"
)
