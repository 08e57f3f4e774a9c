// Package release is the release manifest and the chunk index: the two files that say what a fleet update consists of.
// A manifest pins every component of one release (agent, configuration, NPU model, node firmware) by size and SHA-256,
// as a manifest of repositories pins commits. An index pins each chunk of one large component.
//
// Both are read strictly and within bounds: what is not understood is refused, never skipped. Neither is an authority;
// that is the signed metadata that names them (internal/trust).
package release

import (
	"errors"
	"time"
)

// Schema is the only manifest schema that this program reads.
const Schema = 1

// Kind says how a component is installed.
type Kind string

// The kinds of components.
const (
	Agent    Kind = "agent"    // the programs of the box: a tar.zst with bin/edge-agent and its helpers
	Config   Kind = "config"   // configuration of the agent
	Model    Kind = "model"    // an NPU model
	Firmware Kind = "firmware" // an image for microcontroller nodes
)

// TreeName is the file in which an installed release says what it consists of.
const TreeName = "release.json"

// Manifest is one release.
type Manifest struct {
	Schema  int    `json:"schema"`
	Release string `json:"release"` // the name that people use, e.g. 2026.11.3
	// Counter rises with every release and carries rollback protection: a box refuses a counter below the highest
	// that it has committed. An older state of the software is published again under a new counter.
	Counter    uint64              `json:"counter"`
	MinFrom    uint64              `json:"min_from,omitempty"` // the lowest counter that can be updated from directly
	Created    time.Time           `json:"created"`
	Include    *Pin                `json:"include,omitempty"`    // a base manifest, whose components are taken unless named here
	Compatible map[string][]string `json:"compatible,omitempty"` // fact → constraints, one of which must hold
	Probation  Probation           `json:"probation"`
	Components []Component         `json:"components"`
}

// Pin names a file by its content.
type Pin struct {
	Path   string `json:"path"`   // target path below the repository
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // 64 lower-case hex digits
}

// Component is one part of a release.
type Component struct {
	Name    string `json:"name"` // e.g. agent, config/base, model/defect, node/aquarium
	Kind    Kind   `json:"kind"`
	Version string `json:"version"`
	Pin
	Index    *Pin                `json:"index,omitempty"`    // the chunk index; without it the file is one chunk of ≤ MaxUnindexed bytes
	Deltas   []Delta             `json:"deltas,omitempty"`   // the same content expressed against older ones
	Order    int                 `json:"order"`              // components are installed in rising order
	Selector map[string][]string `json:"selector,omitempty"` // facts of the box or node for which this component is meant
	Requires []string            `json:"requires,omitempty"` // e.g. config/base>=37
	// Revertable says that a node keeps its old image beside the new one until the release is committed. A node
	// without it is flashed before the decision and flashed again with the old image on a rollback.
	Revertable bool `json:"revertable,omitempty"`
}

// Delta is a component as what differs from an older content of it (internal/delta). A box that has the older one may
// take it in place of the file; it takes the file where the outcome is not right.
type Delta struct {
	From string `json:"from"` // sha256 of the older file, as its manifest pinned it
	Pin
	Index *Pin `json:"index,omitempty"`
}

// DeltaFrom is the delta for a box that has the content of that SHA-256, nil if there is none.
func (c *Component) DeltaFrom(sha256 string) *Delta {
	for i := range c.Deltas {
		if c.Deltas[i].From == sha256 {
			return &c.Deltas[i]
		}
	}
	return nil
}

// Probation says when a box may call the release good.
type Probation struct {
	SoakSeconds     int      `json:"soak_s"`     // how long every check must hold
	DeadlineSeconds int      `json:"deadline_s"` // by when it must have held so long
	Checks          []string `json:"checks"`     // ingest, acks, npu, nodes, nodes>=90%
}

// Errors of this package are wrapped by what is wrong and where.
var (
	ErrFormat  = errors.New("not a release manifest of this schema")
	ErrSize    = errors.New("larger than it may be")
	ErrPath    = errors.New("not a path below the repository")
	ErrHash    = errors.New("content does not match its hash")
	ErrSelect  = errors.New("not meant for this box")
	ErrRequire = errors.New("needs what is not there")
)

// Component returns the component of that name, nil if there is none.
func (m *Manifest) Component(name string) *Component {
	for i := range m.Components {
		if m.Components[i].Name == name {
			return &m.Components[i]
		}
	}
	return nil
}
