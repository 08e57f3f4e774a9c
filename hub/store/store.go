// Package store is the contract between the hub's receiver and the engine that keeps rows and positions in one
// transaction. Implementations stand in sub-packages named after the engine and pass storetest.
package store

import (
	"context"
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
)

// Store keeps rows, definitions, gaps, producer positions and the epoch's position, changed together or not at all.
// All methods may be called concurrently.
type Store interface {
	// Positions reads everything the receiver needs to know of a device in one read transaction.
	// The state belongs to the caller.
	Positions(ctx context.Context, device string) (DeviceState, error)
	// Commit applies the changes, in order, in one transaction and returns one Result for each. A change whose
	// compare-and-set fails is not applied and reports what the transaction read; the others are. A nil error means
	// that everything applied is durable. On an error nothing was applied, or the outcome is unknown: read
	// Positions again before anything else. A later change of the same Commit sees what an earlier one wrote. The
	// changes and what they refer to belong to the caller again when Commit returns. Changes that change nothing
	// (read-backs) cost no write.
	Commit(ctx context.Context, c []Change) ([]Result, error)
	// Close gives the engine up; what was committed stays. It may be called again.
	Close() error
}

// DeviceState is what a store knows of one device.
type DeviceState struct {
	Positions []Position // ascending by stream, within a stream in the order in which they were created
	// Producers has one entry for each (name, incarnation): a new incarnation does not make the store forget what it
	// took of the one before. A store may forget all but the KeepIncarnations newest of a name.
	Producers []Producer
}

// KeepIncarnations is how many incarnations of one producer of one device a store remembers at least.
const KeepIncarnations = 16

// Position is the state of one (device, stream, epoch). It is never forgotten.
type Position struct {
	Stream    string
	Epoch     record.Epoch
	Parent    record.Epoch // 0: a root
	ParentEnd record.Offset
	First     record.Offset
	Next      record.Offset
	ChainNext uint64 // chain(Next)
	// End is where a child says that this closed epoch ends; 0 while no child is known.
	End         record.Offset
	Quarantined bool
	Rows        uint64            // rows stored: Next − First = Rows + Skipped + Gaps (+ Removed, counted among Rows here)
	Gaps        []record.Gap      // ascending
	Skipped     []Skip            // ascending, touching ones of one reason merged
	Series      []record.SeriesID // defined in this epoch, ascending; may be left out once it has reached its End
	Boot        string            // boot id of the epoch's boot mark, "" until it came
	// Marks are where frames have ended, ascending: AddMark(To, ToChain) with each change that moves the position.
	// A root that does not begin at 0 may have lost its beginning: its first mark is where it began.
	Marks []Mark
}

// Skip is a range that the store did not take, with the reason: "repeat" (H6) or "dead-letter" (H5).
type Skip struct {
	record.Range
	Reason string
}

// Change is the effect of one frame on one epoch.
type Change struct {
	Device string
	Stream string
	Epoch  record.Epoch

	Fence Fence // checked first; the zero value: not fenced

	// Compare-and-set: the change applies only if the stored position is exactly this. Create: only if there is none,
	// and, with a parent, only if the stored position of the parent has reached ParentEnd or is quarantined; it sets
	// the parent's End (the larger one if there are several children). A position that is quarantined takes nothing
	// but a read-back (a change that changes nothing).
	Create    bool
	Parent    record.Epoch // with Create
	ParentEnd record.Offset
	// Lower moves the epoch's first offset down to First, an epoch in quarantine too: who told of it first had lost its
	// beginning. Gaps cover from there to what was the first offset, which is part of the compare-and-set. Nothing else changes.
	Lower     bool          `json:",omitempty"`
	First     record.Offset // with Create or Lower
	From      record.Offset
	FromChain uint64

	To      record.Offset // new position; equal to From for a fill, a quarantine mark or a pure read-back
	ToChain uint64
	// Rows in offset order: Rows[i] has offset RowBase+i. Those that Skips names stand here too and are not stored.
	Rows        []record.Record
	RowBase     record.Offset
	Late        bool                // rows fill a recorded gap (H3)
	Definitions []record.Definition // idempotent by (epoch, id): the first meaning stays
	Gaps        []record.Gap        // recorded by this change
	// ShrinkGaps replaces recorded gaps after a fill, or, with the same range, where another reason is stated for one. It is
	// part of the compare-and-set: the gap must be there.
	ShrinkGaps  []GapShrink
	Skips       []Skip
	DeadLetters []DeadLetter
	// Producers are what is taken of them after this change. ProducersFrom are those that it builds on, part of the
	// compare-and-set: a (name, incarnation) of Producers stands in the store exactly as in ProducersFrom, or, if
	// it is not listed there, not at all. One of which the change only skips repeats stands in both, unchanged.
	Producers     []Producer
	ProducersFrom []Producer
	Quarantine    bool
	Boot          string // set when this change takes the epoch's boot mark
	Anchors       []record.Anchor
}

// GapShrink replaces the recorded gap [At, Now.To) by Now; with Now.From = Now.To the gap is removed.
type GapShrink struct {
	At  record.Offset
	Now record.Gap
}

// DeadLetter is one record that the store can never take, kept as canonical bytes.
type DeadLetter struct {
	Offset    record.Offset
	Reason    string // for people
	Canonical []byte // ≤ record.MaxRecordBytes
}

// Result says what became of a change. Position is what the transaction read (not applied) or wrote (applied);
// its Epoch is 0 if the store has none. Series and Marks may be left out. A read-back (From, FromChain as stored, To = From,
// ToChain = FromChain, nothing else) is applied when the position is as it says.
type Result struct {
	Applied  bool
	Fenced   bool // not applied because of Change.Fence; Position says nothing then
	Position Position
}

// ErrUnavailable is wrapped by errors after which trying again later makes sense (disk full, connection lost).
var ErrUnavailable = errors.New("store is unavailable")
