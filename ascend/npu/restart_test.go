package npu

import (
	"testing"
	"time"
	"unsafe"
)

// clockSet is a time as it is told after the wall clock was set forward; the monotonic clock goes on.
func clockSet(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30 // the seconds of package time's wall clock
	return t
}

// A call does not hang because somebody sets the clock.
func TestClockSetDuringACall(t *testing.T) {
	w := &Worker{}
	s, m := newSession(nil, 0, Model{Deadline: time.Second}, nil, nil), newMonitor(w)
	s.enter()
	m.call.begin()
	for _, by := range []time.Duration{-10 * time.Hour, 10 * time.Hour, 200000 * time.Hour} {
		now := clockSet(time.Now(), by)
		if d := now.Round(0).Sub(time.Now().Round(0)); d < by-time.Minute || d > by+time.Minute {
			t.Fatalf("the clock was set by %v", d) // package time has changed
		}
		if d := s.stuck(now); d < 0 || d > time.Minute {
			t.Errorf("set by %v: a call lasts for %v", by, d)
		}
		m.hung(now) // would have no map to declare it in
	}
	if d := s.stuck(time.Now().Add(time.Hour)); d < time.Hour {
		t.Errorf("a call of an hour lasts for %v", d)
	}
}
