package door

import "time"

// Bounds that doors share.
const (
	// MaxReadings of one message; larger ones are split where the sender permits it.
	MaxReadings = 4096
	// MaxJSONDepth bounds the nesting of objects that become series.
	MaxJSONDepth = 8
	// MaxJSONFields bounds the values of one object.
	MaxJSONFields = 1024
	// MaxSeries bounds the series that one door keeps in mind; the limit of new series is the agent's.
	MaxSeries = 16384

	// RestartMin and RestartMax bound the pause before a program or connection is tried again; it doubles.
	RestartMin = time.Second
	RestartMax = 5 * time.Minute
)
