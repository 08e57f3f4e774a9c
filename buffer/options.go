package buffer

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// FullPolicy says what happens when undelivered data fills a stream's MaxBytes.
type FullPolicy uint8

const (
	// DropOldest drops whole oldest segments and leaves a gap with its reason.
	DropOldest FullPolicy = iota
	// Block refuses new records (ErrFull) until something is delivered.
	Block
)

// Options of a Set. The zero value is a set without streams to append to.
type Options struct {
	// Streams are those that exist. Directories of others found on disk are opened for delivery, not for append.
	Streams []StreamOptions
	// Opening yields the first records of a new epoch: the boot mark. It is called once for each epoch that is
	// minted, must not call back into the log, and may be nil.
	Opening func(stream string) []record.Record
	Events  Events
	// MinFree is how many bytes the file system is to have left; 0: no such limit. See Set.Retain.
	MinFree int64
	// UTC is the present time, ns; false while it is not known well enough to drop anything for its age. nil: never.
	UTC func() (int64, bool)
	// Keys encrypt the bodies of new segments (Current), and read older ones. A segment whose key is not among them is
	// held: kept, not a gap, and delivery stops before it (HeldError).
	Keys Keys
}

// Keys are key-encryption keys.
type Keys = segment.Keys

// Key is one of them.
type Key = segment.Key

// ErrKey is in a HeldError if it is the key that is missing.
var ErrKey = segment.ErrKey

// StreamOptions of one stream; zero values take the defaults named in limits.go.
type StreamOptions struct {
	Name           string
	CommitInterval time.Duration // 0: commit at once
	MaxBytes       int64         // retention by bytes of segment files
	SegmentBytes   int64         // where a segment is closed and the next begun
	Full           FullPolicy
	MaxAge         time.Duration // retention by age, of delivered records, and with DropOldest of all; 0: none
	Priority       int           // 0 to 9: what is low gives way to what is high when the disk is too full
}

func (o StreamOptions) withDefaults() StreamOptions {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(DefaultSegmentBytes, max(o.MaxBytes/8, MinSegmentBytes))
	}
	return o
}

// Validate reports the first value that cannot be.
func (o Options) Validate() error {
	if o.MinFree < 0 {
		return fmt.Errorf("%w: %d bytes to be left free", ErrInvalid, o.MinFree)
	}
	seen := map[string]bool{}
	for _, s := range o.Streams {
		s = s.withDefaults()
		switch {
		case !record.ValidStream(s.Name):
			return fmt.Errorf("%w: stream name %q", ErrInvalid, s.Name)
		case seen[s.Name]:
			return fmt.Errorf("%w: stream %s is named twice", ErrInvalid, s.Name)
		case s.CommitInterval < 0 || s.CommitInterval > MaxCommitInterval:
			return fmt.Errorf("%w: stream %s: commit interval %s", ErrInvalid, s.Name, s.CommitInterval)
		case s.SegmentBytes < MinSegmentBytes || s.SegmentBytes > MaxSegmentBytes:
			return fmt.Errorf("%w: stream %s: segments of %d bytes, want %d to %d", ErrInvalid, s.Name, s.SegmentBytes, MinSegmentBytes, MaxSegmentBytes)
		case s.MaxBytes < 2*s.SegmentBytes:
			return fmt.Errorf("%w: stream %s: %d bytes are less than two segments of %d", ErrInvalid, s.Name, s.MaxBytes, s.SegmentBytes)
		case s.MaxAge < 0 || s.Priority < 0 || s.Priority > MaxPriority:
			return fmt.Errorf("%w: stream %s: age %s, priority %d", ErrInvalid, s.Name, s.MaxAge, s.Priority)
		case s.Full > Block:
			return fmt.Errorf("%w: stream %s: policy %d", ErrInvalid, s.Name, s.Full)
		}
		seen[s.Name] = true
	}
	return nil
}
