package collect

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// Missed is a reason why a reading that was due did not get into the log.
type Missed uint8

// The reasons.
const (
	MissedNoDevice  Missed = iota // the device or bus is not there
	MissedTimeout                 // the sensor as a whole did not answer in time
	MissedBus                     // the bus or adapter failed
	MissedConfig                  // the sensor refuses its configuration
	MissedError                   // the sensor failed in another way
	MissedLate                    // the sweep before was not done, or the box was too busy
	MissedFull                    // the log is full
	MissedBacklog                 // too many readings wait for the disk
	MissedStopped                 // the agent or the source was stopped meanwhile
	MissedRefused                 // the log or its bounds refused the reading
	MissedMalformed               // what came through a door is not in the form agreed
	MissedSeries                  // beyond a door's limit of series
	MissedTooLarge                // beyond a bound in bytes
	MissedGap                     // the sender's numbers show that messages were lost on the way
	MissedUnknown                 // of a sender that never announced itself
	MissedOverload                // the log is slower than a door that cannot wait
	missedReasons
)

// String is the form that CLI and JSON show.
func (m Missed) String() string {
	return [...]string{"no-device", "timeout", "bus", "config", "error", "late", "full", "backlog", "stopped",
		"refused", "malformed", "series", "too-large", "gap", "unknown", "overloaded", "?"}[min(m, missedReasons)]
}

// missedBySensor names the reason of an error of Open or Read.
func missedBySensor(err error) Missed {
	switch {
	case errors.Is(err, drivers.ErrNoDevice):
		return MissedNoDevice
	case errors.Is(err, drivers.ErrTimeout) || errors.Is(err, context.DeadlineExceeded):
		return MissedTimeout
	case errors.Is(err, drivers.ErrBus):
		return MissedBus
	case errors.Is(err, drivers.ErrConfig):
		return MissedConfig
	}
	return MissedError
}

// missedByLog names the reason of an error of Append, Define or Wait.
func missedByLog(err error) Missed {
	switch {
	case errors.Is(err, ErrFull) || errors.Is(err, context.DeadlineExceeded):
		return MissedFull
	case errors.Is(err, ErrStopped) || errors.Is(err, context.Canceled):
		return MissedStopped
	}
	return MissedRefused
}

// account is what is counted of one source. It outlives a reconfiguration.
type account struct {
	mu        sync.Mutex
	taken     uint64
	missed    [missedReasons]uint64
	quality   [256]uint64
	sweeps    uint64
	lateSum   time.Duration
	lateMax   time.Duration
	lateCount uint64

	expect    int // readings of a sweep
	busySince time.Time
	last      record.Stamp // start of the latest sweep
	lastErr   string
	errStamp  record.Stamp
	failing   int          // failed sweeps in a row
	since     record.Stamp // of the first of them
	dead      string       // the error told to Events, "" if none
	refusing  []string     // the same for streams: those whose log takes nothing
	unchanged uint64       // readings that a rule keeps out of the log, because they say nothing new
	upSince   time.Time    // of a door; zero: it is down
	window    time.Time    // start of the hour of newSeries
	newSeries int
	told      bool // the limit was told in this hour
}

func (a *account) countMissed(m Missed, n int) {
	a.mu.Lock()
	a.missed[m] += uint64(n)
	a.mu.Unlock()
}

func (a *account) countTaken(n int) {
	a.mu.Lock()
	a.taken += uint64(n)
	a.mu.Unlock()
}

// begin notes that a sweep starts. late < 0: it was not scheduled.
func (a *account) begin(at record.Stamp, late time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeps++
	a.last, a.busySince = at, time.Now()
	if late >= 0 {
		a.lateCount++
		a.lateSum += late
		a.lateMax = max(a.lateMax, late)
	}
}

// skipped counts n sweeps that could not start. hung is set when the read under way is beyond its time.
func (a *account) skipped(n int, timeout time.Duration) (hung bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	hung = !a.busySince.IsZero() && time.Since(a.busySince) > timeout
	why := MissedLate
	if hung {
		why = MissedTimeout
	}
	a.missed[why] += uint64(n * max(a.expect, 1))
	return hung
}

// end notes the outcome of a sweep that gave got readings. It returns what to tell: dead (with its since) or back.
func (a *account) end(got int, err error, stopping bool) (dead, back bool, since record.Stamp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busySince = time.Time{}
	a.expect = max(a.expect, got)
	if err == nil {
		back = a.dead != ""
		a.failing, a.dead = 0, ""
		return false, back, record.Stamp{}
	}
	why := missedBySensor(err)
	if stopping {
		why = MissedStopped
	}
	if n := max(a.expect, 1) - got; n > 0 {
		a.missed[why] += uint64(n)
	}
	if stopping {
		return false, false, record.Stamp{}
	}
	if a.failing++; a.failing == 1 {
		a.since = a.last
	}
	a.lastErr, a.errStamp = err.Error(), a.last
	return a.failing >= faultAfter && a.tell(a.lastErr), false, a.since
}

// hang notes that a read does not return; it reports whether that is to be told.
func (a *account) hang() (tell bool, since record.Stamp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failing == 0 {
		a.failing, a.since = 1, a.last
	}
	a.lastErr, a.errStamp = errHangs.Error(), a.last
	return a.tell(a.lastErr), a.since
}

func (a *account) tell(err string) bool {
	if a.dead == err {
		return false
	}
	a.dead = err
	return true
}

// logOutcome reports whether the state of a stream's log changed: refused, or back.
func (a *account) logOutcome(stream string, err error) (refused, back bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.refusing, stream)
	switch {
	case err == nil && i >= 0:
		a.refusing = slices.Delete(a.refusing, i, i+1)
		return false, true
	case err != nil && i < 0:
		a.refusing = append(a.refusing, stream)
		return true, false
	}
	return false, false
}

func (a *account) countUnchanged(n int) {
	a.mu.Lock()
	a.unchanged += uint64(n)
	a.mu.Unlock()
}

// admit reports whether a source may make one more series in this hour; first is set for the first refusal in it.
func (a *account) admit(now time.Time, limit int) (ok, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.window.IsZero() || now.Sub(a.window) >= time.Hour {
		a.window, a.newSeries, a.told = now, 0, false
	}
	if a.newSeries < limit {
		a.newSeries++
		return true, false
	}
	first, a.told = !a.told, true
	return false, first
}

// hourOver reports whether refused series may try again.
func (a *account) hourOver(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Sub(a.window) >= time.Hour
}

// note keeps an error that costs no reading for display.
func (a *account) note(err error) {
	a.mu.Lock()
	a.lastErr, a.errStamp = err.Error(), a.last
	a.mu.Unlock()
}

func (a *account) countQuality(n *[256]uint32) {
	a.mu.Lock()
	for q, c := range n {
		a.quality[q] += uint64(c)
	}
	a.mu.Unlock()
}

// tellLimit reports whether the limit was not told in this hour yet.
func (a *account) tellLimit() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.told
	a.told = true
	return first
}

// faults reports what Events were told last: the source dead, the streams whose log refuses.
func (a *account) faults() (dead bool, refusing []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead != "", slices.Clone(a.refusing)
}

// up notes that a door is open. It counts as well again when it stays so, see settled.
func (a *account) up(now time.Time) {
	a.mu.Lock()
	a.upSince = now
	a.mu.Unlock()
}

// down notes that a door failed at the stamp; it reports whether that is to be told, and since when it fails.
func (a *account) down(err error, at record.Stamp) (tell bool, since record.Stamp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.upSince = time.Time{}
	if a.failing++; a.failing == 1 {
		a.since = at
	}
	a.lastErr, a.errStamp = err.Error(), at
	return a.failing >= faultAfter && a.tell(a.lastErr), a.since
}

// arrived notes that a message of a door is in the log; it reports whether the source is back by that.
func (a *account) arrived(at record.Stamp) (back bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweeps++
	a.last = at
	return a.well()
}

// settled reports whether a door is back because it stayed open.
func (a *account) settled(now time.Time) (back bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failing > 0 && !a.upSince.IsZero() && now.Sub(a.upSince) >= upSteady && a.well()
}

// well ends a run of failures. a.mu is held.
func (a *account) well() (back bool) {
	back = a.dead != ""
	a.failing, a.dead = 0, ""
	return back
}
