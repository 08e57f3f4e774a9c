// Package command decides which remote commands a box carries out. A command is signed with a key that the fleet's
// metadata names, is meant for one box, ends, and is carried out once at most: its nonce is durable before anything is
// done, so that neither a broker that repeats it nor a power cut makes it happen twice. A command is never retained; one
// that is was put there by somebody else.
package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/twoslot"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Bounds.
const (
	MaxNonces = 1024 // of commands that have not ended; beyond it none is taken
	maxState  = 1 << 20
	// The clock of a box may be so far behind that of who issued a command.
	maxAhead = 5 * time.Minute
)

// Refusals.
var (
	ErrRetained = errors.New("it was retained by the broker")
	ErrClock    = errors.New("nobody has told this box the time, and its clock is behind what signed metadata proves")
	ErrOver     = errors.New("it is over, or not yet good")
	ErrRepeated = errors.New("it was taken before")
	ErrOther    = errors.New("it is for another box")
	ErrUnknown  = errors.New("there is no such operation")
	ErrMany     = errors.New("too many commands are remembered")
)

// state is what is remembered.
type state struct {
	// Nonces of commands that were taken, until they have ended.
	Nonces map[string]time.Time `json:"nonces,omitempty"`
	// Floor is the latest end of a nonce that is not remembered any more: no command that ends by then is taken, whatever
	// the clock says, so that a clock that is set back makes none good again.
	Floor time.Time `json:"floor,omitzero"`
	// Open is the id of the command that is being carried out.
	Open string `json:"open,omitempty"`
}

// Guard remembers what was taken. One goroutine at a time uses it.
type Guard struct {
	device string
	slots  *twoslot.Slots
	now    state
	// Recovered says what of its memory was damaged. Lost memory makes no command good again that has ended, and those
	// issued before are refused until the longest life of a command is over.
	Recovered []string
	notBefore time.Time
	lost      bool
}

// Open reads the memory below dir.
func Open(fs vfs.FS, dir, device string) (*Guard, error) {
	g := &Guard{device: device}
	slots, content, wrong, err := twoslot.Open(fs, dir, "commands", maxState, func(b []byte) error {
		var s state
		return json.Unmarshal(b, &s)
	})
	if err != nil {
		return nil, fmt.Errorf("open memory of commands: %w", err)
	}
	g.slots, g.Recovered, g.lost = slots, wrong, len(wrong) > 0
	if content != nil {
		err = json.Unmarshal(content, &g.now)
	}
	return g, err
}

// Interrupted is the id of a command at which the agent ended, "" if there is none. It is told once.
func (g *Guard) Interrupted() (string, error) {
	id := g.now.Open
	if id == "" {
		return "", nil
	}
	return id, g.Done()
}

// Take verifies a message and remembers its command durably. now is the time, told whether anybody has told it. An error
// is why it is not carried out.
func (g *Guard) Take(m fleetwire.Message, v *trust.View, now time.Time, told bool) (*fleetwire.Command, error) {
	if m.Retained {
		return nil, ErrRetained
	}
	s, err := fleetwire.Decode[fleetwire.SignedCommand](m.Payload)
	if err != nil {
		return nil, err
	}
	if err := v.Vouches(fleetwire.CommandRole, s.Body, s.Signatures); err != nil {
		return nil, err
	}
	c, err := fleetwire.Decode[fleetwire.Command](s.Body)
	switch {
	case err != nil:
		return nil, err
	case c.Device != g.device:
		return nil, ErrOther
	case !slices.Contains(fleetwire.Operations, c.Op):
		return nil, fmt.Errorf("%w: %q", ErrUnknown, c.Op)
	case !told && now.Before(v.SignedTime):
		return nil, ErrClock
	}
	if g.lost && g.notBefore.IsZero() { // what was taken before is not known any more
		g.notBefore = now.Add(maxAhead)
	}
	switch _, taken := g.now.Nonces[c.Nonce]; {
	case now.After(c.Expires) || now.Add(maxAhead).Before(c.Issued) || !c.Expires.After(g.now.Floor):
		return nil, ErrOver
	case taken || c.Issued.Before(g.notBefore):
		return nil, ErrRepeated
	}
	next := state{Nonces: maps.Clone(g.now.Nonces), Floor: g.now.Floor, Open: c.ID}
	if next.Nonces == nil {
		next.Nonces = map[string]time.Time{}
	}
	maps.DeleteFunc(next.Nonces, func(_ string, ends time.Time) bool {
		over := now.After(ends.Add(maxAhead))
		if over && ends.After(next.Floor) {
			next.Floor = ends
		}
		return over
	})
	if len(next.Nonces) >= MaxNonces {
		return nil, ErrMany
	}
	next.Nonces[c.Nonce] = c.Expires
	return c, g.write(next)
}

// Done says that the command that was taken has been carried out, and its result told.
func (g *Guard) Done() error { return g.write(state{Nonces: g.now.Nonces, Floor: g.now.Floor}) }

func (g *Guard) write(s state) error {
	body, err := json.Marshal(s)
	if err == nil {
		err = g.slots.Write(body)
	}
	if err != nil {
		return fmt.Errorf("remember command: %w", err)
	}
	g.now = s
	return nil
}
