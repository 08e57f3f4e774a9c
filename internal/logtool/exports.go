package logtool

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// exportsName is the file beside the streams that remembers what was exported, so that an ack file that comes back is
// known. Losing it loses nothing else: the hub says over the network what it has.
const (
	exportsName = "EXPORTS"
	exportsLock = "EXPORTS.lock"
)

// exported is one export that was made here.
type exported struct {
	Nonce  string    `json:"nonce"` // 16 hexadecimal digits
	Device string    `json:"device"`
	File   string    `json:"file"`
	Made   time.Time `json:"made"`
}

type exportsState struct {
	SchemaVersion int        `json:"schema_version"`
	Exports       []exported `json:"exports"` // oldest first
}

func nonceText(n wire.Nonce) string { return fmt.Sprintf("%016x", uint64(n)) }

func newNonce() wire.Nonce {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // does not fail on the systems that Go supports
		if n := wire.Nonce(binary.LittleEndian.Uint64(b[:])); n != 0 {
			return n
		}
	}
}

func (d Dir) exports() (exportsState, error) {
	var s exportsState
	b, err := vfs.ReadFile(d.FS, path.Join(d.Path, exportsName), maxStateBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read %s: %w", path.Join(d.Path, exportsName), err)
	}
	return s, nil
}

// remember makes an export's nonce durable.
func (d Dir) remember(x exported) (err error) {
	lock, err := d.FS.Lock(path.Join(d.Path, exportsLock))
	if err != nil {
		return fmt.Errorf("remember export: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	s, err := d.exports()
	if err != nil {
		s = exportsState{} // damaged: what it knew cannot be believed, what comes now can
	}
	s.SchemaVersion = SchemaVersion
	s.Exports = append(s.Exports, x)
	if n := len(s.Exports); n > maxExports {
		s.Exports = s.Exports[n-maxExports:]
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("remember export: %w", err)
	}
	return vfs.WriteFileAtomic(d.FS, path.Join(d.Path, exportsName), append(b, '\n'))
}

// made finds the export with that nonce.
func (d Dir) made(n wire.Nonce) (exported, bool, error) {
	s, err := d.exports()
	for _, x := range s.Exports {
		if x.Nonce == nonceText(n) {
			return x, true, nil
		}
	}
	return exported{}, false, err
}
