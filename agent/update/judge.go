package update

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
)

// minRatePercent is how much of the readings a second from before must still come.
const minRatePercent = 80

// Asker is the agent's control API as far as a judge needs it.
type Asker interface {
	Status(ctx context.Context) (*api.Status, error)
}

// Judge compares the status of the agent in probation with that of the agent before it (install.Judge). What did not
// work before is not held against the candidate.
type Judge struct{ Agent Asker }

// baseline is what a judge remembers of before.
type baseline struct {
	Reached bool      `json:"reached"`
	Rate    float64   `json:"readings_per_second"`
	Online  bool      `json:"online"`
	OK      int       `json:"sources_ok"`
	Taken   time.Time `json:"taken"`
}

// Baseline asks the running agent. A box whose agent does not answer can only get better: everything is then judged
// against nothing.
func (j Judge) Baseline(ctx context.Context) (json.RawMessage, error) {
	b := baseline{Taken: time.Now().UTC()}
	if s, err := j.Agent.Status(ctx); err == nil {
		b.Reached, b.Rate, b.Online, b.OK = true, s.Sources.Rate, s.Uplink.State == api.UplinkOnline, s.Sources.OK
	}
	return json.Marshal(b)
}

// Check tells which of the checks does not hold.
func (j Judge) Check(ctx context.Context, checks []string, before json.RawMessage) string {
	var b baseline
	if err := json.Unmarshal(before, &b); err != nil {
		return "what the box was like before the update cannot be read: " + err.Error()
	}
	s, err := j.Agent.Status(ctx)
	if err != nil {
		return "the candidate does not answer: " + err.Error()
	}
	for _, check := range checks {
		if failed := j.check(check, s, b); failed != "" {
			return check + ": " + failed
		}
	}
	return ""
}

func (j Judge) check(check string, s *api.Status, b baseline) string {
	name, _, _ := strings.Cut(check, ">=")
	switch name {
	case "ingest":
		for _, st := range s.Streams {
			if st.State != "ok" {
				return fmt.Sprintf("stream %s is %s", st.Name, st.State)
			}
		}
		if s.Sources.Rate*100 < b.Rate*minRatePercent {
			return fmt.Sprintf("%.1f readings/s, before the update %.1f", s.Sources.Rate, b.Rate)
		}
	case "acks":
		if !b.Online {
			return ""
		}
		if s.Uplink.State != api.UplinkOnline {
			return "the uplink is " + s.Uplink.State + ", before the update it was online"
		}
		if s.Uplink.LastAck.Before(s.Started) {
			return "the hub has acknowledged nothing yet"
		}
	case "nodes", "npu":
		share, err := release.CheckShare(check)
		if err != nil {
			return err.Error()
		}
		if s.Sources.OK*100 < b.OK*share {
			return fmt.Sprintf("%d sources are ok, before the update %d", s.Sources.OK, b.OK)
		}
	default:
		return "this updater does not know the check"
	}
	return ""
}
