package install_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/klauspost/compress/zstd"
)

// world is a box around an updater: units, nodes and health. Every outside step counts as one operation of the disk, so
// that a power cut can fall between any two of them.
type world struct {
	t       *testing.T
	disk    *vfs.Mem
	layout  *install.Layout
	content map[string][]byte

	runs      string // the release that the agent runs from
	candidate bool
	nodes     map[string]*node

	// Faults.
	crashes  bool   // the candidate ends at once
	hangs    bool   // the candidate does not get ready
	sick     string // what the judge says of the candidate
	sickFor  time.Duration
	started  time.Time
	deafNode string // a node that answers nothing
	raised   uint64
	last     *release.Plan
	where    string // what the test is doing, for its messages
}

// node is a microcontroller; with one slot it knows no trial.
type node struct {
	slots          int
	runs, fallback string // images, by their file name in the store
	trial          bool
	staged         string
}

var errStopped = errors.New("the machine is off")

func newWorld(t *testing.T) *world {
	w := &world{t: t, disk: vfs.NewMem(), content: map[string][]byte{},
		nodes: map[string]*node{"node/two": {slots: 2, runs: "factory", fallback: "factory"}, "node/one": {slots: 1, runs: "factory"}}}
	w.layout = install.NewLayout(w.disk, "opt/edge")
	return w
}

// step is one operation outside of the disk.
func (w *world) step(what string) error {
	if w.disk.SyncDir("/") != nil {
		return fmt.Errorf("%s: %w", what, errStopped)
	}
	return nil
}

// reboot puts the world on a disk as it is after a power cut.
func (w *world) reboot(disk *vfs.Mem, nodesToo bool) {
	w.disk, w.layout = disk, install.NewLayout(disk, "opt/edge")
	w.candidate = false
	w.runs = w.link(install.Stable)
	if nodesToo {
		for _, n := range w.nodes {
			if n.trial {
				n.runs, n.trial = n.fallback, false
			}
		}
	}
}

func (w *world) link(name string) string {
	r, err := w.layout.Release(name)
	if err != nil && !errors.Is(err, vfs.ErrStopped) {
		w.t.Fatalf("link %s: %v", name, err)
	}
	return r
}

func (w *world) open() *install.Updater {
	u, err := install.Open(install.Options{Layout: w.layout, Dir: "var/updater", Units: w, Judge: w, Nodes: w,
		Raise: func(t *install.Txn) error {
			if err := w.step("raise"); err != nil {
				return err
			}
			w.raised = max(w.raised, t.Counter)
			return nil
		},
		Running: func() []string { return nil }})
	if err != nil && !errors.Is(err, vfs.ErrStopped) {
		w.t.Fatal(err)
	}
	return u
}

// staged opens a component.
func (w *world) staged(c release.Pin) (io.ReadCloser, error) {
	data, ok := w.content[c.SHA256]
	if !ok {
		return nil, fmt.Errorf("%s is not staged", c.Path)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (w *world) StartCandidate(context.Context) error {
	if err := w.step("start candidate"); err != nil {
		return err
	}
	release := w.link(install.Candidate)
	if w.disk.Stopped() {
		return errStopped
	}
	if release == "" {
		w.t.Error("a candidate is started and there is no link")
	}
	if w.hangs {
		return errors.New("not ready within 90 s")
	}
	w.candidate, w.runs, w.started = true, release, time.Now()
	if w.crashes {
		w.candidate, w.runs = false, w.link(install.Stable) // OnFailure=
	}
	return nil
}

func (w *world) StartStable(context.Context) error {
	if err := w.step("start stable"); err != nil {
		return err
	}
	w.candidate, w.runs = false, w.link(install.Stable)
	return nil
}

func (w *world) CandidateRuns(context.Context) (bool, error) {
	return w.candidate, w.step("look at candidate")
}

func (w *world) CandidateLog(context.Context) string { return "panic: at the disco\nexit status 2" }

func (w *world) CandidateExit(context.Context) string { return "Result=exit-code" }

func (w *world) Baseline(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"rate":100}`), w.step("baseline")
}

func (w *world) Check(_ context.Context, t *install.Txn) string {
	if string(t.Before) != `{"rate":100}` {
		return "the baseline is lost"
	}
	if w.sick != "" && time.Since(w.started) >= w.sickFor {
		return w.sick
	}
	return ""
}

func (w *world) node(c release.Component, what string) (*node, error) {
	if err := w.step(what + " " + c.Name); err != nil {
		return nil, err
	}
	if c.Name == w.deafNode {
		return nil, errors.New("no answer")
	}
	return w.nodes[c.Name], nil
}

func (w *world) Stage(_ context.Context, c release.Component, file string) error {
	n, err := w.node(c, "stage")
	if err == nil && n.slots == 2 {
		n.staged = path.Base(file)
	}
	return err
}

func (w *world) Try(_ context.Context, c release.Component, file string) error {
	n, err := w.node(c, "try")
	if err != nil {
		return err
	}
	if n.slots == 1 {
		n.runs = path.Base(file)
		return nil
	}
	if n.staged != path.Base(file) {
		w.t.Errorf("%s tries an image that was not staged", c.Name)
	}
	n.runs, n.trial = n.staged, true
	return nil
}

func (w *world) Keep(_ context.Context, c release.Component, file string) error {
	n, err := w.node(c, "keep")
	if err == nil {
		n.runs, n.fallback, n.trial = path.Base(file), path.Base(file), false
	}
	return err
}

func (w *world) Revert(_ context.Context, c release.Component, _, old string) error {
	n, err := w.node(c, "revert")
	if err != nil {
		return err
	}
	switch {
	case n.slots == 2:
		n.runs, n.trial = n.fallback, false
	case old != "":
		n.runs = path.Base(old)
	}
	return nil
}

// archive is an agent's tar.zst with one program.
func archive(t *testing.T, entries ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range entries {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plan makes release name with every kind of component; all content is staged.
func (w *world) plan(name string, counter uint64) *release.Plan {
	m := &release.Manifest{Schema: 1, Release: name, Counter: counter,
		Probation: release.Probation{SoakSeconds: 60, DeadlineSeconds: 300, Checks: []string{"ingest"}}}
	add := func(kind release.Kind, component string, order int, data []byte) {
		sum := sha256.Sum256(data)
		w.content[hex.EncodeToString(sum[:])] = data
		m.Components = append(m.Components, release.Component{Name: component, Kind: kind, Version: name, Order: order,
			Pin: release.Pin{Path: component + "-" + name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}})
	}
	add(release.Firmware, "node/two", 10, []byte("image two "+name))
	add(release.Firmware, "node/one", 11, []byte("image one "+name))
	add(release.Config, "config/base", 20, []byte("device: "+name+"\n"))
	add(release.Model, "model/defect", 30, bytes.Repeat([]byte(name), 5000))
	add(release.Agent, "agent", 90, archive(w.t, &tar.Header{Name: "bin/", Typeflag: tar.TypeDir},
		&tar.Header{Name: "bin/edge-agent", Typeflag: tar.TypeReg, Size: int64(3000 + counter)}))
	return &release.Plan{Manifest: m, Components: m.Components}
}

// update carries one release through.
func (w *world) update(u *install.Updater, p *release.Plan) error {
	if err := u.Begin("txn-"+p.Manifest.Release, p, manifestOf(p), 1, time.Now()); err != nil {
		return err
	}
	return u.Run(w.t.Context(), w.staged)
}

func manifestOf(p *release.Plan) string {
	sum := sha256.Sum256([]byte(p.Manifest.Release))
	return hex.EncodeToString(sum[:])
}
