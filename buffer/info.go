package buffer

import "github.com/edgelog/edgelog/buffer/record"

// State is the one named state of a log's intake.
type State uint8

// The states.
const (
	StateOK       State = iota
	StateFull           // no room: the disk or MaxBytes; Append returns ErrFull; ends by itself
	StateFailing        // the disk failed several times in a row; Append returns ErrStopped; retried slowly
	StateDelivery       // not in Options.Streams, or read-only: for delivery only
	StateClosed
)

func (s State) String() string {
	return [...]string{"ok", "full", "failing", "delivery-only", "closed"}[min(int(s), 4)]
}

// Info is a snapshot of one log for people and metrics.
type Info struct {
	Low, Durable, End record.Offset // oldest retained, end of what is fsynced, next to assign
	Delivered         record.Offset
	Owed              []record.Owed // below Delivered, ascending: here, or here before, and not delivered
	Bytes             int64         // of segment files as written, reservation not counted
	MaxBytes          int64
	Undelivered       int64 // bytes of segments that are not wholly delivered
	Room              int64 // bytes until undelivered records must be dropped or refused: by MaxBytes, and by free space as last seen
	Segments          int
	Epoch             record.Epoch // of this opening; 0 if nothing was appended yet
	Gaps              []record.Gap // ascending
	Held              []string     // segments that are kept but cannot be read: of a newer format, or without their key
	State             State
	Error             string // why State is not ok
	WrittenBytes      int64  // written by this opening
	OldestUTC         int64  // ns UTC of the oldest retained record; 0 if not known
	Failures          uint64 // failed commits of this opening
}

// EpochInfo is one epoch as a hello and a frame name it.
type EpochInfo struct {
	Epoch, Parent   record.Epoch  // Parent 0: a root
	ParentEnd       record.Offset //
	First, Low, End record.Offset // Low: oldest retained, End if none; End: durable end if Current
	ChainFirst      uint64        // chain(First)
	Boot            string        // kernel boot id of its boot-time stamps; "" if not known
	Current         bool          // of this opening: may grow
}

// Item is what a Reader yields: a batch, or a gap in its place.
type Item struct {
	Batch  record.Batch // Body is valid until the reader's next call
	Gap    *record.Gap  // not nil: a gap, and Batch is empty
	Header EpochInfo    // the epoch that both belong to
}

// Range is the offsets that the item covers.
func (i *Item) Range() record.Range {
	if i.Gap != nil {
		return i.Gap.Range
	}
	return i.Batch.Range()
}
