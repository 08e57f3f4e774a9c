package health

// Bounds of the tracker.
const (
	MaxFaults    = 512  // lines kept; beyond it the oldest that are over are dropped, then new ones are counted only
	MaxTextBytes = 1024 // of a subject or a text; longer is cut
)
