package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/strictyaml"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Roles is roles.yaml: who may sign for what. The four top roles must be there; every other one is a delegation.
type Roles struct {
	Roles map[string]Role `yaml:"roles,required"`
}

// Role is one of them.
type Role struct {
	Keys      []string `yaml:"keys,required"` // public key files, relative to roles.yaml
	Threshold int      `yaml:"threshold"`     // signatures needed; 1 if not given
	Paths     []string `yaml:"paths"`         // of a delegation, e.g. models/*
}

// LoadRoles reads roles.yaml.
func LoadRoles(file string) (*Roles, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	var r Roles
	if err := strictyaml.Decode(file, data, &r); err != nil {
		return nil, err
	}
	for _, top := range metadata.TOP_LEVEL_ROLE_NAMES {
		if _, ok := r.Roles[top]; !ok {
			return nil, fmt.Errorf("%s: role %s is missing; root, targets, snapshot and timestamp must be there", file, top)
		}
	}
	for name, role := range r.Roles {
		if !release.ValidName(name) || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%s: %q is no name of a role", file, name)
		}
		top := slices.Contains(metadata.TOP_LEVEL_ROLE_NAMES[:], name)
		if top == (len(role.Paths) > 0) {
			return nil, fmt.Errorf("%s: role %s: a delegation has paths, the four top roles have none", file, name)
		}
		if role.Threshold == 0 {
			role.Threshold = 1
		}
		for i, k := range role.Keys {
			if !filepath.IsAbs(k) {
				role.Keys[i] = filepath.Join(filepath.Dir(file), k)
			}
		}
		r.Roles[name] = role
	}
	return &r, nil
}

// Holds reports whether the key of this id is one of the role's.
func (r Role) Holds(id string) (bool, error) {
	h, err := r.holders()
	if err != nil {
		return false, err
	}
	for _, k := range h.Keys {
		own, err := k.ID()
		if err != nil {
			return false, fmt.Errorf("id of a key: %w", err)
		}
		if own == id {
			return true, nil
		}
	}
	return false, nil
}

func (r Role) holders() (Holders, error) {
	h := Holders{Threshold: r.Threshold}
	for _, file := range r.Keys {
		k, err := loadPublic(file)
		if err != nil {
			return h, err
		}
		h.Keys = append(h.Keys, k)
	}
	return h, nil
}

// Prepare makes the next root and the next targets file from the roles, both unsigned, and returns their names. A targets
// file that says the same, is signed by those who hold the role now, and has more than half of its life left stays as it is.
func (r *Repo) Prepare(roles *Roles, now time.Time) (files []string, err error) {
	top := map[string]Holders{}
	var delegations []Delegation
	names := make([]string, 0, len(roles.Roles))
	for name := range roles.Roles {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		role := roles.Roles[name]
		h, err := role.holders()
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", name, err)
		}
		if len(role.Paths) == 0 {
			top[name] = h
		} else {
			delegations = append(delegations, Delegation{Name: name, Paths: role.Paths, Holders: h})
		}
	}
	root, err := r.Root(top, now)
	if err != nil {
		return nil, err
	}
	if r.stands(root, delegations, now) {
		return []string{root}, nil
	}
	targets, err := r.Targets(delegations, now)
	return []string{root, targets}, err
}

// stands tells whether the present targets file will do under a new root.
func (r *Repo) stands(rootFile string, delegations []Delegation, now time.Time) bool {
	root, err := readAs(rootFile, metadata.Root())
	if err != nil {
		return false
	}
	old, err := readAs(r.metadata("targets.json"), metadata.Targets())
	if err != nil || old.Signed.Expires.Before(now.Add(TargetsLife/2)) || root.VerifyDelegate("targets", old) != nil {
		return false
	}
	next := metadata.Targets(now)
	if delegate(next, delegations) != nil {
		return false
	}
	was, err := json.Marshal(old.Signed.Delegations)
	if err != nil {
		return false
	}
	is, err := json.Marshal(next.Signed.Delegations)
	return err == nil && bytes.Equal(was, is)
}

func readAs[T metadata.Roles](file string, m *metadata.Metadata[T]) (*metadata.Metadata[T], error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return m.FromBytes(data)
}

// Unsigned names the first file that has too few signatures, so that boxes would refuse what is published; nil if all have
// enough.
func (r *Repo) Unsigned() error {
	var root *metadata.Metadata[metadata.RootType]
	for version := 1; ; version++ {
		next, err := readAs(r.metadata(fmt.Sprintf("%d.root.json", version)), metadata.Root())
		if errors.Is(err, os.ErrNotExist) && root != nil {
			break
		}
		if err == nil && root != nil {
			err = root.VerifyDelegate("root", next)
		}
		if err == nil {
			err = next.VerifyDelegate("root", next)
		}
		if err != nil {
			return fmt.Errorf("%d.root.json: %w", version, err)
		}
		root = next
	}
	targets, err := readAs(r.metadata("targets.json"), metadata.Targets())
	if err == nil {
		err = root.VerifyDelegate("targets", targets)
	}
	if err != nil {
		return fmt.Errorf("targets.json: %w", err)
	}
	if targets.Signed.Delegations == nil {
		return nil
	}
	for _, role := range targets.Signed.Delegations.Roles {
		file, err := readAs(r.metadata(role.Name+".json"), metadata.Targets())
		if errors.Is(err, os.ErrNotExist) {
			continue // it has signed nothing yet
		}
		if err == nil {
			err = targets.VerifyDelegate(role.Name, file)
		}
		if err != nil {
			return fmt.Errorf("%s.json: %w", role.Name, err)
		}
	}
	return nil
}

// ErrNoRole is the refusal of a path that no role may sign for.
var ErrNoRole = errors.New("no role may sign for this path")

// RoleFor is the delegated role whose paths match.
func (r *Roles) RoleFor(path string) (string, error) {
	for name, role := range r.Roles {
		for _, pattern := range role.Paths {
			d := metadata.DelegatedRole{Paths: []string{pattern}}
			if ok, err := d.IsDelegatedPath(path); err == nil && ok {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w: %s", path, ErrNoRole, "add a role with such a path to roles.yaml")
}

// Freeze pins the components of a manifest whose content lies in the repository: it fills in sizes, hashes and
// indices, and returns the manifest's file as it is to be signed. For boxes that run one of the releases since, it makes
// deltas where they pay.
func (r *Repo) Freeze(draft []byte, since ...string) ([]byte, *release.Manifest, []release.Pin, error) {
	m, err := release.ParseDraft(draft)
	if err != nil {
		return nil, nil, nil, err
	}
	var pins []release.Pin
	for i := range m.Components {
		c := &m.Components[i]
		if c.Pin, err = r.pin(c.Path); err != nil {
			return nil, nil, nil, fmt.Errorf("freeze %s: %w: add its content first", c.Name, err)
		}
		if c.Size > release.MaxUnindexed {
			index, err := r.pin(c.Path + ".idx")
			if err != nil {
				return nil, nil, nil, fmt.Errorf("freeze %s: %w", c.Name, err)
			}
			c.Index = &index
			pins = append(pins, index)
		}
		pins = append(pins, c.Pin)
		deltas, err := r.deltas(c, since)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("freeze %s: %w", c.Name, err)
		}
		pins = append(pins, deltas...)
	}
	data, err := m.Encode()
	return data, m, pins, err
}
