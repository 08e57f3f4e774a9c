package buffer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// Log is one stream of a Set. All its methods may be called concurrently.
type Log struct {
	set  *Set
	name string
	dir  string
	opt  StreamOptions
	w    writer

	acked   atomic.Uint64 // where the last commit ended; for Wait, which takes no lock if that is enough
	waiting atomic.Int64  // calls of Wait that are blocked

	mu sync.Mutex // guards everything below; no I/O is done under it
	stored
	intake
	defs     currentDefs
	cache    defCache
	timeline record.Timeline
	changed  chan struct{} // closed at the next advance of durable or new gap
	wake     chan struct{} // tells the committer that there is something to do; capacity 1
	pings    chan chan struct{}
}

// stored is what is on disk, as far as it is durable.
type stored struct {
	segs         []*seg // ascending by base
	gaps         gapTable
	epochs       []segment.Epoch // ascending by First; the current one from its first segment on
	cur          segment.Epoch   // epoch of this opening, if minted
	minted       bool
	heldTail     bool // the last segment is of a newer format: its end is not known
	durable      record.Offset
	chainDurable uint64
	state        segment.State // delivered, cursors, producers and anchors only; gaps and epochs stand above
	dirty        dirty
	written      int64
}

// dirty says what has changed and is not on disk.
type dirty struct {
	delivered bool
	cursors   map[string]bool
	gaps      bool      // found damage
	since     time.Time // when the first of these became dirty
}

// intake is what is appended and not durable.
type intake struct {
	status    State
	statusErr error
	moving    bool // CloseEpoch is at work: Append waits
	lowDisk   bool // less than MinFree is free and nothing may be dropped
	chunk     *chunk
	chunks    []*chunk // full ones, for the encoder
	spare     []*chunk
	encoded   int           // bytes encoded and not durable
	end       record.Offset // next to assign
	first     time.Time     // when the oldest record that is not durable was appended
	producers map[string]pendingProducer
	room      chan struct{} // closed when Append may try again
	woken     int           // calls of Wait that the last broadcast woke
	back      int           // appends since then
	failures  uint64
}

// pendingProducer is the newest message of a producer that was appended, durable or not.
type pendingProducer struct {
	record.ProducerPosition
	taken record.Range
}

// Name is the stream's name.
func (l *Log) Name() string { return l.name }

// stopped is why intake does not go on at all. mu is held.
func (l *Log) stopped() error {
	switch l.status {
	case StateFailing:
		return fmt.Errorf("%w: %s: %w", ErrStopped, l.name, l.statusErr)
	case StateClosed:
		return fmt.Errorf("%w: %s is closed", ErrStopped, l.name)
	case StateDelivery:
		return fmt.Errorf("%w: %s is open for delivery only", ErrStopped, l.name)
	}
	return nil
}

// Append copies the draft and assigns its offsets. The records are durable, and may be acknowledged, when the
// ticket's Wait returns nil. It waits for room while the disk is behind, until ctx ends. With ErrRepeated the ticket
// is valid, too: it waits for the first copy.
func (l *Log) Append(ctx context.Context, d record.Draft) (Ticket, error) {
	if err := l.check(&d); err != nil {
		return Ticket{}, err
	}
	if t, ok := l.set.repeated(l, d.Producer); ok {
		return t, ErrRepeated
	}
	l.mu.Lock()
	for {
		if err := l.refuse(); err != nil {
			l.mu.Unlock()
			return Ticket{}, err
		}
		if !l.moving && len(l.chunks) < maxChunks && l.encoded < maxEncoded {
			break
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return Ticket{}, ctx.Err()
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	if err := l.checkSeries(&d); err != nil {
		return Ticket{}, err
	}
	if d.Producer != nil {
		p, ok := l.producers[d.Producer.Name]
		if ok && p.Incarnation == d.Producer.Incarnation && d.Producer.Sequence <= p.Sequence {
			return Ticket{l: l, r: p.taken}, ErrRepeated
		}
		if !ok && len(l.producers) >= record.MaxProducers {
			return Ticket{}, fmt.Errorf("%w: more than %d producers in %s", ErrInvalid, record.MaxProducers, l.name)
		}
	}
	l.mint()
	return Ticket{l, l.push(&d), l.changed}, nil
}

// refuse is why nothing is taken now. mu is held.
func (l *Log) refuse() error {
	if l.status == StateFull {
		return fmt.Errorf("%w: %s: %w", ErrFull, l.name, l.statusErr)
	}
	return l.stopped()
}

// kick wakes the committer.
func (l *Log) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// broadcast tells everybody who waits for durable or for a gap. mu is held.
func (l *Log) broadcast() {
	close(l.changed)
	l.changed = make(chan struct{})
	l.woken, l.back = int(l.waiting.Load()), 0
}

// makeRoom lets waiting appends try again. mu is held.
func (l *Log) makeRoom() {
	close(l.room)
	l.room = make(chan struct{})
}

// Changed is closed at the next advance of durable and at the next new gap.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Sync commits what has been appended, now. nil: everything appended before the call is durable.
func (l *Log) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.commit()
}

// Define gives a series its id within the current epoch; it is idempotent by key, unit and type. The definition becomes
// durable with the first batch that uses it. The ids stay valid until the set is closed.
func (l *Log) Define(s record.Series) (record.SeriesID, error) {
	if err := s.Normalize(); err != nil {
		return 0, err
	}
	key := defKey{s.Key(), s.Unit, s.Type}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.defs.byKey[key]; ok {
		return id, nil
	}
	if len(l.defs.list) >= record.MaxSeriesPerEpoch {
		return 0, fmt.Errorf("%w: more than %d series in %s", ErrFull, record.MaxSeriesPerEpoch, l.name)
	}
	s.Labels = append([]record.Label(nil), s.Labels...)
	l.defs.list = append(l.defs.list, s)
	id := record.SeriesID(len(l.defs.list))
	l.defs.byKey[key] = id
	return id, nil
}

// Info is a snapshot of the log.
func (l *Log) Info() Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := Info{Durable: l.durable, End: l.end, Delivered: l.state.Delivered, Owed: slices.Clone(l.state.Owed), MaxBytes: l.opt.MaxBytes,
		Gaps: append([]record.Gap(nil), l.gaps...), State: l.status, WrittenBytes: l.written, Failures: l.failures}
	in.Low = l.low()
	if l.minted {
		in.Epoch = l.cur.Epoch
	}
	if l.statusErr != nil {
		in.Error = l.statusErr.Error()
	}
	in.Undelivered, in.Room = l.roomLeft()
	for _, s := range l.segs {
		in.Segments++
		in.Bytes += s.bytes
		if s.held != nil {
			in.Held = append(in.Held, s.path)
		}
		if in.OldestUTC == 0 {
			if lo, _, ok := l.segTimes(s); ok {
				in.OldestUTC = lo
			}
		}
	}
	return in
}

// low is the oldest retained offset. mu is held.
func (l *Log) low() record.Offset {
	for i := range l.epochs {
		if low := l.epochLow(i); low < l.epochEnd(i) {
			return low
		}
	}
	return l.durable
}

// Delivered is the required sink's position.
func (l *Log) Delivered() record.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Delivered
}

// Owed is what a hub is owed below Delivered, as SetDelivered was told.
func (l *Log) Owed() []record.Owed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.state.Owed)
}

// SetDelivered moves the required sink's position, up or down: all below o is delivered but for what is owed, which retention
// may remove as what is delivered, by the name of what is not. Retention uses it at once; it becomes durable, both together,
// with a later batch, within a minute, at a roll or at close: after a crash it may be what was set before. owed is ascending
// and disjoint; of more than record.MaxOwed ranges neighbours are joined.
func (l *Log) SetDelivered(o record.Offset, owed ...record.Owed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o = min(o, l.durable)
	owed = boundedOwed(owedBelow(owed, o))
	if o == l.state.Delivered && slices.Equal(owed, l.state.Owed) {
		return
	}
	l.state.Delivered, l.state.Owed = o, owed
	l.dirty.delivered = true
	l.touch()
	if l.status == StateFull {
		l.kick()
	}
}

// touch notes that something is not on disk that can wait. mu is held.
func (l *Log) touch() {
	if l.dirty.since.IsZero() {
		l.dirty.since = time.Now()
	}
}
