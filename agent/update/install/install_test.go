package install_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/klauspost/compress/zstd"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks that the box is wholly on one release.
func (w *world) want(u *install.Updater, state install.State, rel string, p *release.Plan) {
	w.t.Helper()
	txn := u.Journal().Txn
	if txn.State != state {
		w.t.Fatalf("%s: state %s (%s: %s), want %s", w.where, txn.State, txn.Reason, txn.Detail, state)
	}
	if w.link(install.Stable) != rel || w.link(install.Candidate) != "" || w.runs != rel || w.candidate {
		w.t.Fatalf("%s: stable %q, candidate %q, running %q (candidate: %t); want %s", w.where, w.link(install.Stable),
			w.link(install.Candidate), w.runs, w.candidate, rel)
	}
	for name, n := range w.nodes {
		image := "factory"
		for _, c := range p.Components {
			if c.Name == name {
				image = c.SHA256
			}
		}
		if n.runs != image || n.trial {
			w.t.Fatalf("%s: %s runs %.8s (trial: %t), want %.8s", w.where, name, n.runs, n.trial, image)
		}
	}
	if bad, err := w.layout.Damage(rel); err != nil || len(bad) > 0 {
		w.t.Fatalf("%s: release %s: %v, %v", w.where, rel, bad, err)
	}
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := w.open()
		one, two := w.plan("r1", 1), w.plan("r2", 2)
		must(t, w.update(u, one))
		w.want(u, install.Committed, "r1", one)
		must(t, w.update(u, two))
		w.want(u, install.Committed, "r2", two)
		if w.raised != 2 || w.link(install.Previous) != "r1" {
			t.Errorf("counter %d, previous %q", w.raised, w.link(install.Previous))
		}
		if err := w.update(u, two); err == nil {
			t.Error("a release that is in force is installed again")
		}
		must(t, w.update(u, w.plan("r3", 3)))
		removed, err := u.Clean()
		must(t, err)
		if !slices.Contains(removed, "releases/r1") || slices.Contains(removed, "releases/r2") {
			t.Errorf("removed %v", removed)
		}
		if bad, err := w.layout.Damage("r2"); err != nil || len(bad) > 0 {
			t.Errorf("collection harmed the previous release: %v %v", bad, err)
		}
		if again, err := u.Clean(); err != nil || len(again) > 0 {
			t.Errorf("a second collection found %v, %v", again, err)
		}
	})
}

// TestProbation: what goes wrong in probation ends on the old release, is remembered, and is not tried again by itself.
func TestProbation(t *testing.T) {
	for name, c := range map[string]struct {
		fault  func(*world)
		state  install.State
		detail string
	}{
		"55 crashes at once":        {func(w *world) { w.crashes = true }, install.RolledBack, "the candidate ended"},
		"56 does not get ready":     {func(w *world) { w.hangs = true }, install.RolledBack, "did not start"},
		"57 unwell":                 {func(w *world) { w.sick = "acks do not move" }, install.RolledBack, "acks do not move"},
		"55 unwell after a while":   {func(w *world) { w.sick, w.sickFor = "ingest at 20 %", 50*time.Second }, install.RolledBack, "ingest at 20 %"},
		"63 node does not answer":   {func(w *world) { w.deafNode = "node/two" }, install.RolledBack, "no answer"},
		"67 unwell, behind the bar": {func(w *world) { w.sick, w.sickFor = "too late", 70*time.Second }, install.Committed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				u := w.open()
				one, two := w.plan("r1", 1), w.plan("r2", 2)
				must(t, w.update(u, one))
				c.fault(w)
				must(t, w.update(u, two))
				txn := u.Journal().Txn
				if c.state == install.Committed {
					w.want(u, c.state, "r2", two)
					return
				}
				if w.deafNode != "" {
					if len(txn.Unfinished) != 1 || !strings.Contains(txn.Unfinished[0], w.deafNode) {
						t.Errorf("not said that the node could not be restored: %v", txn.Unfinished)
					}
					w.nodes[w.deafNode].runs, w.nodes[w.deafNode].trial = one.Components[0].SHA256, false
				}
				w.want(u, c.state, "r1", one)
				if !strings.Contains(txn.Detail, c.detail) || txn.Reason != install.Unwell || !strings.Contains(txn.LastLog, "exit status 2") {
					t.Errorf("%s: %s, log %q", txn.Reason, txn.Detail, txn.LastLog)
				}
				var e *install.Error
				if err := w.update(u, two); !errors.As(err, &e) || e.Reason != install.Policy {
					t.Errorf("what has failed is tried again: %v", err)
				}
				must(t, u.Begin("again", two, manifestOf(two), 2, time.Now()))
			})
		})
	}
}

// TestPowerCuts: case 54, 59 and 60. The power is cut after every single operation of the disk, the units and the nodes
// of an update; whatever part of what was not synced is kept, the box ends on exactly one release.
func TestPowerCuts(t *testing.T) {
	if n := powerCuts(t, 1, false); n < 300 {
		t.Errorf("only %d power cuts: the update has become shorter than it can be", n)
	}
}

// TestPowerCutsRollingBack is the same for an update that fails.
func TestPowerCutsRollingBack(t *testing.T) { powerCuts(t, 1, true) }

func powerCuts(t *testing.T, seed uint64, sick bool) (states int) {
	ends := map[string]int{}
	for stop := int64(1); ; stop++ {
		over := false
		for _, keep := range []vfs.Keep{vfs.KeepNone, vfs.KeepRandom, vfs.KeepAll} {
			for _, nodesToo := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					u := w.open()
					one, two := w.plan("r1", 1), w.plan("r2", 2)
					must(t, w.update(u, one))
					if keep == vfs.KeepNone && !nodesToo {
						w.withDeltas(one, two)
					}
					if sick {
						w.sick = "acks do not move"
					}
					w.disk.StopAfter(stop)
					_ = w.update(u, two)
					over = !w.disk.Stopped()
					w.reboot(w.disk.CrashClone(vfs.CrashOptions{Keep: keep, Rand: rand.New(rand.NewPCG(seed, uint64(stop)))}), nodesToo)
					u = w.open()
					if len(u.Recovered) > 0 && keep == vfs.KeepNone {
						t.Fatalf("cut after %d: the journal is damaged: %v", stop, u.Recovered)
					}
					must(t, u.Run(t.Context(), w.staged))
					txn := u.Journal().Txn
					where := fmt.Sprintf("cut after %d operations, keep %v, nodes %t", stop, keep, nodesToo)
					rel, p := "r1", one
					if txn.Release == "r2" && txn.State == install.Committed {
						rel, p = "r2", two
					}
					if sick && rel == "r2" {
						t.Fatalf("%s: a sick release was committed", where)
					}
					w.where = where
					w.want(u, txn.State, rel, p)
					ends[string(txn.State)+" "+rel]++
					states++
					// The box is not stuck: the next release goes through.
					w.sick = ""
					three := w.plan("r3", 3)
					must(t, w.update(u, three))
					w.want(u, install.Committed, "r3", three)
				})
				if t.Failed() {
					return states
				}
			}
		}
		if over {
			break
		}
	}
	t.Logf("%d power cuts: %v", states, ends)
	return states
}

var (
	randomCuts = flag.Int("cuts", 150, "runs of TestRandomCuts")
	cutSeed    = flag.Uint64("cut-seed", 1, "the first seed of TestRandomCuts")
)

// TestRandomCuts: the power is cut at a random moment of an update, well or sick, and then again and again at random moments
// of bringing it to its end. Whatever of what was not synced is kept each time, the box ends on exactly one release.
func TestRandomCuts(t *testing.T) {
	ends, cuts := map[string]int{}, 0
	for run := range *randomCuts {
		rnd := rand.New(rand.NewPCG(*cutSeed, uint64(run)))
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			u := w.open()
			one, two := w.plan("r1", 1), w.plan("r2", 2)
			must(t, w.update(u, one))
			if rnd.IntN(2) == 0 {
				w.withDeltas(one, two)
			}
			sick := rnd.IntN(3) == 0
			if sick {
				w.sick, w.sickFor = "acks do not move", time.Duration(rnd.IntN(50))*time.Second
			}
			w.where = fmt.Sprintf("-cut-seed %d, run %d", *cutSeed, run)
			w.disk.StopAfter(1 + rnd.Int64N(260))
			_ = w.update(u, two)
			for more := rnd.IntN(4); ; more-- {
				if w.disk.Stopped() {
					cuts++
				}
				w.reboot(w.disk.CrashClone(vfs.CrashOptions{Keep: vfs.Keep(rnd.IntN(3)), Rand: rnd}), rnd.IntN(2) == 0)
				if more > 0 {
					w.disk.StopAfter(1 + rnd.Int64N(120))
				}
				u = w.open()
				if more <= 0 {
					break
				}
				if u != nil {
					_ = u.Run(t.Context(), w.staged)
				}
			}
			must(t, u.Run(t.Context(), w.staged))
			txn, rel, p := u.Journal().Txn, "r1", one
			if txn.Release == "r2" && txn.State == install.Committed {
				rel, p = "r2", two
			}
			if sick && rel == "r2" {
				t.Fatalf("%s: a sick release was committed", w.where)
			}
			w.want(u, txn.State, rel, p)
			ends[string(txn.State)+" "+rel]++
			w.sick = ""
			three := w.plan("r3", 3)
			must(t, w.update(u, three))
			w.want(u, install.Committed, "r3", three)
		})
		if t.Failed() {
			t.Fatalf("-cut-seed %d, run %d", *cutSeed, run)
		}
	}
	if len(ends) < 3 {
		t.Errorf("the runs end in too few ways: %v", ends)
	}
	t.Logf("%d runs, %d power cuts: %v", *randomCuts, cuts, ends)
}

// TestErrors: case 43 and 44. The Nth operation of the disk fails, once or from then on; nothing is mixed, and once the
// disk works again the update or its way back is completed.
func TestErrors(t *testing.T) {
	for _, sticky := range []bool{false, true} {
		for nth := 1; ; nth++ {
			hits := 0
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				one, two := w.plan("r1", 1), w.plan("r2", 2)
				must(t, w.update(w.open(), one))
				in := vfs.NewInject(w.disk, vfs.Rule{Nth: nth, Sticky: sticky})
				w.layout = install.NewLayout(in, "opt/edge")
				u, err := install.Open(install.Options{Layout: w.layout, Dir: "var/updater", Units: w, Judge: w, Nodes: w,
					Raise: func(*install.Txn) error { return nil }, Running: func() []string { return nil }})
				if err == nil {
					err = w.update(u, two)
				}
				hits = in.Hits()
				in.SetRules()
				w.layout = install.NewLayout(w.disk, "opt/edge")
				w.runs = max(w.runs, w.link(install.Stable)) // systemd starts what is linked
				u = w.open()
				must(t, u.Run(t.Context(), w.staged))
				txn := u.Journal().Txn
				w.where = fmt.Sprintf("operation %d fails, for ever %t: %v; then %s", nth, sticky, err, txn.State)
				if txn.Release == "r2" && txn.State == install.Committed {
					w.want(u, txn.State, "r2", two)
				} else {
					w.want(u, txn.State, "r1", one)
				}
			})
			if hits == 0 || t.Failed() {
				break
			}
		}
	}
}

// TestContent: cases 36, 38, 45 and 46 at the door of the store, and the archives of 47 to 50.
func TestContent(t *testing.T) {
	reg := func(name string, size int64) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size}
	}
	var many []*tar.Header
	for i := range 5000 {
		many = append(many, reg(fmt.Sprintf("f%d", i), 1))
	}
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb, zstd.WithWindowSize(128<<20))
	must(t, err)
	for range 200 {
		_, err = z.Write(make([]byte, 1<<20))
		must(t, err)
	}
	must(t, z.Close())
	for name, c := range map[string]struct {
		kind   release.Kind
		signed []byte // what the hash is of
		staged []byte // what is there, if another
		want   string
	}{
		"45 bit rot":       {release.Model, []byte("model"), []byte("modem"), install.BadHash},
		"38 longer":        {release.Model, []byte("model"), []byte("model and more"), install.BadHash},
		"36 shorter":       {release.Model, []byte("model"), []byte("mod"), install.BadHash},
		"47 parent":        {release.Agent, archive(t, reg("../evil", 1)), nil, install.BadPath},
		"47 detour":        {release.Agent, archive(t, reg("a/../../evil", 1)), nil, install.BadPath},
		"47 absolute":      {release.Agent, archive(t, reg("/etc/evil", 1)), nil, install.BadPath},
		"47 backslash":     {release.Agent, archive(t, reg(`a\b`, 1)), nil, install.BadPath},
		"47 long":          {release.Agent, archive(t, reg(strings.Repeat("a", 300), 1)), nil, install.BadPath},
		"48 symlink":       {release.Agent, archive(t, &tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}), nil, install.BadPath},
		"48 hard link":     {release.Agent, archive(t, reg("a", 1), &tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "a"}), nil, install.BadPath},
		"48 device":        {release.Agent, archive(t, &tar.Header{Name: "d", Typeflag: tar.TypeChar}), nil, install.BadPath},
		"48 fifo":          {release.Agent, archive(t, &tar.Header{Name: "d", Typeflag: tar.TypeFifo}), nil, install.BadPath},
		"49 twice":         {release.Agent, archive(t, reg("a", 1), reg("a", 1)), nil, install.BadPath},
		"49 below a file":  {release.Agent, archive(t, reg("a", 1), reg("a/b", 1)), nil, install.BadPath},
		"49 file over dir": {release.Agent, archive(t, reg("a/b", 1), reg("a", 1)), nil, install.BadPath},
		"49 many":          {release.Agent, archive(t, many...), nil, install.TooLarge},
		"50 wide window":   {release.Agent, bomb.Bytes(), nil, install.TooLarge},
		"no archive":       {release.Agent, []byte("#!/bin/sh"), nil, install.BadFile},
		"cut archive":      {release.Agent, archive(t, reg("a", 100000))[:60], nil, install.BadFile},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.open()
			sum := sha256.Sum256(c.signed)
			comp := release.Component{Name: "x", Kind: c.kind, Version: "1",
				Pin: release.Pin{Path: "x", Size: int64(len(c.signed)), SHA256: hex.EncodeToString(sum[:])}}
			w.content[comp.SHA256] = c.signed
			if c.staged != nil {
				w.content[comp.SHA256] = c.staged
			}
			p := &release.Plan{Manifest: &release.Manifest{Release: "bad", Counter: 9}, Components: []release.Component{comp}}
			must(t, w.update(u, p))
			txn := u.Journal().Txn
			if txn.State != install.Failed || txn.Reason != c.want {
				t.Errorf("%s, %s: %s; want %s", txn.State, txn.Reason, txn.Detail, c.want)
			}
			for _, dir := range []string{"opt", "opt/edge", "/"} {
				entries, err := w.disk.List(dir)
				must(t, err)
				for _, e := range entries {
					if e.Name == "evil" || e.Name == "etc" {
						t.Errorf("%s lies in %s", e.Name, dir)
					}
				}
			}
			if entries, _ := w.disk.List("opt/edge/store"); len(entries) > 0 {
				t.Errorf("left in the store: %v", entries)
			}
		})
	}
}

func TestSpace(t *testing.T) {
	w := newWorld(t)
	u := w.open()
	w.disk.SetCapacity(32 << 20)
	var e *install.Error
	if err := w.update(u, w.plan("r1", 1)); !errors.As(err, &e) || e.Reason != install.NoSpace {
		t.Error(err)
	}
}

// TestLinks: case 51. A link that leads elsewhere is refused, and nothing is collected.
func TestLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := w.open()
		must(t, w.update(u, w.plan("r1", 1)))
		must(t, w.disk.Remove("opt/edge/stable"))
		must(t, w.disk.Symlink("/etc", "opt/edge/stable"))
		var e *install.Error
		if err := w.update(u, w.plan("r2", 2)); !errors.As(err, &e) || e.Reason != install.BadPath {
			t.Error(err)
		}
		if removed, err := u.Clean(); err == nil || len(removed) > 0 {
			t.Errorf("collected %v, %v", removed, err)
		}
	})
}

// TestDamage: case 62's ground. Every file of a release is known by its hash.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.plan("r1", 1)
		must(t, w.update(w.open(), p))
		agent := path.Join("opt/edge/store", p.Components[4].SHA256, "bin/edge-agent")
		f, err := w.disk.OpenRW(agent)
		must(t, err)
		_, err = f.WriteAt([]byte("y"), 7)
		must(t, errors.Join(err, f.Close()))
		bad, err := w.layout.Damage("r1")
		if err != nil || len(bad) != 1 || !strings.Contains(bad[0], "bin/edge-agent has changed") {
			t.Errorf("%v, %v", bad, err)
		}
	})
}

// TestStopped: case 67. An operator's stop in probation goes back; behind the decision it is carried out first.
// TestLargeReleases: the journal of many releases that are as large as they may be can still be read.
func TestLargeReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := w.open()
		for n := range 14 {
			p := w.plan(fmt.Sprintf("r%d", n), uint64(n+1))
			filler := strings.Repeat("x", 100)
			for i := len(p.Components); i < release.MaxComponents; i++ {
				c := p.Components[2]
				c.Name = fmt.Sprintf("config/%d-%s", i, filler)
				c.Selector = map[string][]string{}
				for f := range 40 {
					c.Selector[fmt.Sprintf("fact%d-%s", f, filler)] = []string{filler}
				}
				for d := range release.MaxDeltas {
					pin := release.Pin{Path: filler, Size: 1, SHA256: strings.Repeat("0", 64)}
					c.Deltas = append(c.Deltas, release.Delta{From: fmt.Sprintf("%064d", d), Pin: pin, Index: &pin})
				}
				p.Components = append(p.Components, c)
			}
			must(t, w.update(u, p))
			w.want(u, install.Committed, p.Manifest.Release, p)
			if u = w.open(); len(u.Recovered) > 0 || u.Journal().Txn.Release != p.Manifest.Release || len(u.Journal().Past) != min(n, 10) {
				t.Fatalf("after %d releases: %q with %d before it; %v", n+1, u.Journal().Txn.Release, len(u.Journal().Past), u.Recovered)
			}
			_, err := u.Clean()
			must(t, err)
		}
	})
}

// TestRottenStore: content that an earlier release has brought, and that the disk has forgotten since, is no part of the next release.
// It is put there anew, over a power cut at any moment, or named where it is not at hand, and then fetched again.
func TestRottenStore(t *testing.T) {
	prepare := func(t *testing.T, kind release.Kind) (w *world, u *install.Updater, two *release.Plan, old release.Component) {
		w = newWorld(t)
		u = w.open()
		one := w.plan("r1", 1)
		two = w.plan("r2", 2)
		must(t, w.update(u, one))
		for i, c := range two.Components {
			if c.Kind == kind {
				two.Components[i] = one.Components[i]
				old = one.Components[i]
			}
		}
		file := "opt/edge/store/" + old.SHA256
		if kind == release.Agent {
			file += "/bin/edge-agent"
		}
		f, err := w.disk.OpenRW(file)
		must(t, err)
		_, err = f.WriteAt([]byte{1, 2, 3}, 100)
		must(t, errors.Join(err, f.Sync(), f.Close()))
		if bad, err := w.layout.Damage("r1"); err != nil || len(bad) != 1 {
			t.Fatalf("damaged: %v, %v", bad, err)
		}
		return w, u, two, old
	}
	sound := func(t *testing.T, w *world, old release.Component) {
		t.Helper()
		for _, name := range []string{"r1", "r2"} {
			if bad, err := w.layout.Damage(name); err != nil || len(bad) > 0 {
				t.Errorf("%s after it: %v, %v", name, bad, err)
			}
		}
		if !w.layout.Has(old.SHA256) {
			t.Error("it counts as not stored")
		}
	}
	for _, kind := range []release.Kind{release.Model, release.Agent} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, u, two, old := prepare(t, kind)
				must(t, w.update(u, two))
				w.want(u, install.Committed, "r2", two)
				sound(t, w, old)
				if len(u.Journal().Txn.Notes) != 1 {
					t.Errorf("noted: %v", u.Journal().Txn.Notes)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				w, u, two, old := prepare(t, kind)
				data := w.content[old.SHA256]
				delete(w.content, old.SHA256)
				must(t, w.update(u, two))
				if txn := u.Journal().Txn; txn.State != install.Failed || txn.Reason != install.BadHash || !strings.Contains(txn.Detail, old.Name) {
					t.Fatalf("%s %s: %s", txn.State, txn.Reason, txn.Detail)
				}
				if w.runs != "r1" || w.layout.Has(old.SHA256) {
					t.Errorf("%s runs; the content counts as stored: %t", w.runs, w.layout.Has(old.SHA256))
				}
				_, err := u.Clean()
				must(t, err)
				if w.layout.Has(old.SHA256) {
					t.Error("after a collection it counts as stored")
				}
				w.content[old.SHA256] = data // fetched
				must(t, w.update(u, two))
				w.want(u, install.Committed, "r2", two)
				sound(t, w, old)
			})
		})
		t.Run(string(kind)+" power cuts", func(t *testing.T) {
			for cut := int64(1); ; cut++ {
				over := false
				synctest.Test(t, func(t *testing.T) {
					w, u, two, old := prepare(t, kind)
					w.disk.StopAfter(cut)
					_ = w.update(u, two)
					over = !w.disk.Stopped()
					w.reboot(w.disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepNone, Rand: rand.New(rand.NewPCG(1, uint64(cut)))}), false)
					u = w.open()
					must(t, u.Run(t.Context(), w.staged))
					w.where = fmt.Sprintf("cut after %d operations", cut)
					if u.Journal().Txn.Release == "r1" { // it had not begun
						must(t, w.update(u, two))
					}
					w.want(u, install.Committed, "r2", two)
					sound(t, w, old)
				})
				if over || t.Failed() {
					return
				}
			}
		})
	}
}

func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := w.open()
		one, two := w.plan("r1", 1), w.plan("r2", 2)
		must(t, w.update(u, one))
		must(t, u.Begin("txn", two, manifestOf(two), 1, time.Now()))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Second, cancel)
		must(t, u.Run(ctx, w.staged))
		w.want(u, install.RolledBack, "r1", one)
		if err := u.Begin("other", w.plan("r3", 3), "m", 1, time.Now()); err != nil {
			t.Error(err)
		}
		if err := u.Begin("another", w.plan("r4", 4), "n", 1, time.Now()); !errors.Is(err, install.ErrBusy) {
			t.Error(err)
		}
	})
}

// TestInterrupted: case 59. The machine goes down in order while a candidate is in probation: nothing is decided by that, the
// probation is tried once more, and a third time is no charm.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		u := w.open()
		one, two := w.plan("r1", 1), w.plan("r2", 2)
		must(t, w.update(u, one))
		must(t, u.Begin("txn", two, manifestOf(two), 1, time.Now()))
		down := func() {
			t.Helper()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(20*time.Second, func() { cancel(install.ErrInterrupted) })
			if err := u.Run(ctx, w.staged); !errors.Is(err, install.ErrInterrupted) || u.Journal().Txn.State != install.Probation {
				t.Fatalf("%v in state %s", err, u.Journal().Txn.State)
			}
			w.reboot(w.disk.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), true)
			u = w.open()
		}
		down()
		must(t, u.Run(t.Context(), w.staged))
		w.want(u, install.Committed, "r2", two)

		three := w.plan("r3", 3)
		must(t, u.Begin("txn", three, manifestOf(three), 1, time.Now()))
		down()
		down()
		must(t, u.Run(t.Context(), w.staged))
		w.want(u, install.RolledBack, "r2", two)
	})
}
