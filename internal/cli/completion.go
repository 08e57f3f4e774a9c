package cli

import (
	"context"
	_ "embed"
	"fmt"
	"sort"
	"strings"

	"github.com/edgelog/edgelog/agent/config"
	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/drivers/bus/serial"
	profiles "github.com/edgelog/edgelog/drivers/modbus"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/mcu"
)

// completeCommand is what the completion script calls for real names; it is not for people.
const completeCommand = "__complete"

//go:embed edgectl.bash
var bashCompletion string

func (a *app) completion(_ context.Context, args []string) error {
	words, err := a.parse("completion", args, 1, nil)
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] != "bash" {
		return usagef("completions exist for bash: source <(edgectl completion bash)")
	}
	return a.text(bashCompletion)
}

// complete prints the words of a kind, one a line. Without an agent it prints what is known without.
func (a *app) complete(ctx context.Context, args []string) error {
	words, err := a.parse(completeCommand, args, 1, nil)
	if err != nil || len(words) == 0 {
		return err
	}
	var out []string
	switch words[0] {
	case "commands":
		for _, c := range commands() {
			out = append(out, c.name)
		}
	case "codes":
		for _, d := range health.Table() {
			out = append(out, string(d.Code))
		}
	case "streams":
		out = a.streamNames(ctx)
	case "series":
		out = a.seriesNames(ctx)
	case "profiles":
		out = profiles.Names()
	case "ports":
		list, err := serial.List("/dev")
		if err != nil {
			return nil // completions are silent
		}
		for _, n := range list {
			out = append(out, or(n.Stable, n.Kernel))
		}
	case "nodes":
		if n, err := a.client.Nodes(ctx); err == nil {
			for _, l := range n.Lines {
				for _, x := range l.Nodes {
					out = append(out, x.Name)
				}
			}
		}
	case "lines":
		if n, err := a.client.Nodes(ctx); err == nil {
			for _, l := range n.Lines {
				out = append(out, l.Name)
			}
		}
	case "pipelines":
		if c, err := config.Outline(a.g.config, a.Host); err == nil {
			for _, p := range c.Pipelines {
				out = append(out, p.Name)
			}
		}
	case "settings":
		out = mcu.SettingNames()
	case "faults":
		if f, err := a.client.Faults(ctx); err == nil {
			for _, x := range f.Faults {
				out = append(out, fmt.Sprint(x.ID))
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return a.text(strings.Join(out, "\n") + "\n")
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
