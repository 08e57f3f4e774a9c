package mcu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers/bus/modbus"
)

// visit polls one node and says when it is due again.
func (l *Line) visit(ctx context.Context, n *node) {
	pause, err := l.poll(ctx, n)
	now := time.Now()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		l.failed(n, now, err)
		return
	}
	n.due = now.Add(pause)
	l.heard(n, now)
	if pause == 0 {
		return
	}
	if err := l.attend(ctx, n, now); err != nil && ctx.Err() == nil && !errors.Is(err, ErrRefused) {
		l.failed(n, time.Now(), err)
	}
}

func (l *Line) heard(n *node, now time.Time) {
	back := n.state.answered(now)
	if n.state.status.State == StateForeign && l.o.Events.Foreign != nil {
		l.o.Events.Foreign(n.cfg.Name, nil)
	}
	n.state.status.enter(StateOnline, nil)
	if back && l.o.Events.Online != nil {
		l.o.Events.Online(n.cfg.Name)
	}
}

// failed notes a visit without a good answer. A node that restarts under it is asked who it is when it is back.
func (l *Line) failed(n *node, now time.Time, err error) {
	if errors.Is(err, ErrNotANode) || errors.Is(err, ErrMap) || errors.Is(err, ErrIdentity) {
		n.known = false
		n.state.status.enter(StateForeign, err)
		n.due = now.Add(maxBackoff)
		if l.o.Events.Foreign != nil {
			l.o.Events.Foreign(n.cfg.Name, err)
		}
		return
	}
	if errors.Is(err, errLog) {
		n.due = now.Add(logRetry)
		return
	}
	pause, offline := n.state.failed(now, l.o.Poll, l.o.Random)
	n.due = now.Add(pause)
	if n.state.offline {
		n.state.status.enter(StateOffline, err)
		n.state.status.Error = err.Error()
	}
	if offline && l.o.Events.Offline != nil {
		l.o.Events.Offline(n.cfg.Name, n.state.silent, err)
	}
}

// tries of a node: one that is offline gets a single question.
func (n *node) tries() int {
	if n.state.offline {
		return 1
	}
	return tries
}

// identify reads who answers. overflows is of the life that runs.
func (l *Line) identify(ctx context.Context, n *node) (overflows uint32, err error) {
	w, _, err := l.readOnce(ctx, n, n.tries(), RegMagic, identityWords)
	if err != nil {
		return 0, foreign(err)
	}
	id, err := ParseIdentity(w)
	if err != nil {
		return 0, err
	}
	if n.cfg.Serial != 0 && id.Serial != n.cfg.Serial {
		return 0, fmt.Errorf("%w: serial number %d, configured is %d", ErrIdentity, id.Serial, n.cfg.Serial)
	}
	stats, err := l.read(ctx, n, RegStats, statsWords)
	if err != nil {
		return 0, err
	}
	n.id = id
	n.state.status.Uptime = time.Duration(u32(w[0x12:])) * time.Second
	l.takeStats(n, stats)
	return u32(stats[3:]), nil
}

// foreign is the error of a device that does not know our registers.
func foreign(err error) error {
	var refused *modbus.Exception
	if errors.As(err, &refused) && refused.Code <= modbus.IllegalAddress {
		return fmt.Errorf("%w: %w", ErrNotANode, err)
	}
	return err
}

// poll looks at the queue once, acknowledging what is durable, and gives what is new to the log. The pause is until the
// next look.
func (l *Line) poll(ctx context.Context, n *node) (time.Duration, error) {
	b, w, err := l.look(ctx, n)
	if err != nil {
		return 0, err
	}
	if n.restarted(b) {
		if b, w, err = l.newLife(ctx, n, b); err != nil {
			return 0, err
		}
	}
	n.ticks.observe(b.ReadMS, w)
	events, lost := n.fresh(b)
	if len(events) > 0 {
		if err := l.take(ctx, n, events, lost); err != nil {
			return 0, err
		}
		lost = nil
	}
	if len(lost) == 0 { // the log knows of every overflow up to here
		n.low, n.looked, n.settled = b.Lost, true, time.Now()
	}
	pause := n.paced(time.Now(), len(events), b, l.o.Poll)
	if len(n.pending) > 0 {
		switch {
		case n.urgent(b):
			if err := l.o.Log.Sync(ctx); err != nil {
				l.refused(n, err)
				return logRetry, nil
			}
			l.settle()
			pause = 0 // the node gets its room back at once
		case pause == 0:
			pause = MinPoll
		}
	}
	return pause, nil
}

// look acknowledges what is durable and reads what the queue then holds, in one exchange.
func (l *Line) look(ctx context.Context, n *node) (Block, window, error) {
	if !n.known || n.plain || uint32(n.life) == 0 {
		return l.lookPlain(ctx, n)
	}
	var data []byte
	w, err := l.ask(ctx, n, n.tries(), 12, func(b Bus) (int, error) {
		var err error
		data, err = b.Custom(ctx, n.cfg.Unit, functionTake, take(n.life, n.durable))
		return 5 + len(data), err
	})
	if errors.Is(err, ErrRefused) { // it is in another life, or contradicts us, or something in between knows plain Modbus only
		var refused *modbus.Exception
		n.plain = errors.As(err, &refused) && refused.Code == modbus.IllegalFunction
		return l.lookPlain(ctx, n)
	}
	if err != nil {
		return Block{}, w, err
	}
	b, whole, err := parseTake(n.life, data)
	if err == nil && !whole {
		return l.lookPlain(ctx, n)
	}
	n.state.released = b.Released
	return b, w, err
}

// lookPlain does the same by registers, in two exchanges if there is something to acknowledge. A node in another life
// refuses that; the second exchange shows it.
func (l *Line) lookPlain(ctx context.Context, n *node) (Block, window, error) {
	count := queueHead
	if n.known {
		count += eventWords * n.id.Block
		if n.durable > n.state.released {
			if err := l.write(ctx, n, RegQueue, release(n.life, n.durable)...); err != nil && !errors.Is(err, ErrRefused) {
				return Block{}, window{}, err
			}
		}
	}
	words, w, err := l.readOnce(ctx, n, n.tries(), RegQueue, count)
	if err != nil {
		return Block{}, w, foreign(err)
	}
	b, err := ParseBlock(words)
	n.state.released = b.Released
	return b, w, err
}

// newLife asks a node that has restarted, or that we do not know, who it is, gives its life a number if it has none, and
// looks again.
func (l *Line) newLife(ctx context.Context, n *node, b Block) (Block, window, error) {
	more := n.unsure(time.Now())
	// What was appended, by us or by a line before us, must be durable or known not to be before Last is asked.
	if err := l.o.Log.Sync(ctx); err != nil {
		l.refused(n, err)
		return b, window{}, errLog
	}
	l.settle()
	n.known = false
	overflows, err := l.identify(ctx, n)
	if err != nil {
		return b, window{}, err
	}
	life := b.Incarnation
	if life == 0 {
		if n.given == 0 || bootOf(n.given) != n.id.Boots {
			n.given = incarnation(n.id.Boots, l.o.Random)
		}
		life = n.given
		if err := l.write(ctx, n, RegQueue, words64(life)...); err != nil && !errors.Is(err, ErrRefused) {
			return b, window{}, err
		}
	}
	n.state.released = 0
	boots, err := l.read(ctx, n, RegBoots, 2)
	if err != nil {
		return b, window{}, err
	}
	if u32(boots) != n.id.Boots { // it restarted since it was asked
		if overflows, err = l.identify(ctx, n); err != nil {
			return b, window{}, err
		}
	}
	words, w, err := l.readOnce(ctx, n, n.tries(), RegQueue, queueHead+eventWords*n.id.Block)
	if err != nil {
		return b, w, err
	}
	if b, err = ParseBlock(words); err != nil {
		return b, w, err
	}
	if b.Incarnation != life {
		return b, w, fmt.Errorf("%w: it restarted while it was asked", ErrOffline)
	}
	n.state.released = b.Released
	last, has := l.o.Log.Last(n.producer, life)
	again := has && last.Incarnation == life
	n.begin(life, b, overflows, last, has, more)
	if !again {
		n.state.status.Resets++
		if l.o.Events.Restarted != nil {
			l.o.Events.Restarted(n.cfg.Name, n.id)
		}
	}
	n.state.checked = time.Time{}
	return b, w, nil
}

// take gives events to the log as one message of the node, behind what is owed.
func (l *Line) take(ctx context.Context, n *node, events []Event, lost []LostRecord) error {
	before, had := n.slots, n.table
	if n.wantsTable(events) && n.id.Features&FeatureOneWire != 0 {
		if err := l.readTable(ctx, n); err != nil {
			return err
		}
	}
	rom := n.romAt(events, before, had)
	at := l.o.Stamp()
	d := record.Draft{Producer: &record.ProducerPosition{Name: n.producer, Incarnation: n.life, Sequence: uint64(events[len(events)-1].Sequence)}}
	add := func(o observation, when record.Stamp) error {
		o.rec.Time, o.rec.Clock = when.Time, when.Clock
		var err error
		if o.rec.Series, err = l.define(o.series); err != nil {
			return err
		}
		d.Records = append(d.Records, o.rec)
		return nil
	}
	all := append(append([]LostRecord(nil), n.owed...), lost...)
	for _, x := range all {
		if err := add(n.lost(x), at); err != nil {
			l.refused(n, err)
			return errLog
		}
	}
	for i, e := range events {
		t, bound := n.ticks.time(e.MS)
		n.state.status.TimeWorst = max(n.state.status.TimeWorst, time.Duration(bound))
		if err := add(n.observe(e, rom(i)), record.Stamp{Time: t - t%int64(time.Millisecond), Clock: at.Clock}); err != nil {
			l.refused(n, err)
			return errLog
		}
	}
	wait, cancel := context.WithTimeout(ctx, logRetry)
	ticket, err := l.o.Log.Append(wait, d)
	cancel()
	if err != nil {
		l.refused(n, err)
		return errLog
	}
	l.refused(n, nil)
	n.promised(uint32(d.Producer.Sequence), ticket)
	n.owed, n.begun = nil, true
	s := &n.state.status
	s.EventsTotal += uint64(len(events))
	for _, x := range all {
		s.Lost[x.Reason] += max(x.Count, x.AtMost)
		if l.o.Events.Lost != nil {
			l.o.Events.Lost(n.cfg.Name, x)
		}
	}
	return nil
}

// errLog ends a visit without blaming the node: the log takes nothing now, and nothing is acknowledged.
var errLog = errors.New("log takes nothing")

func (l *Line) refused(n *node, err error) {
	if err == nil && !n.state.full {
		return
	}
	n.state.full = err != nil
	if l.o.Events.Refused != nil {
		l.o.Events.Refused(n.cfg.Name, err)
	}
}

func (l *Line) define(s record.Series) (record.SeriesID, error) {
	if err := s.Normalize(); err != nil {
		return 0, err
	}
	key := s.Key()
	if id, ok := l.series[key]; ok {
		return id, nil
	}
	id, err := l.o.Log.Define(s)
	if err == nil {
		l.series[key] = id
	}
	return id, err
}

func (l *Line) readTable(ctx context.Context, n *node) error {
	w, err := l.read(ctx, n, RegSensorTable, sensorSlots*slotWords)
	if err != nil {
		return err
	}
	if n.slots, err = ParseSlots(w); err != nil {
		return err
	}
	n.table = true
	return nil
}
