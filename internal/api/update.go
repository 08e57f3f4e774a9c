package api

import (
	"context"
	"net/http"
	"time"
)

// Update is what a box is doing about its software: the release in force, the one that comes, and what stands in its way.
type Update struct {
	SchemaVersion int       `json:"schema_version"`
	Release       string    `json:"release,omitempty"`  // in force; without it the packaged programs run
	Previous      string    `json:"previous,omitempty"` // to go back to
	Counter       uint64    `json:"counter"`            // of the newest release that was committed
	State         string    `json:"state"`              // IDLE, DOWNLOADING, … as in docs/updates.md
	Since         time.Time `json:"since,omitzero"`
	Desired       string    `json:"desired,omitempty"` // the release that comes, or was the last that came
	Manifest      string    `json:"manifest,omitempty"`
	Rollout       string    `json:"rollout,omitempty"`
	Attempt       int       `json:"attempt,omitempty"`
	Transaction   string    `json:"transaction,omitempty"`
	Reason        string    `json:"reason,omitempty"` // UPD-…
	Detail        string    `json:"detail,omitempty"`
	Unfinished    []string  `json:"unfinished,omitempty"` // what needs a person
	Notes         []string  `json:"notes,omitempty"`
	Source        string    `json:"source,omitempty"` // where content comes from now: "broker", or a mirror's address
	// Progress over all that is to be moved in this state.
	DoneBytes  int64             `json:"done_bytes,omitempty"`
	TotalBytes int64             `json:"total_bytes,omitempty"`
	Components []UpdateComponent `json:"components,omitempty"`
	// Probation.
	Deadline    time.Time    `json:"deadline,omitzero"`
	GoodSince   time.Time    `json:"good_since,omitzero"`
	SoakSeconds int          `json:"soak_seconds,omitempty"`
	Checks      []string     `json:"checks,omitempty"`
	Failing     string       `json:"failing,omitempty"`
	Hold        *UpdateOrder `json:"hold,omitempty"`
	Pause       *UpdateOrder `json:"pause,omitempty"`
	Trust       UpdateTrust  `json:"trust"`
	Gates       []UpdateGate `json:"gates,omitempty"`
	Past        []PastUpdate `json:"past,omitempty"` // the newest first
}

// UpdateComponent is one part of a release.
type UpdateComponent struct {
	Order      int    `json:"order"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Have       string `json:"have,omitempty"`
	Want       string `json:"want"`
	State      string `json:"state"` // waiting, loading, loaded, copying, installed, running, kept
	DoneBytes  int64  `json:"done_bytes"`
	TotalBytes int64  `json:"total_bytes"`
}

// UpdateOrder is what an operator has said.
type UpdateOrder struct {
	By    string    `json:"by"`
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // without it until it is taken back
}

// UpdateTrust is how the box stands with the fleet's signed metadata.
type UpdateTrust struct {
	Root      int64     `json:"root_version"`
	Timestamp int64     `json:"timestamp_version"`
	Expires   time.Time `json:"expires,omitzero"`
	Problem   string    `json:"problem,omitempty"`
}

// Verdicts of a gate.
const (
	GateOpen    = "open"
	GateClosed  = "closed"
	GateUnknown = "unknown"
)

// UpdateGate is one condition that an update must pass.
type UpdateGate struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
	Do      string `json:"do,omitempty"`
}

// PastUpdate is a transaction that has ended.
type PastUpdate struct {
	Transaction string    `json:"transaction"`
	Release     string    `json:"release"`
	From        string    `json:"from,omitempty"`
	State       string    `json:"state"`
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended"`
	Attempts    int       `json:"attempts"`
	Reason      string    `json:"reason,omitempty"`
	Detail      string    `json:"detail,omitempty"`
	Check       string    `json:"failed_check,omitempty"`
	Exit        string    `json:"exit,omitempty"` // how the candidate ended
	LastLog     string    `json:"last_log,omitempty"`
	Notes       []string  `json:"notes,omitempty"`
	Unfinished  []string  `json:"unfinished,omitempty"`
}

// Operations that an operator may ask for.
const (
	UpdatePause  = "pause"  // ask for no more content, start no install
	UpdateResume = "resume" // end a pause
	UpdateHold   = "hold"   // start no install
	UpdateUnhold = "unhold"
	UpdateAbort  = "abort" // give up the release that comes, until the decision
	UpdateRetry  = "retry" // try again what has failed
)

// UpdateRequest asks for one of them.
type UpdateRequest struct {
	Op    string    `json:"op"`
	Why   string    `json:"why,omitempty"`
	Until time.Time `json:"until,omitzero"` // of a hold
}

// Update asks for GET /v1/update.
func (c *Client) Update(ctx context.Context) (*Update, error) {
	return get[Update](ctx, c, ViewSocket, "/v1/update", RequestTimeout)
}

// OrderUpdate carries an operation out and returns what the box then does.
func (c *Client) OrderUpdate(ctx context.Context, r UpdateRequest) (*Update, error) {
	return call[Update](ctx, c, ControlSocket, http.MethodPost, "/v1/update", r, RequestTimeout)
}
