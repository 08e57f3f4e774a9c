package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
)

// NodeAgent is the agent's control API as far as it updates nodes.
type NodeAgent interface {
	Nodes(ctx context.Context) (*api.Nodes, error)
	Flash(ctx context.Context, name string, o api.FlashOrder, image []byte, step func(api.FlashProgress)) (*api.FlashProgress, error)
}

// Nodes updates the microcontroller nodes of the box through its agent (install.Nodes). A node with two slots for images
// runs the new one on trial until the decision, and goes back by a restart; one with one slot is flashed before the
// decision, and flashed again with the old image on the way back.
type Nodes struct {
	Agent    NodeAgent
	Patience time.Duration // for an agent that has just started to hear its nodes; 0: 90 s
}

const (
	maxImageBytes   = 16 << 20
	nodesPatience   = 90 * time.Second
	nodesAskedEvery = time.Second
	nodeAttempts    = 3 // of an order behind which there is no other way
	nodePause       = 2 * time.Second
)

// Stage writes the image beside the running one of every node that has room for it, while the box works as before.
func (n Nodes) Stage(ctx context.Context, c release.Component, file string) error {
	return n.each(ctx, c, func(x api.Node) error {
		if x.Slots < 2 {
			if c.Revertable {
				return errors.New("it has room for one image, and the release says that its nodes keep the old one beside the new one")
			}
			return nil
		}
		if runs(x, c) {
			return nil
		}
		return n.flash(ctx, x.Name, api.FlashOrder{Do: api.FlashStage}, file)
	})
}

// Try has every node that the component is meant for run it. A node that does not answer fails it: what is decided for a
// box is decided for all its nodes.
func (n Nodes) Try(ctx context.Context, c release.Component, file string) error {
	return n.each(ctx, c, func(x api.Node) error {
		if runs(x, c) {
			return nil
		}
		return n.flash(ctx, x.Name, api.FlashOrder{Want: c.Version, Do: api.FlashTry}, file)
	})
}

// Keep makes the image permanent, and writes it anew where a node fell back or was offline meanwhile.
func (n Nodes) Keep(ctx context.Context, c release.Component, file string) error {
	return n.each(ctx, c, func(x api.Node) error {
		if x.Slots < 2 && runs(x, c) {
			return nil
		}
		return n.stubborn(ctx, x.Name, api.FlashOrder{Want: c.Version, Do: api.FlashKeep}, file)
	})
}

// Revert returns every node that runs the new image to the old one.
func (n Nodes) Revert(ctx context.Context, c release.Component, file, old string) error {
	return n.each(ctx, c, func(x api.Node) error {
		if x.Slots >= 2 {
			kept, err := n.order(ctx, x.Name, api.FlashOrder{Do: api.FlashRevert}, file)
			if err != nil || !kept {
				return err
			}
		} else if x.State == api.NodeOnline && x.Version != c.Version {
			return nil
		}
		if old == "" {
			return errors.New("the store has no image of the old version")
		}
		return n.stubborn(ctx, x.Name, api.FlashOrder{}, old)
	})
}

// stubborn is flash, again and again: what is decided, or goes back, must not fail by a line that was disturbed.
func (n Nodes) stubborn(ctx context.Context, name string, o api.FlashOrder, file string) (err error) {
	for range nodeAttempts {
		if err = n.flash(ctx, name, o, file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(nodePause):
		}
	}
	return err
}

func runs(x api.Node, c release.Component) bool {
	return x.State == api.NodeOnline && x.Version == c.Version
}

// each does something with every node that a component is meant for, whatever happens to the others.
func (n Nodes) each(ctx context.Context, c release.Component, do func(x api.Node) error) error {
	nodes, err := n.meant(ctx, c)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range nodes {
		if err := do(x); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", x.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (n Nodes) flash(ctx context.Context, name string, o api.FlashOrder, file string) error {
	_, err := n.order(ctx, name, o, file)
	return err
}

func (n Nodes) order(ctx context.Context, name string, o api.FlashOrder, file string) (kept bool, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	if info.Size() > maxImageBytes {
		return false, fmt.Errorf("%d bytes are no image", info.Size())
	}
	image, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	end, err := n.Agent.Flash(ctx, name, o, image, func(api.FlashProgress) {})
	if err != nil {
		return false, err
	}
	return end.Kept, nil
}

// meant lists the nodes that a component is selected for. It waits for an agent that has just started until its nodes have
// said what they are: one that never does cannot be selected, which is an error, as it would be left behind in silence.
func (n Nodes) meant(ctx context.Context, c release.Component) ([]api.Node, error) {
	patience := n.Patience
	if patience == 0 {
		patience = nodesPatience
	}
	for end := time.Now().Add(patience); ; {
		out, err := n.selected(ctx, c)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return out, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(nodesAskedEvery):
		}
	}
}

func (n Nodes) selected(ctx context.Context, c release.Component) ([]api.Node, error) {
	all, err := n.Agent.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	return selected(all, c)
}

func selected(all *api.Nodes, c release.Component) ([]api.Node, error) {
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
