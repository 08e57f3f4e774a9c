// Package door is the contract of sources that push: programs, sockets, brokers and serial devices that speak when
// they like. A Source runs and hands Messages to an Emit; the agent turns them into records and gives them to the log.
//
// A driver that is asked is a drivers.Sensor; one that speaks up is a door.Source.
package door

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// Reading is one value of one series.
type Reading struct {
	Series  record.Series // normalised; Type is that of good values
	Min     float64       // plausible range, inclusive; both 0: none
	Max     float64
	Quality record.Quality
	Type    record.Type // of this value; none if the quality is bad
	Num     int64       // as record.Record.Num
	Value   []byte      // as record.Data.Value
	Detail  []byte      // ≤ record.MaxDetailBytes; never empty with a bad quality
	// At is when it was observed, by the word of the source; Clock 0: the agent stamps it on arrival.
	At record.Stamp
}

// Message is what arrived together: it becomes one draft of one stream, whole or not at all.
type Message struct {
	Readings []Reading
	// Durable asks Emit to return only when the message is fsynced: for senders that are told so.
	Durable bool
	// Producer makes the message one of an idempotent producer; Durable is implied.
	Producer *record.ProducerPosition
}

// Emit takes a message. nil means that it is in the log, in the order of the calls (and fsynced, if asked for). The
// readings belong to the caller again when it returns. It may block while the log is full, until ctx ends, and may be
// called concurrently. Errors wrap ErrFull, ErrTooLarge, ErrRepeated, ErrSeries, ErrRefused, or are *OrderError.
type Emit func(ctx context.Context, m Message) error

// Source is one door. Run opens it and blocks until ctx ends; it reopens what fails, with backoff, and returns nil
// or the context's error. An error before that means that the configuration can never work. Run is called once.
type Source interface {
	Run(ctx context.Context, emit Emit) error
}

// Errors of Emit that a door passes on to its sender.
var (
	ErrFull     = errors.New("log is full")
	ErrTooLarge = errors.New("message is larger than a record may be")
	ErrRepeated = errors.New("message is already taken") // a resend of a producer: durable, nothing to do
	ErrSeries   = errors.New("too many series")
	ErrProducer = errors.New("no such producer")
	ErrRefused  = errors.New("refused by the log")
)

// OrderError says that a producer left a message out: Next is what it should send.
type OrderError struct{ Next uint64 }

func (e *OrderError) Error() string {
	return fmt.Sprintf("sequence %d is next", e.Next)
}

// Missed are the reasons why something that came through a door became no reading; the agent counts them per source.
type Missed string

// The reasons.
const (
	MissedMalformed Missed = "malformed"  // not in the form that was agreed
	MissedSeries    Missed = "series"     // beyond the limit of series
	MissedTooLarge  Missed = "too-large"  // beyond a bound in bytes
	MissedGap       Missed = "gap"        // the sender's sequence numbers show that messages were lost
	MissedRefused   Missed = "refused"    // the log did not take it
	MissedUnknown   Missed = "unknown"    // of a node or alias that was never announced
	MissedOverload  Missed = "overloaded" // the log is slower than the source and the source cannot wait
)

// Events are told what a door meets; all are optional, may be called concurrently, and must return at once.
type Events struct {
	Up     func()                                // connected, started
	Down   func(err error)                       // lost; it will be tried again
	Missed func(why Missed, n int, detail error) // n messages, lines or readings became nothing
	Note   func(level, text string)              // what a program says of itself: level error, warn, info or debug
}

// Tell methods make optional events safe to call.

// TellUp calls Up.
func (e Events) TellUp() {
	if e.Up != nil {
		e.Up()
	}
}

// TellDown calls Down.
func (e Events) TellDown(err error) {
	if e.Down != nil {
		e.Down(err)
	}
}

// TellMissed calls Missed.
func (e Events) TellMissed(why Missed, n int, detail error) {
	if e.Missed != nil && n > 0 {
		e.Missed(why, n, detail)
	}
}

// TellNote calls Note.
func (e Events) TellNote(level, text string) {
	if e.Note != nil {
		e.Note(level, text)
	}
}

// WhyMissed is the reason to count for an error of Emit.
func WhyMissed(err error) Missed {
	switch {
	case errors.Is(err, ErrTooLarge):
		return MissedTooLarge
	case errors.Is(err, ErrSeries):
		return MissedSeries
	}
	return MissedRefused
}
