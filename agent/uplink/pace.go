package uplink

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Pace says how fast old records may be sent. What is sent within LiveWithin of becoming durable is live; everything
// else is backlog: what was durable when the connection was made, and what a stream could not send for longer than that.
// Streams of alarms, events and health are never backlog, so that they go out before history at any time.
type Pace struct {
	BacklogRate int // bytes of backlog frames a second, over all streams; 0: as fast as window and credit allow
}

// LiveWithin is the age at which an undelivered record becomes backlog.
const LiveWithin = 10 * time.Second

// backlogShare of the window is what backlog may fill while it is paced; the rest is for what is live.
const backlogShare = 2

// pacer spaces backlog frames.
type pacer struct {
	rate int
	next time.Time // no backlog frame before; zero: at once
}

// may reports whether a backlog frame may be sent now.
func (p *pacer) may(now time.Time) bool { return p.rate == 0 || !now.Before(p.next) }

// sent notes a backlog frame. A pause is not made up for.
func (p *pacer) sent(size int, now time.Time) {
	if p.rate == 0 {
		return
	}
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(size) / float64(p.rate) * float64(time.Second)))
}

// ages remembers how far a stream was durable at some moments, to tell what is old.
type ages struct {
	old   record.Offset // everything below is backlog
	end   record.Offset // last seen
	marks [agesKept]ageMark
	n     int
}

const (
	agesKept  = 16
	agesApart = LiveWithin / (agesKept - 2)
)

type ageMark struct {
	at  time.Time
	end record.Offset
}

// connected: what is there now is backlog.
func (a *ages) connected(end record.Offset) { *a = ages{old: end, end: end} }

// seen notes that the stream is durable up to end.
func (a *ages) seen(end record.Offset, now time.Time) {
	a.settle(now)
	a.end = end
	if k := a.n - 1; k >= 0 && (a.marks[k].end >= end || now.Sub(a.marks[k].at) < agesApart) {
		if a.marks[k].end < end { // a little older than it is
			a.marks[k].end = end
		}
		return
	}
	if a.n == agesKept {
		a.old = max(a.old, a.marks[0].end)
		copy(a.marks[:], a.marks[1:])
		a.n--
	}
	a.marks[a.n] = ageMark{now, end}
	a.n++
}

// settle lets what has become old be backlog.
func (a *ages) settle(now time.Time) {
	k := 0
	for k < a.n && now.Sub(a.marks[k].at) >= LiveWithin {
		a.old = max(a.old, a.marks[k].end)
		k++
	}
	copy(a.marks[:], a.marks[k:a.n])
	a.n -= k
}

// backlog reports whether a frame of the stream that begins at an offset is backlog.
func (st *stream) backlog(from record.Offset, now time.Time) bool {
	if st.rank < rankPlain {
		return false
	}
	st.ages.settle(now)
	return from < st.ages.old
}
