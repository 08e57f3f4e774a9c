// Package install is the transaction that puts one release of the box's software in place of another.
//
// Everything that a release consists of lies in a content-addressed store; a release is a directory of links into it, and
// one link, stable, says which release is in force:
//
//	store/SHA256            a file, or a directory for an agent archive; never changed
//	releases/NAME/          release.json and a link for each component, e.g. agent, config/base, model/defect
//	stable, candidate, previous → releases/NAME
//
// The transaction is a journal of a few states. Before the state Decided everything rolls back; from it on everything
// rolls forward. Each step can be done twice. After a power cut at any moment the box runs exactly the old release or
// exactly the new one, and the journal says which. The log of the agent is never touched.
package install

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/edgelog/edgelog/internal/release"
)

// State is how far a transaction has come.
type State string

// The states, in order. Terminal ones are Committed, RolledBack and Failed.
const (
	Begun       State = "begun"        // nothing that runs has changed
	Installed   State = "installed"    // store and release directory are complete
	Probation   State = "probation"    // the candidate runs, nodes try their images
	Decided     State = "decided"      // the point of no return
	Committed   State = "committed"    // the new release is in force
	RollingBack State = "rolling-back" // the old release is being restored
	RolledBack  State = "rolled-back"  // the old release is in force
	Failed      State = "failed"       // nothing was activated
)

// Terminal tells whether the transaction is over.
func (s State) Terminal() bool { return s == Committed || s == RolledBack || s == Failed || s == "" }

// Txn is one transaction as the journal holds it.
type Txn struct {
	ID         string              `json:"id"`
	Release    string              `json:"release"`
	Counter    uint64              `json:"counter"`
	Manifest   string              `json:"manifest"` // sha256 of the manifest, hex
	From       string              `json:"from"`     // the release that was stable at the beginning; "" at the first
	State      State               `json:"state"`
	Tries      int                 `json:"tries"`                // the operator's count of tries of this manifest
	Attempt    int                 `json:"attempt"`              // how often the candidate was started
	Started    time.Time           `json:"update_start_time"`    // trusted time; metadata is verified at it to the end
	Components []release.Component `json:"components"`           // in the order of installation
	Probation  release.Probation   `json:"probation"`            //
	Before     json.RawMessage     `json:"before,omitempty"`     // what the judge saw before the update
	Reason     string              `json:"reason,omitempty"`     // UPD-… of what went wrong
	Detail     string              `json:"detail,omitempty"`     // a sentence for people
	LastLog    string              `json:"last_log,omitempty"`   // the candidate's last lines and exit status
	Exit       string              `json:"exit,omitempty"`       // how the candidate ended, in systemd's words
	Check      string              `json:"check,omitempty"`      // the check that did not hold
	Notes      []string            `json:"notes,omitempty"`      // what went another way than planned, and did no harm
	Unfinished []string            `json:"unfinished,omitempty"` // what could not be restored or completed: people are needed
	Begun      time.Time           `json:"begun"`                // by the system's clock, for display
	Since      time.Time           `json:"since"`                // of the state, by the system's clock, for display
}

// Journal is what the updater remembers.
type Journal struct {
	Txn    Txn               `json:"txn"`
	Failed map[string]string `json:"failed,omitempty"` // manifest sha256/attempt → reason: not tried again
	Past   []Txn             `json:"past,omitempty"`   // the newest first, without logs of all but the first
	Alarms []Alarm           `json:"alarms,omitempty"` // the oldest first; a release that is committed ends them
}

// Alarm is something about this box that people should look at before they trust it again.
type Alarm struct {
	At   time.Time `json:"at"` // by the system's clock, for display
	Text string    `json:"text"`
}

// Units starts and stops the two units of the agent.
type Units interface {
	// StartCandidate starts the candidate in place of stable and returns when it is ready (nil) or has failed.
	StartCandidate(ctx context.Context) error
	// StartStable starts stable anew, from its link, in place of whatever runs, and returns when it is ready or has
	// failed.
	StartStable(ctx context.Context) error
	// CandidateRuns tells whether the candidate still runs.
	CandidateRuns(ctx context.Context) (bool, error)
	// CandidateLog is the end of the candidate's log and how it ended, for people.
	CandidateLog(ctx context.Context) string
}

// Judge compares the box with what it was before.
type Judge interface {
	// Baseline is how the box does now, under stable.
	Baseline(ctx context.Context) (json.RawMessage, error)
	// Check tells which of the transaction's checks does not hold against its baseline, and why; "" if all hold.
	Check(ctx context.Context, t *Txn) (failed string)
}

// Nodes updates microcontroller nodes through the agent. file is an image in the store. Every method may be repeated
// and finds what is done already.
type Nodes interface {
	// Stage puts the image beside the running one where the node has room for two; else it does nothing.
	Stage(ctx context.Context, c release.Component, file string) error
	// Try boots the staged image on trial, or flashes it where the node has one slot only.
	Try(ctx context.Context, c release.Component, file string) error
	// Keep makes the tried image permanent; a node that fell back meanwhile gets it again.
	Keep(ctx context.Context, c release.Component, file string) error
	// Revert returns from the image in file to the one before it; old is that one, "" if the store has none.
	Revert(ctx context.Context, c release.Component, file, old string) error
}

// Reasons that this package gives; those of signatures come from internal/trust.
const (
	BadHash  = "UPD-HASH"
	TooLarge = "UPD-SIZE"
	NoSpace  = "UPD-SPACE"
	BadPath  = "UPD-PATH"
	Unwell   = "UPD-HEALTH"
	DiskIO   = "UPD-IO"
	Policy   = "UPD-POLICY"
	Replayed = "UPD-RBK"
	NotOurs  = "UPD-SEL"
	BadFile  = "UPD-FMT"
	BadDelta = "UPD-DELTA" // a delta did not lead to what was signed, and the whole file is not there

	notStaged = "UPD-NET" // a file that did not come to this box
)

// Error is a step that failed, with its reason.
type Error struct {
	Reason string
	Err    error
}

func (e *Error) Error() string { return e.Reason + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func reasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return DiskIO
}
