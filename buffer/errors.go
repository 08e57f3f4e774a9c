package buffer

import (
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// Sentinel errors.
var (
	// ErrFull: no room and nothing may be dropped to make some. Intake goes on by itself when there is room again.
	ErrFull = errors.New("log is full")
	// ErrTooLarge: a record, a draft or a producer's message exceeds its bound; it can never be taken.
	ErrTooLarge = errors.New("record too large")
	// ErrRepeated: this message of the producer is taken already. The ticket beside it waits for the first copy.
	ErrRepeated = errors.New("producer message repeated")
	// ErrStopped: the log was closed, or the disk failed several times in a row.
	ErrStopped = errors.New("log intake stopped")
	// ErrInvalid: a record, draft, series or name that breaks the data model.
	ErrInvalid = errors.New("invalid record")
	// ErrEnd: the reader has reached what is durable. Wait on Changed and call Next again.
	ErrEnd = errors.New("end of durable log")
	// ErrNoStream: the set has no such stream, or it exists for delivery only.
	ErrNoStream = errors.New("no such stream")
	// ErrReadOnly: the set was opened with OpenReadOnly.
	ErrReadOnly = errors.New("log is open read-only")
	// ErrRange: a range or offset that the log does not hold.
	ErrRange = errors.New("offset not held")
)

// HeldError says that a reader stands before a segment that this program must not touch: it is kept, it is not a
// gap, and delivery of its stream waits for a program that can read it.
type HeldError struct {
	Path string
	At   record.Offset // the reader's position
	Err  error
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is kept but cannot be read from offset %d: %v", e.Path, e.At, e.Err)
}

func (e *HeldError) Unwrap() error { return e.Err }
