package buffer

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
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
}

// StreamOptions of one stream; zero values take the defaults named in limits.go.
type StreamOptions struct {
	Name           string
	CommitInterval time.Duration // 0: commit at once
	MaxBytes       int64         // retention by bytes of segment files
	SegmentBytes   int64         // where a segment is closed and the next begun
	Full           FullPolicy
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
		case s.Full > Block:
			return fmt.Errorf("%w: stream %s: policy %d", ErrInvalid, s.Name, s.Full)
		}
		seen[s.Name] = true
	}
	return nil
}
