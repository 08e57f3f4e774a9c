package agent

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/clocksync"
	"github.com/edgelog/edgelog/internal/version"
)

// Resolution of stamps: one sweep has one stamp, rounded to it.
const stampResolution = int64(time.Millisecond)

// clock is the one place where stamps are made. It reads CLOCK_BOOTTIME, which no step of the wall clock moves, and
// what is known of its synchronisation (internal/clocksync).
type clock struct {
	boot string // kernel boot id

	mu   sync.Mutex
	hub  record.Anchor // best anchor that a hub's answer gave, zero if none
	lost bool          // the hub answers, and its own clock is not synchronised
	gps  gps
	last record.Anchor // what was last written to the streams
}

func newClock() (*clock, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read boot id: %w", err)
	}
	c := &clock{boot: strings.TrimSpace(string(b))}
	c.last = c.anchor()
	return c, nil
}

// bootTime is CLOCK_BOOTTIME in ns.
func bootTime() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		panic("agent: CLOCK_BOOTTIME cannot be read") // Linux 2.6.39 has it
	}
	return ts.Nano()
}

// stamp is now, at the streams' resolution.
func (c *clock) stamp() record.Stamp {
	t := bootTime()
	return record.Stamp{Time: t - t%stampResolution, Clock: record.ClockBoot}
}

// system reads the system clock beside the boot time.
func (c *clock) system() record.Anchor {
	before := bootTime()
	utc := time.Now().UnixNano()
	after := bootTime()
	a := record.Anchor{Boot: c.boot, BootTime: before + (after-before)/2, UTC: utc, Source: record.SourceSystem, State: "unsynchronised"}
	// That it cannot be read is what an unsynchronised clock is: edgectl doctor says more.
	if s, err := clocksync.Read(); err == nil && s.Synchronised {
		a.Source, a.State = record.SourceNTP, "synchronised"
		a.Error = int64(s.Bound) + (after - before)
	}
	return a
}

// anchor is the best anchor there is now: the synchronised system clock, else the time of a hub or a GPS receiver, that
// with the smaller error, else the guess.
func (c *clock) anchor() record.Anchor {
	a := c.system()
	if a.Good() {
		return a
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	hub, gps := c.hub, c.gps.best
	switch {
	case gps.Good() && (!hub.Good() || gps.Error < hub.Error):
		return gps
	case hub.Good():
		return hub
	}
	return a
}

// hubTime takes a hub's time from an answer that echoed our nonce: at is the boot time in the middle of the round
// trip, bound half of it. A hub that is itself not synchronised is no anchor.
func (c *clock) hubTime(at, utc, bound int64, synced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost = !synced; c.lost {
		return
	}
	a := record.Anchor{Boot: c.boot, BootTime: at, UTC: utc, Error: bound, Source: record.SourceHub, State: "synchronised"}
	if !c.hub.Good() || a.Error < c.hub.Error {
		c.hub = a
	}
}

// free says why there is no time: nobody who could tell it knows it.
func (c *clock) free() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return "nobody has told this machine the time, and the hub's own clock is not synchronised either"
	}
	return "nobody has told this machine the time"
}

// stepThreshold is how far the synchronised clock may move against boot time before that is a new anchor.
const stepThreshold = int64(100 * time.Millisecond)

// changed returns an anchor to write to the streams if the clock's state is no longer what they hold: it became
// synchronised, got a much better bound, or stepped.
func (c *clock) changed() (record.Anchor, bool) {
	now := c.anchor()
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.last
	moved := (now.UTC - now.BootTime) - (was.UTC - was.BootTime)
	switch {
	case now.Good() && !was.Good(), now.Good() && now.Source == was.Source && now.Error < was.Error/4:
	case now.Good() && abs(moved) > stepThreshold+now.Error+was.Error:
		now.State = "stepped"
	default:
		return record.Anchor{}, false
	}
	c.last = now
	return now, true
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// opening is what a new epoch of a stream begins with.
func (c *clock) opening(version string) []record.Record {
	a := c.anchor()
	r, err := record.MarkRecord(record.KindBoot, c.stamp(), record.BootMark{Anchor: a, Resolution: stampResolution, Agent: version})
	if err != nil {
		panic("agent: boot mark cannot be encoded: " + err.Error())
	}
	return []record.Record{r}
}

// now is the time at which certificates are verified: the best anchor's UTC, but never before the build, so that a
// box that believes in 1970 can still connect.
func (c *clock) now() time.Time {
	a := c.anchor()
	t := time.Unix(0, a.UTC+bootTime()-a.BootTime)
	if floor := version.Built(); t.Before(floor) {
		return floor
	}
	return t
}
