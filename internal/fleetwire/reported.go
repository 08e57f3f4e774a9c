package fleetwire

import "time"

// State is what a box is doing about its desired release.
type State string

// The states, as people and servers see them.
const (
	Idle         State = "IDLE"
	Checking     State = "CHECKING"
	Planned      State = "PLANNED"
	Downloading  State = "DOWNLOADING"
	Staged       State = "STAGED"
	Waiting      State = "WAITING" // for a window, a hold to end, or an approval
	Installing   State = "INSTALLING"
	Probation    State = "PROBATION"
	Committing   State = "COMMITTING"
	Committed    State = "COMMITTED"
	Rejected     State = "REJECTED" // nothing was changed, and nothing will be
	Failed       State = "FAILED"   // nothing was activated
	RollingBack  State = "ROLLING_BACK"
	RolledBack   State = "ROLLED_BACK"
	Inconsistent State = "INCONSISTENT" // the way back was not completed: people are needed
)

// Terminal tells whether the box has finished with the release.
func (s State) Terminal() bool {
	return s == Committed || s == Rejected || s == Failed || s == RolledBack || s == Inconsistent
}

// Reported is what a box says of itself, retained.
type Reported struct {
	SchemaVersion  int         `json:"schema_version"`
	GenerationSeen uint64      `json:"gen_seen"`
	Release        string      `json:"release"` // in force
	Desired        string      `json:"desired,omitempty"`
	Rollout        string      `json:"rollout,omitempty"`
	Manifest       string      `json:"manifest,omitempty"`
	Attempt        int         `json:"attempt,omitempty"`
	State          State       `json:"state"`
	Since          time.Time   `json:"since"`
	Reason         string      `json:"reason,omitempty"` // UPD-…
	Detail         string      `json:"detail,omitempty"` // a sentence for people
	Components     []Component `json:"components,omitempty"`
	Source         string      `json:"source,omitempty"` // where content comes from at the moment: "broker", or a mirror's address
	Done           int64       `json:"done_bytes,omitempty"`
	Total          int64       `json:"total_bytes,omitempty"`
	Counter        uint64      `json:"counter"`
	Root           int64       `json:"root_version"`
	Timestamp      int64       `json:"timestamp_version"`
	Expires        time.Time   `json:"metadata_expires"`
	TimeSource     string      `json:"time_source"`
	Free           uint64      `json:"free_bytes"`
	// Facts are those that releases and rollouts select by.
	Facts     map[string]string `json:"facts,omitempty"`
	UTCOffset int               `json:"utc_offset_s"` // of the box's local time
}

// Component is how far one component is.
type Component struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Have  string `json:"have,omitempty"`
	Want  string `json:"want"`
	State State  `json:"state"`
	Done  int64  `json:"done_bytes"`
	Total int64  `json:"total_bytes"`
}

// Event is one change of state; events of a device form a chain of hashes.
type Event struct {
	Number  uint64    `json:"n"`
	Prev    string    `json:"prev"` // sha256 of the event before, hex
	Time    time.Time `json:"t"`
	Release string    `json:"release,omitempty"`
	State   State     `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}
