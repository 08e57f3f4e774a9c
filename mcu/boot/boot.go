// Package boot puts firmware into microcontroller nodes over their serial line.
//
// A Flasher speaks one bootloader's protocol; Update drives any of them through the same steps: identify the chip, check
// that the image is for it and fits, write, verify, start, and confirm that the node is back with the version that was
// wanted. An update may be cut at any point: the chip then holds the old image, the new one, or waits in its
// bootloader, and the next Update succeeds. What each bootloader cannot promise stands at its Flasher.
//
// Nothing here starts a goroutine. A Line belongs to one Update at a time.
package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// Errors that callers tell apart. All but ErrImage, ErrWrongChip, ErrTooLarge and ErrProtected are worth another try.
var (
	ErrNoBootloader = errors.New("no bootloader answers")
	ErrProtocol     = errors.New("bootloader's answer is not understood")
	ErrRefused      = errors.New("bootloader refuses")
	ErrImage        = errors.New("bad firmware image")
	ErrWrongChip    = errors.New("image is not for this chip")
	ErrTooLarge     = errors.New("image does not fit")
	ErrProtected    = errors.New("chip is read- or write-protected")
	ErrVerify       = errors.New("flash differs from the image")
	ErrNotBack      = errors.New("node is not back with the wanted version")
	ErrTimeout      = errors.New("no answer in time")
)

// Mode is how the line is set.
type Mode struct {
	Baud   int
	Parity serial.Parity
}

// Line is the serial line to one chip. Read returns what there is; it waits at most the read time-out for the first
// byte and then returns (0, nil). SetMode lets everything that was written leave first, and throws away what was
// received.
type Line interface {
	io.ReadWriter
	SetReadTimeout(d time.Duration) error
	SetMode(ctx context.Context, m Mode) error
}

// Enter brings the chip into its bootloader, in whatever state it is: with its reset pin, its supply, or a command to
// the firmware. It must not take bytes from the line that the bootloader sends. nil: somebody does it by hand.
type Enter func(ctx context.Context) error

// Chip is what a bootloader says of the chip under it.
type Chip struct {
	Protocol string  `json:"protocol"`
	Name     string  `json:"name"`    // "ATmega328P"
	ID       string  `json:"id"`      // signature or product id, hexadecimal
	Machine  Machine `json:"machine"` // whose code it runs
	Flash    Span    `json:"flash"`   // where an application may stand
	Loader   string  `json:"loader"`  // version of the bootloader
	Running  string  `json:"running,omitempty"`
}

// Span is [From, To) in bytes.
type Span struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
}

// Len is the number of bytes.
func (s Span) Len() int { return int(s.To - s.From) }

// Flasher speaks one protocol. Identify connects, from any state that an interrupted attempt left; the other methods
// follow it. Write leaves the chip so that nothing of a half-written image is started as far as the protocol allows;
// its nil means that the chip confirmed every block. Verify compares what the chip holds. step may be nil; it is told
// bytes done of the image's bytes and must return at once. An error of ctx ends every method within a second.
type Flasher interface {
	Identify(ctx context.Context) (Chip, error)
	Write(ctx context.Context, img *Image, step Step) error
	Verify(ctx context.Context, img *Image, step Step) error
	Start(ctx context.Context) error
}

// Step is told how far a phase has come.
type Step func(done, total int)

func (s Step) tell(done, total int) {
	if s != nil {
		s(done, total)
	}
}

// The phases of an update, in their order.
const (
	PhaseIdentify = "identify"
	PhaseCheck    = "check"
	PhaseWrite    = "write"
	PhaseVerify   = "verify"
	PhaseStart    = "start"
	PhaseConfirm  = "confirm"
)

// Progress is where an update is.
type Progress struct {
	Phase string `json:"phase"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// Job is one update.
type Job struct {
	Flasher Flasher
	Image   *Image
	// Confirm asks the started node for its version until it answers or ctx ends. nil: nobody can be asked.
	Confirm func(ctx context.Context) (version string, err error)
	Want    string // version that Confirm must return; "": any
	// Keep makes the new image permanent after it was confirmed (SMP); nil: it is anyway, or stays on trial.
	Keep     func(ctx context.Context) error
	Stage    bool           // end once it is written and verified, beside the image that runs (SMP)
	Progress func(Progress) // may be nil; must return at once
	Patience time.Duration  // for Confirm, default 30 s, at most 5 min
}

// Result is what an update did.
type Result struct {
	Chip    Chip          `json:"chip"`
	Bytes   int           `json:"bytes"`
	Version string        `json:"version,omitempty"`
	Took    time.Duration `json:"-"`
}

// PhaseError says in which phase an update ended, and what remains true.
type PhaseError struct {
	Phase string
	Left  string // what the chip holds now
	Err   error
}

func (e *PhaseError) Error() string { return fmt.Sprintf("%s: %v; %s", e.Phase, e.Err, e.Left) }
func (e *PhaseError) Unwrap() error { return e.Err }

// Update runs one job. Every error is a *PhaseError.
func Update(ctx context.Context, j Job) (Result, error) {
	var r Result
	started := time.Now()
	fail := func(phase, left string, err error) (Result, error) {
		r.Took = time.Since(started)
		return r, &PhaseError{phase, left, err}
	}
	tell := func(phase string) Step {
		return func(done, total int) {
			if j.Progress != nil {
				j.Progress(Progress{phase, done, total})
			}
		}
	}
	const untouched = "nothing was changed"
	const again = "the node waits in its bootloader or runs a whole image: run the update again"
	var err error
	tell(PhaseIdentify)(0, 1)
	if r.Chip, err = j.Flasher.Identify(ctx); err != nil {
		return fail(PhaseIdentify, untouched, err)
	}
	tell(PhaseCheck)(0, 1)
	if err := Check(j.Image, r.Chip); err != nil {
		left := untouched
		if serr := j.Flasher.Start(ctx); serr != nil {
			left = "nothing was written, but the node stays in its bootloader (" + serr.Error() + ")"
		}
		return fail(PhaseCheck, left, err)
	}
	r.Bytes = j.Image.Len()
	if err := j.Flasher.Write(ctx, j.Image, tell(PhaseWrite)); err != nil {
		return fail(PhaseWrite, again, err)
	}
	if err := j.Flasher.Verify(ctx, j.Image, tell(PhaseVerify)); err != nil {
		return fail(PhaseVerify, again, err)
	}
	if j.Stage {
		r.Took = time.Since(started)
		return r, nil
	}
	tell(PhaseStart)(0, 1)
	if err := j.Flasher.Start(ctx); err != nil {
		return fail(PhaseStart, "the new image is written and verified; restart the node", err)
	}
	if r.Version, err = j.confirm(ctx, tell(PhaseConfirm)); err != nil {
		return fail(PhaseConfirm, "the new image is written and verified", err)
	}
	r.Took = time.Since(started)
	return r, nil
}

func (j *Job) confirm(ctx context.Context, step Step) (string, error) {
	if j.Confirm == nil {
		return "", nil
	}
	step(0, 1)
	patience := j.Patience
	if patience <= 0 {
		patience = defaultPatience
	}
	wait, cancel := context.WithTimeout(ctx, min(patience, maxPatience))
	defer cancel()
	v, err := j.Confirm(wait)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrNotBack, err)
	case j.Want != "" && v != j.Want:
		return v, fmt.Errorf("%w: it says %q, wanted is %q", ErrNotBack, v, j.Want)
	}
	if j.Keep != nil {
		if err := j.Keep(ctx); err != nil {
			return v, fmt.Errorf("keep the new image: %w", err)
		}
	}
	step(1, 1)
	return v, nil
}
