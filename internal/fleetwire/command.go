package fleetwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/wire"
)

// CommandRole is the role of the fleet's metadata whose keys may sign commands.
const CommandRole = "commands"

// Bounds of commands.
const (
	MaxCommandLife = 24 * time.Hour
	MaxResultBytes = 200 << 10
	maxArgument    = 256
)

// Operations of commands, beside those of a Controller.
const (
	OpHold    = "hold"   // start no install
	OpUnhold  = "unhold" //
	OpDiag    = "diag"   // status and updates of the box, as JSON
	OpLogs    = "logs"   // the agent's last lines
	OpRestart = "restart"
)

// Operations is the closed set.
var Operations = []string{OpPause, OpResume, OpAbort, OpRetry, OpHold, OpUnhold, OpDiag, OpLogs, OpRestart}

// SignedCommand carries a command and who vouches for it.
type SignedCommand struct {
	Body       []byte            `json:"body"` // a Command
	Signatures []trust.Signature `json:"signatures"`
}

// Command is one instruction to one box, carried out once at most.
type Command struct {
	ID      string    `json:"id"` // names the topic of the result
	Device  string    `json:"device"`
	Op      string    `json:"op"`
	Why     string    `json:"why,omitempty"` // for the box's log
	By      string    `json:"by"`
	Issued  time.Time `json:"issued_at"`
	Expires time.Time `json:"expires_at"`
	Nonce   string    `json:"nonce"` // of 16 to 64 characters, never used again
}

// Result is what became of a command.
type Result struct {
	ID     string          `json:"id"`
	State  string          `json:"state"` // ResultDone, ResultFailed or ResultInterrupted
	Text   string          `json:"text,omitempty"`
	Output json.RawMessage `json:"output,omitempty"`
}

// States of a result. A command that is refused gets none: who sent it may not be who it claims to be.
const (
	ResultDone        = "done"
	ResultFailed      = "failed"
	ResultInterrupted = "interrupted" // the agent ended while it was at it; it is not repeated
)

func (s *SignedCommand) validate() error {
	if len(s.Body) == 0 || len(s.Signatures) == 0 {
		return errors.New("a command without body or signature")
	}
	return nil
}

func (c *Command) validate() error {
	switch {
	case !wire.ValidDevice(c.Device):
		return fmt.Errorf("device %q", c.Device)
	case len(c.Nonce) < 16 || len(c.Nonce) > 64:
		return fmt.Errorf("a nonce of %d characters", len(c.Nonce))
	case c.Issued.IsZero() || !c.Expires.After(c.Issued) || c.Expires.Sub(c.Issued) > MaxCommandLife:
		return fmt.Errorf("good from %v to %v", c.Issued, c.Expires)
	case len(c.Why) > maxArgument || len(c.By) > maxArgument:
		return errors.New("text without bound")
	}
	return validID(c.ID)
}

func (r *Result) validate() error { return validID(r.ID) }
