package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	profiles "github.com/edgelog/edgelog/drivers/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/mcu"
)

func (a *app) completion(_ context.Context, args []string) error {
	words, err := a.parse("completion", args, 1, nil)
	if err != nil {
		return err
	}
	script, err := cmdline.Script("edgectl", strings.Join(words, ""))
	if err != nil {
		return usage(cmdline.Then(err, "edgectl help completion says how to use them"))
	}
	return a.text(script)
}

// errFlagsOnly ends a command whose flags alone are asked for.
var errFlagsOnly = errors.New("flags only")

// flagsOf are the flags of a command line with these words. The command itself registers them: it runs up to there.
func (a *app) flagsOf(ctx context.Context, words []string) *flag.FlagSet {
	f := newFlags("edgectl")
	a.g.register(f)
	if len(words) == 0 {
		return f
	}
	for _, c := range commands() {
		if c.name == words[0] {
			probe := app{Env: a.Env, g: a.g, flags: func(own *flag.FlagSet) {
				own.VisitAll(func(x *flag.Flag) {
					if f.Lookup(x.Name) == nil {
						f.Var(x.Value, x.Name, "")
					}
				})
			}}
			probe.Stdout, probe.Stderr = io.Discard, io.Discard
			_ = c.run(&probe, ctx, words[1:]) // errFlagsOnly, or a word that no command has: then these are all
			break
		}
	}
	return f
}

// complete prints what the last word of a line may become. Without an agent that is what is known without.
func (a *app) complete(ctx context.Context, line []string) error {
	ask := func(names func(context.Context) []string) []string {
		if a.g.complete() != nil { // a line with a wrong flag has no names
			return nil
		}
		a.open()
		return names(ctx)
	}
	c := cmdline.Completer{
		Flags:    func(words []string) *flag.FlagSet { return a.flagsOf(ctx, words) },
		Value:    func(words []string, name string) cmdline.Choice { return a.valuesOf(name, ask) },
		Argument: func(words []string) cmdline.Choice { return a.argumentsOf(words, ask) },
	}
	return a.text(c.Complete(line).Lines())
}

// valuesOf is what a flag takes.
func (a *app) valuesOf(name string, ask func(func(context.Context) []string) []string) cmdline.Choice {
	words := func(list string) cmdline.Choice { return cmdline.Choice{Words: strings.Fields(list)} }
	switch name {
	case "o":
		return words("wide json")
	case "stream":
		return cmdline.Choice{Words: ask(a.streamNames)}
	case "series":
		return cmdline.Choice{Words: ask(a.seriesNames)}
	case "scan":
		return cmdline.Choice{Words: ask(a.lineNames)}
	case "name":
		return cmdline.Choice{Words: ask(a.pipelineNames)}
	case "profile":
		return cmdline.Choice{Words: profiles.Names(), Files: true}
	case "since", "until":
		return words("1h 24h 7d today yesterday")
	case "every":
		return words("500ms 2s 10s 1m")
	case "for":
		return words("10m 1h")
	case "table":
		return words("holding input coil discrete")
	case "type":
		return words("uint16 int16 uint32 int32 uint64 int64 float32 float64 bcd16 bcd32")
	case "word-order", "byte-order":
		return words("big little")
	case "parity":
		return words("none even odd none,even")
	case "baud":
		return words("2400 4800 9600 19200 38400 57600 115200")
	case "dir", "run-dir", "npu-dir", "updater-dir", "root", "socket", "config", "key-file", "key", "trust", "snapshot", "timestamp":
		return cmdline.Choice{Files: true}
	}
	return cmdline.Choice{}
}

// argumentsOf is what may stand behind the words of a line.
func (a *app) argumentsOf(words []string, ask func(func(context.Context) []string) []string) cmdline.Choice {
	if len(words) == 0 || words[0] == "help" {
		return cmdline.Choice{Words: commandNames()}
	}
	verb := ""
	if len(words) > 1 {
		verb = words[1]
	}
	verbs := func(list ...string) cmdline.Choice {
		if verb == "" {
			return cmdline.Choice{Words: list}
		}
		return cmdline.Choice{Files: true}
	}
	switch words[0] {
	case "tail":
		return cmdline.Choice{Words: ask(a.streamNames)}
	case "sensors":
		return cmdline.Choice{Words: append(ask(a.seriesNames), "watch")}
	case "scan":
		return cmdline.Choice{Words: portNames()}
	case "explain":
		return cmdline.Choice{Words: codeNames()}
	case "completion":
		return cmdline.Choice{Words: cmdline.Shells}
	case "keys":
		return cmdline.Choice{Words: []string{"new"}}
	case "npu":
		return verbs("run")
	case "pipeline":
		if verb == "" {
			return cmdline.Choice{Words: []string{"try"}}
		}
	case "release":
		return verbs("prepare", "add", "freeze", "sign", "publish", "verify")
	case "faults":
		if verb == "ack" {
			return cmdline.Choice{Words: ask(a.faultNumbers)}
		}
		return cmdline.Choice{Words: []string{"ack"}}
	case "modbus":
		if verb == "scan" || verb == "read" {
			return cmdline.Choice{Words: portNames()}
		}
		return cmdline.Choice{Words: []string{"scan", "read", "profiles"}}
	case "update":
		if verb == "" || verb == "import" || verb == "diag" {
			return verbs(updateVerbs...)
		}
	case "log":
		var names []string
		for _, c := range logCommands() {
			names = append(names, c.name)
		}
		return verbs(names...)
	case "node":
		return a.nodeArguments(words[1:], ask)
	}
	return cmdline.Choice{}
}

func (a *app) nodeArguments(words []string, ask func(func(context.Context) []string) []string) cmdline.Choice {
	switch {
	case len(words) == 0:
		var names []string
		for _, c := range nodeCommands() {
			names = append(names, c.name)
		}
		return cmdline.Choice{Words: names}
	case len(words) == 1 && words[0] != "list":
		return cmdline.Choice{Words: ask(a.nodeNames)}
	case words[0] == "flash":
		return cmdline.Choice{Files: true}
	case words[0] == "set":
		var names []string
		for _, n := range append(mcu.SettingNames(), "clock", "output", "command") {
			names = append(names, n+"=")
		}
		return cmdline.Choice{Words: names, Open: true}
	}
	return cmdline.Choice{}
}

func commandNames() (out []string) {
	for _, c := range commands() {
		out = append(out, c.name)
	}
	return out
}

func codeNames() (out []string) {
	for _, d := range health.Table() {
		out = append(out, string(d.Code))
	}
	return out
}

func portNames() (out []string) {
	list, err := serial.List("/dev")
	if err != nil {
		return nil // completions are silent
	}
	for _, n := range list {
		out = append(out, or(n.Stable, n.Kernel))
	}
	return out
}

func (a *app) faultNumbers(ctx context.Context) (out []string) {
	if f, err := a.client.Faults(ctx); err == nil {
		for _, x := range f.Faults {
			out = append(out, fmt.Sprint(x.ID))
		}
	}
	return out
}

func (a *app) nodeNames(ctx context.Context) (out []string) {
	if n, err := a.client.Nodes(ctx); err == nil {
		for _, l := range n.Lines {
			for _, x := range l.Nodes {
				out = append(out, x.Name)
			}
		}
	}
	return out
}

func (a *app) lineNames(ctx context.Context) (out []string) {
	if n, err := a.client.Nodes(ctx); err == nil {
		for _, l := range n.Lines {
			out = append(out, l.Name)
		}
	}
	return out
}

func (a *app) streamNames(ctx context.Context) (out []string) {
	s, err := a.client.Status(ctx)
	if err != nil {
		return nil
	}
	for _, x := range s.Streams {
		out = append(out, x.Name)
	}
	return out
}

func (a *app) seriesNames(ctx context.Context) (out []string) {
	s, err := a.client.Sensors(ctx)
	if err != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, src := range s.Sources {
		for _, x := range src.Sensors {
			seen[quantity(x)] = true
		}
	}
	for name := range seen {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func quantity(s api.Sensor) string {
	name, _, _ := strings.Cut(s.Series, "{")
	return name
}
