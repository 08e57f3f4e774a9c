package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/edgelog/edgelog/agent/config"
)

const enrolHelp = `  sudo edgectl enrol ABCD-EFGH-JKMN

The code comes from the hub (edge-hub enrol add DEVICE), is good once, and never
leaves this box; nor does the key that is made here. edge-agent enrol --help
lists flags for what the configuration does not say.
`

// enrol runs edge-agent, which has what it takes to talk to a broker.
func (a *app) enrol(ctx context.Context, args []string) error {
	words, err := a.parse("enrol", args, 1, nil)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usagef("its form is edgectl enrol CODE")
	}
	if a.g.json {
		return usagef("enrol has no JSON form; its exit code says how it ended")
	}
	out, status, err := a.Child(ctx, "edge-agent", "enrol", words[0], "--config", or(a.g.config, config.DefaultFile))
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return errors.New("edge-agent is not on the PATH; it makes the key and asks for the certificate")
		}
		return fmt.Errorf("run edge-agent: %w", err)
	}
	if err := a.text(a.Style.Text(string(out))); err != nil {
		return err
	}
	if status != 0 {
		return &exit{code: status}
	}
	return nil
}
