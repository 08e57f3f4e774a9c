package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/internal/cmdline"
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
		return g, nil, usage(cmdline.Then(cmdline.Explain(f, err), "edgectl help lists all"))
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
	if a.flags != nil {
		a.flags(f)
		return nil, errFlagsOnly
	}
	words, err := cmdline.Parse(f, args, max)
	if errors.Is(err, flag.ErrHelp) {
		a.g.help, err = true, nil
	}
	if err != nil {
		return nil, usage(cmdline.Then(fmt.Errorf("%s: %w", name, err), "edgectl help "+name+" shows its form"))
	}
	if a.g.help {
		if err := a.helpOn(name); err != nil {
			return nil, err
		}
		return nil, &exit{code: ExitOK}
	}
	if err := a.g.complete(); err != nil {
		return nil, err
	}
	a.open()
	return words, nil
}
