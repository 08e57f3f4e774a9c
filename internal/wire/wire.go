// Package wire is the delivery protocol between agent and hub: its messages, their bytes (PROTOCOL.md beside this
// file) and Link, the pipe that carries them. It decides nothing: the rules stand in agent/uplink and hub/receive.
package wire

import (
	"context"
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
)

// Nonce ties answers and acks to the latest hello. 0 means none.
type Nonce uint64

// Message is what a Link carries: *Hello, *Data, *Gap from the agent; *Ack, *HubUp from the hub.
type Message interface{ isMessage() }

// Frame is a message that belongs to one stream and moves its position: *Data or *Gap.
type Frame interface {
	Message
	// Header is the part that data and gap frames share.
	Header() *FrameHeader
}

// FrameHeader names the epoch with its ancestry, so that a hub that has never heard of it can place it.
type FrameHeader struct {
	Stream    string // from the topic, not in the bytes
	Epoch     record.Epoch
	Parent    record.Epoch // 0: a root
	ParentEnd record.Offset
	First     record.Offset // first offset of the epoch
	Nonce     Nonce
}

// Data carries one body of consecutive records.
type Data struct {
	FrameHeader
	Base        record.Offset
	Count       uint32
	ChainBase   uint64
	ChainEnd    uint64
	Definitions []record.Definition // of series used that no ack under this nonce has covered
	Producers   []record.ProducerSpan
	Codec       record.Codec
	RawLen      uint32
	CRC         uint32 // CRC-32C of Body
	Body        []byte
}

// Gap takes the place of records that the agent does not have.
type Gap struct {
	FrameHeader
	record.Range
	Reason             record.Reason
	ChainFrom, ChainTo uint64
	TimeMin, TimeMax   int64 // µs UTC where known, else 0
}

// Hello says what the agent holds and asks for the hub's positions. Epochs beyond MaxHelloEpochs go in further
// hellos with the same nonce: part Part of Parts (0 of 1, …).
type Hello struct {
	Nonce       Nonce
	Part, Parts uint16
	Streams     []StreamState
	Agent       string            // version
	Inventory   map[string]string // hostname, machine id, kernel, …: shown, never decided by
	Boot        string            // kernel boot id
	BootTime    int64             // ns of CLOCK_BOOTTIME when it was made
	Clock       string            // "synchronised", "unsynchronised"
}

// StreamState is one stream in a hello.
type StreamState struct {
	Stream string
	Epochs []EpochState // that hold a record or a gap, oldest first
}

// EpochState is one epoch in a hello.
type EpochState struct {
	Epoch, Parent   record.Epoch
	ParentEnd       record.Offset
	First, Low, End record.Offset // End: durable end of the epoch being written, end of a closed one
	ChainEnd        uint64        // chain(End), where ChainKnown
	ChainKnown      bool
}

// Verdict is what the hub says of an epoch beside its position.
type Verdict uint8

// The verdicts. The numbers stand on the wire and never change.
const (
	VerdictOK          Verdict = 0
	VerdictRewind      Verdict = 1 // go back to Next
	VerdictDefinitions Verdict = 2 // a series is not defined: rewind and send definitions again
	VerdictUnreadable  Verdict = 3 // the body at Next could not be read three times: send smaller, then plain, then a gap
	VerdictWait        Verdict = 4 // the parent named in Parent must reach its end first
	VerdictConflict    Verdict = 5 // another chain stands at Next (A9)
)

func (v Verdict) String() string {
	return [...]string{"ok", "rewind", "definitions", "unreadable", "wait", "conflict"}[min(int(v), 5)]
}

// Position is what a transaction of the hub read or wrote of one epoch.
type Position struct {
	Stream    string
	Epoch     record.Epoch
	Known     bool // false: the hub has never taken anything of it; Next is then its First
	Next      record.Offset
	ChainNext uint64
	Verdict   Verdict
	Parent    record.Epoch // with VerdictWait
	Gaps      []record.Gap // recorded gaps inside what the hello says the agent holds, ≤ MaxAckGaps, oldest first
	Skipped   []SkippedRange
	// Marks are chain(Offset) of the history that the hub has taken, ascending, at or below what the hello says the
	// agent holds: in the answer for an epoch that does not end where the hub stands, with the same chain (A9).
	Marks []Mark
}

// Mark is a place in the history of an epoch.
type Mark struct {
	Offset record.Offset
	Chain  uint64
}

// SkippedRange is a range that the hub did not store, with its reason ("repeat", "dead-letter").
type SkippedRange struct {
	record.Range
	Reason string
}

// Ack is an answer to a hello (Answer true: sets positions up or down) or an ack of frames (only raises them).
// No ack leaves the hub before the commit it speaks of.
type Ack struct {
	Nonce       Nonce // echo
	Answer      bool
	Part, Parts uint16 // echo of the hello's, for answers
	Positions   []Position
	Credit      uint32   // bytes of frames that may be in flight
	HubTime     int64    // ns UTC when it was made
	HubSynced   bool     // the hub's own clock is synchronised
	Notices     []string // "two-writers telemetry", …: shown to people
}

// HubUp says that a hub has started: say hello, spread over time.
type HubUp struct{ SpreadSeconds uint16 }

// Header returns the shared part.
func (d *Data) Header() *FrameHeader { return &d.FrameHeader }

// Header returns the shared part.
func (g *Gap) Header() *FrameHeader { return &g.FrameHeader }

// Batch is the body as the codec sees it.
func (d *Data) Batch() record.Batch {
	return record.Batch{Epoch: d.Epoch, Base: d.Base, Count: d.Count, ChainBase: d.ChainBase, ChainEnd: d.ChainEnd,
		Codec: d.Codec, RawLen: d.RawLen, CRC: d.CRC, Body: d.Body, Producers: d.Producers}
}

func (*Data) isMessage()  {}
func (*Gap) isMessage()   {}
func (*Hello) isMessage() {}
func (*Ack) isMessage()   {}
func (*HubUp) isMessage() {}

// Link is one connection's pipe to one hub. Send and Recv may be called concurrently with each other, each by one
// goroutine. A nil error of Send means that the message was handed to the transport, not that anybody has it.
// After the first error the link is dead: Close it and make another.
type Link interface {
	// Send hands a message over. The body of a data frame is the caller's again when Send returns.
	Send(ctx context.Context, m Message) error
	// Recv waits for the next message until ctx ends.
	Recv(ctx context.Context) (Message, error)
	// Close ends a running Send or Recv. It may be called again.
	Close() error
}

// Bounds of the protocol; a length is checked against them before it is believed.
const (
	MaxPacketBytes      = 256 << 10 // one MQTT packet
	MaxDefinitionsBytes = 64 << 10  // of one data frame
	MaxHelloEpochs      = 256
	MaxAckGaps          = 64 // per epoch
	MaxAckMarks         = 32 // per epoch
	MaxAckPositions     = 256
	MaxInventory        = 32
	MaxNotices          = 32
	MaxStringBytes      = 256
)

// ErrMessage is wrapped by every refusal of a message's bytes.
var ErrMessage = errors.New("malformed message")
