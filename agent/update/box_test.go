package update_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/trust/repo"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/klauspost/compress/zstd"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

var day0 = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fleet is a repository as a release engineer makes it: one role for each kind of path.
type fleet struct {
	t    *testing.T
	dir  string
	repo *repo.Repo
	keys map[string]repo.Key
}

var roles = []string{"agent", "config", "models", "releases", "sites"}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, dir: t.TempDir(), keys: map[string]repo.Key{}}
	f.repo = repo.At(f.dir)
	for _, name := range append([]string{"root", "targets", "snapshot", "timestamp"}, roles...) {
		k, err := repo.NewKey()
		must(t, err)
		f.keys[name] = k
	}
	file, err := f.repo.Root(map[string]repo.Holders{"root": f.holders("root"), "targets": f.holders("targets"),
		"snapshot": f.holders("snapshot"), "timestamp": f.holders("timestamp")}, day0)
	must(t, err)
	must(t, repo.Sign(file, f.keys["root"]))
	var ds []repo.Delegation
	for _, r := range roles {
		ds = append(ds, repo.Delegation{Name: r, Paths: []string{r + "/*"}, Holders: f.holders(r)})
	}
	file, err = f.repo.Targets(ds, day0)
	must(t, err)
	must(t, repo.Sign(file, f.keys["targets"]))
	return f
}

func (f *fleet) holders(name string) repo.Holders {
	k, err := f.keys[name].Public()
	must(f.t, err)
	return repo.Holders{Keys: []*metadata.Key{k}, Threshold: 1}
}

// add signs content as a role.
func (f *fleet) add(role, path string, content []byte) release.Pin {
	f.t.Helper()
	pin, err := f.repo.Add(path, bytes.NewReader(content))
	must(f.t, err)
	file, err := f.repo.Role(role, []release.Pin{pin}, day0)
	must(f.t, err)
	must(f.t, repo.Sign(file, f.keys[role]))
	return pin
}

// release publishes a release with an agent, a configuration and a model; edit may spoil its manifest.
func (f *fleet) release(name string, counter uint64, edit func(*release.Manifest)) {
	f.t.Helper()
	m := &release.Manifest{Schema: 1, Release: name, Counter: counter, Created: day0,
		Compatible: map[string][]string{"product": {"edgebox-2"}},
		Probation:  release.Probation{SoakSeconds: 0, DeadlineSeconds: 60, Checks: []string{"ingest"}}}
	for i, c := range []struct {
		kind                release.Kind
		role, name, content string
	}{{release.Config, "config", "config/base", "device: " + name + "\n"}, {release.Model, "models", "model/defect", "weights " + name},
		{release.Agent, "agent", "agent", string(programs(f.t, name))}} {
		pin := f.add(c.role, fmt.Sprintf("%s/%s-%s", c.role, strings.ReplaceAll(c.name, "/", "-"), name), []byte(c.content))
		m.Components = append(m.Components, release.Component{Name: c.name, Kind: c.kind, Version: name, Order: i, Pin: pin})
	}
	if edit != nil {
		edit(m)
	}
	data, err := json.Marshal(m)
	must(f.t, err)
	f.add("releases", "releases/"+name+".json", data)
	must(f.t, f.repo.Publish(f.keys["snapshot"], f.keys["timestamp"], day0))
}

func programs(t *testing.T, version string) []byte {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	must(t, err)
	w := tar.NewWriter(z)
	script := []byte("#!/bin/sh\necho agent " + version + "\n")
	must(t, w.WriteHeader(&tar.Header{Name: "bin/edge-agent", Typeflag: tar.TypeReg, Size: int64(len(script)), Mode: 0o644}))
	_, err = w.Write(script)
	must(t, errors.Join(err, w.Close(), z.Close()))
	return b.Bytes()
}

// machine is a box on a real disk whose agent is always well.
type machine struct {
	update.Box
	dir       string
	candidate bool
}

func newMachine(t *testing.T, f *fleet) *machine {
	root, err := f.repo.FactoryRoot()
	must(t, err)
	m := &machine{dir: t.TempDir()}
	m.Box = update.Box{FS: vfs.OS{}, Root: filepath.Join(m.dir, "edge"), StateDir: filepath.Join(m.dir, "state"), FactoryRoot: root,
		Facts: release.Facts{"product": "edgebox-2", "arch": "arm64"}, Now: func() time.Time { return day0 },
		Units: m, Judge: update.Judge{Agent: m}, Nodes: update.Nodes{}, Running: func() []string { return nil }}
	return m
}

func (m *machine) StartCandidate(context.Context) error        { m.candidate = true; return nil }
func (m *machine) StartStable(context.Context) error           { m.candidate = false; return nil }
func (m *machine) CandidateRuns(context.Context) (bool, error) { return m.candidate, nil }
func (m *machine) CandidateLog(context.Context) string         { return "" }
func (m *machine) Status(context.Context) (*api.Status, error) { return &api.Status{}, nil }

func (m *machine) Account(context.Context) (*api.Account, error) { return &api.Account{}, nil }

func (m *machine) open(t *testing.T) *update.Session {
	t.Helper()
	s, err := m.Open()
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func source(t *testing.T, dir string) *update.Directory {
	t.Helper()
	d, err := update.OpenDirectory(dir)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// TestStick: a release is carried to a box in a directory, installed, and its programs run from there.
func TestStick(t *testing.T) {
	f := newFleet(t)
	f.release("2026.11.1", 1, nil)
	m := newMachine(t, f)
	s := m.open(t)
	src := source(t, f.dir)
	offer, err := s.Check(src, "")
	must(t, err)
	txn, err := s.Apply(t.Context(), src, offer, "a", 1)
	must(t, err)
	if txn.State != install.Committed {
		t.Fatalf("%+v", txn)
	}
	got, err := os.ReadFile(filepath.Join(m.dir, "edge/stable/config/base"))
	if err != nil || string(got) != "device: 2026.11.1\n" {
		t.Errorf("%q, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(m.dir, "edge/stable/agent/bin/edge-agent"))
	if err != nil || info.Mode().Perm()&0o111 != 0o111 {
		t.Errorf("the program cannot be run: %v, %v", info, err)
	}
	// The newest is found, and an older one is a rollback from then on.
	f.release("2026.11.2", 2, nil)
	offer, err = s.Check(src, "")
	must(t, err)
	if offer.Plan.Manifest.Release != "2026.11.2" {
		t.Errorf("newest is %s", offer.Plan.Manifest.Release)
	}
	_, err = s.Apply(t.Context(), src, offer, "b", 1)
	must(t, err)
	if _, err = s.Check(src, "2026.11.1"); update.Reason(err) != install.Replayed {
		t.Errorf("25: an older release: %v", err)
	}
	if _, err := m.Open(); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("two updaters at once: %v", err)
	}
	// Damage is found, and the release before it runs again.
	agent := filepath.Join(m.dir, "edge/stable/agent/bin/edge-agent")
	must(t, os.WriteFile(agent, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	damage, did, err := s.Rescue(t.Context())
	must(t, err)
	if len(damage) != 1 || !strings.Contains(did, "2026.11.1 is in force again") {
		t.Errorf("62: %v, %s", damage, did)
	}
}

// TestAdmission: what is offered and may not be installed. Numbers are those of docs/updates.md.
func TestAdmission(t *testing.T) {
	other := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		edit   func(*release.Manifest)
		spoil  func(t *testing.T, f *fleet)
		want   string
		byName string
	}{
		"18 hash of another":      {edit: func(m *release.Manifest) { m.Components[1].SHA256 = m.Components[0].SHA256 }, want: install.BadHash},
		"18 unsigned file":        {edit: func(m *release.Manifest) { m.Components[1].Path = "models/unsigned" }, want: string(trust.NotThere)},
		"14 role beyond its path": {edit: func(m *release.Manifest) { m.Components[2].Path = m.Components[1].Path }, want: install.BadHash},
		"23 other product":        {edit: func(m *release.Manifest) { m.Compatible["product"] = []string{"edgebox-9"} }, want: install.NotOurs},
		"64 other chip": {edit: func(m *release.Manifest) {
			m.Components[1].Selector = map[string][]string{"soc_version": {"Ascend310P3"}}
		}, want: install.NotOurs},
		"requires":             {edit: func(m *release.Manifest) { m.Components[2].Requires = []string{"config/base>=2030"} }, want: install.NotOurs},
		"20 newer schema":      {edit: func(m *release.Manifest) { m.Schema = 9 }, want: install.BadFile},
		"26 no such release":   {byName: "2030.1.1", want: string(trust.NotThere)},
		"other release's name": {edit: func(m *release.Manifest) { m.Release = "2026.11.99" }, byName: "2026.11.1", want: install.BadFile},
		"41 changed file": {spoil: func(t *testing.T, f *fleet) {
			must(t, os.WriteFile(f.repo.Path("releases/2026.11.1.json"), []byte(`{"schema":1}`), 0o644))
		}, byName: "2026.11.1", want: install.BadHash},
		"51 link out of the stick": {spoil: func(t *testing.T, f *fleet) {
			must(t, os.Remove(f.repo.Path("releases/2026.11.1.json")))
			must(t, os.Symlink("/etc/passwd", f.repo.Path("releases/2026.11.1.json")))
		}, byName: "2026.11.1", want: string(trust.NotThere)},
		"01 flipped signature": {spoil: func(t *testing.T, f *fleet) {
			file := filepath.Join(f.dir, "metadata/timestamp.json")
			data, err := os.ReadFile(file)
			must(t, err)
			must(t, os.WriteFile(file, bytes.Replace(data, []byte(`"version": 1`), []byte(`"version": 2`), 1), 0o644))
		}, want: string(trust.BadSignature)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.add("models", "models/other", []byte(other))
			f.release("2026.11.1", 1, c.edit)
			if c.spoil != nil {
				c.spoil(t, f)
			}
			s := newMachine(t, f).open(t)
			byName := c.byName
			if byName == "" {
				byName = "2026.11.1"
			}
			if _, err := s.Check(source(t, f.dir), byName); update.Reason(err) != c.want {
				t.Errorf("%q: %v; want %s", update.Reason(err), err, c.want)
			}
		})
	}
}

// TestExpiredStick: case 9. Old metadata starts no install, and a newer timestamp heals it.
func TestExpiredStick(t *testing.T) {
	f := newFleet(t)
	f.release("2026.11.1", 1, nil)
	m := newMachine(t, f)
	later := day0.Add(60 * 24 * time.Hour)
	m.Now = func() time.Time { return later }
	s := m.open(t)
	if _, err := s.Check(source(t, f.dir), ""); update.Reason(err) != string(trust.Expired) {
		t.Fatal(err)
	}
	must(t, f.repo.Publish(f.keys["snapshot"], f.keys["timestamp"], later))
	if _, err := s.Check(source(t, f.dir), ""); err != nil {
		t.Error(err)
	}
}

// TestJudge: what did not work before is not held against a candidate.
func TestJudge(t *testing.T) {
	started := day0
	ok := api.Status{Started: started, Uptime: 100, Sources: api.Sources{OK: 10, Taken: 10_000}, Uplink: api.Uplink{State: api.UplinkOnline,
		LastAck: started.Add(time.Minute)}, Streams: []api.Stream{{Name: "telemetry", State: "ok"}}}
	for name, c := range map[string]struct {
		check         string
		before, after func(*api.Status)
		want          string
	}{
		"well":                   {check: "ingest"},
		"slower":                 {check: "ingest", after: func(s *api.Status) { s.Sources.Taken = 7_900 }, want: "79.0 readings/s"},
		"a little slower":        {check: "ingest", after: func(s *api.Status) { s.Sources.Taken = 8_100 }},
		"stream failing":         {check: "ingest", after: func(s *api.Status) { s.Streams[0].State = "failing" }, want: "is failing"},
		"58 offline before, too": {check: "acks", before: func(s *api.Status) { s.Uplink.State = api.UplinkConnecting }, after: func(s *api.Status) { s.Uplink.State = api.UplinkConnecting }},
		"57 offline since":       {check: "acks", after: func(s *api.Status) { s.Uplink.State = api.UplinkConnecting }, want: "was online"},
		"no ack yet":             {check: "acks", after: func(s *api.Status) { s.Uplink.LastAck = started.Add(-time.Minute) }, want: "acknowledged nothing"},
		"nine of ten nodes":      {check: "nodes>=90%", after: func(s *api.Status) { s.Sources.OK = 9 }},
		"eight of ten nodes":     {check: "nodes>=90%", after: func(s *api.Status) { s.Sources.OK = 8 }, want: "8 sources"},
		"a check of a newer one": {check: "karma", want: "does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := ok, ok
			before.Streams, after.Streams = append([]api.Stream{}, ok.Streams...), append([]api.Stream{}, ok.Streams...)
			if c.before != nil {
				c.before(&before)
			}
			if c.after != nil {
				c.after(&after)
			}
			base, err := update.Judge{Agent: answer{s: &before}}.Baseline(t.Context())
			must(t, err)
			got := update.Judge{Agent: answer{s: &after}}.Check(t.Context(), &install.Txn{Probation: release.Probation{Checks: []string{c.check}}, Before: base})
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

type answer struct {
	s *api.Status
	a api.Account
}

func (a answer) Status(context.Context) (*api.Status, error) { return a.s, nil }

func (a answer) Account(context.Context) (*api.Account, error) { return &a.a, nil }

// TestAcksAreOfRecords: that the hub answers a hello is not that it takes what the candidate writes.
func TestAcksAreOfRecords(t *testing.T) {
	up := api.Status{Started: day0, Uplink: api.Uplink{State: api.UplinkOnline, LastAck: day0.Add(time.Minute)}}
	type epochs []api.EpochAccount
	account := func(streams ...epochs) (out api.Account) {
		for i, es := range streams {
			st := api.StreamAccount{Name: fmt.Sprint("s", i), Epochs: es}
			for _, e := range es {
				st.Sum.Delivered, st.Sum.InFlight = st.Sum.Delivered+e.Delivered, st.Sum.InFlight+e.InFlight
			}
			out.Streams = append(out.Streams, st)
		}
		return out
	}
	old := func(delivered, inFlight, buffered uint64) api.EpochAccount {
		return api.EpochAccount{Epoch: "old", End: delivered + inFlight + buffered, Delivered: delivered, InFlight: inFlight, Buffered: buffered}
	}
	own := func(delivered, buffered uint64) api.EpochAccount {
		return api.EpochAccount{Epoch: "new", First: 100, End: 100 + delivered + buffered, Delivered: delivered, Buffered: buffered}
	}
	dead := own(0, 0)
	dead.End, dead.Skipped = 102, map[string]uint64{"dead-letter": 2}
	for name, c := range map[string]struct {
		before, after api.Account
		change        func(*api.Status)
		refused       bool
	}{
		"taken":                          {account(epochs{old(100, 0, 0)}), account(epochs{old(100, 0, 0), own(1, 4)}), nil, false},
		"answered, not taken":            {account(epochs{old(100, 0, 0)}), account(epochs{old(100, 0, 0), own(0, 5)}), nil, true},
		"what was on its way is told":    {account(epochs{old(90, 10, 0)}), account(epochs{old(100, 0, 0), own(0, 5)}), nil, true},
		"every record is a dead letter":  {account(epochs{old(100, 0, 0)}), account(epochs{old(100, 0, 0), dead}), nil, true},
		"nothing written since":          {account(epochs{old(100, 0, 0)}), account(epochs{old(100, 0, 0)}), nil, false},
		"no stream":                      {account(), account(), nil, false},
		"the first record ever":          {account(epochs{}), account(epochs{own(0, 1)}), nil, true},
		"one of two":                     {account(epochs{old(9, 0, 0)}, epochs{old(100, 0, 0)}), account(epochs{old(9, 0, 0)}, epochs{old(100, 0, 0), own(1, 0)}), nil, false},
		"a backlog that gets shorter":    {account(epochs{old(10, 5, 85)}), account(epochs{old(20, 5, 75), own(0, 5)}), nil, false},
		"a backlog that does not":        {account(epochs{old(10, 5, 85)}), account(epochs{old(15, 0, 85), own(0, 5)}), nil, true},
		"the budget of the link is gone": {account(epochs{old(100, 0, 0)}), account(epochs{old(100, 0, 0), own(0, 5)}), func(s *api.Status) { s.Uplink.Budget = &api.UplinkBudget{UsedUp: true} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := up
			if c.change != nil {
				c.change(&after)
			}
			base, err := update.Judge{Agent: answer{&up, c.before}}.Baseline(t.Context())
			must(t, err)
			got := update.Judge{Agent: answer{&after, c.after}}.Check(t.Context(), &install.Txn{Probation: release.Probation{Checks: []string{"acks"}}, Before: base})
			if (got != "") != c.refused || c.refused && !strings.Contains(got, "no record of the candidate") {
				t.Errorf("%q, refused %v", got, c.refused)
			}
		})
	}
}

// TestDeltaFromStick: freeze makes a delta where it pays; the box installs from it when the whole file is not on the stick.
func TestDeltaFromStick(t *testing.T) {
	f := newFleet(t)
	f.release("2026.11.1", 1, nil)
	m := newMachine(t, f)
	s := m.open(t)
	src := source(t, f.dir)
	offer, err := s.Check(src, "")
	must(t, err)
	_, err = s.Apply(t.Context(), src, offer, "a", 1)
	must(t, err)

	old, err := os.ReadFile(f.repo.Path("releases/2026.11.1.json"))
	must(t, err)
	base, err := release.Parse(old)
	must(t, err)
	big := bytes.Repeat([]byte("weights of a model, "), 20_000)
	for i, name := range []string{"2026.11.2", "2026.11.3"} {
		noise := make([]byte, 300_000)
		rand.NewChaCha8([32]byte{1}).Read(noise)
		copy(noise[1000*i:], name)
		must(t, errorOf(f.repo.AddIndexed("models/big-"+name, io.MultiReader(bytes.NewReader(noise), bytes.NewReader(big)))))
		draft := *base
		draft.Release, draft.Counter = name, uint64(i+2)
		draft.Components = append([]release.Component{}, base.Components...)
		draft.Components = append(draft.Components, release.Component{Name: "model/big", Kind: release.Model, Version: name, Pin: release.Pin{Path: "models/big-" + name}})
		data, err := json.Marshal(draft)
		must(t, err)
		var since []string
		if i == 1 {
			since = []string{"2026.11.1", "2026.11.2"}
		}
		frozen, manifest, pins, err := f.repo.Freeze(data, since...)
		must(t, err)
		pin, err := f.repo.Add("releases/"+name+".json", bytes.NewReader(frozen))
		must(t, err)
		for _, role := range []string{"models", "releases"} {
			mine := slices.DeleteFunc(append(slices.Clone(pins), pin), func(p release.Pin) bool { return !strings.HasPrefix(p.Path, role+"/") })
			file, err := f.repo.Role(role, mine, day0)
			must(t, err)
			must(t, repo.Sign(file, f.keys[role]))
		}
		must(t, f.repo.Publish(f.keys["snapshot"], f.keys["timestamp"], day0))
		if i == 1 {
			c := manifest.Component("model/big")
			if len(c.Deltas) != 1 || c.Deltas[0].Size > c.Size/10 {
				t.Fatalf("deltas %+v of %d bytes", c.Deltas, c.Size)
			}
			must(t, os.Remove(f.repo.Path(c.Path)))
		}
		offer, err := s.Check(src, "")
		must(t, err)
		txn, err := s.Apply(t.Context(), src, offer, name, 1)
		must(t, err)
		if txn.State != install.Committed {
			t.Fatalf("%s %s: %s", txn.State, txn.Reason, txn.Detail)
		}
	}
	got, err := os.ReadFile(filepath.Join(m.dir, "edge/stable/model/big"))
	if err != nil || !bytes.HasPrefix(got[1000:], []byte("2026.11.3")) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func errorOf(_, _ release.Pin, err error) error { return err }

// TestSite: a box of a site takes the site's configuration in place of the release's, and nothing else of it; the others, and
// those whose site has no overlay, take the release as it is.
func TestSite(t *testing.T) {
	f := newFleet(t)
	overlay := func(name string, counter uint64, kind release.Kind, component, content string, compatible map[string][]string) {
		t.Helper()
		pin := f.add("sites", "sites/north."+name, []byte(content))
		m := &release.Manifest{Schema: 1, Release: name, Counter: counter, Created: day0, Compatible: compatible,
			Components: []release.Component{{Name: component, Kind: kind, Version: name, Pin: pin}}}
		data, err := json.Marshal(m)
		must(t, err)
		f.add("sites", "sites/north.overlay-"+name+".json", data)
	}
	offer := func(site string) (*update.Offer, error) {
		m := newMachine(t, f)
		if site != "" {
			m.Facts["site"] = site
		}
		return m.open(t).Check(source(t, f.dir), "2026.11.1")
	}
	config := func(site, want string) {
		t.Helper()
		o, err := offer(site)
		must(t, err)
		for _, c := range o.Plan.Components {
			if c.Name == "config/base" && c.Version != want {
				t.Errorf("site %q: config/base %s, want %s", site, c.Version, want)
			}
			if c.Name == "agent" && c.Version != "2026.11.1" {
				t.Errorf("site %q: agent %s", site, c.Version)
			}
		}
	}
	f.release("2026.11.1", 1, nil)
	config("north", "2026.11.1")
	overlay("1", 1, release.Config, "config/base", "device: north\n", nil)
	overlay("2", 2, release.Config, "config/base", "device: north, again\n", nil)
	f.release("2026.11.2", 2, nil) // publishes
	config("north", "2")
	config("south", "2026.11.1")
	config("", "2026.11.1")
	m := newMachine(t, f)
	m.Facts["site"] = "north"
	s := m.open(t)
	o, err := s.Check(source(t, f.dir), "2026.11.1")
	must(t, err)
	_, err = s.Apply(t.Context(), source(t, f.dir), o, "a", 1)
	must(t, err)
	if got, err := os.ReadFile(filepath.Join(m.dir, "edge/stable/config/base")); err != nil || string(got) != "device: north, again\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := offer("no/name"); update.Reason(err) != install.BadFile {
		t.Errorf("a site that is no name: %v", err)
	}
	overlay("3", 3, release.Config, "config/base", "device: other\n", map[string][]string{"product": {"edgebox-9"}})
	f.release("2026.11.3", 3, nil)
	if _, err := offer("north"); update.Reason(err) != install.NotOurs {
		t.Errorf("an overlay for another product: %v", err)
	}
	overlay("4", 4, release.Agent, "agent", string(programs(t, "north")), nil)
	f.release("2026.11.4", 4, nil)
	if _, err := offer("north"); update.Reason(err) != install.BadFile {
		t.Errorf("a site that brings programs: %v", err)
	}
	for i, name := range []string{"agent/bin/edge-npu", "agent", "release.json"} { // programs by another way
		overlay(strconv.Itoa(5+i), uint64(5+i), release.Config, name, "#!/bin/sh\n", nil)
		f.release("2026.11."+strconv.Itoa(5+i), uint64(5+i), nil)
		if _, err := offer("north"); update.Reason(err) != install.BadFile {
			t.Errorf("a site's configuration that takes the place of %s: %v", name, err)
		}
	}
}
