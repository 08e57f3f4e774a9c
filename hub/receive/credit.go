package receive

import (
	"time"

	"github.com/edgelog/edgelog/internal/wire"
)

// credit shares out how many bytes of frames may be on their way (H8). The sum of what is given stays below the budget;
// where a useful credit for each active device would be more than that, they take turns.
type credit struct {
	most  int     // configured: the hub's queue and the broker's
	frame int     // what a frame costs at least, and the smallest credit that is given
	given int     // sum over all devices
	rate  float64 // cost a second that the store takes while it is busy
	queue []*device
}

// newCredit shares out most bytes, in no more frames than the broker queues: what a device may send with the smallest
// credit is one frame.
func newCredit(most, messages int) credit {
	frame := min(max(most/messages, leastCredit), frameCost)
	return credit{most: most, frame: frame, rate: float64(firstBudget*frame) / drainTime.Seconds()}
}

// took learns how fast the store is from a round: of its cost and of what came meanwhile and is still left. A round of
// a few frames with nothing behind it says little of what a large one would take, so it can only raise the rate, and
// not beyond twice what was seen: a rate that nobody has seen would let a burst wait until its acks are overdue.
func (c *credit) took(cost, left int, busy time.Duration) {
	seen := float64(cost) / max(busy.Seconds(), 1e-4)
	if cost < telling*c.frame && left < telling*c.frame {
		c.rate = max(c.rate, min(2*c.rate, 2*seen, float64(c.most)))
		return
	}
	weight := min(max(busy.Seconds()/2, 1.0/8), 1.0/2) // a long round was taken for a short one: believe it
	c.rate += (min(seen, float64(c.most)) - c.rate) * weight
}

// budget is the sum that may be given: no more than the store takes before an ack would be overdue.
func (c *credit) budget() int {
	return min(c.most, max(int(c.rate*drainTime.Seconds()), min(minBudget*c.frame, c.most)))
}

// round is the cost of what one transaction should take: about a second of the store's work, so that acks come steadily.
func (c *credit) round() int { return max(int(c.rate), minRound*c.frame) }

// share is what each of the active devices may get.
func (c *credit) share(active int) int {
	return max(min(c.budget()/creditShare, c.budget()/max(active, 1)), c.frame)
}

// grant gives a device its share and returns it; 0 where there is none now: it then waits for a turn. A device keeps
// what it has, up to its share, even while the sum is above a budget that shrank.
func (c *credit) grant(d *device, active int, now time.Time) uint32 {
	share := min(c.share(active), max(c.budget()-(c.given-int(d.credit)), int(d.credit)))
	if share < c.frame {
		share = 0
	}
	if share == 0 && !d.waiting {
		d.waiting = true
		c.queue = append(c.queue, d)
	}
	if d.credit == 0 {
		d.since = now
	}
	c.given += share - int(d.credit)
	d.credit = uint32(share)
	return d.credit
}

// release takes back the credit of a device that is gone.
func (c *credit) release(d *device) {
	c.given -= int(d.credit)
	d.credit = 0
}

// turn passes credits on: devices that are gone lose theirs. While others wait, a credit above the share shrinks to it,
// and if that is not enough, one that was held for a turn goes to the next in line.
func (r *Receiver) turn(now time.Time) {
	c := &r.credit
	defer func() { r.stats.credit(c.given) }()
	if now.Sub(r.lastTurn) < creditTick {
		return
	}
	r.lastTurn = now
	var holders []*device
	active := r.active()
	share := uint32(c.share(active))
	for _, d := range r.devices {
		if _, mine := r.fence(d.name); !mine {
			r.disown(d)
			continue
		}
		if len(c.queue) > 0 && d.credit > share {
			c.grant(d, active, now)
			r.tell(d)
		}
		switch {
		case d.credit == 0:
		case now.Sub(d.heard) > activeFor:
			c.release(d)
		case len(c.queue) > 0 && now.Sub(d.since) > turnLength:
			holders = append(holders, d)
		}
	}
	for n := len(c.queue); n > 0; n-- { // whoever joins the line now waits for the next turn
		d := c.queue[0]
		for c.budget()-c.given < c.frame && len(holders) > 0 {
			h := holders[0]
			holders = holders[1:]
			c.release(h)
			r.tell(h)
			h.waiting = true
			c.queue = append(c.queue, h)
		}
		if d.credit == 0 && now.Sub(d.heard) <= activeFor {
			d.waiting = true
			if c.grant(d, active, now) == 0 {
				return
			}
			r.tell(d)
		}
		d.waiting = false
		c.queue = c.queue[1:]
	}
}

// tell sends a device nothing but its credit.
func (r *Receiver) tell(d *device) {
	if n := len(d.sessions); n > 0 {
		r.send(d.reply, &wire.Ack{Nonce: d.sessions[n-1].nonce, Credit: d.credit})
	}
}

// active counts the devices that may send.
func (r *Receiver) active() int { return r.stats.active() }
