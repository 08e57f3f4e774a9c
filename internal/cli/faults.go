package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/term"
)

// counts reports whether a line belongs into status: it lasts, or it lost records and nobody has acknowledged it.
func counts(f api.Fault) bool { return f.Active || f.Severity != health.Notice.String() }

// past counts the lines that are over and only wait for an acknowledgement.
func past(faults []api.Fault) int {
	n := 0
	for _, f := range faults {
		if !counts(f) {
			n++
		}
	}
	return n
}

// faultLines draws the lines that count, at most max.
func (v view) faultLines(faults []api.Fault, max int) string {
	var b strings.Builder
	more := 0
	for _, f := range faults {
		switch {
		case !counts(f):
		case max == 0:
			more++
		default:
			max--
			b.WriteString(v.fault(f))
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "   and %d more: edgectl faults\n", more)
	}
	return b.String()
}

// fault draws one fault: what and since when, what it is about, what to do.
func (v view) fault(f api.Fault) string {
	mark, colour := "-", ""
	switch f.Severity {
	case health.Degraded.String():
		mark, colour = "!", term.Yellow
	case health.Failed.String():
		mark, colour = "!!", term.Red
	}
	head := f.Title
	if f.Subject != "" {
		head = f.Subject + ": " + f.Title
	}
	b := v.style.Paint(colour, fmt.Sprintf("%-2s", mark)) + " " + term.Wrap(v.clean(head+" "+v.span(f)), v.style.Width(), "   ") + "\n"
	body := f.Text
	if body != "" && !strings.ContainsAny(body[len(body)-1:], ".?!") {
		body += "."
	}
	if do := firstSentence(f.Do); do != "" && f.Acked.IsZero() {
		body = strings.TrimSpace(body + " " + do)
	}
	if body != "" {
		b += "   " + term.Wrap(v.clean(body), v.style.Width(), "   ") + "\n"
	}
	next := "edgectl explain " + f.Code
	switch {
	case !f.Acked.IsZero():
		next += "   acknowledged by " + f.AckedBy
	case f.ID != 0 && !f.Active:
		next += fmt.Sprintf("   edgectl faults ack %d", f.ID)
	}
	for _, line := range strings.SplitAfter(v.fields(0, strings.Split(next, "   ")...), "\n") {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			b += "   " + v.style.Paint(term.Dim, v.clean(line)) + "\n"
		}
	}
	return b
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i > 0 {
		return s[:i+1]
	}
	return s
}

// span says when: "since 02:14 (3h 06m)", or "from 02:14 to 03:00 (46m)".
func (v view) span(f api.Fault) string {
	times := ""
	if f.Count > 1 {
		times = ", " + term.CommaU(f.Count) + " times"
	}
	switch {
	case f.Active:
		return fmt.Sprintf("since %s (%s%s)", term.Clock(f.Since, v.now), term.Duration(v.now.Sub(f.Since)), times)
	case f.Until.Equal(f.Since):
		return "at " + term.Clock(f.Since, v.now) + times
	}
	return fmt.Sprintf("from %s to %s (%s%s)", term.Clock(f.Since, v.now), term.Clock(f.Until, v.now), term.Duration(f.Until.Sub(f.Since)), times)
}

func (a *app) faults(ctx context.Context, args []string) error {
	words, err := a.parse("faults", args, 2, nil)
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return a.ack(ctx, words)
	}
	list, err := a.client.Faults(ctx)
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(list)
	}
	return a.text(a.view().faults(list.Faults))
}

func (v view) faults(list []api.Fault) string {
	if len(list) == 0 {
		return "No fault, now or unacknowledged.\n"
	}
	var b strings.Builder
	for i, f := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(fmt.Sprintf("%d  %s  %s\n", f.ID, f.Code, f.Severity) + v.fault(f))
	}
	return b.String()
}

func (a *app) ack(ctx context.Context, words []string) error {
	if words[0] != "ack" || len(words) != 2 {
		return usagef("write: edgectl faults ack ID; edgectl faults lists the ids")
	}
	id, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return usagef("%q is not an id; edgectl faults lists the ids", words[1])
	}
	f, err := a.client.Ack(ctx, id)
	var refused *api.Error
	if errors.As(err, &refused) && refused.Code == api.CodeNotFound {
		return &exit{ExitError, fmt.Errorf("there is no fault %d; edgectl faults lists the ids", id)}
	}
	if err != nil {
		return err
	}
	if a.g.json {
		return a.json(f)
	}
	text := fmt.Sprintf("%s %s: acknowledged. ", f.Code, or(f.Subject, f.Title))
	if f.Active {
		text += "It lasts; its line goes when it is over."
	} else {
		text += "It is over; its line is gone."
	}
	return a.text(term.Wrap(a.Style.Text(text), a.Style.Width(), "") + "\n")
}

func (a *app) explain(ctx context.Context, args []string) error {
	words, err := a.parse("explain", args, 1, nil)
	if err != nil {
		return err
	}
	out := api.Explained{SchemaVersion: api.SchemaVersion}
	if len(words) == 0 {
		for _, d := range health.Table() {
			out.Faults = append(out.Faults, api.TextOf(d))
		}
		if a.g.json {
			return a.json(out)
		}
		t := term.Table{}
		for _, f := range out.Faults {
			t.Row(f.Code, f.Severity, f.Title)
		}
		return a.page(t.String())
	}
	d, ok := health.Lookup(health.Code(words[0]))
	if !ok {
		var codes []string
		for _, d := range health.Table() {
			codes = append(codes, string(d.Code))
		}
		return usage(cmdline.Then(cmdline.Unknown("code", strings.ToUpper(words[0]), codes), "edgectl explain lists all"))
	}
	out.Faults = []api.FaultText{api.TextOf(d)}
	if a.g.json {
		return a.json(out)
	}
	return a.text(a.view().explain(d))
}

func (v view) explain(d health.Declared) string {
	b := term.Page(fmt.Sprintf("%s   %s   %s\n", d.Code, d.Severity, d.Title), v.style.Width())
	for _, p := range []struct{ name, text string }{
		{"What it means", d.Means}, {"How it is found", d.Found}, {"What to do", d.Do}, {"What is at risk", d.Risk},
	} {
		b += "\n" + p.name + "\n  " + term.Wrap(p.text, v.style.Width(), "  ") + "\n"
	}
	return v.clean(b)
}
