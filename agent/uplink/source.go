package uplink

import (
	"errors"

	"github.com/edgelog/edgelog/buffer/record"
)

// ErrEnd is returned by Reader.At at the end of what is durable.
var ErrEnd = errors.New("end of what is durable")

// Source is one stream of the log, as the sender needs it. Log adapts a *buffer.Log. The sender calls it from one
// goroutine.
type Source interface {
	Stream() string
	Reader
	Repairer
}

// Reader yields what is durable and nothing else.
type Reader interface {
	// Epochs are those that hold a record or a gap, oldest first. Offsets read on over them.
	Epochs() []Epoch
	// At is the batch or gap that covers offset o of epoch e. It may begin before o. A batch's body is valid until
	// the next call of any method. ErrEnd: nothing durable there yet.
	At(e record.Epoch, o record.Offset) (Item, error)
	// Chain is chain(o) of epoch e, for First ≤ o ≤ End; false where it is not known (inside a gap).
	Chain(e record.Epoch, o record.Offset) (uint64, bool)
	// Series is a definition, Defined how many there are in the epoch.
	Series(e record.Epoch, id record.SeriesID) (record.Series, bool)
	Defined(e record.Epoch) int
}

// Repairer changes the log where the protocol asks for it. A nil error means durable.
type Repairer interface {
	// DeclareGap puts a gap in the place of the records of r, which the hub cannot read in any form.
	DeclareGap(e record.Epoch, r record.Range) error
	// CloseEpoch ends e at the offset; records above it move into a new epoch, marked "may repeat" (A9).
	CloseEpoch(e record.Epoch, at record.Offset) error
	// SetDelivered tells the first offset that the hub does not have, and what a hub is owed below it: ascending ranges that
	// it has only as gaps and will not take. Both move up and down, together, and need not be durable.
	SetDelivered(o record.Offset, owed ...record.Owed)
	// Delivered is the last position told by SetDelivered, of an earlier run too, at least as far as it became durable; Owed
	// is what was told with it.
	Delivered() record.Offset
	Owed() []record.Owed
	// Gaps are the gaps that the log knows, ascending.
	Gaps() []record.Gap
}

// Epoch is one epoch of a source.
type Epoch struct {
	Epoch, Parent   record.Epoch  // Parent 0: a root
	ParentEnd       record.Offset // where the parent ended
	First, Low, End record.Offset // Low: oldest record held; End: durable end if Current
	Current         bool          // may grow
}

// Item is a batch, or a gap in the place of records.
type Item struct {
	Batch record.Batch
	Gap   *record.Gap // not nil: Batch is empty
}

// Bodies is the codec of the log: record.Encoder and record.Decoder. The zero value is ready.
type Bodies struct {
	record.Encoder
	record.Decoder
}

// Codec makes bodies of records and records of bodies; *Bodies is the one that is used. What Decode returns is valid
// until its next call.
type Codec interface {
	Encode(dst []byte, recs []record.Record, c record.Codec) (body []byte, used record.Codec, rawLen int, err error)
	Decode(dst []record.Record, c record.Codec, rawLen, count uint32, body []byte) ([]record.Record, error)
}
