// Package repotest makes repositories of releases for tests: one key for each role, one role for each kind of content.
package repotest

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TB is what Fleet needs of a test; a benchmark program brings its own.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// Fleet is such a repository.
type Fleet struct {
	TB   TB
	Dir  string
	Repo *repo.Repo
	Keys map[string]repo.Key
	Now  time.Time
	pins map[string][]release.Pin // by role, not yet signed
}

// Roles are the delegated ones; each signs what lies below a directory of its name.
var Roles = []string{"agent", "config", "firmware", "models", "releases", "sites"}

// New makes an empty repository in dir, signed at now.
func New(tb TB, dir string, now time.Time) *Fleet {
	tb.Helper()
	f := &Fleet{TB: tb, Dir: dir, Repo: repo.At(dir), Keys: map[string]repo.Key{}, Now: now, pins: map[string][]release.Pin{}}
	for _, name := range append([]string{"root", "targets", "snapshot", "timestamp"}, Roles...) {
		k, err := repo.NewKey()
		f.must(err)
		f.Keys[name] = k
	}
	f.Root("root")
	var ds []repo.Delegation
	for _, r := range Roles {
		ds = append(ds, repo.Delegation{Name: r, Paths: []string{r + "/*"}, Holders: f.holders(r)})
	}
	file, err := f.Repo.Targets(ds, f.Now)
	f.must(err)
	f.must(repo.Sign(file, f.Keys["targets"]))
	return f
}

// Root makes the next root, with the fleet's present keys, signed by those named.
func (f *Fleet) Root(signers ...string) {
	f.TB.Helper()
	file, err := f.Repo.Root(map[string]repo.Holders{"root": f.holders("root"), "targets": f.holders("targets"),
		"snapshot": f.holders("snapshot"), "timestamp": f.holders("timestamp")}, f.Now)
	f.must(err)
	for _, s := range signers {
		f.must(repo.Sign(file, f.Keys[s]))
	}
}

func (f *Fleet) must(err error) {
	f.TB.Helper()
	if err != nil {
		f.TB.Fatal(err)
	}
}

func (f *Fleet) holders(name string) repo.Holders {
	k, err := f.Keys[name].Public()
	f.must(err)
	return repo.Holders{Keys: []*metadata.Key{k}, Threshold: 1}
}

// FactoryRoot is the first root.
func (f *Fleet) FactoryRoot() []byte {
	f.TB.Helper()
	root, err := f.Repo.FactoryRoot()
	f.must(err)
	return root
}

// Add adds content below the directory of its role; content above 64 KiB gets an index.
func (f *Fleet) Add(path string, content io.Reader, indexed bool) (file release.Pin, index *release.Pin) {
	f.TB.Helper()
	role, _, _ := strings.Cut(path, "/")
	if !indexed {
		pin, err := f.Repo.Add(path, content)
		f.must(err)
		f.pins[role] = append(f.pins[role], pin)
		return pin, nil
	}
	pin, x, err := f.Repo.AddIndexed(path, content)
	f.must(err)
	f.pins[role] = append(f.pins[role], pin, x)
	return pin, &x
}

// Release adds the manifest of a release.
func (f *Fleet) Release(m release.Manifest) {
	f.TB.Helper()
	m.Schema, m.Created = 1, f.Now
	if m.Probation.DeadlineSeconds == 0 {
		m.Probation.DeadlineSeconds = 60
	}
	data, err := json.Marshal(m)
	f.must(err)
	f.Add("releases/"+m.Release+".json", bytes.NewReader(data), false)
}

// Component adds content as a component.
func (f *Fleet) Component(kind release.Kind, name, version, path string, content io.Reader, indexed bool) release.Component {
	f.TB.Helper()
	pin, index := f.Add(path, content, indexed)
	return release.Component{Name: name, Kind: kind, Version: version, Pin: pin, Index: index}
}

// Publish signs what was added, and publishes it.
func (f *Fleet) Publish() {
	f.TB.Helper()
	for role, pins := range f.pins {
		file, err := f.Repo.Role(role, pins, f.Now)
		f.must(err)
		f.must(repo.Sign(file, f.Keys[role]))
	}
	clear(f.pins)
	f.must(f.Repo.Publish(f.Keys["snapshot"], f.Keys["timestamp"], f.Now))
}
