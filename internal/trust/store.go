package trust

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"path"
	"time"

	"github.com/edgelog/edgelog/internal/vfs"
)

// kept is what a store file holds. The files alternate; the one with the higher generation counts.
type kept struct {
	Generation uint64 `json:"generation"`
	State      State  `json:"state"`
	// Floors are the lowest counters that are still taken, by name ("release", or a node's security counter).
	Floors map[string]uint64 `json:"floors,omitempty"`
	// TimeFloor is the newest time that signed metadata has proven.
	TimeFloor time.Time `json:"time_floor"`
}

// Store keeps what a box believes in a directory of its own. One goroutine at a time uses it.
type Store struct {
	fs      vfs.FS
	dir     string
	factory []byte
	now     kept
	// Recovered says what was wrong when the store was opened; empty if nothing was.
	Recovered []string
}

var slots = [2]string{"trust.0", "trust.1"}

// Open reads the newest sound file of the directory. Damage is no error: it is told in Recovered, and what is older,
// or at last the factory root, counts. It fails only where the disk cannot be read or holds no directory.
func Open(fs vfs.FS, dir string, factoryRoot []byte) (*Store, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, &Error{DiskError, dir, err}
	}
	if err := fs.SyncDir(path.Dir(dir)); err != nil {
		return nil, &Error{DiskError, dir, err}
	}
	s := &Store{fs: fs, dir: dir, factory: factoryRoot}
	found := 0
	for _, name := range slots {
		data, err := vfs.ReadFile(fs, path.Join(dir, name), maxStateBytes)
		if errors.Is(err, vfs.ErrNotExist) {
			continue
		}
		found++
		k, err2 := decode(data)
		if err = errors.Join(err, err2); err != nil {
			s.Recovered = append(s.Recovered, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		if k.Generation > s.now.Generation {
			s.now = k
		}
	}
	if found > 0 && s.now.Generation == 0 {
		s.Recovered = append(s.Recovered, "nothing sound is left; the factory root counts")
	}
	return s, nil
}

// Ingest verifies a bundle at the trusted time now and keeps what is to be believed from then on. The view is nil with
// an error. It is durable before Ingest returns.
func (s *Store) Ingest(b *Bundle, now time.Time) (*View, error) {
	next, v, err := Verify(s.factory, s.now.State, b, now)
	if !same(next, s.now.State) {
		k := s.now
		k.State = next
		if v != nil && v.SignedTime.After(k.TimeFloor) {
			k.TimeFloor = v.SignedTime
		}
		if e := s.write(k); e != nil {
			return nil, e
		}
	}
	return v, err
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

// write puts k into the slot that does not hold the present state.
func (s *Store) write(k kept) error {
	k.Generation++
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode trust: %w", err)
	}
	data := binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
	if err := vfs.WriteFileAtomic(s.fs, path.Join(s.dir, slots[k.Generation%2]), data); err != nil {
		return &Error{DiskError, s.dir, err}
	}
	s.now = k
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func decode(data []byte) (kept, error) {
	var k kept
	if len(data) < 4 {
		return k, errors.New("cut short")
	}
	body := data[:len(data)-4]
	if binary.LittleEndian.Uint32(data[len(body):]) != crc32.Checksum(body, castagnoli) {
		return k, errors.New("checksum does not match")
	}
	if err := json.Unmarshal(body, &k); err != nil {
		return kept{}, err
	}
	return k, nil
}

func same(a, b State) bool {
	equal := func(x, y []byte) bool { return string(x) == string(y) }
	return equal(a.Root, b.Root) && equal(a.Timestamp, b.Timestamp) && equal(a.Snapshot, b.Snapshot) &&
		maps.EqualFunc(a.Targets, b.Targets, equal)
}

// Have is what the box believes, by version, as a server is told.
func (s *Store) Have() Have { return have(s.factory, s.now.State) }
