package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
)

// Directory is a Source below one directory, laid out as a repository (internal/trust/repo): metadata/ and targets/.
// Nothing outside of it is read, whatever links it holds.
type Directory struct{ root *os.Root }

// OpenDirectory opens one.
func OpenDirectory(dir string) (*Directory, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	if _, err := root.Stat("metadata/timestamp.json"); err != nil {
		root.Close()
		return nil, fmt.Errorf("%s holds no release: metadata/timestamp.json is missing: %w", dir, err)
	}
	return &Directory{root}, nil
}

// openRoot opens a directory. os.OpenRoot alone waits for ever where a FIFO stands in its place.
func openRoot(dir string) (*os.Root, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

// Close closes it.
func (d *Directory) Close() error { return d.root.Close() }

// Metadata reads what lies in metadata/ beyond what the box has.
func (d *Directory) Metadata(have trust.Have) (*trust.Bundle, error) {
	b := &trust.Bundle{Targets: map[string][]byte{}}
	dir, err := d.root.OpenFile("metadata", os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(4 * trust.MaxRoots)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	for version := have.Root + 1; len(b.Roots) < trust.MaxRoots; version++ {
		data, err := d.read("metadata/"+strconv.FormatInt(version, 10)+".root.json", trust.MaxRootBytes)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		b.Roots = append(b.Roots, data)
	}
	if b.Timestamp, err = d.read("metadata/timestamp.json", trust.MaxTimestampBytes); err != nil {
		return nil, err
	}
	if b.Snapshot, err = d.read("metadata/snapshot.json", trust.MaxSnapshotBytes); err != nil {
		return nil, err
	}
	for _, name := range names {
		role, ok := strings.CutSuffix(name, ".json")
		if !ok || role == "timestamp" || role == "snapshot" || strings.HasSuffix(role, ".root") {
			continue
		}
		if len(b.Targets) > trust.MaxRoles {
			return nil, fmt.Errorf("read metadata: more than %d roles", trust.MaxRoles)
		}
		if b.Targets[role], err = d.read("metadata/"+name, trust.MaxTargetsBytes); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (d *Directory) read(name string, limit int64) ([]byte, error) {
	f, err := d.regular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", name, limit)
	}
	return data, nil
}

// Open opens a target.
func (d *Directory) Open(target string) (io.ReadCloser, error) {
	if !release.ValidPath(target) {
		return nil, fmt.Errorf("open %q: %w", target, release.ErrPath)
	}
	return d.regular(path.Join("targets", target))
}

// regular opens a regular file. The directory belongs to others: a FIFO must not hold up whoever reads it as root.
func (d *Directory) regular(name string) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("open %s: not a regular file", name), err, f.Close())
	}
	return f, nil
}
