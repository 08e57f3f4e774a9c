package mqtt

import (
	"errors"
	"io"

	"github.com/edgelog/edgelog/internal/release"
)

// Deltas are what of a release can be made from what this box runs. The updater makes it again, from what it verifies
// itself; to prove it here saves a request that would end in the need for the whole file.
type Deltas interface {
	// Delta is how a component can be made from the one in force, nil if it cannot.
	Delta(c release.Component) *release.Delta
	// Prove makes the component from a delta and forgets the outcome; nil: it is what was signed.
	Prove(c release.Component, delta io.Reader) error
}

// delta is what is fetched in place of a component's file, nil if the file is.
func (c *Client) delta(comp release.Component) *release.Delta {
	if c.o.Deltas == nil || c.flow.whole[comp.Name] {
		return nil
	}
	return c.o.Deltas.Delta(comp)
}

// carrier is the file that brings a component.
func (c *Client) carrier(comp release.Component) want {
	if d := c.delta(comp); d != nil {
		return want{Pin: d.Pin, index: d.Index}
	}
	return want{Pin: comp.Pin, index: comp.Index}
}

// prove tries the staged deltas. again: one of them leads nowhere, and the plan is made anew with the whole file.
func (c *Client) prove() (again bool) {
	if c.flow.proven {
		return false
	}
	for _, comp := range c.flow.offer.Plan.Components {
		d := c.delta(comp)
		if d == nil || c.o.Has(comp.SHA256) {
			continue
		}
		src := &staged{c: c}
		r, err := src.Open(d.Path)
		if err == nil {
			err = errors.Join(c.o.Deltas.Prove(comp, r), r.Close())
		}
		if err == nil {
			continue
		}
		c.o.Log.Warn("a delta does not lead to what is signed; the whole file is fetched", "component", comp.Name, "err", err)
		if c.flow.whole == nil {
			c.flow.whole = map[string]bool{}
		}
		c.flow.whole[comp.Name] = true
		again = true
	}
	c.flow.proven = !again
	if again {
		c.flow.phase = planning
	}
	return again
}
