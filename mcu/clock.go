package mcu

import "time"

// ticks relates a node's milliseconds since boot to the box's boot time. Each exchange bounds the moment at which the
// node looked at its counter: not before the last byte of the question was sent, not after the first of the answer
// came. The narrowest bound counts, widened by what the node's clock may have drifted since.
type ticks struct {
	valid   bool
	base    int64 // ns of the box at which the node's counter was 0
	err     int64 // ns: the truth lies within base ± err, at the time `at`
	at      int64 // ns of the box
	lastAt  int64 // of the last observation
	wraps   int64 // ms beyond 32 bits that have passed
	lastMS  uint32
	firstAt int64 // for the drift
	firstB  int64
	firstE  int64
	drift   float64 // relative: positive if the node's clock is slow
	driftE  float64 // bound of its error
}

// window is when an exchange happened, ns of the box's boot time, and how long its two frames took on the wire.
type window struct {
	sent, received int64
	out, back      time.Duration
}

// observe takes a counter that was read within the window.
func (t *ticks) observe(ms uint32, w window) {
	lo, hi := w.sent+int64(w.out), w.received-int64(w.back)
	if hi < lo { // faster than the wire: a simulated one
		lo, hi = w.sent, w.received
	}
	if t.valid && ms < t.lastMS {
		t.wraps += 1 << 32
	}
	t.lastMS = ms
	mid, half := lo+(hi-lo)/2, (hi-lo)/2+int64(time.Millisecond)
	base := mid - (t.wraps+int64(ms))*int64(time.Millisecond)
	if !t.valid {
		*t = ticks{valid: true, base: base, err: half, at: mid, lastAt: mid, wraps: t.wraps, lastMS: ms, firstAt: mid, firstB: base, firstE: half}
		return
	}
	t.lastAt = mid
	age := mid - t.at
	predicted := t.base + int64(float64(age)*t.drift)
	grown := t.err + int64(float64(age)*worstDrift)
	if half <= grown || abs(base-predicted) > grown+half {
		t.base, t.err, t.at = base, half, mid
	}
	if half < t.firstE && mid-t.firstAt < int64(time.Minute) { // a narrower start makes a better slope
		t.firstAt, t.firstB, t.firstE = mid, base, half
	}
	if span := mid - t.firstAt; span > int64(time.Minute) {
		drift, bound := float64(t.base-t.firstB)/float64(t.at-t.firstAt+1), float64(t.err+t.firstE)/float64(span)
		if bound < worstDrift*10 {
			t.drift, t.driftE = drift, bound
		}
	}
}

// time is the box's boot time, ns, of an event that the node stamped no more than 49 days before the last observation,
// and the bound of its error.
func (t *ticks) time(ms uint32) (at, err int64) {
	age, since := int64(t.lastMS-ms)*int64(time.Millisecond), t.lastAt-t.at // age is modulo 2³² ms
	now := t.base + int64(float64(since)*t.drift) + (t.wraps+int64(t.lastMS))*int64(time.Millisecond)
	return now - age - int64(float64(age)*t.drift), t.err + int64(float64(age+since)*worstDrift)
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// wall is a node's clock chip as its four registers hold it.
type wall struct{ year, monthDay, hourMinute, secondWeekday uint16 }

func wallOf(t time.Time) []uint16 {
	weekday := (int(t.Weekday()) + 6) % 7
	return []uint16{uint16(t.Year()), uint16(t.Month())<<8 | uint16(t.Day()), uint16(t.Hour())<<8 | uint16(t.Minute()),
		uint16(t.Second())<<8 | uint16(weekday+1)}
}

// parseWall reads the registers from RegClock on as a time of the zone.
func parseWall(w []uint16, zone *time.Location) (t time.Time, state uint16, err error) {
	if len(w) < 5 {
		return time.Time{}, 0, ErrShort
	}
	r := wall{w[0], w[1], w[2], w[3]}
	return time.Date(int(r.year), time.Month(r.monthDay>>8), int(r.monthDay&0xff), int(r.hourMinute>>8), int(r.hourMinute&0xff),
		int(r.secondWeekday>>8), 0, zone), w[4], nil
}
