package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/edgelog/edgelog/internal/delta"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
)

// putDelta makes a component from an older one of the store and a delta. The signed hash of the delta, the hash of the
// old content and that of the outcome must all hold before the entry gets its name.
func (l *Layout) putDelta(old, c release.Component, d release.Delta, src io.Reader) (err error) {
	base, err := l.openBase(old)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	tmp := l.path("store", ".new-"+c.SHA256)
	if err := l.removeAll(tmp); err != nil {
		return fmt.Errorf("clean store: %w", err)
	}
	if err := l.patch(tmp, base, old, c, d, src); err != nil {
		// The verdict counts; what is left of the copy goes with the next attempt or collection.
		_ = l.removeAll(tmp)
		return err
	}
	return l.place(tmp, c)
}

// ErrNoBase says that nothing is there to make a component from.
var ErrNoBase = errors.New("what it would be made from is not in force")

// ProveDelta is a putDelta whose outcome is forgotten.
func (l *Layout) ProveDelta(old, c release.Component, d release.Delta, src io.Reader) (err error) {
	base, err := l.openBase(old)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	return outcome(base, old, c, d, src, func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// patch writes the outcome to tmp.
func (l *Layout) patch(tmp string, base *base, old, c release.Component, d release.Delta, src io.Reader) error {
	return outcome(base, old, c, d, src, func(r io.Reader) error {
		if !isTree(c) {
			return l.writeFile(tmp, r)
		}
		if err := l.unpackTar(tmp, r); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// outcome hands the outcome of a delta to take and checks all hashes.
func outcome(base *base, old, c release.Component, d release.Delta, src io.Reader, take func(io.Reader) error) error {
	hash := sha256.New()
	limited := io.TeeReader(io.LimitReader(src, d.Size+1), hash)
	r, err := delta.NewReader(limited, base, base.size)
	if err != nil {
		return deltaError(c, err)
	}
	form := delta.Files
	if isTree(c) {
		form = delta.Trees
	}
	if r.Form != form || hex.EncodeToString(r.From[:]) != old.SHA256 || hex.EncodeToString(r.To[:]) != c.SHA256 ||
		form == delta.Files && r.Result != r.To {
		return deltaError(c, fmt.Errorf("it is for other files: %w", delta.ErrFormat))
	}
	if isTree(c) && r.ResultSize > maxArchiveBytes {
		return &Error{TooLarge, fmt.Errorf("%s: an archive of %d bytes", c.Name, r.ResultSize)}
	}
	err = take(r)
	if err == nil { // the last read of r has vouched for the outcome; what remains belongs to the hash of the delta
		_, err = io.Copy(io.Discard, limited)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); err == nil && sum != d.SHA256 {
		err = &Error{BadHash, fmt.Errorf("the delta of %s has sha256 %s, signed is %s", c.Name, sum, d.SHA256)}
	}
	if err != nil {
		return deltaError(c, err)
	}
	return nil
}

func deltaError(c release.Component, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{BadDelta, fmt.Errorf("%s: %w", c.Name, err)}
}

// base is the old content that a delta refers to: a file of the store, or the files of a tree one after another.
type base struct {
	files []vfs.File
	ends  []int64 // where each file ends in the whole
	size  int64
}

func (l *Layout) openBase(c release.Component) (_ *base, err error) {
	b := &base{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	list, err := l.regular(l.entry(c))
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		f, err := l.fs.Open(name)
		if err != nil {
			return nil, diskError("read "+name, err)
		}
		b.files = append(b.files, f)
		n, err := f.Size()
		if err != nil {
			return nil, diskError("read "+name, err)
		}
		b.size += n
		b.ends = append(b.ends, b.size)
	}
	return b, nil
}

// regular lists the files at a name, which may be one itself, in the order of delta.ComparePaths.
func (l *Layout) regular(name string) ([]string, error) {
	info, err := l.fs.Stat(name)
	if err != nil {
		return nil, diskError("inspect store", err)
	}
	if !info.Dir {
		return []string{name}, nil
	}
	entries, err := l.fs.List(name)
	if err != nil {
		return nil, diskError("inspect store", err)
	}
	var out []string
	for _, e := range entries {
		below, err := l.regular(path.Join(name, e.Name))
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	slices.SortFunc(out, delta.ComparePaths)
	return out, nil
}

// ReadAt reads across the files (io.ReaderAt).
func (b *base) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		i, _ := slices.BinarySearch(b.ends, off+1)
		if i == len(b.ends) {
			return n, io.EOF
		}
		begin := int64(0)
		if i > 0 {
			begin = b.ends[i-1]
		}
		want := min(int64(len(p)-n), b.ends[i]-off)
		m, err := b.files[i].ReadAt(p[n:n+int(want)], off-begin)
		n, off = n+m, off+int64(m)
		if int64(m) < want {
			return n, errors.Join(io.ErrUnexpectedEOF, err)
		}
	}
	return n, nil
}

// Close closes the files.
func (b *base) Close() (err error) {
	for _, f := range b.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
