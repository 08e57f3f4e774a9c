package update

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
)

// What a box must never go below lies in its trust store. The store may come back from an old backup; what runs on the box
// and on its nodes then knows better, and the higher of the two counts.

const (
	nodeFloor = "node/" // and a component's name: of the images that were committed
	heldFloor = "held/" // and a component's name: of an image that a node runs, and that the store never heard of

	versionsPatience = 10 * time.Second // for the nodes of an agent that may be dead
)

// imageCounter is the counter of an image: of its version, as imgtool makes a security counter of one. 0: it has none.
func imageCounter(version string) (n uint64) {
	if end := strings.IndexAny(version, "+-"); end >= 0 {
		version = version[:end]
	}
	parts := strings.Split(version, ".")
	for i := range 3 {
		n <<= 20
		if i < len(parts) {
			v, err := strconv.ParseUint(parts[i], 10, 20)
			if err != nil {
				return 0
			}
			n |= v
		}
	}
	return n
}

// counters are the floors that a committed transaction sets.
func counters(t *install.Txn) map[string]uint64 {
	floors := map[string]uint64{releaseFloor: t.Counter}
	for _, c := range t.Components {
		if c.Kind == release.Firmware {
			floors[nodeFloor+c.Name] = imageCounter(c.Version)
		}
	}
	return floors
}

// remembered holds the store against what is installed: the release in force and those that were committed.
func (s *Session) remembered() error {
	j := s.Journal()
	known := uint64(0)
	for _, t := range append([]install.Txn{j.Txn}, j.Past...) {
		if t.State == install.Committed {
			known = max(known, t.Counter)
		}
	}
	name, err := s.Layout.Release(install.Stable)
	if err == nil && name != "" && (j.Txn.State.Terminal() || name != j.Txn.Release) { // an open one has not raised it yet
		if tree, err := s.Layout.Tree(name); err == nil {
			known = max(known, tree.Counter)
		}
	}
	floor := s.Trust.Floor(releaseFloor)
	if known <= floor {
		return nil
	}
	if err := s.Trust.Raise(map[string]uint64{releaseFloor: known}); err != nil {
		return err
	}
	return s.alarm(fmt.Sprintf("the trust store knew of releases up to counter %d, this box has committed %d: it was lost or comes from a backup; %d counts",
		floor, known, known))
}

func (s *Session) alarm(text string) error {
	if err := s.Alarm(text); err != nil {
		return err
	}
	s.publish()
	return nil
}

// heldByNodes refuses images that are older than what nodes run, where a node runs one that the store has never heard of:
// then it is the store that is old. In other cases a release may bring an older image back.
func (s *Session) heldByNodes(p *release.Plan) error {
	lister, ok := s.box.Nodes.(interface {
		Versions(ctx context.Context, c release.Component) map[string]string
	})
	for _, c := range p.Components {
		floor := s.Trust.Floor(nodeFloor + c.Name)
		if !ok || c.Kind != release.Firmware || floor == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), versionsPatience)
		for node, version := range lister.Versions(ctx, c) {
			n := imageCounter(version)
			if n <= floor || n <= s.Trust.Floor(heldFloor+c.Name) {
				continue
			}
			err := s.Trust.Raise(map[string]uint64{heldFloor + c.Name: n})
			if err == nil {
				err = s.alarm(fmt.Sprintf("node %s runs version %s of %s, newer than any that this box has committed: its trust store comes from a backup, or somebody flashed the node",
					node, version, c.Name))
			}
			if err != nil {
				cancel()
				return err
			}
		}
		cancel()
		if held := s.Trust.Floor(heldFloor + c.Name); imageCounter(c.Version) < held {
			return &install.Error{Reason: install.Replayed, Err: fmt.Errorf("%s: version %s is older than %d.%d.%d, which a node runs and this box never committed: publish the image under a higher version",
				c.Name, c.Version, held>>40, held>>20&(1<<20-1), held&(1<<20-1))}
		}
	}
	return nil
}

// Versions are what the nodes run that a component is meant for, by their names; what cannot be known is left out.
func (n Nodes) Versions(ctx context.Context, c release.Component) map[string]string {
	out := map[string]string{}
	if n.Agent == nil {
		return out
	}
	all, err := n.Agent.Nodes(ctx)
	if err != nil {
		return out
	}
	meant, err := selected(all, c)
	if err != nil {
		return out
	}
	for _, x := range meant {
		if x.Version != "" {
			out[x.Name] = x.Version
		}
	}
	return out
}
