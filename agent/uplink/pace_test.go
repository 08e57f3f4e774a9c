package uplink_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/wire"
)

// slowLink is a modem: bytes go up one after the other at a rate, answers come back after a while.
type slowLink struct {
	*world
	rate    int // bytes a second
	free    time.Time
	up      []onTheWay
	down    []onTheWay
	step    time.Duration
	backlog int // bytes of telemetry frames sent
}

type onTheWay struct {
	at time.Time
	m  wire.Message
}

// pass lets time pass; what waits for room in the link's buffer of a second waits in the sender, as behind TCP.
func (l *slowLink) pass(d time.Duration, every func()) {
	for end := l.now.Add(d); l.now.Before(end); l.now = l.now.Add(l.step) {
		every()
		l.s.Tick(l.now)
		for l.free.Before(l.now.Add(time.Second)) {
			m, ok := l.s.Next(l.now)
			if !ok {
				break
			}
			m = throughBytes(m)
			size := 200
			if d, ok := m.(*wire.Data); ok {
				size = len(d.Body) + 160
				if d.Stream == "telemetry" {
					l.backlog += size
				}
			}
			if l.free.Before(l.now) {
				l.free = l.now
			}
			l.free = l.free.Add(time.Duration(size) * time.Second / time.Duration(l.rate))
			l.up = append(l.up, onTheWay{l.free.Add(50 * time.Millisecond), m})
		}
		for len(l.up) > 0 && !l.up[0].at.After(l.now) {
			if a := l.hub.Handle(l.up[0].m); a != nil {
				l.down = append(l.down, onTheWay{l.now.Add(50 * time.Millisecond), a})
			}
			l.up = l.up[1:]
		}
		for len(l.down) > 0 && !l.down[0].at.After(l.now) {
			l.s.Received(l.down[0].m, l.now)
			l.down = l.down[1:]
		}
	}
}

// stored is how many records of a stream the hub has.
func (l *slowLink) stored(stream string) (n int) {
	for _, id := range l.hub.Epochs() {
		if e := l.hub.Epoch(id); e.Stream == stream {
			n += len(e.Rows)
		}
	}
	return n
}

// TestBacklogIsPaced: after an outage the backlog flows at its rate and not above, and what is live, alarms and a
// stream of its own without a backlog, is at the hub within two seconds at any time meanwhile, on a link that is a few
// times as fast as the backlog's rate. Once the stream has caught up it is live itself and no longer paced.
func TestBacklogIsPaced(t *testing.T) {
	const rate, linkRate, bound = 4000, 16_000, 2 * time.Second
	w := newWorld(1, 50, "telemetry", "alarms", "other")
	l := &slowLink{world: w, rate: linkRate, step: 10 * time.Millisecond}
	for range 200 {
		w.append(0, 50)
	}
	for _, log := range w.logs {
		log.Reopen()
	}
	o := w.options()
	o.Pace, o.Window = uplink.Pace{BacklogRate: rate}, 128<<10
	w.s = uplink.New(o, w.logs[0], w.logs[1], w.logs[2])
	w.connect()

	behind := l.total() - l.stored("telemetry")
	began, sentAt := w.now, map[string][]time.Time{}
	worst := time.Duration(0)
	live := func() {
		for i, name := range []string{"", "alarms", "other"} {
			if i == 0 {
				continue
			}
			if n := int(w.now.Sub(began) / time.Second); len(sentAt[name]) < n {
				w.append(i, 1)
				sentAt[name] = append(sentAt[name], w.now)
			}
			if k := l.stored(name); k < len(sentAt[name]) {
				worst = max(worst, w.now.Sub(sentAt[name][k]))
			}
		}
	}
	caught := time.Duration(0)
	for caught == 0 && w.now.Sub(began) < 30*time.Minute {
		l.pass(time.Second, live)
		if allowed := int(w.now.Sub(began).Seconds()*rate) + 64<<10; l.backlog > allowed {
			t.Fatalf("after %v the backlog has taken %d bytes, more than %d", w.now.Sub(began), l.backlog, allowed)
		}
		if l.stored("telemetry") == l.total() {
			caught = w.now.Sub(began)
		}
	}
	if caught == 0 {
		t.Fatalf("%d of %d records are there after half an hour", l.stored("telemetry"), behind)
	}
	if least := time.Duration(l.backlog-64<<10) * time.Second / rate; caught < least || caught < 20*time.Second {
		t.Errorf("the backlog took %v, it cannot have been paced", caught)
	}
	if worst > bound {
		t.Errorf("what is live was %v late while the backlog flowed, more than %v", worst, bound)
	}
	t.Logf("%d bytes of backlog in %v, live data at most %v late", l.backlog, caught, worst)

	// live, and more of it than the backlog's rate
	before, from := l.backlog, w.now
	for range 60 {
		w.append(0, 150)
		l.pass(time.Second, live)
	}
	if got := float64(l.backlog-before) / w.now.Sub(from).Seconds(); got < 1.2*rate {
		t.Errorf("live records flow at %.0f bytes a second, as if they were backlog", got)
	}
	l.pass(5*time.Second, live)
	if l.stored("telemetry") != l.total() || worst > bound {
		t.Errorf("%d of %d stored, at most %v late", l.stored("telemetry"), l.total(), worst)
	}
}

func (l *slowLink) total() int { return len(l.logs[0].Held()) }

// TestBudget: when the budget is used up alarms still go, and the rest when it begins anew.
func TestBudget(t *testing.T) {
	w := newWorld(1, 50, "telemetry", "alarms")
	l := &slowLink{world: w, rate: 8000, step: 10 * time.Millisecond}
	w.append(0, 2000)
	meter := uplink.NewMeter(uplink.Budget{PerHour: 20_000}, uplink.Usage{}, w.now)
	carried := uint64(0)
	o := w.options()
	o.Exhausted = func(now time.Time) bool {
		meter.Observe(carried, now, true)
		return meter.Exhausted() != ""
	}
	w.s = uplink.New(o, w.logs[0], w.logs[1])
	w.connect()
	count := func() { carried = uint64(l.backlog) }
	l.pass(time.Minute, count)
	sent := l.backlog
	if sent < 20_000 || sent > 20_000+64<<10 || l.stored("telemetry") >= 2000 {
		t.Fatalf("%d bytes, %d records with a budget of 20,000 bytes", sent, l.stored("telemetry"))
	}
	if u := w.s.Status(); u.Held != "budget" {
		t.Errorf("held back by %q", u.Held)
	}
	w.append(1, 3)
	l.pass(time.Minute, count)
	if l.stored("alarms") != 3 || l.backlog != sent {
		t.Errorf("alarms %d of 3, telemetry %d bytes more", l.stored("alarms"), l.backlog-sent)
	}
	l.step = 5 * time.Second
	l.pass(time.Hour, count)
	if l.backlog == sent {
		t.Error("nothing flows in the next hour")
	}
	for range 80 {
		l.pass(time.Hour, count)
	}
	if l.stored("telemetry") != 2000 {
		t.Errorf("%d of 2000 records are there", l.stored("telemetry"))
	}
}

// TestMeter: hours and months begin by a clock that is known; neither a restart in 1970 nor a clock that is set back
// gives a new budget.
func TestMeter(t *testing.T) {
	at := func(s string) time.Time {
		x, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	b := uplink.Budget{PerHour: 100, PerMonth: 1000}
	now := at("2026-11-28 10:30")
	m := uplink.NewMeter(b, uplink.Usage{}, now)
	want := func(what string) {
		t.Helper()
		if got := m.Exhausted(); got != what {
			t.Errorf("used up: %q, want %q (%+v)", got, what, m.Usage())
		}
	}
	m.Observe(99, now, true)
	want("")
	m.Observe(100, now, true)
	want("hour")
	m.Observe(100, at("2026-11-28 09:10"), true) // set back
	want("hour")
	u := m.Usage()

	m = uplink.NewMeter(b, u, at("1970-01-01 00:01")) // a restart without a clock
	m.Observe(0, at("1970-01-01 00:02"), false)
	want("hour")
	m.Observe(50, at("2026-11-28 09:20"), true) // told the time: the same hour
	want("hour")
	m.Observe(50, at("2026-11-28 11:00"), true)
	want("")
	if got := m.Usage(); got.MonthBytes != 150 || got.HourBytes != 0 {
		t.Errorf("usage %+v", got)
	}
	m.Observe(950, at("2026-11-28 12:00"), true)
	want("month")
	m.Observe(950, at("2026-11-30 12:00"), true)
	want("month")
	m.Observe(950, at("2026-12-01 00:00"), true)
	want("")
	m.Observe(1100, at("2026-12-01 00:00"), true)
	want("hour")

	m = uplink.NewMeter(b, m.Usage(), at("1970-01-01 00:01")) // and never told the time
	m.Observe(0, at("1970-01-01 00:40"), false)
	want("hour")
	m.Observe(0, at("1970-01-01 01:02"), false)
	want("")
	m.Observe(20, at("1970-01-01 01:02"), false)
	m.Observe(10, at("1970-01-01 01:03"), false) // the counter began anew
	m.Observe(15, at("1970-01-01 01:03"), false)
	if got := m.Usage().HourBytes; got != 25 {
		t.Errorf("%d bytes, want 25", got)
	}
}
