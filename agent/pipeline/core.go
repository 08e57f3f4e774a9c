package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/buffer/record"
)

// Result is one record of the output. Its Record.Series is for the log that takes it to fill in.
type Result struct {
	Series *record.Series // the same pointer for the same series as long as the core lives
	Record record.Record
}

// Message is the results that are appended together, as one message of a producer.
type Message struct {
	Sequence uint64
	Results  []Result
	bytes    int
}

// Stats count what a pipeline has done since its state began. They are part of the state.
type Stats struct {
	Records  uint64 // of the input, marks and other series included
	Taken    uint64 // readings of series that it follows
	Results  uint64 // records of the output
	Missing  uint64 // records of the input that were gone before they were read
	Late     uint64 // readings that came when a window they belong to was closed
	Untimed  uint64 // readings whose time is not known or that is far ahead
	Left     uint64 // readings of series beyond MaxSeries
	Raised   uint64 // alarms, ever
	Messages uint64
}

// Core computes one pipeline. It is pure: the same records in the same order give the same messages, whatever the time,
// the machine, and however often its state was written and read in between. It belongs to one goroutine.
type Core struct {
	def     Definition
	resolve func(record.Epoch, record.SeriesID) (record.Series, bool)

	next  record.Offset // of the record that comes next
	epoch record.Epoch
	clock clock
	hint  clock // to be taken over with the next record
	now   int64 // the stream's time: the greatest of the stamps that this box has made; never: none yet
	holes []hole
	// guessFrom is when the box ceased to know the time.
	guessFrom int64

	series  []*series // in the order in which they were first seen
	byKey   map[string]*series
	byID    []*series        // of the epoch, by id
	nothing *series          // stands in byID for those that are not followed
	nextEnd int64            // no window that goes by the stream's time ends before it
	floors  map[string]int64 // learned: what ends at or before it has been written already, by the key of the input's series
	raised  map[string]bool  // learned, the same for alarms
	stats   Stats

	out  []Message // of the record in hand
	at   record.Offset
	pane pane     // the window in hand
	hand []Result // of it
}

// series is one series of the input that is followed.
type series struct {
	def     record.Series
	key     string
	results []record.Series

	asserted bool  // its device stamps it: it has a time of its own
	own      int64 // that, never if none yet
	missing  flags // why readings of it may be missing since its last, if its device stamps it
	hole     hole  // where that was so, by its own time
	panes    []pane
	closed   int64 // windows that end at or before closed × Every are done
	floor    int64 // of Core.floors
	alarm    alarmState
	hot      hot
}

// hot is where the last reading went: as long as the next one goes there, too, and no window has ended, there is nothing to
// work out. It is no state: without it the same happens.
type hot struct {
	pane             int   // its place in panes
	from, to         int64 // its time
	overFrom, overTo int64 // the time up to which windows are over lies here
}

// NewCore makes the core of a pipeline with nothing in its state. resolve tells what a series of the input is.
func NewCore(def Definition, resolve func(record.Epoch, record.SeriesID) (record.Series, bool)) *Core {
	c := &Core{def: def, resolve: resolve, now: never, guessFrom: never, nextEnd: openEnd, byKey: map[string]*series{},
		nothing: &series{}, floors: map[string]int64{}, raised: map[string]bool{}}
	c.addHole(never, flagStart)
	return c
}

// Next is the offset of the record that the core wants next.
func (c *Core) Next() record.Offset { return c.next }

// Enter says which epoch the records to come are of.
func (c *Core) Enter(e record.Epoch) {
	if c.epoch == e {
		return
	}
	c.epoch, c.byID = e, c.byID[:0]
}

// Anchor tells how the stamps of a boot are to be read, where the record that tells it is gone. It holds from the next
// record on, and is part of the state until then.
func (c *Core) Anchor(a record.Anchor) {
	if c.hint.boot != a.Boot || !c.hint.known {
		c.hint = clock{known: true, good: a.Good(), boot: a.Boot, base: a.UTC - a.BootTime, err: a.Error}
	}
}

// knows reports whether the stamps of a boot can be read.
func (c *Core) knows(boot string) bool {
	return c.clock.known && c.clock.boot == boot || c.hint.known && c.hint.boot == boot
}

// Gap says that the records up to to are gone.
func (c *Core) Gap(to record.Offset) {
	if to <= c.next {
		return
	}
	c.stats.Missing += uint64(to - c.next)
	c.next = to
	c.interrupt(flagGap)
}

// Record takes in the record at Next. What follows from it is in Messages until the next call.
func (c *Core) Record(r *record.Record) {
	c.at, c.out = c.next, c.out[:0]
	c.next++
	c.stats.Records++
	if c.hint.known {
		if c.now != never {
			c.interrupt(flagRestart)
		}
		hint := c.hint
		c.hint = clock{}
		c.adjust(hint, r)
	}
	if r.Kind == record.KindBoot || r.Kind == record.KindAnchor {
		c.mark(r)
	}
	at, timed := c.utc(r)
	if timed && !r.Clock.Asserted() {
		c.advance(at)
	}
	if r.Kind != record.KindObservation {
		return
	}
	s := c.of(r.Series)
	if s == c.nothing {
		return
	}
	if !timed {
		c.stats.Untimed++
		return
	}
	c.stats.Taken++
	if c.def.Window != nil {
		c.take(s, r, at)
	} else {
		c.judge(s, r, at)
	}
}

// Messages are what the last record has made.
func (c *Core) Messages() []Message { return c.out }

func (c *Core) mark(r *record.Record) {
	a, ok := record.AnchorOf(r)
	if !ok {
		return
	}
	if r.Kind == record.KindBoot && c.now != never {
		c.interrupt(flagRestart)
	}
	c.adjust(clock{known: true, good: a.Good(), boot: a.Boot, base: a.UTC - a.BootTime, err: a.Error}, r)
}

// of finds the series of an id.
func (c *Core) of(id record.SeriesID) *series {
	if int(id) < len(c.byID) && c.byID[id] != nil {
		return c.byID[id]
	}
	def, ok := c.resolve(c.epoch, id)
	s := c.nothing
	if ok && c.def.matches(&def) {
		s = c.follow(&def)
	}
	if s == nil { // beyond the limit: asked again, because it is counted
		c.stats.Left++
		return c.nothing
	}
	if ok {
		for int(id) >= len(c.byID) {
			c.byID = append(c.byID, nil)
		}
		c.byID[id] = s
	}
	return s
}

// follow finds or makes what is known of a series; nil: there are too many.
func (c *Core) follow(def *record.Series) *series {
	key := def.Key()
	if s := c.byKey[key]; s != nil {
		if s.def.Type != def.Type || s.def.Unit != def.Unit { // what was begun cannot be put together with what comes
			c.retype(s, def)
		}
		if len(s.results) == 0 {
			return c.nothing
		}
		return s
	}
	s := &series{def: *def, key: key, results: c.def.results(def), own: never, closed: never, floor: never, missing: flagStart}
	if len(s.results) == 0 {
		return c.nothing
	}
	if len(c.series) >= MaxSeries {
		return nil
	}
	if f, ok := c.floors[key]; ok {
		s.floor = f
	}
	s.alarm.raised = c.raised[key]
	c.series, c.byKey[key] = append(c.series, s), s
	return s
}

// retype goes on with a series that has another type or unit now. What was begun cannot be put together with what comes: its
// readings are bad ones from here on, of that series alone.
func (c *Core) retype(s *series, def *record.Series) {
	s.def, s.results, s.hot = *def, c.def.results(def), hot{}
	if len(s.results) == 0 {
		s.panes = s.panes[:0]
	}
	for i := range s.panes {
		p := &s.panes[i]
		q := pane{index: p.index, bad: p.bad + p.n, why: p.why, flags: p.flags | flagType}
		if p.n > 0 {
			q.why = record.QualityMalformed
		}
		*p = q
	}
}

// emit adds results that belong together to the messages of the record in hand.
func (c *Core) emit(rs ...Result) {
	size := 0
	for i := range rs {
		size += rs[i].Record.CanonicalLen()
	}
	n := len(c.out)
	if n == 0 || len(c.out[n-1].Results)+len(rs) > maxMessageRecords || c.out[n-1].bytes+size > maxMessageBytes {
		if n >= 1<<partBits {
			panic(fmt.Sprintf("pipeline: record %d makes more than %d messages", c.at, n)) // MaxSeries and MaxHops do not allow it
		}
		c.out = slices.Grow(c.out, 1)[:n+1] // with the memory of an earlier message
		c.out[n] = Message{Sequence: Sequence(c.at, n), Results: c.out[n].Results[:0]}
		n++
	}
	m := &c.out[n-1]
	m.Results, m.bytes = append(m.Results, rs...), m.bytes+size
	if len(m.Results) == len(rs) {
		c.stats.Messages++
	}
	c.stats.Results += uint64(len(rs))
}

// Learn takes a record that is in the output already: what stands there is not written again. windows says that it was
// made by this very definition, so that its windows are those of this one.
func (c *Core) Learn(out *record.Series, r *record.Record, windows bool) {
	key, ok := c.inputOf(out)
	if !ok {
		return
	}
	if c.def.Alarm != nil {
		raised, ok := alarmOf(r)
		if !ok {
			return
		}
		c.raised[key] = raised
		if s := c.byKey[key]; s != nil {
			s.alarm = alarmState{raised: raised, at: r.Time}
		}
		return
	}
	if !windows {
		return
	}
	end := r.Time + int64(c.def.Window.Size)
	c.floors[key] = end // the latest, not the greatest: the box may have believed in a time far ahead
	if s := c.byKey[key]; s != nil {
		s.floor = end
	}
}

// inputOf is the key of the series that a result was computed from.
func (c *Core) inputOf(out *record.Series) (string, bool) {
	dot := strings.LastIndexByte(out.Name, '.')
	by := out.Label(pipelineLabel)
	before, chained := strings.CutSuffix(by, "/"+c.def.Name)
	if dot < 0 || by != c.def.Name && !chained {
		return "", false
	}
	in := record.Series{Name: out.Name[:dot]}
	for _, l := range out.Labels {
		switch {
		case l.Key != pipelineLabel:
			in.Labels = append(in.Labels, l)
		case chained:
			in.Labels = append(in.Labels, record.Label{Key: pipelineLabel, Value: before})
		}
	}
	return in.Key(), true
}
