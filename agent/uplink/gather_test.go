package uplink_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/wire"
)

// TestGatherJoinsSmallBatches: batches that wait behind each other go as one frame, and what the hub has then is the
// same as without.
func TestGatherJoinsSmallBatches(t *testing.T) {
	for _, on := range []bool{false, true} {
		w := newWorld(7, 4, "telemetry")
		w.gather = on
		w.start()
		for range 60 {
			w.append(0, 4)
		}
		w.connect()
		for range 4 {
			w.pump(1)
			for len(w.up) > 0 {
				if _, data := w.up[0].(*wire.Data); data {
					break
				}
				w.hubTakes(take(&w.up, 0))
			}
			for len(w.down) > 0 {
				w.s.Received(take(&w.down, 0), w.now)
			}
		}
		w.pump(100)
		frames, records := 0, uint32(0)
		for _, m := range w.up {
			if d, ok := m.(*wire.Data); ok {
				frames++
				records += d.Count
			}
		}
		if records < 200 {
			t.Fatalf("gather %v: only %d records under way in %d frames", on, records, frames)
		}
		if on && frames > 4 || !on && frames < 40 {
			t.Errorf("gather %v: %d records in %d frames", on, records, frames)
		}
		w.settle(time.Hour)
		if wrong := w.check(); len(wrong) > 0 {
			t.Errorf("gather %v: %v", on, wrong)
		}
	}
}

// TestGatherAtTheSmallestCredit: a busy hub gives each device one frame at a time; then above all a backlog must not
// go batch by batch.
func TestGatherAtTheSmallestCredit(t *testing.T) {
	w := newWorld(7, 4, "telemetry")
	w.gather = true
	w.hub.Credit = uplink.DefaultFrameCost
	w.start()
	for range 60 {
		w.append(0, 4)
	}
	w.settle(time.Hour)
	if wrong := w.check(); len(wrong) > 0 {
		t.Error(wrong)
	}
	if n := w.s.Status().Frames; n > 4 {
		t.Errorf("60 small batches went in %d frames", n)
	}
}
