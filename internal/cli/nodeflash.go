package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/term"
	"github.com/edgelog/edgelog/mcu/boot"
)

// nodeFlash sends an image to the agent, which writes it, and shows how far it is.
func (a *app) nodeFlash(ctx context.Context, args []string) error {
	want, yes := "", false
	words, err := a.parse("node", args, 2, func(f *flag.FlagSet) {
		f.StringVar(&want, "want", "", "")
		f.BoolVar(&yes, "yes", false, "")
	})
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return usagef("node flash: its form is edgectl node flash NAME FILE [--want VERSION]")
	}
	name, file := words[0], words[1]
	data, err := a.Host.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read image: %w", err)
	}
	img, err := boot.Parse(data, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	_, node, err := a.findNode(ctx, name)
	if err != nil {
		return err
	}
	if node.Flash == "" {
		return usagef("node %s has no flash block in the configuration, so its bootloader is not known; docs/node.md shows how", name)
	}
	if !yes {
		what := fmt.Sprintf("%s (%s %s) gets %s of new firmware over %s. It controls nothing for up to a minute; its outputs are as its hardware leaves them.",
			name, node.Chip, node.Version, term.Bytes(int64(img.Len())), node.Flash)
		if err := a.confirm(what, name); err != nil {
			return err
		}
	}
	var p *term.Progress
	phase := ""
	end, err := a.client.Flash(ctx, name, api.FlashOrder{Want: want}, data, func(s api.FlashProgress) {
		if s.Phase != phase {
			if p != nil {
				p.Clear()
			}
			phase = s.Phase
			p = &term.Progress{Out: a.Stderr, Style: a.Style, Label: fmt.Sprintf("%-8s", phase), Start: a.Now(), Unit: term.Bytes}
		}
		if p.Total = int64(s.Total); s.Total <= 1 { // a phase without a measure
			p.Total = 0
		}
		p.Update(a.Now(), int64(s.Done))
	})
	if p != nil {
		p.Clear()
	}
	if errors.Is(err, context.Canceled) {
		return &exit{130, fmt.Errorf("interrupted. The node waits in its bootloader or runs a whole image; run the same command again")}
	}
	if end == nil {
		return err
	}
	if a.g.json {
		if jerr := a.json(end); jerr != nil {
			return jerr
		}
		if err != nil {
			return &exit{code: ExitError}
		}
		return nil
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %s written to %s and verified in %s", name, term.Bytes(int64(end.Bytes)), end.Chip, term.Duration(seconds(end.Seconds)))
	if end.Version != "" {
		text += "; it is back with version " + end.Version
	}
	return a.text(a.Style.Text(text) + ".\n")
}
