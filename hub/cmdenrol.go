package hub

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/enrol"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/internal/vfs"
)

const enrolHelp = `  edge-hub enrol add DEVICE [--life 24h]       a one-time code for a box; shown once
  edge-hub enrol list                          codes and devices, and how they stand
  edge-hub enrol revoke DEVICE [--why TEXT]    no more renewals; the code is void
  edge-hub enrol audit [DEVICE]                who did what when; verifies the chain

At the box: sudo edgectl enrol CODE. Run edge-hub enrol as the hub's user.

`

var enrolVerbs = []string{"add", "list", "revoke", "audit"}

func (a *app) cmdEnrol(_ context.Context, args []string) error {
	life, why := enrol.DefaultCode, ""
	words, err := a.parse("enrol", args, 2, func(f *flag.FlagSet) {
		f.DurationVar(&life, "life", life, "")
		f.StringVar(&why, "why", "", "")
	})
	if err != nil {
		return err
	}
	if len(words) == 0 {
		return usagef("enrol: want %s; edge-hub help enrol shows their form", strings.Join(enrolVerbs, ", "))
	}
	c, err := Load(a.file)
	if err != nil {
		return err
	}
	if c.Enrol == nil {
		return fmt.Errorf("%s has no enrol block: this hub gives out no certificates. docs/updates.md shows one", a.file)
	}
	verb, device := words[0], ""
	if len(words) > 1 {
		device = words[1]
	}
	if (verb == "add" || verb == "revoke") && device == "" {
		return usagef("enrol %s: want DEVICE", verb)
	}
	if verb == "audit" {
		return a.enrolAudit(c.Enrol.State, device)
	}
	book, err := enrol.OpenBook(vfs.OS{}, c.Enrol.State)
	if err != nil {
		return err
	}
	switch verb {
	case "add":
		if life < time.Minute || life > enrol.MaxCode {
			return usagef("--life %v: want 1m to %v", life, enrol.MaxCode)
		}
		return a.enrolAdd(book, device, life)
	case "list":
		return a.enrolList(book)
	case "revoke":
		err := book.Revoke(device, operator(), why, a.Now())
		if err == nil {
			_, err = fmt.Fprintf(a.Stdout, "%s gets no further certificate. The one it has is good until it ends: disable the client at the broker.\n", a.Style.Text(device))
		}
		return err
	}
	return usagef("enrol: there is no %q%s", verb, strictyaml.Suggest(verb, enrolVerbs))
}

// operator is who runs this program.
func operator() string {
	if by := os.Getenv("SUDO_USER"); by != "" {
		return by
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

func (a *app) enrolAdd(book *enrol.Book, device string, life time.Duration) error {
	code, c, err := book.Add(device, operator(), life, a.Now())
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.enrolJSON(map[string]any{"schema_version": 1, "device": device, "code": code, "expires": c.Expires})
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n\nFor %s, once, until %s. At the box:\n  sudo edgectl enrol %s\n", code, a.Style.Text(device),
		c.Expires.In(a.Zone).Format("2006-01-02 15:04 -0700"), code)
	return err
}

func (a *app) enrolJSON(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// enrolled is a row of list.
type enrolled struct {
	Device  string    `json:"device"`
	State   string    `json:"state"`
	By      string    `json:"by"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires,omitzero"`
	Tries   int       `json:"wrong_codes,omitempty"`
	Used    time.Time `json:"used,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
}

func (a *app) enrolList(book *enrol.Book) error {
	now := a.Now()
	rows := []enrolled{}
	for _, c := range book.Codes() {
		r := enrolled{Device: c.Device, State: "waits", By: c.By, Made: c.Made, Expires: c.Expires, Tries: c.Tries, Used: c.Used, Revoked: c.Revoked}
		switch {
		case !c.Revoked.IsZero():
			r.State = "revoked"
		case !c.Used.IsZero():
			r.State = "enrolled"
		case c.Tries >= enrol.MaxTries:
			r.State = "void: wrong codes"
		case now.After(c.Expires):
			r.State = "over"
		}
		rows = append(rows, r)
	}
	if a.asJSON {
		return a.enrolJSON(map[string]any{"schema_version": 1, "devices": rows})
	}
	t := term.Table{Head: []string{"DEVICE", "STATE", "MADE", "BY", "UNTIL"}, Gap: 2}
	for _, r := range rows {
		last := ""
		if r.State == "waits" {
			last = term.Clock(r.Expires.In(a.Zone), now.In(a.Zone))
		}
		t.Row(r.Device, r.State, term.Clock(r.Made.In(a.Zone), now.In(a.Zone)), r.By, last)
	}
	_, err := fmt.Fprint(a.Stdout, a.Style.Text(a.table(&t)))
	return err
}

func (a *app) enrolAudit(dir, device string) error {
	var entries []map[string]any
	err := enrol.Entries(vfs.OS{}, dir, func(e chainlog.Entry) error {
		var x enrol.Event
		if err := json.Unmarshal(e.Event, &x); err != nil {
			return err
		}
		if device != "" && x.Device != device {
			return nil
		}
		if a.asJSON {
			entries = append(entries, map[string]any{"n": e.Number, "time": e.Time, "hash": e.Hash, "event": x})
			return nil
		}
		text := x.What
		for _, more := range []string{x.Why, x.Serial} {
			if more != "" {
				text += ": " + more
			}
		}
		if x.By != "" {
			text += " (" + x.By + ")"
		}
		if x.Unnoted > 0 {
			text += fmt.Sprintf("; %d refusals before it were not noted", x.Unnoted)
		}
		_, err := fmt.Fprintf(a.Stdout, "%6d  %s  %-20s %s\n", e.Number, e.Time.In(a.Zone).Format("2006-01-02 15:04:05"), a.Style.Text(x.Device), a.Style.Text(text))
		return err
	})
	if errors.Is(err, chainlog.ErrChain) {
		return &exit{ExitDegraded, err}
	}
	if err == nil && a.asJSON {
		return a.enrolJSON(map[string]any{"schema_version": 1, "entries": entries})
	}
	return err
}
