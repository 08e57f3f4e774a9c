package update

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
)

// States of a component, for people.
const (
	partWaiting   = "waiting"
	partLoading   = "loading"
	partLoaded    = "loaded"
	partCopying   = "copying"
	partInstalled = "installed"
	partRunning   = "running" // on trial
	partKept      = "in force"
)

// Situation is all that is known of updates on a box.
type Situation struct {
	Report *Report
	Orders Orders
	// Remote is what the agent's part in updates over MQTT says; nil where there is none, or the agent does not answer.
	Remote *fleetwire.Reported
	// Trouble is what could not be read.
	Trouble []string
	Rooted  bool // the box has a root of trust
	Now     time.Time
}

// Show puts a situation into the form that people and programs see.
func (s Situation) Show() *api.Update {
	r, t := s.Report, s.Report.Journal.Txn
	u := &api.Update{SchemaVersion: api.SchemaVersion, Release: r.Stable, Previous: r.Previous, Counter: r.Counter, Hold: s.Orders.Hold, Pause: s.Orders.Pause,
		State: string(fleetwire.Idle), Trust: s.trust()}
	remote := s.Remote
	switch {
	case !t.State.Terminal() || t.ID != "" && (remote == nil || remote.Desired == "" || remote.Desired == t.Release && remote.State.Terminal()):
		s.transaction(u)
	case remote != nil && remote.Desired != "":
		s.remote(u)
	}
	if remote != nil {
		u.Rollout = remote.Rollout
	}
	for _, p := range append([]install.Txn{t}, r.Journal.Past...) {
		if p.ID != "" && p.State.Terminal() {
			u.Past = append(u.Past, past(p))
		}
	}
	u.Gates = s.gates(u)
	return u
}

// trust is the newest metadata that either part of the box has verified: edge-updater last saw some with the last release,
// the agent's part with the last desired state.
func (s Situation) trust() api.UpdateTrust {
	r, remote := s.Report, s.Remote
	if remote != nil && remote.Root >= r.Trust.Root && remote.Expires.After(r.Expires) {
		return api.UpdateTrust{Root: remote.Root, Timestamp: remote.Timestamp, Expires: remote.Expires.UTC()}
	}
	return api.UpdateTrust{Root: r.Trust.Root, Timestamp: r.Trust.Timestamp, Expires: r.Expires.UTC(), Problem: r.Problem}
}

func past(t install.Txn) api.PastUpdate {
	return api.PastUpdate{Transaction: t.ID, Release: t.Release, From: t.From, State: string(stateOf(t.State, nil)), Started: t.Begun, Ended: t.Since,
		Attempts: t.Attempt, Reason: t.Reason, Detail: t.Detail, Check: t.Check, Exit: t.Exit, LastLog: t.LastLog, Notes: t.Notes, Unfinished: t.Unfinished}
}

// stateOf is a transaction's state as boxes report it.
func stateOf(s install.State, unfinished []string) fleetwire.State {
	switch s {
	case install.Begun, install.Installed:
		return fleetwire.Installing
	case install.Probation:
		return fleetwire.Probation
	case install.Decided:
		return fleetwire.Committing
	case install.Committed:
		return fleetwire.Committed
	case install.RollingBack:
		return fleetwire.RollingBack
	case install.RolledBack:
		if len(unfinished) > 0 {
			return fleetwire.Inconsistent
		}
		return fleetwire.RolledBack
	case install.Failed:
		return fleetwire.Failed
	}
	return fleetwire.Idle
}

// transaction shows what edge-updater does or last did.
func (s Situation) transaction(u *api.Update) {
	t, p := s.Report.Journal.Txn, s.Report.Progress
	u.State, u.Since, u.Desired, u.Manifest, u.Attempt = string(stateOf(t.State, t.Unfinished)), t.Since, t.Release, t.Manifest, t.Tries
	u.Transaction, u.Reason, u.Detail, u.Unfinished, u.Notes = t.ID, t.Reason, t.Detail, t.Unfinished, t.Notes
	if t.State == install.Probation {
		u.Deadline, u.GoodSince, u.Failing, u.SoakSeconds, u.Checks = p.Deadline, p.GoodSince, p.Failing, t.Probation.SoakSeconds, t.Probation.Checks
	}
	copied := map[string]bool{}
	for _, name := range p.Copied {
		copied[name] = true
	}
	for _, c := range t.Components {
		x := s.part(c)
		x.TotalBytes = c.Size
		switch t.State {
		case install.Begun:
			x.State = partWaiting
			if copied[c.Name] {
				x.State, x.DoneBytes = partInstalled, c.Size
			} else if p.Component == c.Name {
				x.State, x.DoneBytes, x.TotalBytes = partCopying, p.Done, p.Total
			}
		case install.Installed:
			x.State, x.DoneBytes = partInstalled, c.Size
		case install.Probation:
			x.State, x.DoneBytes = partRunning, c.Size
		case install.Decided, install.Committed:
			x.State, x.DoneBytes = partKept, c.Size
		default:
			x.State = "not kept"
		}
		u.DoneBytes, u.TotalBytes = u.DoneBytes+x.DoneBytes, u.TotalBytes+x.TotalBytes
		u.Components = append(u.Components, x)
	}
	if t.State != install.Begun {
		u.DoneBytes, u.TotalBytes = 0, 0
	}
}

func (s Situation) part(c release.Component) api.UpdateComponent {
	x := api.UpdateComponent{Order: c.Order, Name: c.Name, Kind: string(c.Kind), Want: c.Version}
	for _, p := range s.Report.Installed {
		if p.Name == c.Name {
			x.Have = p.Version
		}
	}
	return x
}

// remote shows what comes over the network.
func (s Situation) remote(u *api.Update) {
	r := s.Remote
	u.State, u.Since, u.Desired, u.Manifest, u.Attempt = string(r.State), r.Since, r.Desired, r.Manifest, r.Attempt
	u.Reason, u.Detail, u.DoneBytes, u.TotalBytes = r.Reason, r.Detail, r.Done, r.Total
	u.Source = r.Source
	for i, c := range r.Components {
		x := api.UpdateComponent{Order: i, Name: c.Name, Kind: c.Kind, Have: c.Have, Want: c.Want, State: partWaiting, DoneBytes: c.Done, TotalBytes: c.Total}
		if x.Have == "" {
			for _, p := range s.Report.Installed {
				if p.Name == c.Name {
					x.Have = p.Version
				}
			}
		}
		switch {
		case c.Total > 0 && c.Done >= c.Total:
			x.State = partLoaded
		case c.Done > 0:
			x.State = partLoading
		}
		u.Components = append(u.Components, x)
	}
}

// gates are the conditions that an update must pass, in the order in which it meets them.
func (s Situation) gates(u *api.Update) (out []api.UpdateGate) {
	gate := func(name, verdict, text, do string) {
		out = append(out, api.UpdateGate{Name: name, Verdict: verdict, Text: text, Do: do})
	}
	for _, t := range s.Trouble {
		gate("readable", api.GateUnknown, t, "sudo edgectl update explain, or join the group edge-view")
	}
	if s.Rooted {
		gate("root", api.GateOpen, "the box has the fleet's root of trust", "")
	} else {
		gate("root", api.GateClosed, "the box has no root of trust: it cannot believe any release", "put the fleet's 1.root.json to /etc/edge-agent/root.json")
	}
	s.desiredGate(u, gate)
	s.trustGate(gate)
	switch {
	case u.State == string(fleetwire.Rejected):
		gate("meant for this box", api.GateClosed, u.Reason+": "+u.Detail, "another release, or other facts in /etc/edge-agent/product")
	case u.Desired != "" && len(u.Components) > 0:
		gate("meant for this box", api.GateOpen, fmt.Sprintf("release %s has %d components for it", u.Desired, len(u.Components)), "")
	default:
		gate("meant for this box", api.GateUnknown, "known once a release has come", "")
	}
	s.memoryGate(u, gate)
	for _, a := range s.Report.Journal.Alarms {
		gate("memory of the box", api.GateUnknown, a.At.Format(time.RFC3339)+" "+a.Text, "look who restored what; a release that is committed ends this line")
	}
	if held := s.Orders.Held(s.Now); held != "" {
		do := "edgectl update unhold"
		if strings.HasPrefix(held, "paused") {
			do = "edgectl update resume"
		}
		gate("operators", api.GateClosed, "updates are "+held, do)
	} else {
		gate("operators", api.GateOpen, "nobody holds or pauses updates", "")
	}
	if u.State == string(fleetwire.Waiting) {
		gate("window", api.GateClosed, u.Detail, "it goes on by itself; sudo edgectl update import DIR does not wait for a window")
	}
	if s.Report.Free > 0 {
		verdict, do := api.GateOpen, ""
		need := uint64(max(u.TotalBytes-u.DoneBytes, 0)) + install.ReserveBytes
		if s.Report.Free < need {
			verdict, do = api.GateClosed, "make room on the disk of /opt/edge; the log is not shortened for an update"
		}
		gate("room", verdict, fmt.Sprintf("%d MiB free, %d MiB needed at least", s.Report.Free>>20, need>>20), do)
	}
	if t := s.Report.Journal.Txn; !t.State.Terminal() {
		gate("no other update", api.GateClosed, fmt.Sprintf("release %s is being installed: %s", t.Release, t.State), "edgectl update")
	} else {
		gate("no other update", api.GateOpen, "none is being installed", "")
	}
	return out
}

type gateFunc func(name, verdict, text, do string)

func (s Situation) desiredGate(u *api.Update, gate gateFunc) {
	const name = "a release is wanted"
	switch {
	case s.Remote != nil && s.Remote.Desired != "" && s.Remote.Desired == s.Report.Stable:
		gate(name, api.GateOpen, "release "+s.Remote.Desired+" is desired, and in force: there is nothing to do", "")
	case s.Remote != nil && s.Remote.Desired != "":
		gate(name, api.GateOpen, "release "+s.Remote.Desired+" is desired by the fleet's server", "")
	case u.Desired != "" && !s.Report.Journal.Txn.State.Terminal():
		gate(name, api.GateOpen, "release "+u.Desired+" came from a directory", "")
	case s.Remote != nil:
		gate(name, api.GateClosed, "the fleet's server desires no release for this box", "edge-hub rollout, or sudo edgectl update import DIR")
	default:
		gate(name, api.GateUnknown, "the agent does not say: it takes no updates over MQTT, or does not answer", "edgectl status; sudo edgectl update import DIR")
	}
}

func (s Situation) trustGate(gate gateFunc) {
	const name = "signed and fresh"
	r := s.trust()
	switch {
	case r.Problem != "":
		gate(name, api.GateClosed, r.Problem, "let the release engineer publish the timestamp anew; what runs goes on running")
	case r.Expires.IsZero():
		gate(name, api.GateUnknown, "no metadata has come yet", "")
	case s.Now.After(r.Expires):
		gate(name, api.GateClosed, "UPD-EXP: the metadata ended "+r.Expires.Format(time.RFC3339), "edgectl release publish; what runs goes on running")
	default:
		gate(name, api.GateOpen, fmt.Sprintf("root v%d, timestamp v%d, good until %s", r.Root, r.Timestamp, r.Expires.Format(time.RFC3339)), "")
	}
}

// memoryGate says whether the release has failed here before.
func (s Situation) memoryGate(u *api.Update, gate gateFunc) {
	const name = "not failed before"
	reason, failed := s.Report.Journal.Failed[fmt.Sprintf("%s/%d", u.Manifest, u.Attempt)]
	switch {
	case u.Manifest == "":
		gate(name, api.GateUnknown, "known once a release has come", "")
	case failed:
		text := fmt.Sprintf("release %s failed here (%s)", u.Desired, reason)
		for _, p := range u.Past {
			if p.Release == u.Desired {
				text += ": " + p.Detail
				break
			}
		}
		gate(name, api.GateClosed, text, "edgectl update history shows its last lines; edgectl update retry")
	default:
		gate(name, api.GateOpen, "release "+u.Desired+" has not failed on this box", "")
	}
}
