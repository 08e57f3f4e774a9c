package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
)

// File is one file of the store, as release.json holds it for later inspection.
type File struct {
	Path   string `json:"path"` // below the store, e.g. SHA256/bin/edge-agent
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Tree is release.json: what a release directory consists of.
type Tree struct {
	Release    string              `json:"release"`
	Counter    uint64              `json:"counter"`
	Manifest   string              `json:"manifest"`
	Components []release.Component `json:"components"`
	Files      []File              `json:"files"`
}

func (l *Layout) entry(c release.Component) string { return l.path("store", c.SHA256) }

// Has tells whether the store holds content, by its sha256.
func (l *Layout) Has(sha256 string) bool { return Stored(l.fs, l.root, sha256) }

// Stored tells whether the store below root holds content, for those who may only look. What is damaged there and could not be
// replaced yet does not count.
func Stored(fs vfs.FS, root, sha256 string) bool {
	at := path.Join(root, "store", sha256)
	if _, err := fs.Stat(at + damagedSuffix); err == nil {
		return false
	}
	_, err := fs.Stat(at)
	return err == nil
}

const (
	damagedSuffix = ".damaged" // of a mark beside an entry
	asidePrefix   = ".old-"    // of an entry while another one takes its place
)

// sound tells whether an entry of the store still is what was signed. Of an archive only its files are left: they are held
// against what the releases that have it wrote down.
func (l *Layout) sound(c release.Component) (bool, error) {
	if !isTree(c) {
		sum, _, err := l.hash(l.entry(c))
		return err == nil && sum == c.SHA256, nil // what cannot be read is not
	}
	releases, err := l.fs.List(l.path("releases"))
	if err != nil {
		return false, diskError("inspect releases", err)
	}
	known := false
	for _, r := range releases {
		tree, err := l.Tree(r.Name)
		if err != nil {
			continue // damaged itself, or begun
		}
		right, files := true, 0
		for _, f := range tree.Files {
			if !strings.HasPrefix(f.Path, c.SHA256+"/") {
				continue
			}
			files++
			sum, _, err := l.hash(l.path("store", f.Path))
			right = right && err == nil && sum == f.SHA256
		}
		if files > 0 && right {
			return true, nil
		}
		known = known || files > 0
	}
	return !known, nil // nobody has it yet: this update has just brought it
}

// mark notes that an entry is damaged, so that its content is fetched again.
func (l *Layout) mark(c release.Component) error {
	f, err := l.fs.Create(l.entry(c) + damagedSuffix)
	if errors.Is(err, vfs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), l.fs.SyncDir(l.path("store")))
	}
	if err != nil {
		return diskError("mark "+c.Name, err)
	}
	return nil
}

// place gives what was written to tmp its name in the store, in place of a damaged entry if there is one.
func (l *Layout) place(tmp string, c release.Component) error {
	entry, aside := l.entry(c), l.path("store", asidePrefix+c.SHA256)
	var err error
	_, serr := l.fs.Stat(entry)
	replaces := serr == nil
	if replaces {
		err = errors.Join(l.removeAll(aside), l.fs.Rename(entry, aside))
	}
	if err == nil {
		err = errors.Join(l.fs.Rename(tmp, entry), l.fs.SyncDir(l.path("store")))
	}
	if err == nil && replaces {
		if err = l.removeAll(aside); err == nil {
			err = l.removeAll(entry + damagedSuffix)
		}
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", c.Name, err)
	}
	return nil
}

// restore gives entries that a power cut found aside their names back.
func (l *Layout) restore() error {
	entries, err := l.fs.List(l.path("store"))
	if err != nil {
		return fmt.Errorf("inspect store: %w", err)
	}
	for _, e := range entries {
		sum, ok := strings.CutPrefix(e.Name, asidePrefix)
		if !ok {
			continue
		}
		if _, err := l.fs.Stat(l.path("store", sum)); err == nil {
			err = l.removeAll(l.path("store", e.Name))
			if err != nil {
				return fmt.Errorf("clean store: %w", err)
			}
		} else if err := errors.Join(l.fs.Rename(l.path("store", e.Name), l.path("store", sum)), l.fs.SyncDir(l.path("store"))); err != nil {
			return fmt.Errorf("restore %s: %w", sum, err)
		}
	}
	return nil
}

// isTree tells whether a component is unpacked in the store.
func isTree(c release.Component) bool { return c.Kind == release.Agent }

// put copies a component from src into the store and verifies what it copied: what src becomes meanwhile does not matter.
func (l *Layout) put(c release.Component, src io.Reader) error {
	tmp := l.path("store", ".new-"+c.SHA256)
	if err := l.removeAll(tmp); err != nil {
		return fmt.Errorf("clean store: %w", err)
	}
	hash := sha256.New()
	limited := io.TeeReader(io.LimitReader(src, c.Size+1), hash)
	var err error
	if isTree(c) {
		err = l.unpack(tmp, limited)
		if err == nil {
			_, err = io.Copy(io.Discard, limited) // padding behind the archive belongs to the hash
		}
	} else {
		err = l.writeFile(tmp, limited)
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); err == nil && sum != c.SHA256 {
		err = &Error{BadHash, fmt.Errorf("%s has sha256 %s, signed is %s", c.Name, sum, c.SHA256)}
	}
	if err != nil {
		// The verdict counts; what is left of the copy goes with the next attempt or collection.
		_ = l.removeAll(tmp)
		return err
	}
	return l.place(tmp, c)
}

// writeFile copies r into a new file and syncs it.
func (l *Layout) writeFile(name string, r io.Reader) error {
	f, err := l.fs.Create(name)
	if err != nil {
		return diskError("create "+name, err)
	}
	buf := make([]byte, copyBytes)
	for off := int64(0); err == nil; {
		var n int
		n, err = io.ReadFull(r, buf)
		if n > 0 {
			if _, werr := f.WriteAt(buf[:n], off); werr != nil {
				err = diskError("write "+name, werr)
				break
			}
			off += int64(n)
		}
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err == nil {
		if err = f.Sync(); err != nil {
			err = diskError("sync "+name, err)
		}
	}
	return errors.Join(err, f.Close(), l.fs.Executable(name))
}

func diskError(what string, err error) error {
	reason := DiskIO
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		reason = NoSpace
	}
	return &Error{reason, fmt.Errorf("%s: %w", what, err)}
}

// build makes the release directory: release.json and a link for each component. A directory that is there already is
// complete, as it got its name last.
func (l *Layout) build(t *Txn) error {
	dir := l.releaseDir(t.Release)
	if tree, err := l.Tree(t.Release); err == nil && tree.Manifest == t.Manifest {
		return nil
	}
	tmp := l.path("releases", ".new-"+t.Release)
	if err := errors.Join(l.removeAll(tmp), l.fs.MkdirAll(tmp), l.fs.Executable(tmp)); err != nil {
		return diskError("make release directory", err)
	}
	tree := Tree{Release: t.Release, Counter: t.Counter, Manifest: t.Manifest, Components: t.Components}
	dirs := map[string]bool{tmp: true}
	for _, c := range t.Components {
		files, err := l.files(c.SHA256, l.entry(c))
		if err != nil {
			return err
		}
		tree.Files = append(tree.Files, files...)
		link := path.Join(tmp, c.Name)
		for d := path.Dir(link); !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
		if err := l.fs.MkdirAll(path.Dir(link)); err != nil {
			return diskError("make release directory", err)
		}
		up := strings.Repeat("../", strings.Count(c.Name, "/")+2)
		if err := l.fs.Symlink(up+"store/"+c.SHA256, link); err != nil {
			return diskError("link "+c.Name, err)
		}
	}
	body, err := json.MarshalIndent(tree, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", release.TreeName, err)
	}
	if err := l.writeFile(path.Join(tmp, release.TreeName), strings.NewReader(string(body))); err != nil {
		return err
	}
	for d := range dirs {
		if err := errors.Join(l.fs.Executable(d), l.fs.SyncDir(d)); err != nil {
			return diskError("sync release directory", err)
		}
	}
	if err := l.removeAll(dir); err != nil { // of the same name, with other content: never in force, else it had been refused
		return diskError("remove old release directory", err)
	}
	if err := errors.Join(l.fs.Rename(tmp, dir), l.fs.SyncDir(l.path("releases"))); err != nil {
		return diskError("name release directory", err)
	}
	return nil
}

// files lists an entry of the store with the hashes of its files.
func (l *Layout) files(name, at string) ([]File, error) {
	info, err := l.fs.Stat(at)
	if err != nil {
		return nil, diskError("inspect store", err)
	}
	if !info.Dir {
		sum, size, err := l.hash(at)
		return []File{{Path: name, Size: size, SHA256: sum}}, err
	}
	entries, err := l.fs.List(at)
	if err != nil {
		return nil, diskError("inspect store", err)
	}
	var out []File
	for _, e := range entries {
		below, err := l.files(path.Join(name, e.Name), path.Join(at, e.Name))
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

func (l *Layout) hash(name string) (sum string, size int64, err error) {
	f, err := l.fs.Open(name)
	if err != nil {
		return "", 0, diskError("read "+name, err)
	}
	defer f.Close()
	if size, err = f.Size(); err != nil {
		return "", 0, diskError("read "+name, err)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(f, 0, size), make([]byte, copyBytes)); err != nil {
		return "", 0, diskError("read "+name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// Tree reads release.json of a release.
func (l *Layout) Tree(name string) (*Tree, error) {
	data, err := vfs.ReadFile(l.fs, path.Join(l.releaseDir(name), release.TreeName), maxJournalBytes)
	if err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	var t Tree
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("read release %s: %w", name, err)
	}
	return &t, nil
}

// Damage re-hashes every file of a release and names those that are missing or changed.
func (l *Layout) Damage(name string) ([]string, error) {
	t, err := l.Tree(name)
	if err != nil {
		return nil, err
	}
	var bad []string
	for _, f := range t.Files {
		sum, _, err := l.hash(l.path("store", f.Path))
		if err != nil && !errors.Is(err, vfs.ErrNotExist) {
			bad = append(bad, f.Path+": "+err.Error())
		} else if err != nil {
			bad = append(bad, f.Path+" is missing")
		} else if sum != f.SHA256 {
			bad = append(bad, f.Path+" has changed")
		}
	}
	for _, c := range t.Components {
		if _, err := l.fs.Readlink(path.Join(l.releaseDir(name), c.Name)); err != nil {
			bad = append(bad, c.Name+": its link is missing")
		}
	}
	return bad, nil
}

// Collect removes what no link, no open transaction and no running program needs: releases first, then the store.
// running are paths of programs that run, e.g. the targets of /proc/PID/exe.
func (l *Layout) Collect(open *Txn, running []string) ([]string, error) {
	keepRelease, keepStore := map[string]bool{}, map[string]bool{}
	for _, link := range []string{Stable, Candidate, Previous} {
		name, err := l.Release(link)
		if err != nil {
			return nil, err // a damaged link could name anything: nothing is removed
		}
		keepRelease[name] = true
	}
	if open != nil && !open.State.Terminal() {
		keepRelease[open.Release], keepRelease[open.From] = true, true
		for _, c := range open.Components {
			keepStore[c.SHA256] = true
		}
	}
	var removed []string
	releases, err := l.fs.List(l.path("releases"))
	if err != nil {
		return nil, err
	}
	for _, r := range releases {
		if keepRelease[r.Name] {
			t, err := l.Tree(r.Name)
			if err != nil {
				return removed, err // what it needs is unknown: the store stays as it is
			}
			for _, c := range t.Components {
				keepStore[c.SHA256] = true
			}
			continue
		}
		if err := l.removeAll(l.path("releases", r.Name)); err != nil {
			return removed, err
		}
		removed = append(removed, "releases/"+r.Name)
	}
	entries, err := l.fs.List(l.path("store"))
	if err != nil {
		return removed, err
	}
	for _, e := range entries {
		at := l.path("store", e.Name)
		if keepStore[strings.TrimSuffix(e.Name, damagedSuffix)] || slices.ContainsFunc(running, func(p string) bool { return p == at || strings.HasPrefix(p, at+"/") }) {
			continue
		}
		if err := l.removeAll(at); err != nil {
			return removed, err
		}
		removed = append(removed, "store/"+e.Name)
	}
	return removed, errors.Join(l.fs.SyncDir(l.path("releases")), l.fs.SyncDir(l.path("store")))
}
