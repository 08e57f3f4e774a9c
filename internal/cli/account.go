package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
	"github.com/edgelog/edgelog/internal/term"
)

func (a *app) account(ctx context.Context, args []string) error {
	if _, err := a.parse("account", args, 0, nil); err != nil {
		return err
	}
	acc, err := a.client.Account(ctx)
	if errors.Is(err, api.ErrUnreachable) {
		return a.offline(ctx, err, func(r *logquery.Reader) error { return a.showAccount(a.offlineAccount(r)) })
	}
	if err != nil {
		return err
	}
	return a.showAccount(acc)
}

func (a *app) showAccount(acc *api.Account) error {
	var err error
	if a.g.json {
		err = a.json(acc)
	} else {
		err = a.text(a.view().account(acc))
	}
	if err == nil && !acc.Balanced {
		return &exit{code: ExitDegraded}
	}
	return err
}

func total(m map[string]uint64) uint64 {
	var n uint64
	for _, x := range m {
		n += x
	}
	return n
}

// accountRank orders streams from the worst.
func accountRank(s api.StreamAccount) int {
	switch {
	case s.Sum.Remainder != 0:
		return 0
	case len(s.Sum.Dropped)+len(s.Sum.Skipped) > 0:
		return 1
	}
	return 2
}

func (v view) account(acc *api.Account) string {
	t := term.Table{Head: []string{"STREAM", "TAKEN", "DELIVERED", "SKIPPED", "DROPPED", "IN FLIGHT", "BUFFERED", "REST"},
		Right: []bool{false, true, true, true, true, true, true, true}, Gap: 2}
	var why []string
	row := func(name string, e api.EpochAccount) {
		t.Row(name, term.CommaU(e.End-e.First), term.CommaU(e.Delivered), term.CommaU(total(e.Skipped)), term.CommaU(total(e.Dropped)),
			term.CommaU(e.InFlight), term.CommaU(e.Buffered), term.Comma(e.Remainder))
	}
	worst := slices.Clone(acc.Streams)
	slices.SortStableFunc(worst, func(a, b api.StreamAccount) int { return cmp.Compare(accountRank(a), accountRank(b)) })
	for _, s := range worst {
		row(s.Name, s.Sum)
		if v.wide {
			for _, e := range s.Epochs {
				row("  "+e.Epoch, e)
			}
		}
		if total(s.Sum.Dropped) > 0 {
			why = append(why, s.Name+" dropped: "+reasons(s.Sum.Dropped))
		}
		if s.Sum.Owed > 0 {
			why = append(why, s.Name+" owed: "+term.CommaU(s.Sum.Owed)+" of these are still here; the hub has only a gap of another copy of this disk in their place")
		}
		if total(s.Sum.Skipped) > 0 {
			why = append(why, s.Name+" skipped by the hub: "+reasons(s.Sum.Skipped))
		}
	}
	b := v.table(&t)
	if len(why) > 0 {
		for i, w := range why {
			why[i] = term.Wrap(w, v.style.Width(), "   ")
		}
		b += "\n" + strings.Join(why, "\n") + "\n"
	}
	if len(acc.Sources) > 0 {
		s := term.Table{Head: []string{"SOURCE", "TAKEN", "MISSED", ""}, Right: []bool{false, true, true, false}, Gap: 2}
		for _, src := range acc.Sources {
			s.Row(src.Name, term.CommaU(src.Taken), term.CommaU(total(src.Missed)), reasons(src.Missed))
		}
		b += "\n" + v.table(&s)
	}
	b = v.clean(b) + "\n"
	if acc.Balanced {
		return b + v.style.Paint(term.Green, "The account balances.") + "\n"
	}
	return b + v.fields(0, v.style.Paint(term.Red, "THE ACCOUNT DOES NOT BALANCE."), "edgectl explain A003")
}
