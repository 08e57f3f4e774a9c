package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/strictyaml"
)

// globals are the flags of every command.
type globals struct {
	json, utc, help bool
	output          string // "", "wide"
	dataDir, runDir string
	socket, config  string
}

func (g *globals) register(f *flag.FlagSet) {
	f.BoolVar(&g.json, "json", g.json, "")
	f.BoolVar(&g.utc, "utc", g.utc, "")
	f.BoolVar(&g.help, "help", g.help, "")
	f.BoolVar(&g.help, "h", g.help, "")
	f.StringVar(&g.output, "o", g.output, "")
	f.StringVar(&g.dataDir, "dir", g.dataDir, "")
	f.StringVar(&g.runDir, "run-dir", g.runDir, "")
	f.StringVar(&g.socket, "socket", g.socket, "")
	f.StringVar(&g.config, "config", g.config, "")
}

func newFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// parseGlobals reads what stands before the command and returns the rest.
func parseGlobals(args []string, getenv func(string) string) (globals, []string, error) {
	g := globals{dataDir: getenv("EDGE_DATA_DIR"), runDir: getenv("EDGE_RUN_DIR"), config: getenv("EDGE_CONFIG")}
	f := newFlags("edgectl")
	g.register(f)
	if err := f.Parse(args); err != nil {
		return g, nil, usagef("%w; edgectl help lists all", err)
	}
	return g, f.Args(), nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// complete fills what no flag gave.
func (g *globals) complete() error {
	switch g.output {
	case "", "wide":
	case "json":
		g.json = true
	default:
		return usagef("-o %s: there are wide and json", g.output)
	}
	if g.socket != "" {
		g.runDir = filepath.Dir(g.socket)
	}
	g.runDir = or(g.runDir, config.DefaultRunDir)
	g.dataDir = or(g.dataDir, config.DefaultDataDir)
	g.config = or(g.config, config.DefaultFile)
	return nil
}

// parse reads a command's flags, which may stand before and after its other arguments, and opens the client.
// At most max other arguments are allowed.
func (a *app) parse(name string, args []string, max int, more func(*flag.FlagSet)) ([]string, error) {
	f := newFlags(name)
	a.g.register(f)
	if more != nil {
		more(f)
	}
	var words []string
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				a.g.help = true
				break
			}
			return nil, usagef("%w; edgectl help %s shows its flags", err, name)
		}
		if rest = f.Args(); len(rest) == 0 {
			break
		}
		words, rest = append(words, rest[0]), rest[1:]
	}
	if a.g.help {
		if err := a.helpOn(name); err != nil {
			return nil, err
		}
		return nil, &exit{code: ExitOK}
	}
	if len(words) > max {
		return nil, usagef("%s: %q is too much; edgectl help %s shows its form", name, words[max], name)
	}
	if err := a.g.complete(); err != nil {
		return nil, err
	}
	a.open()
	return words, nil
}

// parseTime reads a time as people type it: RFC 3339, "2026-11-23 02:14", "2026-11-23", "02:14" (today), "now",
// "today", "yesterday", or a length of time ago: "90m", "1h30m", "7d".
func parseTime(s string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch s {
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	if d, err := strictyaml.ParseDuration(strings.TrimSuffix(strings.TrimSuffix(s, "ago"), " ")); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write 2026-11-23T02:14:00Z, \"2026-11-23 02:14\", 02:14, yesterday, or 90m (ago)", s)
}
