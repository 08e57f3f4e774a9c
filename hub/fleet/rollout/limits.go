package rollout

import "time"

// Bounds.
const (
	MaxWaves   = 32
	MaxListed  = 400 // devices that a wave, or the exclusion, names
	MaxRules   = 16
	MaxDevices = 100_000
	MaxActive  = 64 // rollouts that are not over
	maxOver    = 200
	keepJobs   = 10  // newest ended rollouts that keep the jobs of all their devices; older ones only those that failed
	maxBatch   = 400 // devices that one entry names
	MaxEntry   = 64 << 10
	// of one device, without the end of a job: entries at once, and then one in noteEvery
	maxNotes    = 500
	noteEvery   = 30 * time.Second
	maxDetail   = 1024
	segmentSize = 16 << 20 // of the audit log's files
	maxSnapshot = 256 << 20

	// Settle is how long after a start nothing is concluded from what has not been heard: devices say again what they
	// are, spread over some time.
	Settle = time.Minute
)
