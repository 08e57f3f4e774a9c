// Package repo makes the signed metadata of a fleet: keys, roots, delegations, targets, snapshot and timestamp, as files
// below one directory that a hub serves from and a USB stick can carry. Each step is one function, so that the keys of
// root and targets can stay on machines without a network: a file is prepared in one place and signed in others.
//
//	metadata/1.root.json … N.root.json, targets.json, ROLE.json, snapshot.json, timestamp.json
//	targets/PATH       content, never replaced by other content
package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Repo is one such directory.
type Repo struct{ dir string }

// Errors of this package.
var (
	ErrExists = errors.New("there is one already")
)

// At is the repository in dir, which need not exist.
func At(dir string) *Repo { return &Repo{dir} }

// Lifetimes of the roles. A timestamp is made anew every day.
const (
	RootLife      = 365 * 24 * time.Hour
	TargetsLife   = 270 * 24 * time.Hour
	SnapshotLife  = 30 * 24 * time.Hour
	TimestampLife = 7 * 24 * time.Hour
)

func (r *Repo) metadata(name string) string { return filepath.Join(r.dir, "metadata", name) }

// Path is where the content of a target lies.
func (r *Repo) Path(target string) string {
	return filepath.Join(r.dir, "targets", filepath.FromSlash(target))
}

// Holders are the public keys of one role and how many of them must sign.
type Holders struct {
	Keys      []*metadata.Key
	Threshold int
}

// Root prepares the next root: the first one, or one that replaces the newest. It is unsigned; at least the old and
// the new threshold of root keys must sign it.
func (r *Repo) Root(roles map[string]Holders, now time.Time) (file string, err error) {
	version := int64(1)
	if old, err := r.newestRoot(); err == nil {
		version = old.Signed.Version + 1
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	root := metadata.Root(now.Add(RootLife).UTC().Truncate(time.Second))
	root.Signed.Version = version
	root.Signed.ConsistentSnapshot = false
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		h := roles[role]
		if h.Threshold < 1 || len(h.Keys) < h.Threshold {
			return "", fmt.Errorf("root: role %s has %d keys for a threshold of %d", role, len(h.Keys), h.Threshold)
		}
		root.Signed.Roles[role].Threshold = h.Threshold
		for _, k := range h.Keys {
			if err := root.Signed.AddKey(k, role); err != nil {
				return "", fmt.Errorf("root: add key to %s: %w", role, err)
			}
		}
	}
	file = r.metadata(fmt.Sprintf("%d.root.json", version))
	return file, save(file, root, false)
}

func (r *Repo) newestRoot() (*metadata.Metadata[metadata.RootType], error) {
	var newest *metadata.Metadata[metadata.RootType]
	for version := int64(1); ; version++ {
		data, err := os.ReadFile(r.metadata(fmt.Sprintf("%d.root.json", version)))
		if errors.Is(err, os.ErrNotExist) {
			if newest == nil {
				return nil, err
			}
			return newest, nil
		}
		if err != nil {
			return nil, err
		}
		if newest, err = metadata.Root().FromBytes(data); err != nil {
			return nil, fmt.Errorf("read root %d: %w", version, err)
		}
	}
}

// Delegation is a role that may sign for paths of one pattern.
type Delegation struct {
	Name  string   // e.g. models
	Paths []string // e.g. models/*
	Holders
}

// Targets prepares the next top-level targets file, which only delegates. It is unsigned.
func (r *Repo) Targets(delegations []Delegation, now time.Time) (file string, err error) {
	file = r.metadata("targets.json")
	t, err := r.nextTargets(file, now)
	if err != nil {
		return "", err
	}
	if err := delegate(t, delegations); err != nil {
		return "", err
	}
	return file, save(file, t, true)
}

func delegate(t *metadata.Metadata[metadata.TargetsType], delegations []Delegation) error {
	t.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	for _, d := range delegations {
		role := metadata.DelegatedRole{Name: d.Name, Threshold: d.Threshold, Terminating: true, Paths: d.Paths}
		t.Signed.Delegations.Roles = append(t.Signed.Delegations.Roles, role)
		for _, k := range d.Keys {
			if err := t.Signed.AddKey(k, d.Name); err != nil {
				return fmt.Errorf("targets: add key to %s: %w", d.Name, err)
			}
		}
	}
	return nil
}

// Add copies content into the repository and returns its pin; the path must be free or hold the same content.
func (r *Repo) Add(path string, content io.Reader) (release.Pin, error) {
	if !release.ValidPath(path) {
		return release.Pin{}, fmt.Errorf("add %q: %w", path, release.ErrPath)
	}
	name := r.Path(path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return release.Pin{}, fmt.Errorf("add %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return release.Pin{}, fmt.Errorf("add %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, sum), content)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return release.Pin{}, fmt.Errorf("add %s: %w", path, err)
	}
	pin := release.Pin{Path: path, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if old, err := r.pin(path); err == nil {
		if old != pin {
			return release.Pin{}, fmt.Errorf("add %s: %w, with other content: a released file is never changed; choose another name", path, ErrExists)
		}
		return pin, nil
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return release.Pin{}, fmt.Errorf("add %s: %w", path, err)
	}
	return pin, nil
}

func (r *Repo) pin(path string) (release.Pin, error) {
	f, err := os.Open(r.Path(path))
	if err != nil {
		return release.Pin{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return release.Pin{Path: path, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// AddIndexed is Add with a chunk index beside it, PATH.idx.
func (r *Repo) AddIndexed(path string, content io.Reader) (file, index release.Pin, err error) {
	if file, err = r.Add(path, content); err != nil {
		return file, index, err
	}
	f, err := os.Open(r.Path(path))
	if err != nil {
		return file, index, err
	}
	defer f.Close()
	x, _, err := release.MakeIndex(f, release.DefaultChunkBits)
	if err != nil {
		return file, index, err
	}
	index, err = r.Add(path+".idx", strings.NewReader(string(x.Append(nil))))
	return file, index, err
}

// Role prepares the next metadata of a delegated role, which vouches for what it vouched for before and the pins. It is
// unsigned.
func (r *Repo) Role(role string, pins []release.Pin, now time.Time) (file string, err error) {
	file = r.metadata(role + ".json")
	t, err := r.nextTargets(file, now)
	if err != nil {
		return "", err
	}
	for _, p := range pins {
		sum, err := hex.DecodeString(p.SHA256)
		if err != nil {
			return "", fmt.Errorf("role %s: %s: %w", role, p.Path, err)
		}
		t.Signed.Targets[p.Path] = &metadata.TargetFiles{Length: p.Size, Hashes: metadata.Hashes{"sha256": sum}}
	}
	return file, save(file, t, true)
}

func (r *Repo) nextTargets(file string, now time.Time) (*metadata.Metadata[metadata.TargetsType], error) {
	expires := now.Add(TargetsLife).UTC().Truncate(time.Second)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return metadata.Targets(expires), nil
	}
	if err != nil {
		return nil, err
	}
	t, err := metadata.Targets().FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	t.ClearSignatures()
	t.Signed.Version++
	t.Signed.Expires = expires
	return t, nil
}

// Publish makes snapshot and timestamp from what is there and signs them with the online keys.
func (r *Repo) Publish(snapshotKey, timestampKey Key, now time.Time) error {
	snap := metadata.Snapshot(now.Add(SnapshotLife).UTC().Truncate(time.Second))
	files, err := filepath.Glob(r.metadata("*.json"))
	if err != nil {
		return err
	}
	for _, f := range files {
		base := filepath.Base(f)
		if base == "snapshot.json" || base == "timestamp.json" || strings.HasSuffix(base, ".root.json") {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		t, err := metadata.Targets().FromBytes(data)
		if err != nil {
			return fmt.Errorf("publish: read %s: %w", base, err)
		}
		snap.Signed.Meta[base] = meta(data, t.Signed.Version)
	}
	if old, err := os.ReadFile(r.metadata("snapshot.json")); err == nil {
		before, err := metadata.Snapshot().FromBytes(old)
		if err != nil {
			return fmt.Errorf("publish: read snapshot: %w", err)
		}
		snap.Signed.Version = before.Signed.Version + 1
	}
	if err := snapshotKey.sign(snap); err != nil {
		return err
	}
	if err := save(r.metadata("snapshot.json"), snap, true); err != nil {
		return err
	}
	return r.Timestamp(timestampKey, now)
}

// Timestamp makes the timestamp anew: once a day, also when nothing changed.
func (r *Repo) Timestamp(key Key, now time.Time) error {
	data, err := os.ReadFile(r.metadata("snapshot.json"))
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	snap, err := metadata.Snapshot().FromBytes(data)
	if err != nil {
		return fmt.Errorf("timestamp: read snapshot: %w", err)
	}
	ts := metadata.Timestamp(now.Add(TimestampLife).UTC().Truncate(time.Second))
	ts.Signed.Meta["snapshot.json"] = meta(data, snap.Signed.Version)
	ts.Signed.UnrecognizedFields = map[string]any{trust.SignedTimeField: now.UTC().Format(time.RFC3339)}
	if old, err := os.ReadFile(r.metadata("timestamp.json")); err == nil {
		before, err := metadata.Timestamp().FromBytes(old)
		if err != nil {
			return fmt.Errorf("timestamp: read the one before: %w", err)
		}
		ts.Signed.Version = before.Signed.Version + 1
	}
	if err := key.sign(ts); err != nil {
		return err
	}
	return save(r.metadata("timestamp.json"), ts, true)
}

func meta(data []byte, version int64) *metadata.MetaFiles {
	sum := sha256.Sum256(data)
	return &metadata.MetaFiles{Version: version, Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// Bundle is what a box that believes have lacks.
func (r *Repo) Bundle(have trust.Have) (*trust.Bundle, error) {
	b := &trust.Bundle{Targets: map[string][]byte{}}
	for version := have.Root + 1; len(b.Roots) < trust.MaxRoots; version++ {
		data, err := os.ReadFile(r.metadata(fmt.Sprintf("%d.root.json", version)))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read root %d: %w", version, err)
		}
		b.Roots = append(b.Roots, data)
	}
	var err error
	if b.Timestamp, err = os.ReadFile(r.metadata("timestamp.json")); err != nil {
		return nil, fmt.Errorf("read timestamp: %w", err)
	}
	if b.Snapshot, err = os.ReadFile(r.metadata("snapshot.json")); err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	snap, err := metadata.Snapshot().FromBytes(b.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	for file, m := range snap.Signed.Meta {
		role := strings.TrimSuffix(file, ".json")
		if have.Targets[role] == m.Version {
			continue
		}
		if b.Targets[role], err = os.ReadFile(r.metadata(file)); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
	}
	return b, nil
}

// Check verifies the whole repository as a new box would, at the time now.
func (r *Repo) Check(now time.Time) (*trust.View, error) {
	root, err := r.FactoryRoot()
	if err != nil {
		return nil, fmt.Errorf("read root 1: %w", err)
	}
	b, err := r.Bundle(trust.Have{Root: 1})
	if err != nil {
		return nil, err
	}
	_, v, err := trust.Verify(root, trust.State{}, b, now)
	return v, err
}

// FactoryRoot is the first root, which boxes are made with.
func (r *Repo) FactoryRoot() ([]byte, error) { return os.ReadFile(r.metadata("1.root.json")) }
