package uplink_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/wire"
)

// sendAll pumps while the sender has something to send, a little time apart, and returns the bytes that went to the hub by stream.
func (w *world) sendAll(t *testing.T) map[string]int {
	t.Helper()
	sent := map[string]int{}
	for range 1000 {
		w.now = w.now.Add(time.Microsecond)
		if w.pump(1) == 0 {
			return sent
		}
		if d, ok := w.up[len(w.up)-1].(*wire.Data); ok {
			sent[d.Stream] += bytesOf(d)
		}
	}
	t.Fatal("it sends without end")
	return nil
}

// greet brings the hello to the hub and its answer back.
func (w *world) greet() {
	w.connect()
	w.pump(1)
	w.hubTakes(take(&w.up, 0))
	w.s.Received(take(&w.down, 0), w.now)
}

// TestBacklogLeavesHalfOfTheWindow: paced backlog of all streams together, however fast its rate, fills half of what may be in
// flight and no more, so that what is live finds room while no ack comes.
func TestBacklogLeavesHalfOfTheWindow(t *testing.T) {
	const credit, frame = 40_000, 2_000 // one frame of 50 records is a little smaller
	w := newWorld(1, 50, "telemetry", "metrics", "live")
	w.hub.Credit = credit
	w.append(0, 2000)
	w.append(1, 2000)
	o := w.options()
	o.Pace = uplink.Pace{BacklogRate: 1 << 40}
	w.s = uplink.New(o, w.logs[0], w.logs[1], w.logs[2])
	w.greet()

	sent := w.sendAll(t)
	if n := sent["telemetry"] + sent["metrics"]; n > credit/2+frame || n < credit/2-frame {
		t.Errorf("%d bytes of backlog are in flight, of a window of %d", n, credit)
	}
	if sent["telemetry"] == 0 || sent["metrics"] == 0 {
		t.Errorf("streams of one rank take turns: %v", sent)
	}
	w.append(2, 250)
	if sent = w.sendAll(t); sent["live"] < 250*32 || sent["telemetry"]+sent["metrics"] != 0 {
		t.Errorf("with half of the window full of backlog goes %v", sent)
	}
	w.settle(time.Hour)
	for _, wrong := range w.check() {
		t.Error(wrong)
	}
}

// TestLowerRankLeavesTheRoomThatIsWaitedFor: an alarm's frame that does not fit any more waits for an ack. Small frames of
// telemetry that would fit must not take that room, again and again, before it.
func TestLowerRankLeavesTheRoomThatIsWaitedFor(t *testing.T) {
	const credit = 4_500 // two frames of 50 alarms, and some of one record
	w := newWorld(1, 50, "telemetry", "alarms")
	w.hub.Credit = credit
	w.logs[0].Batch = 1
	w.append(0, 20)
	w.append(1, 150)
	w.greet()

	sent := w.sendAll(t)
	if sent["alarms"] < 100*32 || sent["alarms"] >= 150*32 || sent["telemetry"] != 0 {
		t.Fatalf("while alarms wait for room, %v bytes went", sent)
	}
	w.hubTakes(take(&w.up, 0))
	w.s.Received(take(&w.down, 0), w.now)
	if sent = w.sendAll(t); sent["alarms"] < 50*32 {
		t.Errorf("with the first ack went %v", sent)
	}
	if sent["telemetry"] == 0 {
		t.Errorf("no alarm waits any more, and what is free stays so: %v", sent)
	}
	w.settle(time.Hour)
	for _, wrong := range w.check() {
		t.Error(wrong)
	}
}
