package trust

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// State is what a box believes: the newest verified files. The zero value believes the factory root only.
type State struct {
	Root      []byte            `json:"root,omitempty"`
	Timestamp []byte            `json:"timestamp,omitempty"`
	Snapshot  []byte            `json:"snapshot,omitempty"`
	Targets   map[string][]byte `json:"targets,omitempty"`
}

// Verify holds a bundle against what is believed, at a trusted time, and returns what to believe then. It is pure.
//
// On an error the state that comes back is the old one, except that roots which were verified before the error are
// kept: a rotation of keys must not be lost because a later file is bad. An error with reason Expired comes with a
// state as well: an expired timestamp still protects against rollback.
func Verify(factoryRoot []byte, old State, b *Bundle, now time.Time) (next State, v *View, err error) {
	next = old
	defer func() {
		// A library that panics on hostile input must not take the agent with it.
		if p := recover(); p != nil {
			next, v, err = old, nil, &Error{BadSignature, "metadata", fmt.Errorf("verification panicked: %v", p)}
		}
	}()
	if err := b.check(); err != nil {
		return old, nil, err
	}
	if next.Root == nil {
		next.Root = factoryRoot
	}
	tm, err := trustedmetadata.New(next.Root)
	if err != nil && !bytes.Equal(next.Root, factoryRoot) {
		next = State{Root: factoryRoot}
		tm, err = trustedmetadata.New(factoryRoot)
	}
	if err != nil {
		return old, nil, &Error{BadSignature, "factory root", err}
	}
	tm.RefTime = now
	r := &round{tm: tm, old: old, b: b, next: next}
	if err := r.roots(); err != nil {
		return r.rooted(), nil, err
	}
	if err := r.timestamp(); err != nil {
		if ReasonOf(err) == Expired && tm.Timestamp != nil {
			return r.next, nil, err
		}
		return r.rooted(), nil, err
	}
	if err := r.snapshot(); err != nil {
		return r.rooted(), nil, err
	}
	if err := r.targets(); err != nil {
		return r.rooted(), nil, err
	}
	return r.next, r.view(), nil
}

// round is one verification.
type round struct {
	tm      *trustedmetadata.TrustedMetadata
	old     State
	b       *Bundle
	next    State
	refused map[string]error
}

// rooted is the old state with the roots that were verified.
func (r *round) rooted() State {
	s := r.old
	s.Root = r.next.Root
	return s
}

func (r *round) roots() error {
	for _, data := range r.b.Roots {
		root, err := metadata.Root().FromBytes(data)
		if err != nil {
			return &Error{BadSignature, "root", err}
		}
		switch have := r.tm.Root.Signed.Version; {
		case bytes.Equal(data, r.next.Root):
			continue
		case root.Signed.Version <= have:
			// The server repeats what is known, or plays back what was; neither changes anything.
			if err := r.known(root); err != nil {
				return err
			}
			continue
		}
		if err := thresholds(root); err != nil {
			return &Error{BadSignature, "root", err}
		}
		if _, err := r.tm.UpdateRoot(data); err != nil {
			return refuse("root", err, Rollback)
		}
		r.next.Root = data
	}
	return nil
}

// thresholds refuses a root that would let a role go unsigned, or that no number of signatures could satisfy.
func thresholds(root *metadata.Metadata[metadata.RootType]) error {
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		role := root.Signed.Roles[name]
		if role == nil || role.Threshold < 1 || len(role.KeyIDs) < role.Threshold {
			return fmt.Errorf("role %s has no keys or no threshold that they could reach", name)
		}
	}
	return nil
}

// known refuses a root of an old or equal version that the present one does not vouch for.
func (r *round) known(root *metadata.Metadata[metadata.RootType]) error {
	if root.Signed.Version == r.tm.Root.Signed.Version {
		return &Error{Rollback, "root", fmt.Errorf("another root of version %d", root.Signed.Version)}
	}
	return nil
}

func (r *round) timestamp() error {
	// What is believed goes first: it is what a rollback is measured by. If it does not verify any more, its key was
	// rotated, and dropping it is how a box recovers from a stolen key that had signed a version far ahead.
	if r.old.Timestamp != nil {
		_, err := r.tm.UpdateTimestamp(r.old.Timestamp)
		if r.tm.Timestamp == nil {
			if err != nil && errors.Is(err, &metadata.ErrExpiredMetadata{}) {
				return refuse("root", err, Expired)
			}
			r.next.Timestamp, r.next.Snapshot = nil, nil
		}
	}
	if r.b.Timestamp != nil {
		_, err := r.tm.UpdateTimestamp(r.b.Timestamp)
		switch {
		case err == nil:
			r.next.Timestamp = r.b.Timestamp
		case errors.Is(err, &metadata.ErrEqualVersionNumber{}):
		case errors.Is(err, &metadata.ErrExpiredMetadata{}):
			if ts := r.tm.Timestamp; ts != nil && isExpiredNew(r.b.Timestamp, ts) {
				r.next.Timestamp = r.b.Timestamp
			}
			return refuse("timestamp", err, Expired)
		default:
			return refuse("timestamp", err, Rollback)
		}
	}
	if r.tm.Timestamp == nil {
		return &Error{NotThere, "timestamp", errors.New("there is none yet")}
	}
	if r.tm.Timestamp.Signed.IsExpired(r.tm.RefTime) {
		return &Error{Expired, "timestamp", fmt.Errorf("it ended %s", r.tm.Timestamp.Signed.Expires.Format(time.RFC3339))}
	}
	return nil
}

// isExpiredNew tells whether the loaded timestamp is the one in data.
func isExpiredNew(data []byte, loaded *metadata.Metadata[metadata.TimestampType]) bool {
	ts, err := metadata.Timestamp().FromBytes(data)
	return err == nil && ts.Signed.Version == loaded.Signed.Version
}

func (r *round) snapshot() error {
	final := false
	if r.next.Snapshot != nil {
		_, err := r.tm.UpdateSnapshot(r.next.Snapshot, true)
		final = err == nil
		if r.tm.Snapshot == nil {
			r.next.Snapshot = nil
		}
	}
	if r.b.Snapshot != nil && !bytes.Equal(r.b.Snapshot, r.next.Snapshot) {
		if _, err := r.tm.UpdateSnapshot(r.b.Snapshot, false); err != nil {
			if s, e := metadata.Snapshot().FromBytes(r.b.Snapshot); e == nil &&
				errors.Is(err, &metadata.ErrLengthOrHashMismatch{}) && r.tm.Root.VerifyDelegate(metadata.SNAPSHOT, s) != nil {
				return &Error{BadSignature, "snapshot", err}
			}
			return refuse("snapshot", err, Rollback)
		}
		r.next.Snapshot, final = r.b.Snapshot, true
	}
	switch {
	case r.tm.Snapshot == nil:
		return &Error{NotThere, "snapshot", errors.New("there is none yet")}
	case final:
		return nil
	case r.tm.Snapshot.Signed.IsExpired(r.tm.RefTime):
		return &Error{Expired, "snapshot", fmt.Errorf("it ended %s", r.tm.Snapshot.Signed.Expires.Format(time.RFC3339))}
	}
	return &Error{Mixed, "snapshot", fmt.Errorf("version %d is not the one that the timestamp names", r.tm.Snapshot.Signed.Version)}
}

func (r *round) targets() error {
	r.next.Targets, r.refused = map[string][]byte{}, map[string]error{}
	if err := r.role(metadata.TARGETS, metadata.ROOT); err != nil {
		return err
	}
	parents := map[string]string{metadata.TARGETS: metadata.ROOT}
	for queue := []string{metadata.TARGETS}; len(queue) > 0; queue = queue[1:] {
		parent := r.tm.Targets[queue[0]]
		if parent.Signed.Delegations == nil {
			continue
		}
		for _, d := range parent.Signed.Delegations.Roles {
			// A role is verified with the keys that its delegator names: two delegators would be two roles of one name.
			if other, known := parents[d.Name]; known {
				return &Error{BadFormat, d.Name, fmt.Errorf("%s and %s both delegate to it", other, queue[0])}
			}
			if parents[d.Name] = queue[0]; len(parents) > MaxRoles+1 {
				return &Error{BadFormat, "delegations", fmt.Errorf("more than %d roles", MaxRoles)}
			}
			if err := r.role(d.Name, queue[0]); err != nil {
				r.refused[d.Name] = err
			} else {
				queue = append(queue, d.Name)
			}
		}
	}
	return nil
}

// role verifies the metadata of one role. What the library panics at in one role does not spoil the others.
func (r *round) role(name, delegator string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{BadSignature, name, fmt.Errorf("verification panicked: %v", p)}
		}
	}()
	data := r.b.Targets[name]
	if data == nil {
		data = r.old.Targets[name]
	}
	if data == nil {
		return &Error{NotThere, name, errors.New("its metadata was not supplied")}
	}
	if _, err := r.tm.UpdateDelegatedTargets(data, name, delegator); err != nil {
		if t, e := metadata.Targets().FromBytes(data); e == nil && !r.signed(name, delegator, t) {
			return &Error{BadSignature, name, err}
		}
		return refuse(name, err, Mixed)
	}
	r.next.Targets[name] = data
	return nil
}

func (r *round) signed(name, delegator string, t *metadata.Metadata[metadata.TargetsType]) bool {
	if delegator == metadata.ROOT {
		return r.tm.Root.VerifyDelegate(name, t) == nil
	}
	return r.tm.Targets[delegator].VerifyDelegate(name, t) == nil
}

func (r *round) view() *View {
	v := &View{Root: r.tm.Root.Signed.Version, Timestamp: r.tm.Timestamp.Signed.Version,
		Snapshot: r.tm.Snapshot.Signed.Version, targets: r.tm.Targets, refused: r.refused}
	v.Expires = r.tm.Root.Signed.Expires
	for _, t := range []time.Time{r.tm.Timestamp.Signed.Expires, r.tm.Snapshot.Signed.Expires,
		r.tm.Targets[metadata.TARGETS].Signed.Expires} {
		if t.Before(v.Expires) {
			v.Expires = t
		}
	}
	if s, ok := r.tm.Timestamp.Signed.UnrecognizedFields[SignedTimeField].(string); ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			v.SignedTime = t
		}
	}
	return v
}

// SignedTimeField is the field of the timestamp that says when it was signed.
const SignedTimeField = "signed_time"

// refuse gives an error of the library a reason; version is the reason of a wrong version number.
func refuse(role string, err error, version Reason) error {
	reason := BadSignature
	switch {
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		reason = Expired
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		reason = version
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		reason = Mixed
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
	case isExactly[*metadata.ErrRepository](err) && role == "snapshot":
		reason = Rollback // a role that the newer snapshot does not name any more
	}
	return &Error{reason, role, err}
}

func isExactly[T error](err error) bool {
	_, ok := err.(T)
	return ok
}

// have reads the versions of what is believed; what cannot be read counts as not there.
func have(factoryRoot []byte, s State) Have {
	h := Have{Targets: map[string]int64{}}
	if s.Root == nil {
		s.Root = factoryRoot
	}
	if m, err := metadata.Root().FromBytes(s.Root); err == nil {
		h.Root = m.Signed.Version
	}
	if m, err := metadata.Timestamp().FromBytes(s.Timestamp); err == nil {
		h.Timestamp = m.Signed.Version
	}
	if m, err := metadata.Snapshot().FromBytes(s.Snapshot); err == nil {
		h.Snapshot = m.Signed.Version
	}
	for name, data := range s.Targets {
		if m, err := metadata.Targets().FromBytes(data); err == nil {
			h.Targets[name] = m.Signed.Version
		}
	}
	return h
}
