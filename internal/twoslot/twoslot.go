// Package twoslot keeps a small state in two files that are written in turns, so that a torn write, a full disk or a
// rotten block costs the newest state at most, never both. Each file is a generation (8 bytes, little-endian), the
// content, and CRC-32C over both; the sound file of the higher generation counts.
package twoslot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/edgelog/edgelog/internal/vfs"
)

const overhead = 8 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Slots is one such state: dir/name.0 and dir/name.1. One goroutine at a time uses it.
type Slots struct {
	fs         vfs.FS
	dir, name  string
	generation uint64
}

// Open makes dir where it is missing and reads the newest sound content, nil if there is none; check may refuse content
// that does not decode. Damage is no error: wrong tells of each file that was not taken, and why.
func Open(fs vfs.FS, dir, name string, limit int64, check func([]byte) error) (s *Slots, content []byte, wrong []string, err error) {
	if err := errors.Join(fs.MkdirAll(dir), fs.SyncDir(path.Dir(dir))); err != nil {
		return nil, nil, nil, fmt.Errorf("open %s: %w", path.Join(dir, name), err)
	}
	s = &Slots{fs: fs, dir: dir, name: name}
	for slot := range uint64(2) {
		data, err := vfs.ReadFile(fs, s.file(slot), limit+overhead)
		if errors.Is(err, vfs.ErrNotExist) {
			continue
		}
		var generation uint64
		var body []byte
		if err == nil {
			generation, body, err = decode(data)
		}
		if err == nil {
			err = check(body)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", path.Base(s.file(slot)), err))
			continue
		}
		if generation > s.generation {
			s.generation, content = generation, body
		}
	}
	return s, content, wrong, nil
}

func (s *Slots) file(slot uint64) string {
	return path.Join(s.dir, fmt.Sprintf("%s.%d", s.name, slot%2))
}

// Write replaces the older of the two files. The content is durable when it returns nil.
func (s *Slots) Write(content []byte) error {
	next := s.generation + 1
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, len(content)+overhead), next)
	data = append(data, content...)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	if err := vfs.WriteFileAtomic(s.fs, s.file(next), data); err != nil {
		return fmt.Errorf("write %s: %w", s.file(next), err)
	}
	s.generation = next
	return nil
}

func decode(data []byte) (uint64, []byte, error) {
	if len(data) < overhead {
		return 0, nil, errors.New("cut short")
	}
	body := data[:len(data)-4]
	if binary.LittleEndian.Uint32(data[len(body):]) != crc32.Checksum(body, castagnoli) {
		return 0, nil, errors.New("checksum does not match")
	}
	generation := binary.LittleEndian.Uint64(body)
	if generation == 0 {
		return 0, nil, errors.New("generation 0")
	}
	return generation, body[8:], nil
}
