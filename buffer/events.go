package buffer

import "github.com/edgelog/edgelog/buffer/record"

// Events tell what happens inside the log. Every func may be nil; none may block or call back into the log.
type Events struct {
	Recovered     func(stream string, r Recovery)               // a stream was opened
	GapMade       func(stream string, g record.Gap)             // a gap is durable (damage found while reading: known)
	StateChanged  func(stream string, s State, err error)       // intake stopped or resumed
	CommitFailed  func(stream string, err error)                // one attempt; the data is kept in memory
	SegmentBegun  func(stream string, path string)              //
	SegmentGone   func(stream string, path string, bytes int64) // retention removed it
	Damaged       func(stream string, err error)                // *segment.CorruptionError
	EpochMinted   func(stream string, e EpochInfo)              //
	CleanupFailed func(stream string, err error)                // a file that is no longer needed could not be removed or sealed; stream "": the limits of age or free space could not be applied
}

// Recovery is what opening a stream found.
type Recovery struct {
	Segments  int
	Scanned   int   // segments without a usable index, read from end to end
	TornBytes int64 // bytes cut from unfinished tails: normal after a power cut
	Damaged   int   // segments with damage in them
	Held      int   // segments that cannot be read and are kept: of a newer format, or without their key
	Locked    int   // those of them without their key
}

func (e *Events) damaged(stream string, err error) {
	if e.Damaged != nil {
		e.Damaged(stream, err)
	}
}

func (e *Events) cleanupFailed(stream string, err error) {
	if e.CleanupFailed != nil && err != nil {
		e.CleanupFailed(stream, err)
	}
}

func (e *Events) gapMade(stream string, g record.Gap) {
	if e.GapMade != nil {
		e.GapMade(stream, g)
	}
}
