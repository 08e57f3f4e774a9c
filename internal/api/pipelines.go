package api

import "time"

// States of a pipeline.
const (
	PipelineOK      = "ok"
	PipelineWaits   = "waits"   // its output takes nothing
	PipelineFailing = "failing" // it cannot read or save
)

// Pipeline is one computation on the log. Counts are since its state began.
type Pipeline struct {
	Name       string          `json:"name"`
	Kind       string          `json:"kind"` // window, alarm
	Text       string          `json:"text"` // what it does, for people: "10m mean, max"
	From       string          `json:"from"` // stream
	Series     string          `json:"series,omitempty"`
	To         string          `json:"to"` // stream
	State      string          `json:"state"`
	Error      string          `json:"error,omitempty"`
	Next       uint64          `json:"next"`                  // offset of the input, not read yet
	Lag        uint64          `json:"lag"`                   // durable records of the input that are not read
	LagSeconds float64         `json:"lag_seconds,omitempty"` // how old the newest reading is that was taken in, where lag is not 0
	Followed   int             `json:"series_followed"`
	Records    uint64          `json:"records"` // of the input
	Results    uint64          `json:"results"`
	Missing    uint64          `json:"missing,omitempty"`  // records of the input that were gone before they were read
	Late       uint64          `json:"late,omitempty"`     // readings that came when their window was closed
	Untimed    uint64          `json:"untimed,omitempty"`  // readings whose time is not known
	Left       uint64          `json:"left_out,omitempty"` // readings of series beyond the limit
	Severity   string          `json:"severity,omitempty"` // of an alarm: critical, warning, info
	Raised     int             `json:"raised,omitempty"`   // alarms now
	Alarms     []PipelineAlarm `json:"alarms,omitempty"`   // some of them
}

// PipelineAlarm is an alarm that is raised.
type PipelineAlarm struct {
	Series string    `json:"series"`
	Since  time.Time `json:"since,omitzero"`
	Text   string    `json:"text,omitempty"`
}
