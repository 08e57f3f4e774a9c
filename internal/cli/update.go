package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const updateHelp = `  edgectl update                  the release in force and the one that comes
  edgectl update --watch          the same, until it has ended
  edgectl update explain          why the box does not update, gate by gate
  edgectl update history          what was installed, what failed and how
  sudo edgectl update events      orders, commands, states; checks the chain
  edgectl update hold --until 18:00 --why "shift"      start no install
  edgectl update unhold           end that
  edgectl update pause            fetch and start nothing; resume ends it
  edgectl update abort            give up the release that comes
  edgectl update retry            try again what has failed on this box
  sudo edgectl update import DIR  install from a directory or USB stick
      --release NAME --retry --dry-run
  edgectl update diag [FILE]      collect what a specialist asks for; no secrets

Exit code 3: the last update was not kept, or, of explain, a gate is closed.
`

// updateFlags are the flags of update.
type updateFlags struct {
	watch, retry, dryRun    bool
	every                   time.Duration
	until, why, release     string
	updaterDir, root, trust string
}

var updateVerbs = []string{"explain", "history", "events", "hold", "unhold", "pause", "resume", "abort", "retry", "import", "diag"}

func (a *app) update(ctx context.Context, args []string) error {
	var f updateFlags
	words, err := a.parse("update", args, 2, func(s *flag.FlagSet) {
		s.BoolVar(&f.watch, "watch", false, "")
		s.DurationVar(&f.every, "every", 2*time.Second, "")
		s.BoolVar(&f.retry, "retry", false, "")
		s.BoolVar(&f.dryRun, "dry-run", false, "")
		s.StringVar(&f.until, "until", "", "")
		s.StringVar(&f.why, "why", "", "")
		s.StringVar(&f.release, "release", "", "")
		s.StringVar(&f.updaterDir, "updater-dir", or(a.Getenv("EDGE_UPDATER_DIR"), update.DefaultStateDir), "")
		s.StringVar(&f.root, "root", update.DefaultRoot, "")
		s.StringVar(&f.trust, "trust", update.DefaultTrust, "")
	})
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"show"}
	}
	verb, rest := words[0], words[1:]
	if takes := verb == "import" || verb == "diag"; len(rest) > 0 && !takes {
		return usagef("update %s: %q is too much; edgectl help update shows its form", verb, rest[0])
	}
	switch verb {
	case "show", "status":
		return a.updateShow(ctx, f)
	case "explain":
		return a.updateExplain(ctx, f)
	case "history":
		return a.updateHistory(ctx, f)
	case api.UpdateHold, api.UpdateUnhold, api.UpdatePause, api.UpdateResume, api.UpdateAbort, api.UpdateRetry:
		return a.updateOrder(ctx, verb, f)
	case "import":
		if len(rest) != 1 {
			return usagef("its form is edgectl update import DIR [--release NAME] [--retry] [--dry-run]")
		}
		return a.updateImport(ctx, rest[0], f)
	case "events":
		return a.updateEvents()
	case "diag":
		return a.updateDiag(ctx, strings.Join(rest, ""), f)
	}
	return usage(cmdline.Then(cmdline.Unknown("edgectl update", verb, updateVerbs), "edgectl help update lists all"))
}

// situation is what the agent says of updates or, where it does not answer or does not know of them, what the files of
// agent and updater say.
func (a *app) situation(ctx context.Context, f updateFlags) (*api.Update, error) {
	u, err := a.client.Update(ctx)
	var refused *api.Error
	if err == nil || !errors.Is(err, api.ErrUnreachable) && !errors.Is(err, api.ErrForbidden) &&
		!(errors.As(err, &refused) && refused.Code == api.CodeNotFound) {
		return u, err
	}
	s := update.Situation{Now: a.now(), Report: &update.Report{}}
	if _, err := os.Stat(f.trust); err == nil {
		s.Rooted = true
	}
	r, rerr := update.ReadReport(f.updaterDir)
	if rerr == nil {
		s.Report = r
	} else {
		s.Trouble = append(s.Trouble, rerr.Error())
	}
	orders, oerr := update.ReadOrders(a.ordersFile())
	if oerr != nil {
		s.Trouble = append(s.Trouble, oerr.Error())
	}
	if s.Orders = orders; rerr != nil && oerr != nil {
		return nil, err
	}
	return s.Show(), nil
}

func (a *app) ordersFile() string {
	return filepath.Join(a.g.dataDir, update.AgentDir, update.OrdersName)
}

func (a *app) updateShow(ctx context.Context, f updateFlags) error {
	if f.every < minWatch {
		return usagef("--every %s: at least %s", f.every, minWatch)
	}
	line := ""
	for {
		u, err := a.situation(ctx, f)
		if err != nil {
			return err
		}
		switch {
		case a.g.json:
			err = a.json(u)
		case f.watch && a.Style.TTY:
			err = a.text("\x1b[H\x1b[2J" + a.view().update(u))
		case f.watch: // a line for each change
			if next := a.view().updateLine(u); next != line {
				line = next
				err = a.text(a.now().Format(time.TimeOnly) + "  " + line + "\n")
			}
		default:
			err = a.text(a.view().update(u))
		}
		if err != nil {
			return err
		}
		if !f.watch || ended(u) {
			return updateExit(u)
		}
		select {
		case <-time.After(f.every):
		case <-ctx.Done():
			return nil
		}
	}
}

// ended tells whether nothing moves by itself.
func ended(u *api.Update) bool {
	s := fleetwire.State(u.State)
	return s.Terminal() || s == fleetwire.Idle
}

func updateExit(u *api.Update) error {
	switch fleetwire.State(u.State) {
	case fleetwire.Rejected, fleetwire.Failed, fleetwire.RolledBack, fleetwire.Inconsistent:
		return &exit{code: ExitDegraded}
	}
	return nil
}

func (a *app) updateExplain(ctx context.Context, f updateFlags) error {
	u, err := a.situation(ctx, f)
	if err != nil {
		return err
	}
	if a.g.json {
		err = a.json(u)
	} else {
		err = a.text(a.view().gates(u))
	}
	if err != nil {
		return err
	}
	for _, g := range u.Gates {
		if g.Verdict == api.GateClosed {
			return &exit{code: ExitDegraded}
		}
	}
	return nil
}

func (a *app) updateHistory(ctx context.Context, f updateFlags) error {
	u, err := a.situation(ctx, f)
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(u)
	}
	return a.text(a.view().pastUpdates(u))
}

// updateOrder tells the agent what an operator wants. Without an agent an operator who may write its directory leaves
// the order where edge-updater finds it.
func (a *app) updateOrder(ctx context.Context, op string, f updateFlags) error {
	r := api.UpdateRequest{Op: op, Why: f.why}
	if f.until != "" {
		if op != api.UpdateHold {
			return usagef("--until belongs to hold")
		}
		until, err := parseUntil(f.until, a.now())
		if err != nil {
			return usagef("--until: %w", err)
		}
		r.Until = until
	}
	u, err := a.client.OrderUpdate(ctx, r)
	var refused *api.Error
	if errors.Is(err, api.ErrUnreachable) || errors.As(err, &refused) && refused.Code == api.CodeNotFound {
		u, err = a.orderByFile(r, f, err)
	}
	if errors.As(err, &refused) {
		return &exit{ExitDegraded, fmt.Errorf("%s: %w", op, err)}
	}
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(u)
	}
	said := map[string]string{
		api.UpdateHold:   "No install starts" + until(r.Until, a.now()) + ". What runs goes on; edgectl update unhold ends it.",
		api.UpdateUnhold: "Nothing holds updates any more.",
		api.UpdatePause:  "Nothing is fetched and no install starts; edgectl update resume ends it.",
		api.UpdateResume: "Updates go on.",
		api.UpdateAbort:  "Release " + or(u.Desired, "that comes") + " is given up. What has started goes back: edgectl update --watch",
		api.UpdateRetry:  "Release " + or(u.Desired, "that failed") + " is tried again: edgectl update --watch",
	}[op]
	return a.text(term.Wrap(a.Style.Text(said), a.Style.Width(), "") + "\n")
}

func until(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.In(now.Location()).Format("2006-01-02 15:04 -0700")
}

// parseUntil reads a time to come: what cmdline.Time reads, of which 18:00 is the next one and 2h is ahead.
func parseUntil(s string, now time.Time) (time.Time, error) {
	t, err := cmdline.Time(s, now)
	if err != nil {
		return t, err
	}
	if ago := now.Sub(t); ago > 0 {
		if _, e := time.Parse("15:04", s); e == nil {
			t = t.AddDate(0, 0, 1)
		} else if !strings.ContainsAny(s, "-:") {
			t = now.Add(ago)
		}
	}
	if !t.After(now) {
		return t, fmt.Errorf("%s is over", t.Format(time.RFC3339))
	}
	return t, nil
}

func (a *app) orderByFile(r api.UpdateRequest, f updateFlags, cause error) (*api.Update, error) {
	report, err := update.ReadReport(f.updaterDir)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	orders, err := update.ReadOrders(a.ordersFile())
	if err == nil {
		orders, err = orders.Change(r, or(a.Getenv("SUDO_USER"), or(a.Getenv("USER"), "edgectl")), report.Journal.Txn, a.now())
	}
	if err == nil && r.Op == api.UpdateRetry { // an order file makes nobody fetch
		return nil, fmt.Errorf("%w. It is the agent that tries again; without it: sudo edgectl update import DIR --retry", cause)
	}
	if errors.Is(err, update.ErrNothingOpen) || errors.Is(err, update.ErrDecided) || errors.Is(err, update.ErrNotFailed) {
		return nil, &exit{ExitDegraded, fmt.Errorf("%s: %w", r.Op, err)}
	}
	if err == nil {
		err = orders.Save(vfs.OS{}, a.ordersFile())
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w; and as a user who may not write %s: use sudo", cause, a.ordersFile())
	}
	if err != nil {
		return nil, err
	}
	return update.Situation{Report: report, Orders: orders, Now: a.now(), Rooted: true}.Show(), nil
}

// updateEvents prints the chained log of what was done to this box, and says where its chain is broken.
func (a *app) updateEvents() error {
	dir := filepath.Join(a.g.dataDir, update.AgentDir)
	if _, err := os.ReadDir(dir); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	err := chainlog.Read(vfs.OS{}, dir, update.EventsName, func(e chainlog.Entry) error {
		if a.g.json {
			return json.NewEncoder(a.Stdout).Encode(map[string]any{"schema_version": api.SchemaVersion, "n": e.Number, "time": e.Time, "hash": e.Hash, "event": e.Event})
		}
		var x struct{ What, By, ID, Detail string }
		if err := json.Unmarshal(e.Event, &x); err != nil {
			return err
		}
		return a.text(a.view().event(e.Number, e.Time.In(a.Zone).Format("2006-01-02 15:04:05"), x.What, x.By, x.ID, x.Detail))
	})
	if errors.Is(err, chainlog.ErrChain) {
		return &exit{ExitTrust, err}
	}
	return err
}

// updateImport runs edge-updater on a directory and shows how far it is.
func (a *app) updateImport(ctx context.Context, dir string, f updateFlags) error {
	args := []string{"apply", "--from", dir, "--state", f.updaterDir, "--root", f.root, "--run-dir", a.g.runDir, "--trust", f.trust, "--orders", a.ordersFile()}
	if f.dryRun {
		args[0] = "check"
	}
	if f.release != "" {
		args = append(args, "--release", f.release)
	}
	if f.retry {
		args = append(args, "--retry")
	}
	type outcome struct {
		out  []byte
		code int
		err  error
	}
	done := make(chan outcome, 1)
	go func() { // joined below: its outcome is awaited in every case
		out, code, err := a.Child(ctx, "edge-updater", args...)
		done <- outcome{out, code, err}
	}()
	var p *term.Progress
	doing := ""
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case x := <-done:
			if p != nil {
				p.Clear()
			}
			if x.err != nil {
				if errors.Is(x.err, exec.ErrNotFound) {
					return errors.New("edge-updater is not installed on this box; docs/updates.md, Prepare a box")
				}
				return fmt.Errorf("run edge-updater: %w", x.err)
			}
			if err := a.text(a.Style.Text(string(x.out))); err != nil {
				return err
			}
			if x.code != 0 {
				return &exit{code: x.code}
			}
			return nil
		case <-tick.C:
			r, err := update.ReadReport(f.updaterDir)
			if err != nil || r.Journal.Txn.State.Terminal() || r.Progress.Component == "" {
				continue
			}
			if r.Progress.Component != doing {
				doing = r.Progress.Component
				p = &term.Progress{Out: a.Stderr, Style: a.Style, Label: doing, Total: r.Progress.Total, Unit: term.Bytes, Start: a.Now()}
			}
			p.Update(a.Now(), r.Progress.Done)
		}
	}
}
