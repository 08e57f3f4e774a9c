package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/term"
)

// maxLogLines of a failed candidate are shown.
const maxLogLines = 20

func (v view) updateState(u *api.Update) string {
	colour := ""
	switch fleetwire.State(u.State) {
	case fleetwire.Committed, fleetwire.Idle:
		colour = term.Green
	case fleetwire.Waiting, fleetwire.RollingBack, fleetwire.RolledBack, fleetwire.Failed, fleetwire.Rejected:
		colour = term.Yellow
	case fleetwire.Inconsistent:
		colour = term.Red
	}
	return v.style.Paint(colour, u.State)
}

func inForce(u *api.Update) string {
	if u.Release == "" {
		return "the packaged programs"
	}
	return u.Release
}

// updateLine is the one line of status and of --watch without a terminal.
func (v view) updateLine(u *api.Update) string {
	parts := []string{"UPDATE    " + u.Desired, v.updateState(u)}
	if u.Desired == "" {
		parts = []string{"UPDATE    none", "in force: " + v.clean(inForce(u))}
	}
	switch {
	case u.TotalBytes > 0:
		p := v.progress(u, "")
		parts = append(parts, strings.TrimSpace(p.Line(v.now, u.DoneBytes)))
	case u.State == string(fleetwire.Probation):
		parts = append(parts, v.clean(v.probation(u)))
	case u.Reason != "":
		parts = append(parts, v.clean(u.Reason+": "+u.Detail))
	}
	if u.Hold != nil {
		parts = append(parts, "held by "+v.clean(u.Hold.By))
	}
	if u.Pause != nil {
		parts = append(parts, "paused by "+v.clean(u.Pause.By))
	}
	return strings.TrimSuffix(v.fields(10, parts...), "\n")
}

// progress draws bar, rate and time left since the state began.
func (v view) progress(u *api.Update, label string) *term.Progress {
	return &term.Progress{Style: v.style, Label: label, Total: u.TotalBytes, Unit: term.Bytes, Start: u.Since}
}

// probation says how long all has been well, or what is not.
func (v view) probation(u *api.Update) string {
	left := ""
	if !u.Deadline.IsZero() {
		left = "; deadline " + term.Clock(u.Deadline, v.now)
	}
	if u.Failing != "" {
		return "waits: " + u.Failing + left
	}
	soak := seconds(float64(u.SoakSeconds))
	if u.GoodSince.IsZero() {
		return "begun" + left
	}
	return fmt.Sprintf("all checks hold for %s of %s%s", term.Duration(min(v.now.Sub(u.GoodSince), soak)), term.Duration(soak), left)
}

// update is the page of edgectl update.
func (v view) update(u *api.Update) string {
	var b strings.Builder
	facts := []string{"RELEASE   " + inForce(u), fmt.Sprintf("counter %d", u.Counter)}
	if u.Previous != "" {
		facts = append(facts, "before it "+u.Previous)
	}
	b.WriteString(v.clean(v.fields(10, facts...)))
	if u.Desired == "" {
		b.WriteString(v.clean("UPDATE    none has come\n"))
	} else {
		since := ""
		if !u.Since.IsZero() {
			since = "since " + term.Clock(u.Since, v.now) + " (" + term.Duration(v.now.Sub(u.Since)) + ")"
		}
		rollout := ""
		if u.Rollout != "" {
			rollout = "rollout " + v.clean(u.Rollout)
		}
		b.WriteString(v.fields(10, "UPDATE    "+v.clean(u.Desired), v.updateState(u), since, rollout))
	}
	if u.TotalBytes > 0 {
		b.WriteString("          " + strings.TrimSpace(v.progress(u, "").Line(v.now, u.DoneBytes)) + "\n")
	}
	if u.Source != "" {
		b.WriteString(v.clean("          from "+v.style.Clip(u.Source, v.style.Width()-15)) + "\n")
	}
	if u.State == string(fleetwire.Probation) {
		b.WriteString(v.clean("          " + term.Wrap(v.probation(u), v.style.Width(), "          ") + "\n"))
	}
	if u.Reason != "" || u.Detail != "" {
		b.WriteString(v.clean("          " + term.Wrap(strings.TrimPrefix(u.Reason+": "+u.Detail, ": "), v.style.Width(), "          ") + "\n"))
	}
	for _, n := range append(slices.Clone(u.Notes), prefixed("needs a person: ", u.Unfinished)...) {
		b.WriteString(v.clean("          " + term.Wrap(n, v.style.Width(), "          ") + "\n"))
	}
	b.WriteString(v.components(u))
	for _, x := range []struct {
		word  string
		order *api.UpdateOrder
		end   string
	}{{"HELD", u.Hold, "unhold"}, {"PAUSED", u.Pause, "resume"}} {
		if x.order == nil {
			continue
		}
		parts := []string{fmt.Sprintf("%-10sby %s", x.word, x.order.By), "since " + term.Clock(x.order.Since, v.now)}
		if !x.order.Until.IsZero() {
			parts = append(parts, "until "+term.Clock(x.order.Until, v.now))
		}
		b.WriteString(v.clean(v.fields(10, append(parts, x.order.Why, "edgectl update "+x.end)...)))
	}
	b.WriteString(v.clean(v.fields(10, v.trust(u)...)))
	if updateExit(u) != nil {
		b.WriteString("          edgectl update history shows what went wrong\n")
	}
	return b.String()
}

func prefixed(prefix string, list []string) (out []string) {
	for _, s := range list {
		out = append(out, prefix+s)
	}
	return out
}

func (v view) components(u *api.Update) string {
	if len(u.Components) == 0 {
		return ""
	}
	t := term.Table{Head: []string{"#", "COMPONENT", "KIND", "HAVE", "WANT", "STATE", ""}, Right: []bool{true, false, false, false, false, false, true}, Gap: 2}
	for _, c := range u.Components {
		progress := ""
		if c.TotalBytes > 0 && c.DoneBytes > 0 && c.DoneBytes < c.TotalBytes {
			progress = fmt.Sprintf("%d%% of %s", c.DoneBytes*100/c.TotalBytes, term.Bytes(c.TotalBytes))
		} else if c.TotalBytes > 0 {
			progress = term.Bytes(c.TotalBytes)
		}
		t.Row(fmt.Sprint(c.Order), c.Name, c.Kind, or(c.Have, "-"), c.Want, c.State, progress)
	}
	return v.clean(t.String())
}

func (v view) trust(u *api.Update) []string {
	f := []string{fmt.Sprintf("TRUST     root v%d", u.Trust.Root), fmt.Sprintf("timestamp v%d", u.Trust.Timestamp)}
	switch {
	case u.Trust.Problem != "":
		f = append(f, u.Trust.Problem)
	case u.Trust.Expires.IsZero():
		f = append(f, "no metadata yet")
	case v.now.After(u.Trust.Expires):
		f = append(f, "ENDED "+term.Ago(u.Trust.Expires, v.now))
	default:
		f = append(f, "ends in "+term.Duration(u.Trust.Expires.Sub(v.now)))
	}
	return f
}

// gates is the page of explain: what is closed comes with what to do.
func (v view) gates(u *api.Update) string {
	var b strings.Builder
	closed := 0
	for _, g := range u.Gates {
		if g.Verdict == api.GateClosed {
			closed++
		}
	}
	switch {
	case u.Desired != "" && u.Desired == u.Release:
		b.WriteString("Release " + v.clean(u.Desired) + " is in force; there is nothing to update.\n\n")
	case u.Desired != "" && !ended(u) && u.Transaction != "":
		b.WriteString("Release " + v.clean(u.Desired) + " is being installed; edgectl update shows how far it is.\n\n")
	case closed == 0:
		b.WriteString("Nothing stands in the way of an update.\n\n")
	default:
		fmt.Fprintf(&b, "No install can start: %s closed.\n\n", term.Count(closed, "gate"))
	}
	for _, g := range u.Gates {
		mark, colour := map[string]string{api.GateOpen: "ok", api.GateClosed: "NO", api.GateUnknown: "?"}[g.Verdict], ""
		if g.Verdict == api.GateClosed {
			colour = term.Yellow
		}
		b.WriteString(v.style.Paint(colour, fmt.Sprintf("%-3s", mark)) + v.clean(fmt.Sprintf("%-20s", g.Name)+v.aside(g.Text)) + "\n")
		if g.Verdict != api.GateOpen && g.Do != "" {
			b.WriteString(v.style.Paint(term.Dim, v.clean(gateIndent+v.aside(g.Do))) + "\n")
		}
	}
	return b.String()
}

const gateIndent = "                       "

// aside wraps text that stands beside a gate's name.
func (v view) aside(text string) string {
	return strings.ReplaceAll(term.Wrap(text, v.style.Width()-len(gateIndent), ""), "\n", "\n"+gateIndent)
}

// pastUpdates is the page of history.
func (v view) pastUpdates(u *api.Update) string {
	if len(u.Past) == 0 {
		return "No update has ended on this box.\n"
	}
	var b strings.Builder
	shown := false // the lines of the newest failure only
	for _, p := range u.Past {
		took := ""
		if !p.Started.IsZero() {
			took = "took " + term.Duration(p.Ended.Sub(p.Started))
		}
		from := ""
		if p.From != "" {
			from = "from " + p.From
		}
		b.WriteString(v.clean(v.fields(3, p.Release, p.State, term.Clock(p.Ended, v.now), took, from)))
		for _, line := range []string{strings.TrimPrefix(p.Reason+": "+p.Detail, ": "), said("failed check: ", p.Check), said("the candidate ended: ", p.Exit)} {
			if line != "" {
				b.WriteString(v.clean("   " + term.Wrap(line, v.style.Width(), "   ") + "\n"))
			}
		}
		for _, line := range append(slices.Clone(p.Notes), prefixed("needs a person: ", p.Unfinished)...) {
			b.WriteString(v.clean("   " + term.Wrap(line, v.style.Width(), "   ") + "\n"))
		}
		if p.LastLog != "" && (!shown || v.wide) {
			shown = true
			lines := strings.Split(strings.TrimRight(p.LastLog, "\n"), "\n")
			for _, l := range lines[max(0, len(lines)-maxLogLines):] {
				b.WriteString(v.style.Paint(term.Dim, "   | "+v.style.Clip(v.clean(l), v.style.Width()-5)) + "\n")
			}
		}
	}
	return b.String()
}

func said(what, text string) string {
	if text == "" {
		return ""
	}
	return what + text
}

// event is one line of events.
func (v view) event(n uint64, at, what, by, id, detail string) string {
	text := what
	for _, more := range []string{id, detail} {
		if more != "" {
			text += "  " + more
		}
	}
	if by != "" {
		text += "  (" + by + ")"
	}
	return v.clean(v.style.Clip(fmt.Sprintf("%6d  %s  %s", n, at, text), v.style.Width())) + "\n"
}
