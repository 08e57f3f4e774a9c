package agent

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/version"
)

// gps turns the times that a receiver tells into an anchor.
//
// A sentence tells a second that began some time before its first byte came, at most its delay: so each gives a bound on
// both sides. Sentences that came sooner give the better anchor, and the crystal of the box drifts little, so that the
// soonest of some minutes counts. A single time that contradicts the ones before (a receiver without satellites that
// guesses) changes nothing; three that agree do.
type gps struct {
	best  record.Anchor
	taken int64 // boot time at which best came
	odd   int64 // UTC minus boot time of the latest one that contradicted
	odds  int   // such ones in a row that agree
}

const (
	gpsRenew   = int64(10 * time.Minute) // an anchor is replaced after that by any new one: crystals drift
	written    = 2025                    // before this year was no such program, whatever a build says of itself
	gpsConfirm = 3                       // times that agree, before a contradiction or a first time is believed
)

// take notes a time; boot is when its first byte came.
func (g *gps) take(bootID string, boot int64, utc time.Time, delay time.Duration) {
	half := int64(delay / 2)
	a := record.Anchor{Boot: bootID, BootTime: boot, UTC: utc.UnixNano() + half, Error: half, Source: record.SourceGPS, State: "synchronised"}
	offset := a.UTC - a.BootTime
	was := g.best.UTC - g.best.BootTime
	if !g.best.Good() || abs(offset-was) > int64(delay)+int64(delay)/10 {
		if g.odds > 0 && abs(offset-g.odd) > int64(delay) {
			g.odds = 0
		}
		g.odd = offset
		if g.odds++; g.odds >= gpsConfirm {
			g.best, g.taken, g.odds = a, boot, 0
		}
		return
	}
	g.odds = 0
	if offset > was || boot-g.taken > gpsRenew { // it came sooner after its second
		g.best, g.taken = a, boot
	}
}

// gpsTime is what a receiver's driver tells: utc was true at most delay before at. A receiver whose weeks ran over tells
// a time 19.6 years ago, before this program was built: that is none.
func (c *clock) gpsTime(utc, at time.Time, delay time.Duration) {
	if utc.Year() < written || utc.Before(version.Built()) {
		return
	}
	boot := bootTime() - int64(time.Since(at))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gps.take(c.boot, boot, utc, delay)
}
