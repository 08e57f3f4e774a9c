package update_test

import (
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/fleetwire"
)

// TestTrustIsTheNewest: metadata that came over MQTT counts before any release has come, and so does that of a stick which
// is newer.
func TestTrustIsTheNewest(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	gate := func(s update.Situation) (verdict, text string) {
		s.Now, s.Rooted = now, true
		for _, g := range s.Show().Gates {
			if g.Name == "signed and fresh" {
				return g.Verdict, g.Text
			}
		}
		t.Fatal("no such gate")
		return "", ""
	}
	fetched := &fleetwire.Reported{Root: 1, Timestamp: 7, Expires: now.Add(time.Hour)}
	if verdict, text := gate(update.Situation{Report: &update.Report{}, Remote: fetched}); verdict != api.GateOpen || !strings.Contains(text, "timestamp v7") {
		t.Errorf("fetched: %s, %s", verdict, text)
	}
	if verdict, text := gate(update.Situation{Report: &update.Report{}, Remote: &fleetwire.Reported{}}); verdict != api.GateUnknown {
		t.Errorf("nothing came: %s, %s", verdict, text)
	}
	stick := &update.Report{Expires: now.Add(2 * time.Hour)}
	stick.Trust.Root, stick.Trust.Timestamp = 1, 9
	if verdict, text := gate(update.Situation{Report: stick, Remote: fetched}); verdict != api.GateOpen || !strings.Contains(text, "timestamp v9") {
		t.Errorf("a newer stick: %s, %s", verdict, text)
	}
	if verdict, text := gate(update.Situation{Report: &update.Report{Expires: now.Add(-2 * time.Hour)}, Remote: &fleetwire.Reported{Expires: now.Add(-time.Hour)}}); verdict != api.GateClosed {
		t.Errorf("all of it has ended: %s, %s", verdict, text)
	}
}
