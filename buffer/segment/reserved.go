package segment

import (
	"errors"
	"fmt"
	"path"

	"github.com/edgelog/edgelog/internal/vfs"
)

// Reserved is disk space held for a segment that is not begun: a file under a name that nobody takes for a segment.
type Reserved struct {
	fs    vfs.FS
	f     vfs.File
	path  string
	bytes int64
}

// Reserve holds so many bytes in a new file; one that is left there is replaced. vfs.ErrNotSupported: the file system
// cannot reserve.
func Reserve(fs vfs.FS, name string, bytes int64) (*Reserved, error) {
	f, err := fs.Create(name)
	if errors.Is(err, vfs.ErrExist) {
		if err = fs.Remove(name); err == nil {
			f, err = fs.Create(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reserve segment: %w", err)
	}
	r := &Reserved{fs: fs, f: f, path: name, bytes: bytes}
	if err := f.Reserve(bytes); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve segment: %w", err), r.Drop())
	}
	return r, nil
}

// Bytes is how much is held.
func (r *Reserved) Bytes() int64 { return r.bytes }

// Drop gives the space back.
func (r *Reserved) Drop() error { return errors.Join(r.f.Close(), r.fs.Remove(r.path)) }

// CreateReserved is CreateEncrypted of a segment in reserved space: the file gets its name when its header is durable.
// vfs.ErrExist: there is a file of that name, and r may be used for another one; after any other error r is gone.
func CreateReserved(fs vfs.FS, dir, name string, h *Header, r *Reserved, with *Key) (*Writer, error) {
	p := path.Join(dir, name)
	if _, err := fs.Stat(p); !errors.Is(err, vfs.ErrNotExist) {
		if err == nil {
			return nil, fmt.Errorf("create segment %s: %w", p, vfs.ErrExist)
		}
		return nil, errors.Join(fmt.Errorf("create segment: %w", err), r.Drop())
	}
	h.Encrypted = with != nil
	hb, err := AppendHeader(nil, h)
	var front []byte
	var key *DataKey
	if err == nil {
		front, key, err = lead(hb, h, with)
	}
	if err != nil {
		return nil, errors.Join(err, r.Drop())
	}
	w := newWriter(fs, r.f, p, h, key)
	if err := w.begin(hb, front); err != nil {
		return nil, errors.Join(err, r.Drop())
	}
	if err := fs.Rename(r.path, p); err != nil {
		// It may have happened all the same.
		return nil, errors.Join(fmt.Errorf("name segment: %w", err), r.f.Close(), gone(fs.Remove(r.path)), gone(fs.Remove(p)))
	}
	err = errors.Join(w.syncDir(dir), r.f.Close())
	if err == nil {
		w.f, err = fs.OpenRW(p) // so that errors name the file that there is
	}
	if err != nil {
		return nil, errors.Join(err, fs.Remove(p))
	}
	return w, nil
}

func gone(err error) error {
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	return err
}
