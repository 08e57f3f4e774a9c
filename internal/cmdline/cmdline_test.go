package cmdline_test

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/cmdline"
)

func flags() *flag.FlagSet {
	f := flag.NewFlagSet("x", flag.ContinueOnError)
	f.Bool("json", false, "")
	f.Int("n", 10, "")
	f.Float64("rate", 0, "")
	f.Duration("every", 0, "")
	f.String("since", "", "")
	f.Func("for", "", func(string) error { return errors.New("want a length of time") })
	return f
}

func TestParse(t *testing.T) {
	f := flags()
	words, err := cmdline.Parse(f, []string{"a", "--json", "b", "-n", "7", "--", "-c"}, 3)
	if err != nil || strings.Join(words, " ") != "a b -c" || f.Lookup("n").Value.String() != "7" || f.Lookup("json").Value.String() != "true" {
		t.Errorf("%q, %v", words, err)
	}
	for args, want := range map[string]string{
		"a b":         `"b" is one word too many`,
		"--jsno":      `there is no flag --jsno; did you mean "--json"?`,
		"--nothing":   `there is no flag --nothing`,
		"-q":          `there is no flag -q`,
		"--since":     `--since wants a value`,
		"-n seven":    `-n "seven": want a whole number`,
		"--rate x":    `--rate "x": want a number`,
		"--every 7":   `--every "7": want a length of time such as 500ms, 10s or 5m`,
		"--json=perh": `--json "perh": it takes no value, or true or false`,
		"--for x":     `--for "x": want a length of time`,
	} {
		if _, err := cmdline.Parse(flags(), strings.Fields(args), 1); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", args, err, want)
		}
	}
	if _, err := cmdline.Parse(flags(), []string{"-h"}, 0); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestCommand(t *testing.T) {
	p := cmdline.Program{Name: "edge-x", Usage: "edge-x: the page\n", Commands: []string{"run", "check"}}
	for args, want := range map[string]struct {
		command     string
		status      int
		out, errors string
	}{
		"run --json":  {"run", 0, "", ""},
		"":            {"", 2, "", "edge-x: the page\n"},
		"help":        {"", 0, "edge-x: the page\n", ""},
		"run --help":  {"", 0, "edge-x: the page\n", ""},
		"chek":        {"", 2, "", "edge-x: there is no command \"chek\"; did you mean \"check\"? edge-x help shows all\n"},
		"check now":   {"", 2, "", "edge-x: check: \"now\" is one word too many; edge-x help shows all\n"},
		"check --jso": {"", 2, "", "edge-x: check: there is no flag --jso; did you mean \"--json\"? edge-x help shows all\n"},
	} {
		var out, errs bytes.Buffer
		command, status := p.Command(strings.Fields(args), flags(), &out, &errs)
		if command != want.command || status != want.status || out.String() != want.out || errs.String() != want.errors {
			t.Errorf("%q: %q %d\n%s%s", args, command, status, out.String(), errs.String())
		}
	}
}

func TestTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 23, 5, 20, 0, 0, zone)
	for text, want := range map[string]string{
		"now": "2026-11-23T05:20:00+01:00", "today": "2026-11-23T00:00:00+01:00", "yesterday": "2026-11-22T00:00:00+01:00",
		"02:14": "2026-11-23T02:14:00+01:00", "2026-11-01": "2026-11-01T00:00:00+01:00", "2026-11-01 10:00": "2026-11-01T10:00:00+01:00",
		"90m": "2026-11-23T03:50:00+01:00", "7d ago": "2026-11-16T05:20:00+01:00", "2026-11-01T10:00:00Z": "2026-11-01T10:00:00Z",
	} {
		if got, err := cmdline.Time(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "gestern", "25:00", "-1h", "12"} {
		if got, err := cmdline.Time(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
