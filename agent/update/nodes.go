package update

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
)

// NodeAgent is the agent's control API as far as it updates nodes.
type NodeAgent interface {
	Nodes(ctx context.Context) (*api.Nodes, error)
	Flash(ctx context.Context, name, want string, image []byte, step func(api.FlashProgress)) (*api.FlashProgress, error)
}

// Nodes flashes the microcontroller nodes of the box through its agent (install.Nodes). The flash protocols of these
// nodes know one image, so they are flashed before the decision and flashed again with the old image on the way back.
type Nodes struct{ Agent NodeAgent }

const maxImageBytes = 16 << 20

// Stage does nothing: there is one slot.
func (n Nodes) Stage(context.Context, release.Component, string) error { return nil }

// Try flashes every node that the component is meant for and that does not run it yet. A node that does not answer
// fails it: what is decided for a box is decided for all its nodes.
func (n Nodes) Try(ctx context.Context, c release.Component, file string) error {
	return n.flash(ctx, c, c.Version, file)
}

// Keep flashes what fell back or was offline meanwhile.
func (n Nodes) Keep(ctx context.Context, c release.Component, file string) error {
	return n.flash(ctx, c, c.Version, file)
}

// Revert flashes the old image onto every node that runs the new one.
func (n Nodes) Revert(ctx context.Context, c release.Component, file string) error {
	nodes, err := n.meant(ctx, c)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range nodes {
		if x.State != api.NodeOnline || x.Version == c.Version {
			if file == "" {
				errs = append(errs, fmt.Errorf("%s: the store has no image of the old version", x.Name))
			} else {
				errs = append(errs, n.one(ctx, x.Name, "", file))
			}
		}
	}
	return errors.Join(errs...)
}

func (n Nodes) flash(ctx context.Context, c release.Component, want, file string) error {
	nodes, err := n.meant(ctx, c)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range nodes {
		if x.State == api.NodeOnline && x.Version == want {
			continue
		}
		errs = append(errs, n.one(ctx, x.Name, want, file))
	}
	return errors.Join(errs...)
}

func (n Nodes) one(ctx context.Context, name, want, file string) error {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxImageBytes {
		err = fmt.Errorf("%d bytes are no image", info.Size())
	}
	var image []byte
	if err == nil {
		image, err = os.ReadFile(file)
	}
	if err == nil {
		_, err = n.Agent.Flash(ctx, name, want, image, func(api.FlashProgress) {})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// meant lists the nodes that a component is selected for. A node that never said what it is cannot be selected, which
// is an error: it would be left behind in silence.
func (n Nodes) meant(ctx context.Context, c release.Component) ([]api.Node, error) {
	all, err := n.Agent.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[string][]string{}
	for _, fact := range release.NodeFacts {
		if w := c.Selector[fact]; w != nil {
			wanted[fact] = w
		}
	}
	var out []api.Node
	for _, line := range all.Lines {
		for _, x := range line.Nodes {
			if x.Chip == "" {
				return nil, fmt.Errorf("%s has not said yet what it is", x.Name)
			}
			if release.Select(wanted, release.Facts{"chip": x.Chip, "node_type": x.Name}) == nil {
				out = append(out, x)
			}
		}
	}
	return out, nil
}
