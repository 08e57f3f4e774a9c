package receive

import (
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// Key names an epoch of one device.
type Key struct {
	Stream string
	Epoch  record.Epoch
}

// View is the working copy of what a store knows of one device. Decide moves it on as if its changes were committed;
// when a commit fails, Reset puts it back to what the store says. It is not safe for concurrent use.
type View struct {
	device    string
	epochs    map[Key]*epochView
	producers map[producerKey]store.Sequences // taken; shared with changes, and never written to
	read      int                             // epochs at the last Reset

	// What follows is no part of the store's state and outlives Reset.
	bad     map[Key]badBodies
	writers map[string]*writers // by stream
	frame   idSet               // scratch: definitions that the present frame brings
}

type producerKey struct {
	name        string
	incarnation uint64
}

// epochView is one epoch: the stored position without what no decision needs, and the set of its series.
type epochView struct {
	pos        store.Position // Series, Skipped and Marks are nil
	defined    idSet
	chainFirst uint64 // chain at the first offset, 0: not known
}

// badBodies counts bodies with a wrong CRC at one base.
type badBodies struct {
	base  record.Offset
	count int
}

// NewView makes the view of a device from what the store says. The view takes ownership of st.
func NewView(device string, st store.DeviceState) *View {
	v := &View{device: device, bad: map[Key]badBodies{}, writers: map[string]*writers{}}
	v.Reset(st)
	return v
}

// Reset puts the view back to what the store says. The view takes ownership of st.
func (v *View) Reset(st store.DeviceState) {
	v.epochs, v.read = make(map[Key]*epochView, len(st.Positions)), len(st.Positions)
	v.producers = make(map[producerKey]store.Sequences, len(st.Producers))
	for _, p := range st.Positions {
		e := &epochView{pos: p}
		for _, id := range p.Series {
			e.defined.add(id)
		}
		e.chainFirst = chainFirst(&p)
		e.pos.Series, e.pos.Skipped, e.pos.Marks = nil, nil, nil
		v.epochs[Key{p.Stream, p.Epoch}] = e
	}
	for _, p := range st.Producers {
		v.producers[producerKey{p.Name, p.Incarnation}] = p.Taken
	}
}

// Epochs is how many epochs the store had when the view was read.
func (v *View) Epochs() int { return v.read }

// ReadBack is a change that changes nothing: its result says what the transaction read of the epoch. For an epoch
// that the view does not know the result is a position with epoch 0, not applied.
func (v *View) ReadBack(k Key) (c store.Change, known bool) {
	c = store.Change{Device: v.device, Stream: k.Stream, Epoch: k.Epoch}
	e := v.epochs[k]
	if e == nil {
		return c, false
	}
	c.From, c.FromChain = e.pos.Next, e.pos.ChainNext
	c.To, c.ToChain = c.From, c.FromChain
	return c, true
}

// Decoder turns the body of a data frame into its records. They must stay valid until the changes that refer to
// them are committed.
type Decoder interface {
	Decode(d *wire.Data) ([]record.Record, error)
}

// Outcome is what became of a frame.
type Outcome uint8

// The outcomes.
const (
	Taken       Outcome = iota // the position moved, or a gap was filled
	Duplicate                  // everything in it is below the position
	Rewind                     // it begins above the position
	Wait                       // its parent has not reached its end
	Definitions                // a series is not defined
	Damaged                    // the CRC of the body is wrong: no ack
	Unreadable                 // the body cannot be read
	Conflict                   // another chain stands at the position, or the epoch is quarantined
)

func (o Outcome) String() string {
	return [...]string{"taken", "duplicate", "rewind", "wait", "definitions", "damaged", "unreadable", "conflict"}[o]
}

// Verdict is what an ack says of the outcome.
func (o Outcome) Verdict() wire.Verdict {
	return [...]wire.Verdict{wire.VerdictOK, wire.VerdictOK, wire.VerdictRewind, wire.VerdictWait,
		wire.VerdictDefinitions, wire.VerdictOK, wire.VerdictUnreadable, wire.VerdictConflict}[o]
}

// Decision is the effect of one frame.
type Decision struct {
	Outcome Outcome
	Changes []store.Change // to commit in this order; none where nothing changes
	Range   record.Range   // of the frame
	Parent  record.Epoch   // with Wait
	Notices []string       // for people

	Rows, Late, Repeats, Dead uint64
}

func (d *Decision) notice(format string, args ...any) {
	d.Notices = append(d.Notices, fmt.Sprintf(format, args...))
}

// idSet is a set of series ids.
type idSet []uint64

func (s idSet) has(id record.SeriesID) bool {
	w := int(id >> 6)
	return w < len(s) && s[w]&(1<<(id&63)) != 0
}

func (s *idSet) add(id record.SeriesID) {
	w := int(id >> 6)
	for len(*s) <= w {
		*s = append(*s, 0)
	}
	(*s)[w] |= 1 << (id & 63)
}
