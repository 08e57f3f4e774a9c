package mqtt

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/agent/update/fetch"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/agent/update/mirror"
	"github.com/edgelog/edgelog/internal/fleetwire"
)

// overBroker is the source that people see where no mirror is.
const overBroker = "broker"

// place is a mirror as the client uses it.
type place struct {
	*mirror.Puller
	bad        bool          // it gave wrong content for what is desired now
	rest, wait time.Duration // nothing is asked of it before; how long it rests after the next failure
	failed     string        // why it rests
}

// lack is who cannot give one file.
type lack struct {
	places []*place
	broker error // nil: it may have it
}

func (l *lack) has(p *place) bool {
	for _, x := range l.places {
		if x == p {
			return true
		}
	}
	return false
}

// source is whom a file is asked of now: the first mirror that works, else the broker, as nil. ok is false where nobody
// can be asked; wait is then how long that lasts at least.
func (c *Client) source(t *transfer) (p *place, ok bool, wait time.Duration) {
	wait = idleEvery
	for _, p := range c.places {
		switch {
		case p.bad || t.lack.has(p):
		case c.now() < p.rest:
			wait = min(wait, p.rest-c.now())
		default:
			return p, true, 0
		}
	}
	return nil, c.link != nil && t.lack.broker == nil, wait
}

// hopeful tells whether a mirror that rests may still give a file.
func (c *Client) hopeful(t *transfer) bool {
	for _, p := range c.places {
		if !p.bad && !t.lack.has(p) && p.wait < mirrorRestMax {
			return true
		}
	}
	return false
}

// turn goes on from another source.
func (c *Client) turn(t *transfer, to *place) {
	c.tally(t)
	if t.from != nil {
		t.from.Drop()
	}
	t.from = to
	t.fetch.Turn(to != nil)
	c.slowAt, c.slowHad = time.Now(), t.fetch.Stats.Taken
	c.o.Log.Info("update", "content", t.Path, "from", t.source())
	c.unsaid = true
}

func (t *transfer) source() string {
	if t.from != nil {
		return t.from.Name()
	}
	return overBroker
}

// ask hands a request over; false: nothing more can be asked for now.
func (c *Client) ask(ctx context.Context, t *transfer, a fetch.Ask) bool {
	if t.from == nil {
		c.send(ctx, c.o.Topics.ChunkRequest(), fleetwire.ChunkRequest{ID: strconv.FormatUint(a.ID, 36), Path: t.Path, First: a.First,
			Bits: a.Bits, ChunkBits: t.bits})
		return c.link != nil && ctx.Err() == nil
	}
	if !t.from.Ask(mirror.Ask{ID: a.ID, Target: t.Path, Size: t.Size, ChunkBits: t.bits, First: a.First, Bits: a.Bits}) {
		t.from.Drop()
		t.fetch.Disconnected()
		return false
	}
	return ctx.Err() == nil
}

// piece takes what a mirror gives.
func (c *Client) piece(x mirror.Piece) {
	t := c.flow.file
	if t == nil || t.from == nil || t.from.Puller != x.From || !t.fetch.Asked(x.Ask) {
		c.count(func(s *Stats) { s.Unasked++ })
		return
	}
	if x.Err == nil {
		if t.fetch.Arrived(x.Ask, x.Chunk, x.Data, c.now()) {
			t.from.wait, t.from.failed = 0, ""
			c.keep(t, x.Chunk, x.Data)
		}
		return
	}
	p := t.from
	t.fetch.Disconnected()
	c.o.Log.Warn("a mirror does not give content", "mirror", p.Name(), "content", t.Path, "err", x.Err)
	if errors.Is(x.Err, mirror.ErrAbsent) || errors.Is(x.Err, mirror.ErrOther) {
		t.lack.places = append(t.lack.places, p)
		return
	}
	p.wait = min(max(2*p.wait, mirrorRestMin), mirrorRestMax)
	p.rest, p.failed = c.now()+p.wait, x.Err.Error()
}

// wrong takes a mirror out until something else is desired.
func (c *Client) wrong(p *place, what string) {
	if p.bad {
		return
	}
	p.bad, p.failed = true, what+" is not what was signed"
	c.o.Log.Warn("a mirror is not asked any more", "mirror", p.Name(), "why", p.failed)
}

// spoilt takes the source out that a file cannot come from; false: nobody is left, and the attempt has ended.
func (c *Client) spoilt(t *transfer, err *install.Error) bool {
	if t.from != nil {
		c.wrong(t.from, "the content of "+t.Path)
		t.fetch.Disconnected()
		return true
	}
	t.lack.broker = err
	if c.hopeful(t) {
		return true
	}
	c.end(fleetwire.Failed, err)
	return false
}

// resting says which mirrors are not asked, and why; "" if all are.
func (c *Client) resting() string {
	for _, p := range c.places {
		if p.bad || c.now() < p.rest {
			return p.Name() + ": " + p.failed
		}
	}
	return ""
}
