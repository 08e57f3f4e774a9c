package receive_test

import (
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
)

// TestAlarmsAreTakenBeforeHistory: a backlog that waits at a slow store holds an alarm up for one round, not for all.
func TestAlarmsAreTakenBeforeHistory(t *testing.T) {
	run(t, receive.Options{MaxRows: 100, Linger: -1}, func(r *rig) {
		r.fail(func(op string) (error, error) {
			if op == "commit" {
				time.Sleep(time.Second)
			}
			return nil, nil
		})
		history, alarm := r.epoch(1, "telemetry", 5000), r.epoch(2, "alarms", 3)
		for o := record.Offset(0); o < 5000; o += 100 {
			r.handle("box", r.data(history, o, o+100))
		}
		time.Sleep(100 * time.Millisecond) // a round of history is under way
		r.handle("box", r.data(alarm, 0, 3))
		acks := r.wait("box", 2500*time.Millisecond)
		at := 0
		for i, a := range acks {
			for _, p := range a.Positions {
				if p.Stream == "alarms" && p.Next == 3 {
					at = i + 1
				}
			}
		}
		if at != 2 {
			t.Errorf("the alarm was acknowledged with ack %d of %d, want the second", at, len(acks))
		}
		r.wait("box", time.Minute)
		if n := len(r.store.Rows("box", "telemetry", 1)); n != 5000 {
			t.Errorf("%d rows of history, want 5000", n)
		}
	})
}
