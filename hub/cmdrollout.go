package hub

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

// rolloutRows is how many devices show lists where nobody asks for more.
const rolloutRows = 15

const rolloutHelp = `  edge-hub rollout create FILE [--dry-run] [--yes]
                                  begin; FILE says release, waves, limits
  edge-hub rollout list           every rollout, the newest first
  edge-hub rollout show [ID] [--watch] [-o wide]
                                  one, the newest without ID; --watch: a live table
  edge-hub rollout pause ID       tell no further device; those told go on
  edge-hub rollout resume ID      go on, or open a manual gate
  edge-hub rollout abort ID [--force] [--yes]
                                  end it; --force: running devices give up, too
  edge-hub rollout audit [ID]     who did what when; verifies the chain of hashes
  edge-hub rollout events [DEVICE] [--last N]
                                  what boxes did about updates and commands

`

var rolloutVerbs = []string{"create", "list", "show", "pause", "resume", "abort", "audit", "events"}

func (a *app) cmdRollout(ctx context.Context, args []string) error {
	var o rolloutFlags
	words, err := a.parse("rollout", args, 2, func(f *flag.FlagSet) {
		f.BoolVar(&o.dry, "dry-run", false, "")
		f.BoolVar(&o.yes, "yes", false, "")
		f.BoolVar(&o.force, "force", false, "")
		f.IntVar(&o.last, "last", 50, "")
		f.BoolVar(&o.watch, "watch", false, "")
		f.DurationVar(&o.every, "every", 2*time.Second, "")
	})
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("rollout: want %s; edge-hub help rollout shows their form", strings.Join(rolloutVerbs, ", "))
	}
	if words[0] == "events" {
		device := ""
		if len(words) > 1 {
			device = words[1]
		}
		return a.rolloutEvents(ctx, device, o.last)
	}
	c, err := Load(a.file)
	if err != nil {
		return err
	}
	if c.Fleet == nil {
		return fmt.Errorf("%s has no fleet block: this hub hands out no updates. docs/updates.md shows one", a.file)
	}
	verb, word := words[0], ""
	if len(words) > 1 {
		word = words[1]
	}
	client := fleet.Client{Socket: c.FleetSocket()}
	switch verb {
	case "create":
		err = a.rolloutCreate(ctx, client, word, o)
	case "list":
		err = a.rolloutList(ctx, client)
	case "show":
		err = a.rolloutShow(ctx, client, word, o)
	case "pause", "resume", "abort":
		err = a.rolloutChange(ctx, client, verb, word, o)
	case "audit":
		return a.rolloutAudit(c.Fleet.State, word)
	default:
		return usagef("rollout: there is no %q%s", verb, strictyaml.Suggest(verb, rolloutVerbs))
	}
	if errors.Is(err, fleet.ErrUnreachable) {
		return &exit{ExitUnreachable, fmt.Errorf("%w. Does the hub run? `systemctl status edge-hub`; `journalctl -u edge-hub` says if its fleet cannot be opened", err)}
	}
	return err
}

type rolloutFlags struct {
	dry, yes, force, watch bool
	every                  time.Duration
	last                   int
}

func (a *app) rolloutCreate(ctx context.Context, c fleet.Client, file string, o rolloutFlags) error {
	if file == "" {
		return usagef("rollout create: which FILE? docs/updates.md shows one")
	}
	data, err := readBounded(file, strictyaml.MaxFileBytes)
	if err != nil {
		return fmt.Errorf("read rollout: %w", err)
	}
	spec, err := rollout.ParseSpec(file, data)
	if err != nil {
		return err
	}
	x, err := c.Create(ctx, spec, true)
	if err != nil {
		return err
	}
	if !a.asJSON {
		var b strings.Builder
		fmt.Fprintf(&b, "release %s, manifest %.12s, for %d of the fleet's devices:\n", x.Rollout.Release, x.Rollout.Manifest, x.Matching)
		for i, w := range spec.Waves {
			n := x.PerWave[i]
			fmt.Fprintf(&b, "  %-12s %s devices%s\n", w.Name, term.Comma(int64(max(n, min(w.Min, x.Matching)))), soakText(w))
		}
		if err := a.text(b.String()); err != nil {
			return err
		}
	}
	if o.dry {
		if a.asJSON {
			return a.json(x)
		}
		return a.text("nothing was changed\n")
	}
	if !o.yes {
		if err := a.confirm(fmt.Sprintf("This updates up to %d devices, beginning with %s now.", x.Matching, spec.Waves[0].Name)); err != nil {
			return err
		}
	}
	if x, err = c.Create(ctx, spec, false); err != nil {
		return err
	}
	if a.asJSON {
		return a.json(x)
	}
	return a.text(fmt.Sprintf("%s begins; edge-hub rollout show %[1]s --watch shows how it goes\n", x.Rollout.ID))
}

func soakText(w rollout.Wave) string {
	var parts []string
	if w.Soak > 0 {
		parts = append(parts, "then watched for "+term.Duration(w.Soak))
	}
	if w.Gate == "manual" {
		parts = append(parts, "after somebody says resume")
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

func (a *app) rolloutList(ctx context.Context, c fleet.Client) error {
	l, err := c.List(ctx)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.json(l)
	}
	t := term.Table{Head: []string{"ROLLOUT", "RELEASE", "STATE", "SINCE", "WAVE", "DEVICES", "DONE", "RUNNING", "FAILED", "OFFLINE"},
		Right: []bool{5: true, 6: true, 7: true, 8: true, 9: true}, Gap: 2}
	for _, r := range l.Rollouts {
		t.Row(r.ID, r.Release, string(r.State), term.Clock(r.Since.In(a.Zone), a.now()), r.Wave, num(r.Devices), num(r.Done), num(r.Running), num(r.Failed), num(r.Offline))
	}
	out := fmt.Sprintf("%d devices known, %d online\n", l.Devices, l.Online)
	if !l.Connected {
		out += "!  this hub has no connection to the broker: nobody is told anything now\n"
	}
	if len(l.Rollouts) > 0 {
		out += "\n" + a.table(&t)
	}
	return a.text(out)
}

func num(n int) string { return term.Comma(int64(n)) }

func (a *app) rolloutShow(ctx context.Context, c fleet.Client, id string, o rolloutFlags) error {
	if id == "" {
		l, err := c.List(ctx)
		if err != nil {
			return err
		}
		if len(l.Rollouts) == 0 {
			return errors.New("there is no rollout yet")
		}
		id = l.Rollouts[0].ID
	}
	for {
		x, err := c.Show(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case a.asJSON:
			err = a.json(x)
		case o.watch && a.Style.TTY:
			if _, err := fmt.Fprint(a.Stdout, "\x1b[H\x1b[2J"); err != nil {
				return err
			}
			err = a.text(a.rolloutText(&x.Rollout))
		default:
			err = a.text(a.rolloutText(&x.Rollout))
		}
		if err != nil {
			return err
		}
		if over := x.Rollout.State.Over() && x.Rollout.Running == 0; !o.watch || over {
			if x.Rollout.State == rollout.Aborted {
				return &exit{code: ExitDegraded}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(o.every, 200*time.Millisecond)):
		}
	}
}

// rolloutText is one screen: what it is at, its waves, and the devices, those first that people should look at.
func (a *app) rolloutText(r *fleet.View) string {
	var b strings.Builder
	colour := map[rollout.State]string{rollout.Aborted: term.Red, rollout.Paused: term.Yellow, rollout.Waiting: term.Yellow, rollout.Done: term.Green}[r.State]
	fmt.Fprintf(&b, "%s   release %s   %s since %s   by %s\n", r.ID, r.Release, a.Style.Paint(colour, strings.ToUpper(string(r.State))),
		term.Clock(r.Since.In(a.Zone), a.now()), r.By)
	if r.Reason != "" {
		b.WriteString("   " + term.Wrap(r.Reason, a.Style.Width()-3, "   ") + "\n")
	}
	switch r.State {
	case rollout.Waiting, rollout.Paused:
		fmt.Fprintf(&b, "   edge-hub rollout resume %s goes on\n", r.ID)
	}
	t := term.Table{Head: []string{"WAVE", "STATE", "DEVICES", "DONE", "RUNNING", "QUEUED", "FAILED", "OFFLINE"}, Gap: 2,
		Right: []bool{2: true, 3: true, 4: true, 5: true, 6: true, 7: true}}
	for _, w := range r.Waves {
		t.Row(w.Name, w.State, num(w.Devices), num(w.Done), num(w.Running), num(w.Queued), num(w.Failed), num(w.Offline))
	}
	t.Row("all", "", num(r.Devices), num(r.Done), num(r.Running), num(r.Queued), num(r.Failed), num(r.Offline))
	b.WriteString("\n" + a.table(&t))
	d := term.Table{Head: []string{"DEVICE", "WAVE", "STATE", "SINCE", "PROGRESS"}, Gap: 2}
	shown := 0
	for _, j := range r.Jobs {
		ok := j.State == rollout.JobState(fleetwire.Committed) || j.State == rollout.Queued || j.State == rollout.Cancelled
		if !a.wide && (ok || shown == rolloutRows) {
			continue
		}
		shown++
		d.Row(j.Device, j.Wave, jobState(j), term.Clock(j.Since.In(a.Zone), a.now()), a.Style.Clip(jobText(j), 38))
	}
	if shown > 0 {
		b.WriteString("\n" + a.table(&d))
	}
	if rest := len(r.Jobs) - shown; rest > 0 {
		fmt.Fprintf(&b, "%s more devices; -o wide shows them\n", num(rest))
	}
	return b.String()
}

func jobState(j fleet.JobView) string {
	s := string(j.State)
	if j.State == rollout.Told && j.Doing != "" {
		s = string(j.Doing)
	}
	if !j.Online && !j.State.Ended() {
		s += ", offline"
	}
	return s
}

func jobText(j fleet.JobView) string {
	var parts []string
	if j.Total > 0 && j.State == rollout.Told {
		parts = append(parts, fmt.Sprintf("%s of %s", term.Bytes(j.Done), term.Bytes(j.Total)))
	}
	if j.Reason != "" || j.Detail != "" {
		parts = append(parts, strings.TrimSpace(j.Reason+" "+strings.ReplaceAll(j.Detail, "\n", " ")))
	}
	if j.RetryAt != nil {
		parts = append(parts, "again at "+j.RetryAt.Local().Format("Jan 2 15:04"))
	}
	return strings.Join(parts, "; ")
}

func (a *app) rolloutChange(ctx context.Context, c fleet.Client, verb, id string, o rolloutFlags) error {
	if id == "" {
		return usagef("rollout %s: which ID? edge-hub rollout list shows them", verb)
	}
	if verb == "abort" && !o.yes {
		x, err := c.Show(ctx, id)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d devices that wait stay as they are; %d that run finish.", x.Rollout.Queued, x.Rollout.Running)
		if o.force {
			what = fmt.Sprintf("%d devices that wait stay as they are; %d that run are asked to give up, which they do unless their install has started.",
				x.Rollout.Queued, x.Rollout.Running)
		}
		if err := a.confirm(what + " An aborted rollout cannot be resumed."); err != nil {
			return err
		}
	}
	x, err := c.Change(ctx, id, verb, o.force)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.json(x)
	}
	return a.text(fmt.Sprintf("%s is %s\n", id, x.Rollout.State))
}

// rolloutAudit reads the log itself, also beside a hub that runs.
func (a *app) rolloutAudit(dir, id string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	var entries []*rollout.Entry
	last, hash, err := rollout.Read(vfs.OS{}, dir, func(e *rollout.Entry) error {
		if id == "" || e.Rollout == id {
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return &exit{ExitDegraded, err}
	}
	if a.asJSON {
		return a.json(struct {
			SchemaVersion int              `json:"schema_version"`
			Last          uint64           `json:"last"`
			Hash          string           `json:"hash"`
			Entries       []*rollout.Entry `json:"entries"`
		}{SchemaVersion, last, hash, entries})
	}
	t := term.Table{Head: []string{"N", "TIME", "BY", "WHAT", "ROLLOUT", "DEVICE", "STATE", "DETAIL"}, Right: []bool{true}, Gap: 2}
	for _, e := range entries {
		device := e.Device
		if n := len(e.Devices); n > 0 {
			device = num(n) + " devices"
		}
		t.Row(term.CommaU(e.Number), e.Time.In(a.Zone).Format("2006-01-02 15:04:05"), e.By, string(e.What), e.Rollout, device, string(e.State),
			strings.TrimSpace(e.Reason+" "+strings.ReplaceAll(e.Detail, "\n", " ")))
	}
	return a.text(a.table(&t) + fmt.Sprintf("the chain of %s entries is whole; the last has sha256 %s\n", term.CommaU(last), hash))
}
