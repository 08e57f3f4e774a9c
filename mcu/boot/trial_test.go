package boot_test

import (
	"testing"
	"testing/synctest"

	"github.com/edgelog/edgelog/mcu/boot"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

// TestTrial: an image that is staged, tried, and reverted or kept by separate orders, as an update of a whole box has it.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kind
		for _, x := range kinds() {
			if x.name == boot.ProtocolSMP {
				k = x
			}
		}
		old, now := k.image(1), k.image(2)
		l := &target.Line{Chip: k.make(old)}
		l.Chip.Power(true)
		defer l.Chip.Power(false)
		fresh, err := boot.Parse(now, 0)
		if err != nil {
			t.Fatal(err)
		}
		order := func(j boot.Job, keep bool) {
			t.Helper()
			f := boot.NewSMP(l, boot.SMPOptions{})
			j.Flasher, j.Image, j.Confirm = f, fresh, f.Confirm
			if keep {
				j.Keep = f.Keep
			}
			if _, err := boot.Update(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		runs := func(what string, file []byte) {
			t.Helper()
			if !k.holds(l.Chip, file) {
				t.Fatalf("%s: another image runs", what)
			}
		}
		revert := func(wantKept bool) {
			t.Helper()
			if _, kept, err := boot.NewSMP(l, boot.SMPOptions{}).Revert(t.Context(), fresh); err != nil || kept != wantKept {
				t.Fatalf("revert: kept %t, %v", kept, err)
			}
		}
		restart := func() { l.Chip.Power(false); l.Chip.Power(true) }

		order(boot.Job{Stage: true}, false)
		runs("staged", old)
		restart()
		runs("staged, and restarted", old)
		revert(false) // nothing is on trial
		runs("nothing to revert", old)
		order(boot.Job{}, false)
		runs("on trial", now)
		revert(false)
		runs("reverted", old)
		order(boot.Job{}, false)
		restart() // the power was cut
		runs("a restart ends a trial", old)
		order(boot.Job{}, false)
		s := boot.NewSMP(l, boot.SMPOptions{})
		if _, running, err := s.Settle(t.Context(), fresh); err != nil || !running {
			t.Fatalf("settle: %t, %v", running, err)
		}
		restart()
		runs("kept", now)
		revert(true)
		runs("kept for good", now)
		before, err := boot.Parse(old, 0)
		if err != nil {
			t.Fatal(err)
		}
		if version, running, err := boot.NewSMP(l, boot.SMPOptions{}).Settle(t.Context(), before); err != nil || running || version != "1.2.0" {
			t.Errorf("settle an image that does not run: %q, %t, %v", version, running, err)
		}
	})
}
