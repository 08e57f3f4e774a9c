package install

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Disk is what an install needs of a disk.
type Disk interface {
	vfs.FS
	vfs.Linker
}

// The links.
const (
	Stable    = "stable"
	Candidate = "candidate"
	Previous  = "previous"
)

// Layout is the tree of releases below one directory.
type Layout struct {
	fs   Disk
	root string
}

// NewLayout is the tree below root, e.g. /opt/edge.
func NewLayout(fs Disk, root string) *Layout { return &Layout{fs, root} }

func (l *Layout) path(parts ...string) string {
	return path.Join(append([]string{l.root}, parts...)...)
}

func (l *Layout) releaseDir(name string) string { return l.path("releases", name) }

// make makes the directories that are always there.
func (l *Layout) make() error {
	for _, dir := range []string{l.root, l.path("store"), l.path("releases")} {
		if err := errors.Join(l.fs.MkdirAll(dir), l.fs.SyncDir(path.Dir(dir))); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		if err := l.fs.Executable(dir); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return nil
}

// Release is the release that a link names, "" if there is none. Anything but a link to a release is damage.
func (l *Layout) Release(link string) (string, error) {
	target, err := l.fs.Readlink(l.path(link))
	if errors.Is(err, vfs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", link, err)
	}
	name, ok := strings.CutPrefix(target, "releases/")
	if !ok || !release.ValidName(name) || strings.Contains(name, "/") {
		return "", &Error{BadPath, fmt.Errorf("link %s leads to %q, not to a release", l.path(link), target)}
	}
	return name, nil
}

// Point makes a link name a release, in one step.
func (l *Layout) Point(link, name string) error {
	if now, err := l.Release(link); err == nil && now == name {
		return nil
	}
	tmp := l.path(link + vfs.TempSuffix)
	if err := l.fs.Remove(tmp); err != nil && !errors.Is(err, vfs.ErrNotExist) {
		return fmt.Errorf("point %s at %s: %w", link, name, err)
	}
	err := l.fs.Symlink("releases/"+name, tmp)
	if err == nil {
		err = errors.Join(l.fs.Rename(tmp, l.path(link)), l.fs.SyncDir(l.root))
	}
	if err != nil {
		return fmt.Errorf("point %s at %s: %w", link, name, err)
	}
	return nil
}

// Unpoint removes a link.
func (l *Layout) Unpoint(link string) error {
	err := l.fs.Remove(l.path(link))
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	if err = errors.Join(err, l.fs.SyncDir(l.root)); err != nil {
		return fmt.Errorf("remove link %s: %w", link, err)
	}
	return nil
}

// removeAll removes a tree; what is not there is no error.
func (l *Layout) removeAll(name string) error {
	if _, err := l.fs.Readlink(name); err == nil {
		return l.fs.Remove(name)
	}
	info, err := l.fs.Stat(name)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Dir {
		entries, err := l.fs.List(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := l.removeAll(path.Join(name, e.Name)); err != nil {
				return err
			}
		}
	}
	return l.fs.Remove(name)
}
