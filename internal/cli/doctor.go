package cli

import (
	"context"
	"errors"
	"sort"
	"strings"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
)

// Outcomes of a check, from the worst.
const (
	checkFail = "fail"
	checkWarn = "warn"
	checkNote = "note" // worth knowing; the box is well all the same
	checkSkip = "skip" // this user may not look
	checkOK   = "ok"
)

// check is one thing that doctor looked at.
type check struct {
	Name  string `json:"name"`
	State string `json:"state"` // fail, warn, note, skip, ok
	Text  string `json:"text"`  // what was found
	Do    string `json:"do,omitempty"`
	Code  string `json:"code,omitempty"`
}

// examination is the JSON of doctor.
type examination struct {
	SchemaVersion int      `json:"schema_version"`
	State         string   `json:"state"`
	Checks        []check  `json:"checks"`
	Journal       []string `json:"journal,omitempty"`
}

func (a *app) doctor(ctx context.Context, args []string) error {
	if _, err := a.parse("doctor", args, 0, nil); err != nil {
		return err
	}
	d := &doctor{app: a}
	e := d.examine(ctx)
	var err error
	if a.g.json {
		err = a.json(e)
	} else {
		err = a.text(a.view().examination(e))
	}
	if err != nil {
		return err
	}
	return stateExit(e.State)
}

// examine runs every check. The state is that of status: down without an agent, else the worse of what the agent
// says and what was found.
func (d *doctor) examine(ctx context.Context) examination {
	e := examination{SchemaVersion: api.SchemaVersion, State: d.agent(ctx)}
	if e.State == api.StateDown {
		e.Journal = d.journal(ctx)
	}
	d.configuration()
	d.places()
	d.dataDir()
	d.space()
	if e.State == api.StateDown {
		d.log(ctx)
	}
	d.clock()
	d.certificate()
	d.broker(ctx)
	sort.SliceStable(d.found, func(i, j int) bool { return checkRank(d.found[i].State) < checkRank(d.found[j].State) })
	e.Checks = d.found
	if worst := d.found[0].State; e.State == api.StateOK && (worst == checkFail || worst == checkWarn) {
		e.State = api.StateDegraded
	}
	return e
}

func checkRank(state string) int { return strings.Index("fail warn note skip ok", state) }

// agent asks the agent itself, and returns the overall state.
func (d *doctor) agent(ctx context.Context) string {
	s, err := d.client.Status(ctx)
	switch {
	case errors.Is(err, api.ErrForbidden):
		d.warn("agent", err.Error(), "Use sudo, or join the group edge-view: usermod -aG edge-view $USER", "")
		return api.StateDegraded
	case err != nil:
		d.fail("agent", err.Error(), "systemctl status edge-agent; systemctl start edge-agent", health.AgentNotActive)
		return api.StateDown
	}
	d.status = s
	if s.State == api.StateOK {
		d.ok("agent", "edge-agent "+s.Version+" runs and is well")
	}
	for _, f := range s.Faults {
		if !counts(f) {
			continue
		}
		text := f.Title
		if f.Subject != "" {
			text = f.Subject + ": " + text
		}
		if f.Text != "" {
			text += ": " + f.Text
		}
		c := check{Name: "agent", State: checkWarn, Text: text, Do: f.Do, Code: f.Code}
		switch f.Severity {
		case health.Failed.String():
			c.State = checkFail
		case health.Notice.String():
			c.State = checkNote
		}
		d.found = append(d.found, c)
	}
	return s.State
}

func (v view) examination(e examination) string {
	var b strings.Builder
	for _, c := range e.Checks {
		mark := map[string]string{checkFail: v.style.Paint(term.Red, "FAIL"), checkWarn: v.style.Paint(term.Yellow, "WARN"), checkOK: v.style.Paint(term.Green, "ok  "), checkNote: "note", checkSkip: "skip"}[c.State]
		const indent = "                  "
		b.WriteString(mark + "  " + padRight(c.Name, 12) + term.Wrap(v.clean(c.Text), v.style.Width(), indent) + "\n")
		if c.Do != "" && c.State != checkOK {
			b.WriteString(indent + term.Wrap(v.clean("→ "+c.Do), v.style.Width(), indent) + "\n")
		}
		if c.Code != "" && c.State != checkOK {
			b.WriteString(indent + "edgectl explain " + c.Code + "\n")
		}
	}
	if len(e.Journal) > 0 {
		b.WriteString("\nLAST WORDS (journalctl -u edge-agent)\n")
		for _, l := range e.Journal {
			b.WriteString("  " + v.style.Clip(v.clean(l), v.style.Width()-2) + "\n")
		}
	}
	return b.String() + "\n" + v.state(e.State) + "\n"
}

func padRight(s string, n int) string { return s + strings.Repeat(" ", max(n-len(s), 1)) }
