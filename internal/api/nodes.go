package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Nodes lists every line with its microcontroller nodes.
type Nodes struct {
	SchemaVersion int        `json:"schema_version"`
	Device        string     `json:"device"`
	Time          time.Time  `json:"time"`
	Lines         []NodeLine `json:"lines"`
}

// NodeLine is one serial line.
type NodeLine struct {
	Name   string      `json:"name"`
	Port   string      `json:"port"`
	Baud   int         `json:"baud"`
	Stream string      `json:"stream"`
	Nodes  []Node      `json:"nodes"`
	Found  []FoundNode `json:"found,omitempty"` // answer, and are not configured
}

// States of a node.
const (
	NodeUnknown  = "unknown"
	NodeOnline   = "online"
	NodeOffline  = "offline"
	NodeForeign  = "foreign"
	NodeFlashing = "flashing"
)

// Node is a node as it was when it was last heard.
type Node struct {
	Name        string            `json:"name"`
	Unit        int               `json:"unit"`
	State       string            `json:"state"`
	Error       string            `json:"error,omitempty"`
	Since       time.Time         `json:"since,omitzero"`
	Heard       time.Time         `json:"heard,omitzero"`
	Chip        string            `json:"chip,omitempty"`
	Version     string            `json:"version,omitempty"`
	Serial      uint32            `json:"serial,omitempty"`
	Boots       uint32            `json:"boots,omitempty"`
	Cause       string            `json:"reset_cause,omitempty"`
	Uptime      float64           `json:"uptime_seconds,omitempty"` // when its life was first seen
	Incarnation string            `json:"incarnation,omitempty"`
	Taken       uint32            `json:"taken_sequence"`
	Durable     uint32            `json:"durable_sequence"`
	Queue       int               `json:"queue_events"`
	Fill        int               `json:"queue_fill"`
	Events      uint64            `json:"events_total"` // since the agent's start
	Rate        float64           `json:"events_per_second"`
	Lost        map[string]uint64 `json:"lost,omitempty"` // by reason, since the agent's start
	Resets      uint64            `json:"resets"`
	Timeouts    uint64            `json:"timeouts"`
	Damaged     uint64            `json:"damaged_answers"`
	Stats       map[string]uint32 `json:"counters,omitempty"` // the node's own
	TimeError   float64           `json:"time_error_seconds,omitempty"`
	TimeWorst   float64           `json:"time_worst_error_seconds,omitempty"` // of an event since the agent's start
	DriftPPM    float64           `json:"drift_ppm,omitempty"`
	ClockState  string            `json:"clock_state,omitempty"`
	ClockOff    float64           `json:"clock_off_seconds,omitempty"`
	ClockDrift  float64           `json:"clock_drift_ppm,omitempty"`
	Sensors     []NodeSensor      `json:"sensors,omitempty"`
	Outputs     map[string]bool   `json:"outputs,omitempty"`
	FailSafe    bool              `json:"fail_safe,omitempty"`
	Settings    []NodeSetting     `json:"settings,omitempty"`
	SettingsOK  bool              `json:"settings_ok"`
	Flash       string            `json:"flash_protocol,omitempty"`
	Slots       int               `json:"slots,omitempty"` // for images, where they can be flashed: 2 knows a trial
}

// NodeSensor is a thermometer of a node.
type NodeSensor struct {
	ROM     string  `json:"rom"`
	Value   float64 `json:"value"`
	Quality string  `json:"quality"`
	Age     float64 `json:"age_seconds"`
	Errors  uint16  `json:"errors"`
}

// NodeSetting is a value that a node keeps.
type NodeSetting struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Unit     string `json:"unit,omitempty"`
	Declared string `json:"declared,omitempty"` // what the configuration wants
}

// FoundNode answers at an address that no configuration names.
type FoundNode struct {
	Unit    int       `json:"unit"`
	Chip    string    `json:"chip"`
	Version string    `json:"version"`
	Serial  uint32    `json:"serial,omitempty"`
	At      time.Time `json:"at"`
}

// NodeRequest changes a node. Exactly one of its parts is given.
type NodeRequest struct {
	Settings map[string]string `json:"settings,omitempty"`
	Clock    bool              `json:"clock,omitempty"`       // set its clock chip
	Outputs  map[string]bool   `json:"outputs,omitempty"`     // manual control …
	For      float64           `json:"for_seconds,omitempty"` // … for so long; 0 ends it
	Command  string            `json:"command,omitempty"`     // rescan, reset
	Scan     bool              `json:"scan,omitempty"`        // of the line: ask all addresses
	Test     uint16            `json:"test_events,omitempty"` // queue so many test events
}

// Commands of a NodeRequest.
const (
	NodeRescan = "rescan"
	NodeReset  = "reset"
)

// NodeDone answers a NodeRequest.
type NodeDone struct {
	SchemaVersion int    `json:"schema_version"`
	Node          string `json:"node"`
	Text          string `json:"text"`
}

// FlashProgress is one line of a flash: a phase, or with End its outcome.
type FlashProgress struct {
	SchemaVersion int     `json:"schema_version,omitempty"`
	Phase         string  `json:"phase,omitempty"`
	Done          int     `json:"done"`
	Total         int     `json:"total"`
	End           bool    `json:"end,omitempty"`
	Chip          string  `json:"chip,omitempty"`
	Bytes         int     `json:"bytes,omitempty"`
	Version       string  `json:"version,omitempty"`
	Seconds       float64 `json:"seconds,omitempty"`
	Kept          bool    `json:"kept,omitempty"` // after FlashRevert: the node keeps the image for good, and was left alone
	Error         string  `json:"error,omitempty"`
}

// MaxImageFile bounds an image that is sent to be flashed.
const MaxImageFile = 8 << 20

// Nodes asks for GET /v1/nodes.
func (c *Client) Nodes(ctx context.Context) (*Nodes, error) {
	return get[Nodes](ctx, c, ViewSocket, "/v1/nodes", RequestTimeout)
}

// ChangeNode asks for POST /v1/nodes/{name}; a line's name with Scan.
func (c *Client) ChangeNode(ctx context.Context, name string, r NodeRequest) (*NodeDone, error) {
	return call[NodeDone](ctx, c, ControlSocket, http.MethodPost, "/v1/nodes/"+url.PathEscape(name), r, 2*MaxReloadTime)
}

// FlashOrder says what is to be done with an image. A node with one slot knows no trial: FlashStage does nothing there,
// FlashTry and FlashKeep write what does not run yet, FlashRevert is refused.
type FlashOrder struct {
	Want string // version that the node must have afterwards; "": any
	Do   string // "": write it, start it, and keep it once the node is back
}

// What is to be done with an image by a node with two slots.
const (
	FlashStage  = "stage"  // write it beside the one that runs
	FlashTry    = "try"    // and run it, until the node's next restart
	FlashKeep   = "keep"   // and keep it
	FlashRevert = "revert" // run what ran before, where this image is on trial
)

// Flash sends an image to a node and tells each step. Ending ctx interrupts the update.
func (c *Client) Flash(ctx context.Context, name string, o FlashOrder, image []byte, step func(FlashProgress)) (*FlashProgress, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	path := "http://agent/v1/nodes/" + url.PathEscape(name) + "/flash?want=" + url.QueryEscape(o.Want) + "&do=" + url.QueryEscape(o.Do)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.http[ControlSocket].Do(req)
	if err != nil {
		return nil, c.explain(ControlSocket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		e := &Error{Status: resp.StatusCode}
		if err := json.NewDecoder(io.LimitReader(resp.Body, MaxLineBytes)).Decode(&e.Problem); err != nil || e.Problem.Error == "" {
			e.Problem.Error = "the agent answered " + resp.Status
		}
		return nil, e
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, MaxLineBytes)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var p FlashProgress
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("read answer of the agent: %w", err)
		}
		if p.End {
			if p.Error != "" {
				return &p, errors.New(p.Error)
			}
			return &p, nil
		}
		step(p)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: it ended in the middle of the update", ErrUnreachable)
}
