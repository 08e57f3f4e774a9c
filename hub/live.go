package hub

import (
	"os"
	"slices"
	"time"

	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/shard"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/version"
)

// Live is what a running hub says of itself on its status socket. Times that never came are null.
type Live struct {
	SchemaVersion int          `json:"schema_version"`
	Version       string       `json:"version"`
	PID           int          `json:"pid"`
	Started       time.Time    `json:"started"`
	Link          Link         `json:"link"`
	Receiver      Receiver     `json:"receiver"`
	Engine        *Engine      `json:"engine,omitempty"` // of stores in PostgreSQL and Kafka
	Hubs          *LiveHubs    `json:"hubs,omitempty"`   // where several hubs share the store
	Devices       []LiveDevice `json:"devices"`
}

// Link is the connection to the broker.
type Link struct {
	Broker string    `json:"broker"`
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Error  string    `json:"error,omitempty"`
	Stats  LinkStats `json:"stats"`
}

// LinkStats counts since the hub started.
type LinkStats struct {
	Connects    uint64 `json:"connects"`
	DroppedAcks uint64 `json:"dropped_acks"`
	Foreign     uint64 `json:"foreign_messages"` // of devices that another hub serves
	BytesIn     uint64 `json:"bytes_in"`
	BytesOut    uint64 `json:"bytes_out"`
}

// Receiver counts since the hub started.
type Receiver struct {
	Hellos            uint64     `json:"hellos"`
	Frames            uint64     `json:"frames"`
	Acks              uint64     `json:"acks"`
	Rows              uint64     `json:"rows"`
	Late              uint64     `json:"late"`
	Gaps              uint64     `json:"gaps"`
	Repeats           uint64     `json:"repeats"`
	DeadLetters       uint64     `json:"dead_letters"`
	DuplicateFrames   uint64     `json:"duplicate_frames"`
	RewoundFrames     uint64     `json:"rewound_frames"`
	BadCRC            uint64     `json:"bad_crc_frames"`
	Conflicts         uint64     `json:"conflicts"`
	Hostile           uint64     `json:"hostile_messages"`
	Dropped           uint64     `json:"dropped_messages"`
	Fenced            uint64     `json:"fenced_rounds"`
	Commits           uint64     `json:"commits"`
	LastCommitSeconds float64    `json:"last_commit_seconds"`
	MaxCommitSeconds  float64    `json:"max_commit_seconds"`
	QueueBytes        int64      `json:"queue_bytes"`
	QueueFrames       int64      `json:"queue_frames"`
	Devices           int64      `json:"devices"`
	StoreError        string     `json:"store_error,omitempty"`
	StoreDownSince    *time.Time `json:"store_down_since,omitempty"`
}

// LiveDevice is what a running hub has heard of a device.
type LiveDevice struct {
	Device    string            `json:"device"`
	Online    bool              `json:"online"`
	LastHello *time.Time        `json:"last_hello,omitempty"`
	LastFrame *time.Time        `json:"last_frame,omitempty"`
	Agent     string            `json:"agent,omitempty"`
	Clock     string            `json:"clock,omitempty"`
	Inventory map[string]string `json:"inventory,omitempty"`
	Notices   []string          `json:"notices,omitempty"`
	Hostile   uint64            `json:"hostile_messages"`
	Dropped   uint64            `json:"dropped_messages"`
	Behind    uint64            `json:"behind"`
}

// live is what the status socket answers.
func (h *hub) live() Live {
	l := Live{SchemaVersion: SchemaVersion, Version: version.String(), PID: os.Getpid(), Started: h.started.UTC(),
		Link: h.link.get(), Receiver: receiver(h.recv.Stats()), Hubs: h.liveHubs(), Devices: []LiveDevice{}}
	l.Link.Stats = h.stats(h.adapter)
	l.Engine = h.engineHealth()
	for _, d := range h.recv.Devices() {
		l.Devices = append(l.Devices, LiveDevice{Device: d.Device, Online: d.Online, LastHello: when(d.LastHello),
			LastFrame: when(d.LastFrame), Agent: d.Agent, Clock: d.Clock, Inventory: d.Inventory, Notices: d.Notices,
			Hostile: d.Hostile, Dropped: d.Dropped, Behind: d.Behind})
	}
	return l
}

func receiver(s receive.Stats) Receiver {
	return Receiver{Hellos: s.Hellos, Frames: s.Frames, Acks: s.Acks, Rows: s.Rows, Late: s.Late, Gaps: s.Gaps,
		Repeats: s.Repeats, DeadLetters: s.DeadLetters, DuplicateFrames: s.Duplicates, RewoundFrames: s.Rewinds,
		BadCRC: s.BadCRC, Conflicts: s.Conflicts, Hostile: s.Hostile, Dropped: s.Dropped, Fenced: s.Fenced, Commits: s.Commits,
		LastCommitSeconds: s.CommitLast.Seconds(), MaxCommitSeconds: s.CommitMost.Seconds(),
		QueueBytes: int64(s.QueueBytes), QueueFrames: int64(s.QueueItems), Devices: int64(s.Devices),
		StoreError: s.StoreError, StoreDownSince: when(s.StoreDown)}
}

// Engine is how the store's engine does, since the hub started.
type Engine struct {
	Transactions uint64  `json:"transactions"`
	Aborted      uint64  `json:"aborted_transactions"`
	Fences       uint64  `json:"fences"`              // another hub took over in the middle of a transaction
	LeaseFences  uint64  `json:"lease_fences"`        // changes refused because their lease was lost
	Mended       uint64  `json:"mended_transactions"` // that the engine had forgotten to end
	Reconnects   uint64  `json:"reconnects"`
	LastSeconds  float64 `json:"last_transaction_seconds"`
	P99Seconds   float64 `json:"p99_transaction_seconds"`
	LagSeconds   float64 `json:"lag_seconds"` // how long the commit under way has waited
	Error        string  `json:"error,omitempty"`
}

func (h *hub) engineHealth() *Engine {
	t, ok := h.store.(store.Teller)
	if !ok {
		return nil
	}
	x := t.Health()
	return &Engine{Transactions: x.Transactions, Aborted: x.Aborted, Fences: x.Fences, LeaseFences: x.LeaseFences, Mended: x.Mended, Reconnects: x.Reconnects,
		LastSeconds: x.LastSeconds, P99Seconds: x.P99Seconds, LagSeconds: x.LagSeconds, Error: x.Error}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// serves reports whether this running hub is the one to ask about a device.
func (l *Live) serves(device string) bool {
	return l != nil && (l.Hubs == nil || slices.Contains(l.Hubs.Held, shard.Of(device, l.Hubs.Shards)))
}
