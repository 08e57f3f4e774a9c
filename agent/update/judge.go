package update

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
)

// minRatePercent is how much of the readings a second from before must still come.
const minRatePercent = 80

// Asker is the agent's control API as far as a judge needs it.
type Asker interface {
	Status(ctx context.Context) (*api.Status, error)
	Account(ctx context.Context) (*api.Account, error)
}

// Judge compares the status of the agent in probation with that of the agent before it (install.Judge). What did not
// work before is not held against the candidate.
type Judge struct {
	Agent Asker
	Nodes NodeLister // nil: no nodes
	NPU   NPUAsker   // nil: no worker
}

// NodeLister is the agent's control API as far as a judge needs it of nodes.
type NodeLister interface {
	Nodes(ctx context.Context) (*api.Nodes, error)
}

// NPUAsker is the NPU worker's socket as far as a judge needs it.
type NPUAsker interface {
	Status(ctx context.Context) (*api.NPUStatus, error)
}

// baseline is what a judge remembers of before.
type baseline struct {
	Reached bool      `json:"reached"`
	Rate    float64   `json:"readings_per_second"`
	Online  bool      `json:"online"`
	Sweep   int       `json:"readings_of_a_sweep"`
	OK      int       `json:"sources_ok"`
	Nodes   int       `json:"nodes_online"`
	Models  int       `json:"models_ready"`
	Taken   time.Time `json:"taken"`
	// Streams are those of the log, by name.
	Streams map[string]written `json:"streams,omitempty"`
}

// written is what a stream's account said before: an agent that starts begins an epoch of its own.
type written struct {
	Epoch string `json:"epoch"` // the newest
	Sent  uint64 `json:"sent"`  // records that the hub had or that were on their way
}

// Baseline asks the running agent. A box whose agent does not answer can only get better: everything is then judged
// against nothing.
func (j Judge) Baseline(ctx context.Context) (json.RawMessage, error) {
	b := baseline{Taken: time.Now().UTC()}
	if s, err := j.Agent.Status(ctx); err == nil {
		b.Reached, b.Rate, b.Online, b.OK = true, rate(s), s.Uplink.State == api.UplinkOnline, s.Sources.OK
	}
	if b.Online {
		if acc, err := j.Agent.Account(ctx); err == nil {
			b.Streams = map[string]written{}
			for _, st := range acc.Streams {
				if n := len(st.Epochs); n > 0 {
					b.Streams[st.Name] = written{Epoch: st.Epochs[n-1].Epoch, Sent: st.Sum.Delivered + st.Sum.InFlight}
				}
			}
		}
	}
	if x, ok := j.Agent.(interface {
		Sensors(ctx context.Context) (*api.Sensors, error)
	}); ok {
		if all, err := x.Sensors(ctx); err == nil {
			b.Sweep = sweep(all)
		}
	}
	if j.Nodes != nil {
		if all, err := j.Nodes.Nodes(ctx); err == nil {
			b.Nodes = online(all)
		}
	}
	if j.NPU != nil {
		if s, err := j.NPU.Status(ctx); err == nil {
			b.Models = len(ready(s))
		}
	}
	return json.Marshal(b)
}

// rate is readings a second since the agent's start. What an agent tells of its last seconds is no measure: a source that is
// read once a minute has none of them, or all.
func rate(s *api.Status) float64 {
	if s.Uptime > 0 {
		return float64(s.Sources.Taken) / s.Uptime
	}
	return 0
}

// sweep is how many readings one round of all sources gives.
func sweep(all *api.Sensors) (n int) {
	for _, s := range all.Sources {
		n += len(s.Sensors)
	}
	return n
}

func online(all *api.Nodes) (n int) {
	for _, l := range all.Lines {
		for _, x := range l.Nodes {
			if x.State == api.NodeOnline {
				n++
			}
		}
	}
	return n
}

// ready are the contents of the models that are at work, by their sha256.
func ready(s *api.NPUStatus) (sums []string) {
	for _, m := range s.Models {
		if m.State == "ready" && m.Refused == "" {
			sums = append(sums, m.SHA256)
		}
	}
	return sums
}

// Check tells which of the checks does not hold.
func (j Judge) Check(ctx context.Context, t *install.Txn) string {
	var b baseline
	if err := json.Unmarshal(t.Before, &b); err != nil {
		return "what the box was like before the update cannot be read: " + err.Error()
	}
	s, err := j.Agent.Status(ctx)
	if err != nil {
		return "the candidate does not answer: " + err.Error()
	}
	for _, check := range t.Probation.Checks {
		failed := ""
		switch name, _, _ := strings.Cut(check, ">="); name {
		case "ingest":
			failed = ingests(s, b)
		case "acks":
			failed = j.acknowledged(ctx, s, b)
		case "nodes":
			failed = j.nodes(ctx, check, s, t, b)
		case "npu":
			failed = j.npu(ctx, t, b)
		default:
			failed = "this updater does not know the check"
		}
		if failed != "" {
			return check + ": " + failed
		}
	}
	return ""
}

func ingests(s *api.Status, b baseline) string {
	for _, st := range s.Streams {
		if st.State != "ok" {
			return fmt.Sprintf("stream %s is %s", st.Name, st.State)
		}
	}
	// It may be one round behind: the next may be due in a moment.
	if (float64(s.Sources.Taken)+float64(b.Sweep))*100 < b.Rate*s.Uptime*minRatePercent {
		return fmt.Sprintf("%.1f readings/s, before the update %.1f", rate(s), b.Rate)
	}
	return ""
}

// acknowledged wants more than an answer to a hello, which says nothing of whether the hub takes what the candidate writes:
// a record of an epoch that the candidate began. Its boot marks are such records, whatever its sources do. Where the byte
// budget of the link is used up, nothing of it may be sent and the answer is all there is.
func (j Judge) acknowledged(ctx context.Context, s *api.Status, b baseline) string {
	if !b.Online {
		return ""
	}
	if s.Uplink.State != api.UplinkOnline {
		return "the uplink is " + s.Uplink.State + ", before the update it was online"
	}
	if s.Uplink.LastAck.Before(s.Started) {
		return "the hub has acknowledged nothing yet"
	}
	if s.Uplink.Budget != nil && s.Uplink.Budget.UsedUp {
		return ""
	}
	acc, err := j.Agent.Account(ctx)
	if err != nil {
		return "the candidate does not tell of its account: " + err.Error()
	}
	waits := ""
	for i := range acc.Streams {
		st, was := &acc.Streams[i], b.Streams[acc.Streams[i].Name]
		if began(st, was) == 0 {
			continue // nothing to deliver since
		}
		if delivers(st, was) {
			return ""
		}
		waits = st.Name
	}
	if waits != "" {
		return "the hub has acknowledged no record of the candidate, as of stream " + waits
	}
	return ""
}

// began is how many records the stream has in an epoch that was not there before.
func began(st *api.StreamAccount, was written) uint64 {
	n := len(st.Epochs)
	if n == 0 || st.Epochs[n-1].Epoch == was.Epoch {
		return 0
	}
	return st.Epochs[n-1].End - st.Epochs[n-1].First
}

// delivers reports whether the hub takes what the stream has. A backlog goes before the epoch of the candidate: then it must
// get shorter, by more than what was on its way before.
func delivers(st *api.StreamAccount, was written) bool {
	n := len(st.Epochs) - 1
	if st.Epochs[n].Delivered > 0 {
		return true
	}
	sent, backlog := uint64(0), uint64(0)
	for _, e := range st.Epochs[:n] {
		sent += e.Delivered
		backlog += e.Buffered + e.InFlight
	}
	return backlog > 0 && sent > was.Sent
}

// nodes compares sources and nodes with before, and holds what the nodes run against the release: one with two slots that
// restarted meanwhile runs its old image again.
func (j Judge) nodes(ctx context.Context, check string, s *api.Status, t *install.Txn, b baseline) string {
	share, err := release.CheckShare(check)
	if err != nil {
		return err.Error()
	}
	if s.Sources.OK*100 < b.OK*share {
		return fmt.Sprintf("%d sources are ok, before the update %d", s.Sources.OK, b.OK)
	}
	if j.Nodes == nil {
		return ""
	}
	all, err := j.Nodes.Nodes(ctx)
	if err != nil {
		return "the agent does not tell of its nodes: " + err.Error()
	}
	if n := online(all); n*100 < b.Nodes*share {
		return fmt.Sprintf("%d nodes are online, before the update %d", n, b.Nodes)
	}
	for _, c := range t.Components {
		if c.Kind != release.Firmware {
			continue
		}
		meant, err := selected(all, c)
		if err != nil {
			return err.Error()
		}
		for _, x := range meant {
			if x.State == api.NodeOnline && x.Version != c.Version {
				return fmt.Sprintf("%s runs %s, the release has %s", x.Name, x.Version, c.Version)
			}
		}
	}
	return ""
}

// npu wants every model of the release at work, by its content, and as many models as before.
func (j Judge) npu(ctx context.Context, t *install.Txn, b baseline) string {
	var wanted []release.Component
	for _, c := range t.Components {
		if c.Kind == release.Model {
			wanted = append(wanted, c)
		}
	}
	if b.Models == 0 && len(wanted) == 0 {
		return ""
	}
	if j.NPU == nil {
		return "this updater knows no NPU worker"
	}
	s, err := j.NPU.Status(ctx)
	if err != nil {
		return err.Error()
	}
	at := ready(s)
	for _, c := range wanted {
		if !slices.Contains(at, c.SHA256) {
			return fmt.Sprintf("%s version %s is not at work%s", c.Name, c.Version, whyNot(s))
		}
	}
	if len(at) < b.Models {
		return fmt.Sprintf("%d models are ready, before the update %d%s", len(at), b.Models, whyNot(s))
	}
	return ""
}

// whyNot is what the worker says of its models that are not ready.
func whyNot(s *api.NPUStatus) string {
	for _, m := range s.Models {
		if m.State != "ready" || m.Refused != "" {
			return fmt.Sprintf("; the worker says of %s: %s", m.Name, strings.Join(strings.Fields(m.State+" "+m.Error+" "+m.Refused), " "))
		}
	}
	return ""
}
