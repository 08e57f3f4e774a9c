package uplink

import "time"

// window bounds what was published and not yet acknowledged by the hub (A12).
type window struct {
	own     int    // own limit, bytes
	credit  uint32 // the hub's word; 0 until the answer
	slow    int    // after a rewind: one frame, doubling with each ack; 0: not in force
	flight  int    // bytes in flight
	frames  int    // frames in flight
	blocked bool   // the last attempt to send found no room
}

// room is how many bytes the next frame may take.
func (w *window) room() int {
	if w.slow > 0 && w.frames >= w.slow {
		return 0
	}
	return max(w.limit()-w.flight, 0)
}

// limit is how many bytes may be in flight.
func (w *window) limit() int { return min(w.own, int(w.credit)) }

// reserveFrom is the credit, in frames, from which on history leaves room for one frame of a stream that goes before it.
const reserveFrom = 4

// roomFor is the room of a stream. History leaves the cost of one frame free. A stream that goes before it may send one
// frame even where more is in flight than the credit, which has shrunk since then: it would wait for all of it.
func (w *window) roomFor(history, idle bool, cost int) int {
	room, credit := w.room(), w.limit()
	switch {
	case credit < reserveFrom*cost || w.slow > 0 && w.frames >= w.slow:
	case history:
		return max(room-cost, 0)
	case idle:
		return max(room, cost)
	}
	return room
}

func (w *window) add(size int) {
	w.flight += size
	w.frames++
}

func (w *window) remove(size int) {
	w.flight -= size
	w.frames--
}

func (w *window) shrink() { w.slow = 1 }

func (w *window) grow() {
	if w.slow *= 2; w.slow > maxSlowFrames {
		w.slow = 0
	}
}

// timer keeps the clocks of the sender: the time-outs of hello and ack, and the regular hello.
type timer struct {
	greeting time.Duration // current time-out of a hello; back to AckTimeout with an answer
	progress time.Duration // current time-out of frames; back to AckTimeout when a position rises
	ack      time.Time     // when the wait for either is over
	hello    time.Time     // when the next regular hello is due

	announced bool      // a hub has asked for that hello: the one that had taken what is in flight may be gone
	heard     time.Time // when an ack came last
}

// connected: a new connection may be what helps, so that a hub silent for long is asked sooner again, once.
func (t *timer) connected() {
	t.greeting = min(max(t.greeting, AckTimeout), maxFirstHello)
	t.progress = AckTimeout
}

func (t *timer) expired(now time.Time) bool { return !now.Before(t.ack) }

func (t *timer) helloDue(now time.Time) bool { return !now.Before(t.hello) }

// overdue: waiting for what is in flight before a hello that is due has taken long enough.
func (t *timer) overdue(now time.Time) bool { return !now.Before(t.patience()) }

// patience is until when a hello that is due waits for what is in flight. As long as acks come they are worth waiting for;
// after an announcement a short silence says that nobody is going to send them.
func (t *timer) patience() time.Time {
	regular := t.hello.Add(AckTimeout)
	if !t.announced {
		return regular
	}
	at := t.hello
	if t.heard.After(at) {
		at = t.heard
	}
	return earlier(at.Add(HubUpPatience), regular)
}

func (t *timer) hastenHello(at time.Time) {
	if at.Before(t.hello) {
		t.hello = at
	}
}

func doubled(d time.Duration) time.Duration { return min(2*d, MaxAckTimeout) }
