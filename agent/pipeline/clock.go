package pipeline

import (
	"math"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// clock is how boot time stands to UTC, as the marks of the stream have told so far.
type clock struct {
	known bool
	good  bool // more than a guess
	boot  string
	base  int64 // UTC of boot time 0, ns
	err   int64 // bound of its error, ns
}

// flags say what interrupted the readings of a window.
type flags uint8

const (
	flagGap     flags = 1 << iota // records of the input were gone
	flagRestart                   // the log was opened anew: the agent, or the box, was down meanwhile
	flagClock                     // the box did not know the time
	flagStart                     // the pipeline began within it
	flagType                      // the series changed its type
)

var flagNames = []string{"gap", "restart", "clock", "start", "type"}

// hole is a span of the stream's time in which readings may be missing.
type hole struct {
	from, to int64 // UTC, ns; to is openEnd until the next record tells
	why      flags
}

// within is why readings may be missing between start and end.
func (h hole) within(start, end int64) flags {
	if h.from < end && h.to > start {
		return h.why
	}
	return 0
}

const (
	never   = math.MinInt64
	openEnd = math.MaxInt64
)

// adjust takes what an anchor says, met in or before record r. The rule is that of record.Timeline: of one boot the good
// anchor with the smallest error, else the latest guess. A guess never sets the time of the stream back.
func (c *Core) adjust(now clock, r *record.Record) {
	was := c.clock
	switch {
	case !was.known || was.boot != now.boot, now.good && (!was.good || now.err < was.err), !now.good && !was.good:
		c.clock = now
	default:
		return
	}
	at := c.now
	if r.Clock == record.ClockBoot {
		at = c.clock.base + r.Time
	}
	if !c.clock.good && at < c.now {
		c.clock.base += c.now - at
		at = c.now
	}
	switch {
	case c.clock.good && !was.good && was.known:
		c.addHole(c.guessFrom, flagClock)
		c.nextEnd = never // series that their devices stamp go by it from now on
	case !c.clock.good && (was.good || !was.known):
		c.guessFrom = c.horizon()
	}
	if c.now != never && c.now-at > int64(MaxBack)+c.span() {
		c.breakTime()
	}
}

// horizon is the time up to which everything has come.
func (c *Core) horizon() int64 {
	if c.now == never {
		return never
	}
	return c.now - c.late()
}

func (c *Core) late() int64 {
	if c.def.Window == nil {
		return 0
	}
	return int64(c.def.Window.Late)
}

// span is the time that an open window may reach back.
func (c *Core) span() int64 {
	if c.def.Window == nil {
		return 0
	}
	return int64(c.def.Window.Size) + c.late()
}

// utc is the time of a record; false: nothing is known of its boot, or a device asserts a time far ahead, or one that cannot
// be.
func (c *Core) utc(r *record.Record) (int64, bool) {
	if r.Clock.Asserted() {
		return r.Time, -maxStamp <= r.Time && r.Time <= maxStamp && !c.ahead(r.Time)
	}
	return c.clock.base + r.Time, c.clock.known
}

// ahead reports whether an asserted time is known to be too far ahead.
func (c *Core) ahead(at int64) bool {
	return c.clock.good && c.now != never && at-c.now > int64(MaxAhead)
}

// interrupt notes that readings may be missing from here to the next record.
func (c *Core) interrupt(why flags) {
	c.addHole(c.horizon(), why)
	for _, s := range c.series {
		s.missing |= why
		for i := range s.panes {
			s.panes[i].flags |= why
		}
	}
}

func (c *Core) addHole(from int64, why flags) {
	if n := len(c.holes); n > 0 && c.holes[n-1].to == openEnd {
		c.holes[n-1].why |= why
		c.holes[n-1].from = min(c.holes[n-1].from, from)
		return
	}
	if c.now != never {
		past := c.now - c.span()
		c.holes = slices.DeleteFunc(c.holes, func(h hole) bool { return h.to < past })
	}
	if len(c.holes) >= maxHoles {
		c.holes[1].from, c.holes[1].why = min(c.holes[0].from, c.holes[1].from), c.holes[0].why|c.holes[1].why
		c.holes = append(c.holes[:0], c.holes[1:]...)
	}
	c.holes = append(c.holes, hole{from, openEnd, why})
}

// advance moves the stream's time to at, and closes what is over then.
func (c *Core) advance(at int64) {
	if n := len(c.holes); n > 0 && c.holes[n-1].to == openEnd {
		c.holes[n-1].to = at
	}
	if at <= c.now {
		return
	}
	c.now = at
	if c.def.Window != nil && c.nextEnd != openEnd && at-c.late() >= c.nextEnd {
		c.closeAll()
	}
}

// breakTime closes everything that goes by the stream's time, because that time was wrong, and lets it begin again.
func (c *Core) breakTime() {
	for _, s := range c.series {
		if s.asserted || len(s.panes) == 0 {
			s.floor = never
			continue
		}
		for i := range s.panes {
			s.panes[i].flags |= flagClock
		}
		c.closeUpTo(s, openEnd)
		s.closed, s.floor = never, never
	}
	c.now, c.nextEnd, c.holes = never, never, c.holes[:0]
	clear(c.floors)
	c.addHole(never, flagClock)
}

// breakOwn does the same for one series whose own time was set wrong while the box did not know better.
func (c *Core) breakOwn(s *series) {
	for i := range s.panes {
		s.panes[i].flags |= flagClock
	}
	c.closeUpTo(s, openEnd)
	s.own, s.closed, s.floor, s.hot = never, never, never, hot{}
	s.missing |= flagClock
}

// floorDiv rounds down for times before 1970, too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}

func timeText(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
