package hub

import (
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/term"
)

// TestRolloutText: one screen of 80 columns, what went wrong first.
func TestRolloutText(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	v := &fleet.View{ID: "R-58", Release: "2026.11.3", State: rollout.Aborted, Since: at, By: "ann", Devices: 57, Done: 53, Failed: 3, Running: 1,
		Reason: "3 of 56 devices ended [ROLLED_BACK FAILED INCONSISTENT], the limit is 3 %",
		Waves: []fleet.WaveView{{Name: "lab", State: "ended", Devices: 2, Done: 2}, {Name: "canary", State: "aborted", Devices: 55, Done: 51, Failed: 3, Running: 1},
			{Name: "all", State: "cancelled"}},
		Jobs: []fleet.JobView{
			{Device: "box-0017", Wave: "canary", State: "ROLLED_BACK", Since: at, Attempt: 1, Reason: "UPD-HEALTH",
				Detail: "within 10m0s: ingest: 0.0 readings/s, before the update 118.2\nand more"},
			{Device: "box-0018", Wave: "canary", State: rollout.Told, Doing: "DOWNLOADING", Since: at, Done: 5 << 20, Total: 200 << 20, Online: true},
			{Device: "box-0001", Wave: "lab", State: "COMMITTED", Since: at, Online: true}}}
	a := &app{Env: Env{Now: func() time.Time { return at.Add(time.Minute) }, Zone: time.UTC, Style: term.Style{UTF8: true}}}
	text := a.rolloutText(v)
	want := `R-58   release 2026.11.3   ABORTED since 12:00   by ann
   3 of 56 devices ended [ROLLED_BACK FAILED INCONSISTENT], the limit is 3 %

WAVE    STATE      DEVICES  DONE  RUNNING  QUEUED  FAILED  OFFLINE
lab     ended            2     2        0       0       0        0
canary  aborted         55    51        1       0       3        0
all     cancelled        0     0        0       0       0        0
all                     57    53        1       0       3        0

DEVICE    WAVE    STATE        SINCE  PROGRESS
box-0017  canary  ROLLED_BACK  12:00  UPD-HEALTH within 10m0s: ingest: 0.0 …
box-0018  canary  DOWNLOADING  12:00  5.0 MiB of 200 MiB
1 more devices; -o wide shows them
`
	if text != want {
		t.Errorf("%s", text)
	}
	for line := range strings.Lines(text) {
		if n := term.Columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
