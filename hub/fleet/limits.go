package fleet

import "time"

// Bounds.
const (
	maxBoxes     = 10_000   // that are sent content at the same time
	maxPending   = 64       // chunks for one box
	maxOpen      = 16       // files
	maxHeard     = 8192     // messages that wait for the loop
	maxLateBytes = 64 << 20 // of what devices say of themselves while the loop is behind
	maxBatch     = 256      // of them, whose entries are made durable together
	maxAsks      = 4        // of them, of one device
	maxMetaWait  = 256      // requests for metadata that wait
	busyRetry    = 30       // s
	tickEvery    = time.Second
	saveEvery    = time.Minute
	sendLimit    = 30 * time.Second
	backoffMin   = time.Second
	backoffMax   = 30 * time.Second
	apiTimeout   = 10 * time.Second
	maxAPIBytes  = 1 << 20
	maxDevices   = 1000 // that one answer of the API lists
)
