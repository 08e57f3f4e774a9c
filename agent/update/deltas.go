package update

import (
	"io"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
)

// Deltas tell what of a release can be made from the one in force.
type Deltas struct{ Layout *install.Layout }

// Delta is how a component can be made from the one in force, nil if it cannot, or if that costs as much.
func (d Deltas) Delta(c release.Component) *release.Delta {
	old := d.old(c.Name)
	if old == nil {
		return nil
	}
	if x := c.DeltaFrom(old.SHA256); x != nil && x.Size < c.Size {
		return x
	}
	return nil
}

// Prove makes a component from a delta and forgets the outcome.
func (d Deltas) Prove(c release.Component, delta io.Reader) error {
	old := d.old(c.Name)
	if old == nil || c.DeltaFrom(old.SHA256) == nil {
		return &install.Error{Reason: install.BadDelta, Err: install.ErrNoBase}
	}
	return d.Layout.ProveDelta(*old, c, *c.DeltaFrom(old.SHA256), delta)
}

func (d Deltas) old(name string) *release.Component {
	stable, err := d.Layout.Release(install.Stable)
	if err != nil || stable == "" {
		return nil
	}
	tree, err := d.Layout.Tree(stable)
	if err != nil {
		return nil
	}
	for i := range tree.Components {
		if tree.Components[i].Name == name && d.Layout.Has(tree.Components[i].SHA256) {
			return &tree.Components[i]
		}
	}
	return nil
}
