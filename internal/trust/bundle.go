package trust

import (
	"fmt"
)

// Bundle is metadata on its way to a box: what changed since the versions that the box named.
type Bundle struct {
	Roots     [][]byte          `json:"roots,omitempty"` // in rising order
	Timestamp []byte            `json:"timestamp,omitempty"`
	Snapshot  []byte            `json:"snapshot,omitempty"`
	Targets   map[string][]byte `json:"targets,omitempty"` // by role, "targets" being the top
}

// Have is what a box believes already, by version.
type Have struct {
	Root      int64            `json:"root"`
	Timestamp int64            `json:"timestamp"`
	Snapshot  int64            `json:"snapshot"`
	Targets   map[string]int64 `json:"targets,omitempty"`
}

func (b *Bundle) check() error {
	tooLarge := func(role string, data []byte, limit int) error {
		if len(data) > limit {
			return &Error{BadFormat, role, fmt.Errorf("%d bytes, at most %d", len(data), limit)}
		}
		return nil
	}
	if len(b.Roots) > MaxRoots || len(b.Targets) > MaxRoles+1 {
		return &Error{BadFormat, "bundle", fmt.Errorf("%d roots and %d roles, at most %d and %d",
			len(b.Roots), len(b.Targets), MaxRoots, MaxRoles+1)}
	}
	for _, r := range b.Roots {
		if err := tooLarge("root", r, MaxRootBytes); err != nil {
			return err
		}
	}
	if err := tooLarge("timestamp", b.Timestamp, MaxTimestampBytes); err != nil {
		return err
	}
	if err := tooLarge("snapshot", b.Snapshot, MaxSnapshotBytes); err != nil {
		return err
	}
	for role, data := range b.Targets {
		if err := tooLarge(role, data, MaxTargetsBytes); err != nil {
			return err
		}
	}
	return nil
}
