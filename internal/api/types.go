// Package api is the control API of the agent: its JSON and a client over the unix sockets.
//
// Every answer carries schema_version. Fields are added, never renamed or given another meaning within a version.
// Times are RFC 3339 in UTC, lengths of time are seconds, sizes are bytes; unknown times are left out.
package api

import (
	"encoding/json"
	"time"
)

// SchemaVersion is the version of all types here.
const SchemaVersion = 1

// The sockets in the run directory.
const (
	ViewSocket    = "view.sock"
	ControlSocket = "control.sock"
	IngestSocket  = "ingest.sock"
)

// Overall states of a box.
const (
	StateOK       = "ok"
	StateDegraded = "degraded"
	StateFailed   = "failed"
	StateDown     = "down" // the agent does not run; said by edgectl only
)

// Status answers: is it reading, is it keeping, is it delivering, what is wrong.
type Status struct {
	SchemaVersion int         `json:"schema_version"`
	Device        string      `json:"device"`
	State         string      `json:"state"`
	Version       string      `json:"version"`
	Time          time.Time   `json:"time"`
	Started       time.Time   `json:"started,omitzero"`
	Uptime        float64     `json:"uptime_seconds,omitempty"` // whatever the clock did meanwhile
	Config        string      `json:"config,omitempty"`         // path of the configuration
	DataDir       string      `json:"data_dir,omitempty"`       // for doctor
	Clock         Clock       `json:"clock"`
	Sources       Sources     `json:"sources"`
	Buffer        Buffer      `json:"buffer"`
	Uplink        Uplink      `json:"uplink"`
	NPU           *NPUSummary `json:"npu,omitempty"` // where a worker is configured and was heard of
	Streams       []Stream    `json:"streams"`
	Faults        []Fault     `json:"faults"`           // worst first
	Update        *Update     `json:"update,omitempty"` // where the box takes releases; without gates and past
	Pipelines     []Pipeline  `json:"pipelines,omitempty"`
}

// Clock says how far the time can be trusted.
type Clock struct {
	Synchronised bool    `json:"synchronised"`
	Source       string  `json:"source,omitempty"` // ntp, hub, gps, operator, system
	ErrorSeconds float64 `json:"error_seconds,omitempty"`
}

// Sources sums up all sources.
type Sources struct {
	OK          int               `json:"ok"`
	Degraded    int               `json:"degraded"`
	Dead        int               `json:"dead"`
	Rate        float64           `json:"readings_per_second"`
	Taken       uint64            `json:"taken"`                 // since the agent's start
	Missed      uint64            `json:"missed"`                // since the agent's start
	MissedToday uint64            `json:"missed_today"`          // since midnight of the box
	MissedFor   map[string]uint64 `json:"missed_for,omitempty"`  // by reason, since the agent's start
	MissedText  string            `json:"missed_text,omitempty"` // who missed them, for people: "all cold room 2"
}

// Buffer sums up the logs of all streams.
type Buffer struct {
	Bytes        int64     `json:"bytes"`
	MaxBytes     int64     `json:"max_bytes"`
	Oldest       time.Time `json:"oldest,omitzero"`
	WrittenToday int64     `json:"written_today_bytes"`
	DiskFree     int64     `json:"disk_free_bytes"`
	// WearPerDay is what the disk under the log is told to write a day, by everybody, at the rate of the last 24 hours or
	// since the agent's start; WearLimit is what it is meant to take (storage.wear_per_day). 0 if unknown.
	WearPerDay float64 `json:"wear_bytes_per_day,omitempty"`
	WearLimit  int64   `json:"wear_limit_bytes_per_day,omitempty"`
	// RoomSeconds is for how long undelivered records find room at today's rate; 0 if unknown.
	RoomSeconds float64 `json:"room_seconds,omitempty"`
}

// States of the uplink.
const (
	UplinkNone       = "none"       // not configured
	UplinkConnecting = "connecting" // tries
	UplinkWaiting    = "waiting"    // connected, the hub has not answered
	UplinkOnline     = "online"
)

// Uplink says how the way to the hub is.
type Uplink struct {
	State    string    `json:"state"`
	Broker   string    `json:"broker,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	LastAck  time.Time `json:"last_ack,omitzero"`
	Error    string    `json:"error,omitempty"` // of the last attempt
	InFlight int64     `json:"in_flight_bytes"`
	Credit   int64     `json:"credit_bytes"`
	NotAfter time.Time `json:"certificate_ends,omitzero"`
	// Bytes of MQTT packets since the agent's start, resent frames and latest values included, TLS not.
	SentBytes     uint64 `json:"sent_bytes"`
	ReceivedBytes uint64 `json:"received_bytes"`
	// Held says what holds records back beside the window: "pace" (backlog) or "budget".
	Held string `json:"held,omitempty"`
	// The byte budget of the link, and what of it was used; nil: none is configured.
	Budget *UplinkBudget `json:"budget,omitempty"`
}

// UplinkBudget is what a metered link may carry; a bound of 0 is none.
type UplinkBudget struct {
	HourBytes   uint64 `json:"hour_bytes"`
	HourBudget  uint64 `json:"hour_budget_bytes"`
	MonthBytes  uint64 `json:"month_bytes"`
	MonthBudget uint64 `json:"month_budget_bytes"`
	UsedUp      bool   `json:"used_up"`
}

// Stream is one log's line.
type Stream struct {
	Name      string `json:"name"`
	State     string `json:"state"` // ok, full, failing
	Error     string `json:"error,omitempty"`
	Low       uint64 `json:"low"`
	Durable   uint64 `json:"durable"`
	End       uint64 `json:"end"`
	Delivered uint64 `json:"delivered"` // position
	InFlight  uint64 `json:"in_flight"` // records
	Buffered  uint64 `json:"buffered"`  // records on disk, not delivered, not in flight
	Dropped   uint64 `json:"dropped"`   // records in gaps
	Bytes     int64  `json:"bytes"`
	MaxBytes  int64  `json:"max_bytes"`
	Balanced  bool   `json:"balanced"`
}

// Account is the account of every stream and epoch: End − First = Delivered + Skipped + Dropped + InFlight + Buffered
// (+ Remainder, which is a bug or damage if it is not 0).
type Account struct {
	SchemaVersion int             `json:"schema_version"`
	Device        string          `json:"device"`
	Time          time.Time       `json:"time"`
	Balanced      bool            `json:"balanced"`
	Streams       []StreamAccount `json:"streams"`
	Sources       []SourceAccount `json:"sources"`
}

// StreamAccount is the sum over the epochs of a stream.
type StreamAccount struct {
	Name   string         `json:"name"`
	Sum    EpochAccount   `json:"sum"`
	Epochs []EpochAccount `json:"epochs"` // oldest first
}

// EpochAccount is the account of one epoch; all numbers are records.
type EpochAccount struct {
	Epoch       string            `json:"epoch,omitempty"` // 16 hexadecimal digits
	First       uint64            `json:"first"`
	End         uint64            `json:"end"`
	Delivered   uint64            `json:"delivered"`
	Skipped     map[string]uint64 `json:"skipped,omitempty"` // by reason, as the hub listed them
	Dropped     map[string]uint64 `json:"dropped,omitempty"` // by reason: retention, corrupt, …
	InFlight    uint64            `json:"in_flight"`
	Buffered    uint64            `json:"buffered"`
	Owed        uint64            `json:"owed,omitempty"` // of dropped and buffered: here, and the hub has them only as a gap of another copy of this disk
	LocallyLost uint64            `json:"delivered_locally_lost,omitempty"`
	Remainder   int64             `json:"remainder"`
	Current     bool              `json:"current,omitempty"`
}

// Balance sets Remainder to what the other fields leave over, and returns whether that is nothing.
func (a *EpochAccount) Balance() bool {
	sum := a.Delivered + a.InFlight + a.Buffered
	for _, n := range a.Skipped {
		sum += n
	}
	for _, n := range a.Dropped {
		sum += n
	}
	a.Remainder = int64(a.End - a.First - sum)
	return a.Remainder == 0
}

// SourceAccount is what a source gave and what it did not.
type SourceAccount struct {
	Name   string            `json:"name"`
	Taken  uint64            `json:"taken"`
	Missed map[string]uint64 `json:"missed,omitempty"` // by reason
}

// States of a source and of a sensor.
const (
	SourceOK       = "ok"
	SourceDegraded = "degraded"
	SourceDead     = "dead"
)

// Sensors lists every source with its series.
type Sensors struct {
	SchemaVersion int       `json:"schema_version"`
	Device        string    `json:"device"`
	Time          time.Time `json:"time"`
	Sources       []Source  `json:"sources"`
}

// Source is one source with what it reads.
type Source struct {
	Name      string            `json:"name"`
	Driver    string            `json:"driver"`
	State     string            `json:"state"`
	Error     string            `json:"error,omitempty"`
	Stream    string            `json:"stream"`
	Port      string            `json:"port,omitempty"` // where it hangs: serial port, host and port, bus
	Interval  float64           `json:"interval_seconds"`
	LateMean  float64           `json:"late_mean_seconds"` // how long after its time a sweep starts
	LateMax   float64           `json:"late_max_seconds"`
	Rate      float64           `json:"readings_per_second"`
	Taken     uint64            `json:"taken"`
	Unchanged uint64            `json:"unchanged,omitempty"` // readings that a rule kept out of the log
	Missed    map[string]uint64 `json:"missed,omitempty"`
	Simulated bool              `json:"simulated,omitempty"`
	Sensors   []Sensor          `json:"sensors"`
	LeftOut   int               `json:"left_out,omitempty"` // sensors that are not shown, because there are too many
}

// Sensor is one series and its latest reading.
type Sensor struct {
	Series    string    `json:"series"`           // its key: name{label="…"}
	Stream    string    `json:"stream,omitempty"` // where a rule sends it, if not where its source does
	ID        string    `json:"id,omitempty"`     // of the thing: ROM id, register
	Label     string    `json:"label,omitempty"`  // the name that a person gave
	Unit      string    `json:"unit,omitempty"`
	Value     string    `json:"value,omitempty"` // as text, exact; empty if there is none
	Type      string    `json:"type,omitempty"`  // of the value: int, float, decimal4 (four decimals), bool, string, json, bytes (in hexadecimal)
	Quality   string    `json:"quality"`
	Time      time.Time `json:"time,omitzero"`
	Recent    []float64 `json:"recent,omitempty"` // oldest first, for a sparkline; at most 40
	Simulated bool      `json:"simulated,omitempty"`
}

// Fault is one line of what is or was wrong; see package health.
type Fault struct {
	ID       uint64    `json:"id"`
	Code     string    `json:"code"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	Key      string    `json:"key,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Text     string    `json:"text,omitempty"`
	Do       string    `json:"do,omitempty"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // not there while it lasts
	Count    uint64    `json:"count"`
	Active   bool      `json:"active"`
	Acked    time.Time `json:"acknowledged,omitzero"`
	AckedBy  string    `json:"acknowledged_by,omitempty"`
}

// Faults lists all lines, worst first.
type Faults struct {
	SchemaVersion int     `json:"schema_version"`
	Faults        []Fault `json:"faults"`
}

// AckRequest acknowledges one line.
type AckRequest struct {
	ID uint64 `json:"id"`
}

// Record is one line of a query or of tail: a record, or a gap in place of records.
type Record struct {
	Stream  string          `json:"stream"`
	Epoch   string          `json:"epoch"`
	Offset  uint64          `json:"offset"`
	Kind    string          `json:"kind"` // observation, boot, anchor, config, gap
	Time    time.Time       `json:"time,omitzero"`
	TError  float64         `json:"time_error_seconds,omitempty"`
	Name    string          `json:"name,omitempty"`
	Labels  json.RawMessage `json:"labels,omitempty"` // an object
	Series  string          `json:"series,omitempty"` // key: name{label="…"}
	Unit    string          `json:"unit,omitempty"`
	Value   json.RawMessage `json:"value"` // number, true, text, object, or null; bytes are hexadecimal text
	Type    string          `json:"type,omitempty"`
	Quality string          `json:"quality,omitempty"`
	Detail  string          `json:"detail,omitempty"` // hexadecimal
	Gap     *Gap            `json:"gap,omitempty"`
}

// Gap is what is not there, [Offset, To).
type Gap struct {
	To     uint64    `json:"to"`
	Count  uint64    `json:"count"`
	Reason string    `json:"reason"`
	From   time.Time `json:"time_from,omitzero"`
	Until  time.Time `json:"time_until,omitzero"`
}

// QueryEnd is the last line of a query's NDJSON; a stream that does not end with it was cut off.
type QueryEnd struct {
	SchemaVersion int    `json:"schema_version"`
	End           bool   `json:"end"`
	Records       uint64 `json:"records"`
	Truncated     bool   `json:"truncated"` // the limit was reached
	Error         string `json:"error,omitempty"`
}

// Reload is the outcome of a reload.
type Reload struct {
	SchemaVersion int      `json:"schema_version"`
	Applied       []string `json:"applied"`         // what changed at once
	Restart       []string `json:"needs_restart"`   // what waits for a restart
	Error         string   `json:"error,omitempty"` // the file was refused; nothing changed
}

// IngestRequest is one message of a producer. It is taken whole or not at all.
type IngestRequest struct {
	Incarnation uint64         `json:"incarnation"` // 0 only if the producer has none of its own
	Sequence    uint64         `json:"sequence"`    // of this message, from 1, dense
	Records     []IngestRecord `json:"records"`
	// More are the messages that follow, in order, so that they share one commit. Each is taken whole or not at all; the
	// position in the answer says how far they were taken.
	More []IngestMessage `json:"more,omitempty"`
}

// IngestMessage is a further message of a request.
type IngestMessage struct {
	Sequence uint64         `json:"sequence"`
	Records  []IngestRecord `json:"records"`
}

// IngestRecord is one observation. A value is a JSON number, bool, text, object or list; null with a bad quality says
// why there is none.
type IngestRecord struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Unit    string            `json:"unit,omitempty"`
	Type    string            `json:"type,omitempty"` // int, float, bool, string, json, decimal0…decimal9; else from the value
	Value   json.RawMessage   `json:"value"`
	Quality string            `json:"quality,omitempty"` // default good
	Time    time.Time         `json:"time,omitzero"`     // asserted by the producer; else when it was taken
}

// IngestPosition says what is durable of a producer: every message up to Sequence is fsynced.
type IngestPosition struct {
	SchemaVersion int    `json:"schema_version"`
	Producer      string `json:"producer"`
	Incarnation   uint64 `json:"incarnation"`
	Sequence      uint64 `json:"sequence"`
	Known         bool   `json:"known"`              // false: nothing was ever taken from this producer
	Repeated      bool   `json:"repeated,omitempty"` // the message was there already
}

// Problem is every error answer.
type Problem struct {
	SchemaVersion int    `json:"schema_version"`
	Error         string `json:"error"`          // one sentence for people
	Code          string `json:"code,omitempty"` // for programs: not-found, bad-request, full, stopped, unavailable, too-large
}
