package collect

import "time"

// nextTick is the start of the sweep after the one that was due at target; now is when the timer of that one fired.
// Targets are multiples of the interval on the wall clock. The clock may have been slewed, so that the timer fired a
// little before the target, or set by any amount in either direction meanwhile.
func nextTick(now, target time.Time, interval time.Duration) time.Time {
	if early := target.Sub(now); early > 0 && early <= interval/2 {
		return target.Add(interval)
	}
	return now.Truncate(interval).Add(interval)
}

// lateness is how long after its time a timer fired, and how many whole sweeps were passed over by that. It is
// counted on the monotonic clock: setting the wall clock makes nothing late.
func lateness(slept, wanted, interval time.Duration) (late time.Duration, passed int) {
	late = max(slept-wanted, 0)
	return late, int(late / interval)
}
