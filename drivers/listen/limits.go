package listen

import "time"

// Bounds of the doors.
const (
	MaxBody          = 1 << 20  // bytes of one HTTP body, unpacked
	MaxProducerBody  = 48 << 10 // with a producer's sequence: it has to fit one record batch
	MaxConns         = 64       // of HTTP, and of the unix socket
	MaxDatagram      = 64 << 10
	maxHeader        = 16 << 10
	readTimeout      = 30 * time.Second
	idleTimeout      = 2 * time.Minute
	emitTimeout      = 20 * time.Second // for the log to take a body
	udpPatience      = 2 * time.Second  // for the log to take a datagram; then it is missed
	udpBuffer        = 4 << 20
	shutdownPatience = 5 * time.Second
	maxUnixLine      = 256 << 10
	quotePatience    = 5 * time.Second // for the closing quotes of a text with newlines; then its first line is wrong by itself
)
