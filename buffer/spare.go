package buffer

import (
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	spareName  = "SPARE"
	spareBytes = 1 << 20
)

// spare is disk space held back so that on a full disk gaps and state can still be written: a gap must be durable
// before delivered data is removed to make room.
type spare struct {
	fs  vfs.FS
	dir string

	mu   sync.Mutex
	have bool
}

// keep holds the space back, if the disk has it. A disk that is too full, or cannot reserve, has no spare: that costs
// a stop until somebody makes room, never data.
func (s *spare) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have {
		return
	}
	name := path.Join(s.dir, spareName)
	f, err := s.fs.Create(name)
	if errors.Is(err, fs.ErrExist) {
		f, err = s.fs.OpenRW(name)
	}
	if err != nil {
		return
	}
	err = f.Reserve(spareBytes)
	if errors.Join(err, f.Close()) != nil {
		_ = s.fs.Remove(name) // an empty file does no harm
		return
	}
	s.have = true
}

// spend gives the space back to the file system and says whether there was any.
func (s *spare) spend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.have || s.fs.Remove(path.Join(s.dir, spareName)) != nil {
		return false
	}
	s.have = false
	return true
}
