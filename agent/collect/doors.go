package collect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
	"github.com/edgelog/edgelog/drivers/door"
)

var (
	errDoorEnded = errors.New("the source ended by itself")
	errNoRoom    = errors.New("the log takes no record of this series")
)

// doorway is what a worker needs whose source speaks up: the bridge from door.Emit to the log. One message at a time
// is taken, in the order of the calls.
type doorway struct {
	turn chan struct{} // holds one element while a message is taken; guards the sweeper
	shut bool          // the door has returned: nothing is taken any more. Guarded by turn
}

// runDoor keeps the door open until the worker is to end. Doors reopen what fails themselves; one that ends, or that
// cannot be made, is made again after a pause that doubles.
func (w *worker) runDoor(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() { w.attend(cancel, stop) })
	for fails := 0; ctx.Err() == nil; fails++ {
		d, err := w.source.Door(w.doorEvents())
		if err == nil {
			err = d.Run(ctx, w.take)
		}
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			err = errDoorEnded
		}
		w.doorDown(err)
		select {
		case <-time.After(door.Backoff(fails, 0)):
		case <-ctx.Done():
		}
	}
	w.turn <- struct{}{}
	w.shut = true
	<-w.turn
}

// attend closes the door when the worker is to end, and notices that a door that failed stays open now.
func (w *worker) attend(closeDoor func(), stop <-chan struct{}) {
	tick := time.NewTicker(upSteady / 5)
	defer tick.Stop()
	quit := w.quit
	for {
		select {
		case <-quit:
			closeDoor()
			quit = nil
		case <-stop:
			return
		case now := <-tick.C:
			if w.acc.settled(now) && w.o.Events.SourceBack != nil {
				w.o.Events.SourceBack(w.source.Name)
			}
		}
	}
}

func (w *worker) doorEvents() door.Events {
	return door.Events{
		Up:   func() { w.acc.up(time.Now()) },
		Down: w.doorDown,
		Missed: func(why door.Missed, n int, detail error) {
			w.acc.countMissed(missedByDoor(why), n)
			if detail != nil {
				w.acc.note(detail)
			}
		},
		Note: func(level, text string) {
			if w.o.Events.SourceSays != nil {
				w.o.Events.SourceSays(w.source.Name, level, text)
			}
		},
	}
}

// missedByDoor is the reason that a door names.
func missedByDoor(why door.Missed) Missed {
	for m := Missed(0); m < missedReasons; m++ {
		if m.String() == string(why) {
			return m
		}
	}
	return MissedRefused
}

func (w *worker) doorDown(err error) {
	if err == nil {
		err = errDoorEnded
	}
	if dead, since := w.acc.down(err, w.stamp()); dead && w.o.Events.SourceDead != nil {
		w.o.Events.SourceDead(w.source.Name, since, err)
	}
}

// take implements door.Emit.
func (w *worker) take(ctx context.Context, m door.Message) error {
	if len(m.Readings) == 0 {
		if m.Producer != nil { // nothing would keep its number
			return fmt.Errorf("%w: a numbered message without readings", door.ErrRefused)
		}
		return nil
	}
	if ctx.Err() != nil { // what a program said to the end is kept, if the log can take it at once
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
		defer cancel()
	}
	ticket, err := w.takeOne(ctx, m)
	if ticket == nil || !m.Durable && m.Producer == nil {
		return err
	}
	if _, wait := ticket.Wait(ctx); wait != nil {
		return doorError(wait)
	}
	return err
}

// takeOne gives a message to the log as one draft. With door.ErrRepeated there is a ticket, too.
func (w *worker) takeOne(ctx context.Context, m door.Message) (Ticket, error) {
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return nil, doorError(ctx.Err())
	}
	select {
	case <-w.abandoned:
		return nil, fmt.Errorf("%w: the source was stopped", door.ErrRefused)
	default:
		if w.shut {
			return nil, fmt.Errorf("%w: the source was stopped", door.ErrRefused)
		}
	}
	if m.Producer != nil {
		if w.source.Producer == nil {
			return nil, door.ErrProducer
		}
		if err := w.source.Producer(*m.Producer); err != nil {
			return nil, err
		}
	}
	at := w.stamp()
	if err := w.convertDoor(m.Readings, at); err != nil {
		return nil, err
	}
	answered := m.Durable || m.Producer != nil
	records := w.records
	if !answered { // who waits for an answer gets his message whole
		records = w.dueOf(at)
	}
	var ticket Ticket
	if len(records) > 0 {
		var err error
		if ticket, err = w.appendDoor(ctx, record.Draft{Records: records, Producer: m.Producer}, answered); err != nil {
			w.lossy.Store(true)
			return ticket, err
		}
	}
	w.observeDoor(at)
	if w.acc.arrived(at) && w.o.Events.SourceBack != nil {
		w.o.Events.SourceBack(w.source.Name)
	}
	w.tellSeries(w.faults)
	return ticket, nil
}

// seriesOf finds or makes the series of a reading, with its id unless it is beyond the limits. One that strangers
// cannot make any more is not kept: what it says goes to the overflow series.
func (w *worker) seriesOf(r *door.Reading) (*series, error) {
	def := r.Series
	def.Labels = mergeLabels(def.Labels, w.source.Labels)
	if err := def.Normalize(); err != nil {
		return nil, fmt.Errorf("%w: %w", door.ErrRefused, err)
	}
	key := def.Key() // as it came; rules give it another name
	s := w.table.byKey[key]
	if s != nil && !r.Quality.Bad() && r.Type.Base() != s.raw.Base() { // a field that comes as 1i and then as 1.5
		key += " as " + r.Type.Base().String()
		s = w.table.byKey[key]
	}
	if s == nil {
		if s = w.treated(r.Series, r.Min, r.Max); s.invalid != nil {
			return nil, fmt.Errorf("%w: %w", door.ErrRefused, s.invalid)
		}
		ok, first := len(w.table.byKey) < door.MaxSeries, false
		if ok {
			ok, first = w.acc.admit(time.Now(), w.source.MaxNewSeries)
		} else {
			first = w.acc.tellLimit()
		}
		if !ok {
			s.over = true
			if first && w.o.Events.SeriesLimit != nil {
				w.o.Events.SeriesLimit(w.source.Name, s.def)
			}
			return s, nil
		}
		s.admitted = true
		w.table.mu.Lock()
		w.table.byKey[key] = s
		w.table.order = append(w.table.order, s)
		w.table.mu.Unlock()
	}
	if s.id == 0 && (!s.over || w.acc.hourOver(time.Now())) {
		w.defineOne(s)
	}
	return s, nil
}

// convertDoor turns readings into w.records, with their series in w.byIndex; whole or not at all.
func (w *worker) convertDoor(rs []door.Reading, at record.Stamp) error {
	w.records, w.arena, w.byIndex = w.records[:0], w.arena[:0], w.byIndex[:0]
	if cap(w.data) < len(rs) { // never grown below: records point into it
		w.data = make([]record.Data, 0, len(rs))
	}
	w.data = w.data[:0]
	for i := range rs {
		x := &rs[i]
		s, err := w.seriesOf(x)
		if err != nil {
			return err
		}
		when := x.At
		if when.Clock == 0 {
			when = at
		}
		r := record.Record{Time: when.Time, Clock: when.Clock, Kind: record.KindObservation, Series: s.id}
		sample := drivers.Sample{Quality: x.Quality, Type: x.Type, Num: x.Num, Value: x.Value, Detail: x.Detail}
		w.fill(&r, &sample, s, when)
		if s.id == 0 {
			if r.Series = w.target(s); r.Series == 0 {
				return fmt.Errorf("%w: %w: %s", door.ErrRefused, errNoRoom, s.key)
			}
			w.labelOverflow(&r, s)
		}
		w.records, w.byIndex = append(w.records, r), append(w.byIndex, s)
	}
	return nil
}

// dueOf are those of w.records that rules let through.
func (w *worker) dueOf(at record.Stamp) []record.Record {
	if w.lossy.Swap(false) {
		w.table.mu.Lock()
		w.table.forget()
		w.table.mu.Unlock()
	}
	w.due = w.due[:0]
	for i := range w.records {
		if r, s := &w.records[i], w.byIndex[i]; s.due(r, at.Time) {
			s.reported(r, at.Time)
			w.due = append(w.due, *r)
		}
	}
	if n := len(w.records) - len(w.due); n > 0 {
		w.acc.countUnchanged(n)
	}
	return w.due
}

// observeDoor notes w.records as the latest readings.
func (w *worker) observeDoor(at record.Stamp) {
	w.faults = w.faults[:0]
	quality := [256]uint32{}
	t := w.table
	t.mu.Lock()
	trend := !t.trendOnce || at.Time-t.trendAt >= int64(trendEvery) || at.Time < t.trendAt
	if trend {
		t.trendAt, t.trendOnce = at.Time, true
	}
	for i := range w.records {
		r, s := &w.records[i], w.byIndex[i]
		s.observe(r, record.Stamp{Time: r.Time, Clock: r.Clock}, trend)
		quality[r.Quality]++
		if s.badRun >= faultAfter && s.faulted != s.quality {
			s.faulted = s.quality
			w.faults = append(w.faults, fault{s, s.quality})
		} else if s.badRun == 0 && s.faulted.Bad() {
			s.faulted = record.QualityGood
			w.faults = append(w.faults, fault{s, record.QualityGood})
		}
	}
	t.mu.Unlock()
	w.acc.countQuality(&quality)
}

// appendDoor appends and leaves the ticket to be counted when it is durable. Unless the sender is to hear of it
// (answered), it waits while the log is full.
func (w *worker) appendDoor(ctx context.Context, d record.Draft, answered bool) (Ticket, error) {
	for {
		var ticket Ticket
		err := errBacklog
		if len(w.pending) < cap(w.pending) { // only the holder of the turn sends
			ticket, err = w.outlets[0].log.Append(ctx, d)
		}
		switch {
		case err == nil:
			w.pending <- pending{ticket, len(d.Records), w.source.Stream}
			w.logOutcome(w.source.Stream, nil)
			return ticket, nil
		case errors.Is(err, ErrRepeated):
			return ticket, door.ErrRepeated
		case !errors.Is(err, ErrTooLarge):
			w.acc.note(fmt.Errorf("append to %s: %w", w.source.Stream, err))
			w.logOutcome(w.source.Stream, err)
		}
		if full := errors.Is(err, ErrFull) || errors.Is(err, errBacklog); !full || answered {
			return nil, doorError(err)
		}
		select {
		case <-time.After(fullPause):
		case <-ctx.Done():
			return nil, doorError(fmt.Errorf("%w: %w", ErrFull, ctx.Err()))
		}
	}
}

// doorError is an error of the log in the words of doors.
func doorError(err error) error {
	switch {
	case errors.Is(err, ErrFull) || errors.Is(err, errBacklog) || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", door.ErrFull, err)
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("%w: %w", door.ErrTooLarge, err)
	}
	return fmt.Errorf("%w: %w", door.ErrRefused, err)
}
