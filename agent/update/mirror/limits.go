package mirror

import "time"

// Bounds.
const (
	maxSkip        = 256 << 10 // bytes that are read past rather than asked for anew
	maxUnranged    = 1 << 20   // that are read past where a server does not serve ranges
	maxHeaderBytes = 16 << 10
	maxPEMBytes    = 1 << 20
	maxQueued      = 64 // asks that wait
	// What a server may send ahead of what is read: it bounds how far the rate of a moment exceeds the one that is
	// configured.
	readBufferBytes = 512 << 10

	chunkPatience = time.Minute // for one chunk to come, the opening included
	headerLimit   = 30 * time.Second
	dialLimit     = 15 * time.Second
	idleLimit     = 30 * time.Second // a stream that nobody reads on is closed
)
