package vfs

import (
	"errors"
	"fmt"
	"io"
	"path"
)

// TempSuffix ends the name of the file that WriteFileAtomic writes before it renames it. One that is found is left from
// a crash and means nothing.
const TempSuffix = ".new"

// ErrTooLarge is returned by ReadFile for a file above the given bound.
var ErrTooLarge = errors.New("file is larger than it may be")

// WriteFileAtomic makes name hold exactly data: it writes name+".new", syncs it, renames it over name and syncs the
// directory. After a nil error the new content is durable. After an error or a power cut name holds the old content or
// the new one, whole. One caller at a time for each name.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	tmp := name + TempSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	err := writeNew(fsys, tmp, data)
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		// What is left of it means nothing; the next call removes it if this cannot.
		_ = fsys.Remove(tmp)
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := fsys.SyncDir(path.Dir(name)); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	return nil
}

func writeNew(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// OpenReader opens a file to be read from its beginning to the end that it has now.
func OpenReader(fsys FS, name string) (io.ReadCloser, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, 0, size), f}, nil
}

// ReadFile returns the content of a file of at most limit bytes; for a larger one the error is ErrTooLarge and nothing
// is read.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %d bytes of at most %d: %w", name, size, limit, ErrTooLarge)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data[:n], nil // shorter if it was truncated meanwhile
}
