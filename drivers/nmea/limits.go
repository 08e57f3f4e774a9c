package nmea

import "time"

// Bounds of the package.
const (
	// MaxSentence is what a line may hold; the standard says 82, some receivers say more.
	MaxSentence = 128

	// DefaultDelay is how long after a second its sentence may come at most.
	DefaultDelay = time.Second
	maxDelay     = 5 * time.Second

	defaultBaud = 9600
	patience    = 3 * time.Second        // for the sentences of one moment, from a receiver that sends once a second
	quiet       = 100 * time.Millisecond // ends the sentences of one moment
	maxBuffer   = 4096
)
