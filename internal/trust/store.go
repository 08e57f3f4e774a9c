package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/edgelog/edgelog/internal/twoslot"
	"github.com/edgelog/edgelog/internal/vfs"
)

// kept is what the store holds.
type kept struct {
	State State `json:"state"`
	// Floors are the lowest counters that are still taken, by name ("release", or a node's security counter).
	Floors map[string]uint64 `json:"floors,omitempty"`
	// TimeFloor is the newest time that signed metadata has proven.
	TimeFloor time.Time `json:"time_floor"`
}

// Store keeps what a box believes in a directory of its own. One goroutine at a time uses it.
type Store struct {
	slots   *twoslot.Slots
	dir     string
	factory []byte
	now     kept
	// Recovered says what was wrong when the store was opened; empty if nothing was.
	Recovered []string
}

// Open reads the newest sound file of the directory. Damage is no error: it is told in Recovered, and what is older,
// or at last the factory root, counts. It fails only where the disk cannot be read or holds no directory.
func Open(fs vfs.FS, dir string, factoryRoot []byte) (*Store, error) {
	s := &Store{dir: dir, factory: factoryRoot}
	var err error
	var content []byte
	s.slots, content, s.Recovered, err = twoslot.Open(fs, dir, "trust", maxStateBytes, func(b []byte) error {
		var k kept
		return json.Unmarshal(b, &k)
	})
	if err != nil {
		return nil, &Error{DiskError, dir, err}
	}
	if content == nil {
		if len(s.Recovered) > 0 {
			s.Recovered = append(s.Recovered, "nothing sound is left; the factory root counts")
		}
		return s, nil
	}
	return s, json.Unmarshal(content, &s.now)
}

// Ingest verifies a bundle at the trusted time now and keeps what is to be believed from then on. The view is nil with
// an error. It is durable before Ingest returns.
func (s *Store) Ingest(b *Bundle, now time.Time) (*View, error) {
	next, v, err := Verify(s.factory, s.now.State, b, now)
	k := s.now
	if retired(s.now.State, next) {
		// Who had the old key could say any time: what it has proven counts no more, and nor does now where that is all it is.
		if !now.After(k.TimeFloor) {
			next, v, err = Verify(s.factory, next, b, time.Time{})
		}
		k.TimeFloor = time.Time{}
	}
	if !same(next, s.now.State) {
		k.State = next
		// A time beyond the end of what it signs has not come.
		if v != nil && v.SignedTime.After(k.TimeFloor) && !v.SignedTime.After(v.Expires) {
			k.TimeFloor = v.SignedTime
		}
		if e := s.write(k); e != nil {
			return nil, e
		}
	}
	return v, err
}

// retired tells whether the timestamp that was believed was signed with a key that the next root knows no more.
func retired(old, next State) bool {
	if old.Timestamp == nil || bytes.Equal(old.Root, next.Root) {
		return false
	}
	root, err := metadata.Root().FromBytes(next.Root)
	if err != nil {
		return false
	}
	ts, err := metadata.Timestamp().FromBytes(old.Timestamp)
	return err == nil && root.VerifyDelegate(metadata.TIMESTAMP, ts) != nil
}

// View verifies what is believed at the trusted time now, without anything new. An install that has begun is verified
// at the time when it began.
func (s *Store) View(now time.Time) (*View, error) {
	_, v, err := Verify(s.factory, s.now.State, &Bundle{}, now)
	return v, err
}

// State is what is believed, for a second verifier (edge-updater).
func (s *Store) State() State { return s.now.State }

// TimeFloor is the newest time that signed metadata has proven.
func (s *Store) TimeFloor() time.Time { return s.now.TimeFloor }

// Floor is the lowest counter of that name that is still taken.
func (s *Store) Floor(name string) uint64 { return s.now.Floors[name] }

// Raise sets floors that are higher than before; a lower one changes nothing.
func (s *Store) Raise(floors map[string]uint64) error {
	k := s.now
	k.Floors = maps.Clone(k.Floors)
	if k.Floors == nil {
		k.Floors = map[string]uint64{}
	}
	changed := false
	for name, n := range floors {
		if n > k.Floors[name] {
			k.Floors[name], changed = n, true
		}
	}
	if !changed {
		return nil
	}
	return s.write(k)
}

// write makes k what is believed.
func (s *Store) write(k kept) error {
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode trust: %w", err)
	}
	if err := s.slots.Write(body); err != nil {
		return &Error{DiskError, s.dir, err}
	}
	s.now = k
	return nil
}

func same(a, b State) bool {
	equal := func(x, y []byte) bool { return string(x) == string(y) }
	return equal(a.Root, b.Root) && equal(a.Timestamp, b.Timestamp) && equal(a.Snapshot, b.Snapshot) &&
		maps.EqualFunc(a.Targets, b.Targets, equal)
}

// Have is what the box believes, by version, as a server is told.
func (s *Store) Have() Have { return have(s.factory, s.now.State) }
