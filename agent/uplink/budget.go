package uplink

import "time"

// Budget bounds the bytes that the link carries, both ways, as MQTT packets. When either is used up, only the stream
// alarms is sent, and hellos, until the next hour or month. 0: no bound.
type Budget struct {
	PerHour, PerMonth uint64
}

// Usage is how much of the hour and the month was used. It is kept over restarts.
type Usage struct {
	Hour       int64  `json:"hour"` // since 1970; of the clock that was known then
	HourBytes  uint64 `json:"hour_bytes"`
	Month      string `json:"month"` // 2026-11, UTC
	MonthBytes uint64 `json:"month_bytes"`
}

// Meter counts what a link carries against a budget. A new hour and month begin by a clock that is known: a box that
// starts in 1970 goes on counting in the hour and month of its last life until it is told the time, and so does one
// whose clock is set back. Without any clock they begin when an hour or 31 days have passed since the program started
// or the last one began. The zero value bounds nothing. It is not safe for concurrent use.
type Meter struct {
	Budget
	usage       Usage
	hour, month time.Time // when they began, by the monotonic clock
	carried     uint64    // the link's counter at the last look
}

// NewMeter goes on where an earlier run has stopped.
func NewMeter(b Budget, u Usage, now time.Time) *Meter {
	return &Meter{Budget: b, usage: u, hour: now, month: now}
}

const (
	hourLength  = time.Hour
	monthLength = 31 * 24 * time.Hour
)

// Observe takes the link's counter, which rises from the start of the program, and the time. known: now is UTC, and
// not just what the machine began with.
func (m *Meter) Observe(carried uint64, now time.Time, known bool) {
	m.roll(now, known)
	n := carried - min(carried, m.carried)
	m.carried = carried
	m.usage.HourBytes += n
	m.usage.MonthBytes += n
}

func (m *Meter) roll(now time.Time, known bool) {
	hour, month := now.Unix()/3600, now.UTC().Format("2006-01")
	if known && hour > m.usage.Hour || !known && now.Sub(m.hour) >= hourLength {
		m.usage.HourBytes, m.hour = 0, now
	}
	if known && month > m.usage.Month || !known && now.Sub(m.month) >= monthLength {
		m.usage.MonthBytes, m.month = 0, now
	}
	if known { // a clock that was set back counts on in its own hour
		m.usage.Hour, m.usage.Month = hour, month
	}
}

// Usage is what was used.
func (m *Meter) Usage() Usage { return m.usage }

// Exhausted names the bound that is used up: "hour", "month" or "".
func (m *Meter) Exhausted() string {
	switch {
	case m.PerMonth > 0 && m.usage.MonthBytes >= m.PerMonth:
		return "month"
	case m.PerHour > 0 && m.usage.HourBytes >= m.PerHour:
		return "hour"
	}
	return ""
}
