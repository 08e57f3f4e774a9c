// Package fleetwire is what boxes and the fleet's server say to each other about updates over MQTT: topics and messages.
//
// A desired state is retained and untrusted: it only points at a release, which the box takes if signed metadata vouches
// for it. Commands are never retained. Content is pulled: the box asks for chunks by their numbers, and the server sends
// what was asked for, raw and at QoS 0, because what is lost is asked for again.
package fleetwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/wire"
)

// Bounds of messages.
const (
	MaxMessageBytes  = 240 << 10 // below the 256 KiB of a packet
	MaxChunkBytes    = 128 << 10 // a file with larger chunks is not carried over MQTT
	MaxChunksAsked   = 64        // by one request
	MaxIDBytes       = 16
	maxControlBytes  = 8 << 10
	maxReportedBytes = 16 << 10
)

// ErrMessage is wrapped by the refusal of a message.
var ErrMessage = errors.New("not a message of fleet updates")

// Topics names the topics under a prefix and device.
type Topics struct {
	wire.Topics
	Device string
}

func (t Topics) at(rest string) string {
	return strings.TrimSuffix(t.State(t.Device), "/s") + "/" + rest
}

// The topics. Those of requests are written by the device, the others by the server.
func (t Topics) Desired() string      { return t.at("update/desired") }
func (t Topics) MetaRequest() string  { return t.at("update/meta/req") }
func (t Topics) ChunkRequest() string { return t.at("update/chunk/req") }
func (t Topics) Reported() string     { return t.at("update/state") }
func (t Topics) Event() string        { return t.at("update/event") }
func (t Topics) Command() string      { return t.at("cmd/req") }

// Meta is where the answer to a request for metadata comes.
func (t Topics) Meta(id string) string { return t.at("update/meta/res/" + id) }

// Chunk is where chunk i of request id comes.
func (t Topics) Chunk(id string, i int) string {
	return t.at("update/chunk/res/" + id + "/" + strconv.Itoa(i))
}

// Refused is where the refusal of a request comes.
func (t Topics) Refused(id string) string { return t.at("update/chunk/err/" + id) }

// Result is where the outcome of a command goes.
func (t Topics) Result(id string) string { return t.at("cmd/res/" + id) }

// ParseChunk reads a topic that Chunk made.
func (t Topics) ParseChunk(topic string) (id string, i int, ok bool) {
	rest, ok := strings.CutPrefix(topic, t.at("update/chunk/res/"))
	if !ok {
		return "", 0, false
	}
	id, n, ok := strings.Cut(rest, "/")
	if !ok || !ValidID(id) {
		return "", 0, false
	}
	i, err := strconv.Atoi(n)
	return id, i, err == nil && i >= 0
}

// ValidID tells whether s can be the id of a request: 1 to 16 of [a-z0-9].
func ValidID(s string) bool {
	if s == "" || len(s) > MaxIDBytes {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// Desired points at the release that a box should run.
type Desired struct {
	// Generation rises; a lower one than was seen is ignored. It is the time of the decision in ms since 1970, or one
	// more than the last, so that a server restored from a backup goes on above what it has lost.
	Generation uint64   `json:"gen"`
	Release    string   `json:"release"`
	Manifest   string   `json:"manifest"` // sha256 of the manifest, hex
	Attempt    int      `json:"attempt"`  // raised to try again what has failed
	Rollout    string   `json:"rollout,omitempty"`
	MaxBps     int64    `json:"max_bps,omitempty"` // of the download, in bytes a second; 0: as the box is configured
	Windows    []Window `json:"windows,omitempty"` // when an install may start; none: at any time
}

// Window is a daily span of the device's local time.
type Window struct {
	Days []string `json:"days,omitempty"` // mon … sun; none: every day
	From string   `json:"from"`           // HH:MM
	To   string   `json:"to"`             // HH:MM; before From: past midnight
}

// MetaRequest asks for the metadata that a box lacks.
type MetaRequest struct {
	ID    string     `json:"id"`
	Nonce string     `json:"nonce"`
	Have  trust.Have `json:"have"`
}

// MetaAnswer carries it.
type MetaAnswer struct {
	Nonce  string        `json:"nonce"`
	Bundle *trust.Bundle `json:"bundle"`
	More   bool          `json:"more,omitempty"` // there is more than one message holds: take this, then ask again
}

// ChunkRequest asks for chunks of a file that the metadata vouches for: those of First … First+63 whose bit is set, the
// lowest bit being First.
type ChunkRequest struct {
	ID    string `json:"id"`
	Path  string `json:"path"`
	First int    `json:"o"`
	Bits  uint64 `json:"b,string"`
	// ChunkBits is the chunk size's exponent as the index has it.
	ChunkBits uint8 `json:"c"`
}

// Refusal is why a request is not answered.
type Refusal struct {
	Code       string `json:"code"` // RefusedNotFound, RefusedBusy or RefusedBad
	RetryAfter int    `json:"retry_after_s,omitempty"`
}

// The codes of refusals; NotFound and Bad are final.
const (
	RefusedNotFound = "NotFound"
	RefusedBusy     = "Busy"
	RefusedBad      = "BadRequest"
)

// Decode reads a message strictly. Errors wrap ErrMessage.
func Decode[T Desired | MetaRequest | MetaAnswer | ChunkRequest | Refusal | SignedCommand | Command | Result | Reported | Event](data []byte) (*T, error) {
	var m T
	limit := maxControlBytes
	switch any(m).(type) {
	case MetaAnswer:
		limit = MaxMessageBytes
	case Reported:
		limit = maxReportedBytes
	case Result:
		limit = MaxResultBytes
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, len(data), limit)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: more stands behind it", ErrMessage)
	}
	if v, ok := any(&m).(interface{ validate() error }); ok {
		if err := v.validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMessage, err)
		}
	}
	return &m, nil
}

func (d *Desired) validate() error {
	if d.Release != "" && (!release.ValidName(d.Release) || len(d.Manifest) != 64) {
		return fmt.Errorf("release %q, manifest %q", d.Release, d.Manifest)
	}
	for _, w := range d.Windows {
		if _, err := w.Open(time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

func (m *MetaRequest) validate() error { return validID(m.ID) }

func (r *ChunkRequest) validate() error {
	if !release.ValidPath(r.Path) || r.First < 0 || r.Bits == 0 || r.ChunkBits < release.MinChunkBits || r.ChunkBits > release.MaxChunkBits {
		return fmt.Errorf("path %q, first %d, bits %x, chunks of 2^%d bytes", r.Path, r.First, r.Bits, r.ChunkBits)
	}
	return validID(r.ID)
}

func validID(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("id %q", id)
	}
	return nil
}

// Open tells whether the window is open at local time t.
func (w Window) Open(t time.Time) (bool, error) {
	from, err := minutes(w.From)
	if err != nil {
		return false, err
	}
	to, err := minutes(w.To)
	if err != nil {
		return false, err
	}
	day, now := t.Weekday(), t.Hour()*60+t.Minute()
	inside := now >= from && now < to
	if to <= from { // past midnight: the hours after it belong to the day before
		inside = now >= from || now < to
		if now < to {
			day = (day + 6) % 7
		}
	}
	named := len(w.Days) == 0
	for _, d := range w.Days {
		i := strings.Index("sunmontuewedthufrisat", strings.ToLower(d))
		if i < 0 || i%3 != 0 || len(d) != 3 {
			return false, fmt.Errorf("day %q; mon to sun are days", d)
		}
		named = named || time.Weekday(i/3) == day
	}
	return inside && named, nil
}

func minutes(s string) (int, error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("time of day %q is not HH:MM", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// ChunkFilter matches every Chunk topic of the device.
func (t Topics) ChunkFilter() string { return t.at("update/chunk/res/+/+") }
