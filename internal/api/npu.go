package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/edgelog/edgelog/internal/unixsocket"
)

// The NPU worker's sockets and run directory.
const (
	NPUSocket        = "npu.sock"    // for those who look
	NPUFrames        = "frames.sock" // for programs whose frames are recorded
	DefaultNPURunDir = "/run/edge-npu"
	NPUSchema        = 1                // of the body of an npu.inference record
	NPURecord        = "npu.inference"  // name of the series of results
	MaxNPUInput      = 32 << 20         // bytes of one posted picture or tensor
	MaxNPUWait       = 60 * time.Second // for the result of one input
)

// ErrNPUSilent is returned where nothing answers on the worker's socket.
var ErrNPUSilent = errors.New("the NPU worker does not answer")

// NPUStatus is what the worker tells of itself.
type NPUStatus struct {
	SchemaVersion int            `json:"schema_version"`
	Time          time.Time      `json:"time"`
	Started       time.Time      `json:"started"`
	Version       string         `json:"version"`
	PID           int            `json:"pid"`
	Simulated     bool           `json:"simulated"`
	Runtime       string         `json:"runtime,omitempty"`
	CANN          string         `json:"cann,omitempty"`
	Driver        string         `json:"driver,omitempty"`
	Warning       string         `json:"warning,omitempty"`
	Chips         []NPUChip      `json:"chips"`
	Models        []NPUModel     `json:"models"`
	Faults        []NPUFault     `json:"faults"`
	DCMIErrors    map[string]int `json:"dcmi_errors,omitempty"`      // failed calls of the management library by code
	Restarts      int            `json:"restarts"`                   // of the worker after a device fault
	LastError     string         `json:"last_error,omitempty"`       // newest, of any part
	LastRestart   string         `json:"last_restart,omitempty"`     // why it restarted
	Sequence      uint64         `json:"sequence"`                   // bound to inputs
	Durable       uint64         `json:"durable"`                    // acknowledged by the agent
	Waiting       int            `json:"waiting"`                    // results that the agent has not acknowledged
	Untold        uint64         `json:"untold"`                     // records of chips and models that found no room while the agent was away
	Signals       []string       `json:"signals_restored,omitempty"` // handlers that the runtime's libraries had installed
	Handles       int64          `json:"handles"`                    // open in the runtime: contexts, streams, memory, models
	Goroutines    int            `json:"goroutines"`
}

// NPUChip is one chip with its gauges; a gauge that the chip does not have is not there.
type NPUChip struct {
	ID      string             `json:"id"` // card/device
	Name    string             `json:"name,omitempty"`
	Product string             `json:"product,omitempty"`
	Serial  string             `json:"serial,omitempty"`
	PCI     string             `json:"pci,omitempty"`
	Health  string             `json:"health"`
	Gauges  map[string]float64 `json:"gauges"` // unit by name, as docs/ascend.md lists them
	Errors  []string           `json:"errors,omitempty"`
	Age     float64            `json:"age_seconds"` // of the gauges
	// Processes use the chip's memory; not there if the driver does not tell.
	Processes []NPUProcess `json:"processes,omitempty"`
}

// NPUProcess is a process that uses a chip.
type NPUProcess struct {
	PID   int    `json:"pid"`
	Bytes uint64 `json:"bytes"`
}

// NPUModel is one model at work.
type NPUModel struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	SHA256   string            `json:"sha256"`
	State    string            `json:"state"` // loading, ready, failed
	Error    string            `json:"error,omitempty"`
	SelfTest string            `json:"self_test"` // passed, none, or why not
	MaxBatch int               `json:"max_batch"`
	Done     uint64            `json:"done"`
	Bad      uint64            `json:"bad"`
	Queue    int               `json:"queue"`
	QueueMax int               `json:"queue_max"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // by reason
	Batches  uint64            `json:"batches"`
	P50      float64           `json:"latency_p50_ms"` // from intake to result
	P90      float64           `json:"latency_p90_ms"`
	P99      float64           `json:"latency_p99_ms"`
	Media    string            `json:"media,omitempty"` // who decodes pictures: device, or processor and why; empty: no pictures
	OnDevice uint64            `json:"pictures_on_device"`
	// LeftToProcessor counts pictures that the media units could not decode.
	LeftToProcessor uint64 `json:"pictures_left_to_processor"`
	LastError       string `json:"last_error,omitempty"`
	Refused         string `json:"refused_update,omitempty"` // why a newer model was not taken
}

// NPUFault is a fault for the agent to declare; its code is one of package health.
type NPUFault struct {
	Code    string `json:"code"`
	Key     string `json:"key"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// States of the NPU worker in the agent's status.
const (
	NPUOnline = "online"
	NPUSilent = "silent" // it does not answer
)

// NPUSummary is what the agent's status says of the NPU worker: one line.
type NPUSummary struct {
	State       string   `json:"state"`
	Simulated   bool     `json:"simulated,omitempty"`
	Chips       int      `json:"chips"`
	ChipsOK     int      `json:"chips_ok"`
	Temperature *float64 `json:"temperature_celsius,omitempty"` // of the hottest chip; not there if none tells
	Load        *float64 `json:"load_percent,omitempty"`        // of the AI cores of the busiest chip; not there if none tells
	Models      int      `json:"models"`
	Ready       int      `json:"models_ready"`
	Done        uint64   `json:"done"`    // inferences since the worker's start
	Bad         uint64   `json:"bad"`     // of them without a result
	Waiting     int      `json:"waiting"` // inputs in queues and results that the agent has not taken
	Dropped     uint64   `json:"dropped"`
	Restarts    int      `json:"restarts"`
}

// Summary is the line of the agent's status.
func (s *NPUStatus) Summary() *NPUSummary {
	out := &NPUSummary{State: NPUOnline, Simulated: s.Simulated, Chips: len(s.Chips), Models: len(s.Models), Waiting: s.Waiting, Restarts: s.Restarts}
	for _, c := range s.Chips {
		if c.Health == "ok" {
			out.ChipsOK++
		}
		out.Temperature = largest(out.Temperature, c.Gauges, "temperature")
		out.Load = largest(out.Load, c.Gauges, "utilization.aicore")
	}
	for _, m := range s.Models {
		if m.State == "ready" {
			out.Ready++
		}
		out.Done, out.Bad, out.Waiting = out.Done+m.Done, out.Bad+m.Bad, out.Waiting+m.Queue
		for _, n := range m.Dropped {
			out.Dropped += n
		}
	}
	return out
}

// largest is the larger of a figure and a gauge, nil where there is neither.
func largest(so *float64, gauges map[string]float64, name string) *float64 {
	if x, told := gauges[name]; told && (so == nil || x > *so) {
		return &x
	}
	return so
}

// NPUResult is the answer to one input.
type NPUResult struct {
	SchemaVersion int             `json:"schema_version"`
	Model         string          `json:"model"`
	Simulated     bool            `json:"simulated,omitempty"`
	Quality       string          `json:"quality"`
	Result        json.RawMessage `json:"result,omitempty"`
	Error         string          `json:"error,omitempty"`
	Recorded      bool            `json:"recorded"` // durable in the log
	Repeated      bool            `json:"repeated,omitempty"`
}

// NPUClient talks to the worker over its sockets.
type NPUClient struct{ look, frames npuSocket }

type npuSocket struct {
	path string
	http *http.Client
}

// NewNPUClient makes a client for the sockets in runDir; "" is the usual place.
func NewNPUClient(runDir string) *NPUClient {
	if runDir == "" {
		runDir = DefaultNPURunDir
	}
	socket := func(name string) npuSocket {
		path := filepath.Join(runDir, name)
		return npuSocket{path: path, http: unixsocket.Client(path, DialTimeout)}
	}
	return &NPUClient{look: socket(NPUSocket), frames: socket(NPUFrames)}
}

// Status asks the worker how it is.
func (c *NPUClient) Status(ctx context.Context) (*NPUStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	out := new(NPUStatus)
	return out, c.look.call(ctx, http.MethodGet, "/v1/npu", nil, out)
}

// Infer runs one input through a model. With a ref the result is recorded, once for each ref, and the answer comes
// when it is durable; without one nothing is recorded.
func (c *NPUClient) Infer(ctx context.Context, model, ref string, input []byte) (*NPUResult, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxNPUWait)
	defer cancel()
	path, socket := "/v1/infer/"+url.PathEscape(model), c.look
	if ref != "" {
		path, socket = path+"?ref="+url.QueryEscape(ref), c.frames
	}
	out := new(NPUResult)
	return out, socket.call(ctx, http.MethodPost, path, input, out)
}

func (c npuSocket) call(ctx context.Context, method, path string, in []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://npu"+path, bytes.NewReader(in))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if isPermission(err) {
			return fmt.Errorf("%w: %s", ErrForbidden, c.path)
		}
		if isNotThere(err) {
			return fmt.Errorf("%w: nothing listens on %s", ErrNPUSilent, c.path)
		}
		return fmt.Errorf("%w on %s: %w", ErrNPUSilent, c.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		e := &Error{Status: resp.StatusCode}
		if json.NewDecoder(io.LimitReader(resp.Body, MaxLineBytes)).Decode(&e.Problem) != nil || e.Problem.Error == "" {
			e.Problem.Error = "the worker answered " + resp.Status
		}
		return e
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, MaxAnswerBytes)).Decode(out); err != nil {
		return fmt.Errorf("read answer of the worker: %w", err)
	}
	return nil
}
