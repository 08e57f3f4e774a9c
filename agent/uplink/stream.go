package uplink

import (
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// stream is the sender's view of one source.
type stream struct {
	src    Source
	name   string
	rank   int
	epochs []*epoch  // oldest first
	dirty  bool      // the source has changed since epochs was read
	flight []flight  // frames sent under this nonce and not acknowledged, in order of sending
	since  time.Time // of the oldest in flight, or when the position has risen after that
	back   back
	hard   hard
	small  small
	stuck  stuck
	fills  []fill
	at     record.Offset // where the source was last read, for messages
	ages   ages

	retryAt     time.Time // after a failure of the source: not before
	retryIn     time.Duration
	pausedUntil time.Time // the hub waits for a parent that this log does not have

	delivered    record.Offset // last told to the source
	owed         []record.Owed // with it
	hasDelivered bool
}

// epoch is the sender's view of one epoch.
type epoch struct {
	Epoch
	begin    record.Offset // First, or the hub's position below it; chainBegin is the chain there
	acked    record.Offset // everything below is at the hub, or named there as a gap; begin ≤ acked ≤ End
	next     record.Offset // next to send
	conflict bool          // A9 ran: nothing of it is sent any more
	answered bool          // named by the answer to the latest hello
	lost     uint64        // records that the hub has and this disk has lost
	sent     idSet         // definitions sent since the last rewind, those acknowledged included
	covered  idSet         // definitions that an ack under this nonce has covered
	search   bool          // the hub lacked a definition: look for them in every body
	skipped  []wire.SkippedRange
	owed     []owed                // ascending, disjoint
	tried    map[record.Offset]int // fills attempted, by the gap's beginning

	chainBegin uint64

	cut  bool          // the hub has more gaps of it than it has told: nothing above told is known to be delivered
	told record.Offset // with cut
	full bool          // with cut: it has told of more than is kept here
	page record.Offset // the answers of late have told the gaps below
}

// flight is one frame in flight.
type flight struct {
	e *epoch
	record.Range
	chain uint64 // chain(To)
	gap   bool
	size  int  // in the window
	bytes int  // on the wire, about
	whole bool // one record or one producer's message
	old   bool
	defs  []record.SeriesID
	fill  bool
}

// back is the last rewind of a stream: the frames that were in flight then make the hub say the same again, which
// must not send us back once more.
type back struct {
	e       *epoch
	at      record.Offset
	verdict wire.Verdict
}

// hard is a place that the hub could not read (H3, verdict unreadable) and how it is tried next.
type hard struct {
	e     *epoch
	at    record.Offset
	limit uint32 // records of a frame there
	plain bool
	tries int // in the smallest and plainest form
}

// fill is a range that the hub lists as a gap and this log holds.
type fill struct {
	e *epoch
	record.Range
	at record.Offset // next to send
}

func (st *stream) find(id record.Epoch) *epoch {
	for _, e := range st.epochs {
		if e.Epoch.Epoch == id {
			return e
		}
	}
	return nil
}

// refresh reads the epochs of the source. Known ones keep their positions.
func (st *stream) refresh() {
	st.dirty = false
	list := st.src.Epochs()
	epochs := make([]*epoch, 0, len(list))
	for _, info := range list {
		e := st.find(info.Epoch)
		if e == nil {
			e = &epoch{begin: info.First, acked: info.First}
			if !st.hasDelivered { // what the log remembers of an earlier life
				e.acked = max(e.acked, st.src.Delivered())
				for _, o := range st.src.Owed() {
					e.owed = append(e.owed, owed{Owed: o})
				}
			}
		}
		e.Epoch = info
		e.clipOwed()
		e.begin = min(e.begin, e.First)
		e.acked = min(max(e.acked, e.begin), e.End)
		e.next = min(max(e.next, e.acked), e.End)
		epochs = append(epochs, e)
	}
	st.epochs = epochs
}

// end is the end of what was durable when the source was last read.
func (st *stream) end() record.Offset {
	if n := len(st.epochs); n > 0 {
		return st.epochs[n-1].End
	}
	return 0
}

// deliveredTo is the first offset that is not delivered (A2), and what a hub is owed below it.
func (st *stream) deliveredTo() (at record.Offset, list []record.Owed) {
	for _, e := range st.epochs {
		at = e.End
		if !e.conflict {
			at = max(e.delivered(), e.First)
		}
		for _, o := range e.owed {
			if o.To = min(o.To, at); o.From < o.To {
				list = append(list, o.Owed)
			}
		}
		if at < e.End || !e.conflict && e.acked < e.First { // of the latter nothing, until what is missing below is named
			break
		}
	}
	return at, list
}

// publishDelivered tells the source when the position has moved.
func (st *stream) publishDelivered() {
	at, list := st.deliveredTo()
	if st.hasDelivered && at == st.delivered && slices.Equal(list, st.owed) {
		return
	}
	st.delivered, st.owed, st.hasDelivered = at, list, true
	st.src.SetDelivered(at, list...)
}

// forget drops what is in flight of the stream and goes back to the first offset that is not acknowledged.
func (s *Sender) forget(st *stream) {
	for i := range st.flight {
		s.window.remove(st.flight[i].size)
	}
	clear(st.flight)
	st.flight = st.flight[:0]
	for _, e := range st.epochs {
		e.next = e.acked
		e.sent.set(&e.covered)
	}
	for i := range st.fills {
		st.fills[i].at = st.fills[i].From
	}
}

func (s *Sender) forgetFlight() {
	for _, st := range s.streams {
		s.forget(st)
		st.back = back{}
	}
}
