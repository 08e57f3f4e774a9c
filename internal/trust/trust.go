// Package trust decides what a box believes of the fleet's signed metadata. It wraps the metadata and trustedmetadata
// packages of go-tuf (The Update Framework): bytes come in from any transport, a verdict comes out, and what is
// believed is kept in two alternating files, so that a torn write or a rotten one falls back to the one before it and
// at last to the root that the box was made with. Nothing here ever ends in a state that refuses all further input.
//
// Expired metadata stops the start of an install and nothing else: it is reported (UPD-EXP), what was believed stays.
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Reason is the stable code of a refusal, as people see it.
type Reason string

// The reasons that this package gives.
const (
	BadSignature Reason = "UPD-SIG" // not signed by whom it must be, or no metadata at all
	Expired      Reason = "UPD-EXP"
	Rollback     Reason = "UPD-RBK" // older than what is believed already
	Mixed        Reason = "UPD-MIX" // files of two different states
	BadFormat    Reason = "UPD-FMT" // over a bound
	NotThere     Reason = "UPD-NET" // named, but not supplied
	DiskError    Reason = "UPD-IO"
)

// Error is a refusal.
type Error struct {
	Reason Reason
	Role   string // the metadata file concerned
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Reason, e.Role, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf is the reason of an error of this package, "" for others.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Target is one file that the metadata vouches for.
type Target struct {
	Path   string
	Role   string // who signed for it
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// Check holds content against the target.
func (t Target) Check(data []byte) error {
	if int64(len(data)) != t.Size {
		return &Error{Mixed, t.Path, fmt.Errorf("%d bytes, signed are %d", len(data), t.Size)}
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != t.SHA256 {
		return &Error{Mixed, t.Path, fmt.Errorf("sha256 is %x, signed is %s", sum, t.SHA256)}
	}
	return nil
}

// View is a verified set of metadata. It is immutable.
type View struct {
	Root, Timestamp, Snapshot int64 // versions
	// Expires is when the first of root, timestamp, snapshot and top-level targets ends.
	Expires time.Time
	// SignedTime is when the timestamp was signed, as its signer says; zero if it does not say.
	SignedTime time.Time

	targets map[string]*metadata.Metadata[metadata.TargetsType]
	refused map[string]error // delegated roles that are no part of the view, and why
}

// Find looks a path up through the delegations, in their order, as the specification's section 5.6.7 says. Errors
// have the reason of the role that should have vouched for it.
func (v *View) Find(path string) (Target, error) {
	type visit struct{ role, parent string }
	queue, seen := []visit{{role: metadata.TARGETS}}, map[string]bool{}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if seen[at.role] {
			continue
		}
		seen[at.role] = true
		role := v.targets[at.role]
		if role == nil {
			if err := v.refused[at.role]; err != nil {
				return Target{}, err
			}
			continue
		}
		if file := role.Signed.Targets[path]; file != nil {
			return Target{Path: path, Role: at.role, Size: file.Length, SHA256: hex.EncodeToString(file.Hashes["sha256"])}, nil
		}
		if role.Signed.Delegations == nil {
			continue
		}
		var below []visit
		for _, d := range role.Signed.Delegations.GetRolesForTarget(path) {
			below = append(below, visit{d.Name, at.role})
			if d.Terminating {
				queue = nil
				break
			}
		}
		queue = append(below, queue...)
	}
	return Target{}, &Error{NotThere, path, errors.New("no signed metadata names this file")}
}

// Paths are the paths with a prefix that some role of the view vouches for, sorted. Find says which role may.
func (v *View) Paths(prefix string) []string {
	var out []string
	for _, role := range v.targets {
		for path := range role.Signed.Targets {
			if strings.HasPrefix(path, prefix) {
				out = append(out, path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
