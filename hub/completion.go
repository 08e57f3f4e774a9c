package hub

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/hub/enrol"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/internal/cmdline"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/vfs"
)

// completeWithin bounds how long a shell waits for names.
const completeWithin = time.Second

func (a *app) cmdCompletion(_ context.Context, args []string) error {
	words, err := a.parse("completion", args, 1, nil)
	if err != nil {
		return err
	}
	script, err := cmdline.Script("edge-hub", strings.Join(words, ""))
	if err != nil {
		return usage(cmdline.Then(err, "edge-hub help completion says how to use them"))
	}
	return a.text(script)
}

// errFlagsOnly ends a command whose flags alone are asked for.
var errFlagsOnly = errors.New("flags only")

// flagsOf are the flags of a command line with these words. The command itself registers them: it runs up to there.
func (a *app) flagsOf(ctx context.Context, words []string) *flag.FlagSet {
	f := a.flags("edge-hub", new(string))
	if len(words) == 0 {
		return f
	}
	for _, c := range commands() {
		if c.name == words[0] {
			probe := app{Env: a.Env, probe: func(own *flag.FlagSet) {
				own.VisitAll(func(x *flag.Flag) {
					if f.Lookup(x.Name) == nil {
						f.Var(x.Value, x.Name, "")
					}
				})
			}}
			probe.Stdout, probe.Stderr = io.Discard, io.Discard
			_ = c.run(&probe, ctx, words[1:]) // errFlagsOnly
			break
		}
	}
	return f
}

// complete prints what the last word of a line may become.
func (a *app) complete(ctx context.Context, line []string) error {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	c := cmdline.Completer{
		Flags:    func(words []string) *flag.FlagSet { return a.flagsOf(ctx, words) },
		Value:    func(_ []string, name string) cmdline.Choice { return a.valuesOf(ctx, name) },
		Argument: func(words []string) cmdline.Choice { return a.argumentsOf(ctx, words) },
	}
	return a.text(c.Complete(line).Lines())
}

func (a *app) valuesOf(ctx context.Context, name string) cmdline.Choice {
	switch name {
	case "o":
		return cmdline.Choice{Words: []string{"wide", "json"}}
	case "device":
		return cmdline.Choice{Words: a.deviceNames(ctx)}
	case "stream":
		return cmdline.Choice{Words: a.streamNames(ctx)}
	case "config", "db", "key", "to", "ack", "dir":
		return cmdline.Choice{Files: true}
	}
	return cmdline.Choice{}
}

func (a *app) argumentsOf(ctx context.Context, words []string) cmdline.Choice {
	if len(words) == 0 || words[0] == "help" {
		var names []string
		for _, c := range commands() {
			names = append(names, c.name)
		}
		return cmdline.Choice{Words: names}
	}
	verb := ""
	if len(words) > 1 {
		verb = words[1]
	}
	switch words[0] {
	case "import":
		return cmdline.Choice{Files: true}
	case "completion":
		return cmdline.Choice{Words: cmdline.Shells}
	case "status", "account":
		if verb == "" {
			return cmdline.Choice{Words: a.deviceNames(ctx)}
		}
	case "command":
		if verb == "" {
			return cmdline.Choice{Words: a.deviceNames(ctx)}
		}
		return cmdline.Choice{Words: fleetwire.Operations}
	case "quarantine":
		return a.quarantineArguments(ctx, words[1:])
	case "enrol":
		switch verb {
		case "":
			return cmdline.Choice{Words: enrolVerbs}
		case "revoke", "audit":
			return cmdline.Choice{Words: a.enrolledNames()}
		}
	case "rollout":
		switch verb {
		case "":
			return cmdline.Choice{Words: rolloutVerbs}
		case "create":
			return cmdline.Choice{Files: true}
		case "events":
			return cmdline.Choice{Words: a.deviceNames(ctx)}
		case "show", "pause", "resume", "abort", "audit":
			return cmdline.Choice{Words: a.rolloutNames(ctx)}
		}
	}
	return cmdline.Choice{}
}

// quarantineArguments are the device, stream and epoch of what stands in quarantine.
func (a *app) quarantineArguments(ctx context.Context, words []string) cmdline.Choice {
	if len(words) == 0 {
		return cmdline.Choice{Words: []string{"list", "resolve"}}
	}
	var out []string
	for _, s := range a.streamAccounts(ctx) {
		for _, e := range s.Epochs {
			if at := []string{s.Device, s.Stream, e.Epoch}; e.Quarantined && len(words) <= len(at) && slices.Equal(at[:len(words)-1], words[1:]) {
				out = append(out, at[len(words)-1])
			}
		}
	}
	slices.Sort(out)
	return cmdline.Choice{Words: slices.Compact(out)}
}

// streamAccounts is what the store has; nothing where it cannot be read: completions are silent.
func (a *app) streamAccounts(ctx context.Context) []StreamAccount {
	s, _, err := a.reader(ctx)
	if err != nil {
		return nil
	}
	defer s.Close()
	epochs, err := s.Accounts(ctx)
	if err != nil {
		return nil
	}
	return streams(epochs)
}

func (a *app) deviceNames(ctx context.Context) (out []string) {
	for _, s := range a.streamAccounts(ctx) {
		out = append(out, s.Device)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *app) streamNames(ctx context.Context) (out []string) {
	for _, s := range a.streamAccounts(ctx) {
		out = append(out, s.Stream)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *app) rolloutNames(ctx context.Context) (out []string) {
	c, err := Load(a.file)
	if err != nil || c.Fleet == nil {
		return nil
	}
	l, err := (fleet.Client{Socket: c.FleetSocket()}).List(ctx)
	if err != nil {
		return nil
	}
	for _, r := range l.Rollouts {
		out = append(out, r.ID)
	}
	return out
}

func (a *app) enrolledNames() (out []string) {
	c, err := Load(a.file)
	if err != nil || c.Enrol == nil {
		return nil
	}
	if _, err := os.Stat(c.Enrol.State); err != nil { // nothing is made for a completion
		return nil
	}
	book, err := enrol.OpenBook(vfs.OS{}, c.Enrol.State)
	if err != nil {
		return nil
	}
	for _, x := range book.Codes() {
		out = append(out, x.Device)
	}
	return out
}
