package install_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/delta"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/klauspost/compress/zstd"
)

// made holds deltas from test to test: making one costs more than all the rest of an update.
var made sync.Map

func (w *world) source(c release.Component) (s delta.Source) {
	s.Data, s.SHA256 = w.content[c.SHA256], sha256.Sum256(w.content[c.SHA256])
	if c.Kind == release.Agent {
		z, err := zstd.NewReader(bytes.NewReader(s.Data))
		must(w.t, err)
		defer z.Close()
		s.Data, err = io.ReadAll(z)
		must(w.t, err)
	}
	return s
}

// withDeltas adds deltas from one plan's agent and model to the other's.
func (w *world) withDeltas(from, to *release.Plan) {
	for i := range to.Components {
		c := &to.Components[i]
		if c.Kind != release.Agent && c.Kind != release.Model {
			continue
		}
		form := delta.Files
		if c.Kind == release.Agent {
			form = delta.Trees
		}
		old := from.Manifest.Component(c.Name)
		key := old.SHA256 + c.SHA256
		data, ok := made.Load(key)
		if !ok {
			var b bytes.Buffer
			must(w.t, delta.Make(&b, form, w.source(*old), w.source(*c)))
			data = b.Bytes()
			made.Store(key, data)
		}
		d := data.([]byte)
		sum := sha256.Sum256(d)
		c.Deltas = []release.Delta{{From: old.SHA256, Pin: release.Pin{Path: c.Path + ".delta", Size: int64(len(d)), SHA256: hex.EncodeToString(sum[:])}}}
		w.content[c.Deltas[0].SHA256] = d
	}
}

// TestDelta: a component comes as a delta where there is one from what is in force; whatever is wrong with the delta,
// the box ends on what was signed, by the whole file, or says that it needs it.
func TestDelta(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(w *world, agent *release.Component)
		whole bool // the whole file is there, too
		state install.State
		note  string
	}{
		"delta alone": {state: install.Committed},
		"damaged delta": {spoil: func(w *world, a *release.Component) {
			d := bytes.Clone(w.content[a.Deltas[0].SHA256])
			d[len(d)-1] ^= 1
			w.content[a.Deltas[0].SHA256] = d
		}, whole: true, state: install.Committed, note: "the whole file was"},
		"damaged header": {spoil: func(w *world, a *release.Component) {
			d := bytes.Clone(w.content[a.Deltas[0].SHA256])
			d[90] ^= 1 // the old file's hash
			w.content[a.Deltas[0].SHA256] = d
		}, whole: true, state: install.Committed, note: "the whole file was"},
		"delta of another file": {spoil: func(w *world, a *release.Component) {
			for _, x := range w.last.Components {
				if x.Kind == release.Model {
					w.content[a.Deltas[0].SHA256] = w.content[x.Deltas[0].SHA256]
				}
			}
		}, whole: true, state: install.Committed, note: "the whole file was"},
		"damaged old file": {spoil: func(w *world, a *release.Component) {
			f, err := w.disk.OpenRW("opt/edge/store/" + a.Deltas[0].From + "/bin/edge-agent")
			must(w.t, err)
			_, err = f.WriteAt([]byte("rot"), 10)
			must(w.t, errors.Join(err, f.Close()))
		}, whole: true, state: install.Committed, note: "made for another old file"},
		"delta did not come": {spoil: func(w *world, a *release.Component) { delete(w.content, a.Deltas[0].SHA256) },
			whole: true, state: install.Committed},
		"damaged, and no whole file": {spoil: func(w *world, a *release.Component) {
			w.content[a.Deltas[0].SHA256] = []byte("EDLT")
		}, state: install.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				u := w.open()
				one, two := w.plan("r1", 1), w.plan("r2", 2)
				must(t, w.update(u, one))
				w.withDeltas(one, two)
				w.last = two
				agent := &two.Components[len(two.Components)-1]
				if c.spoil != nil {
					c.spoil(w, agent)
				}
				err := w.layout.ProveDelta(one.Components[4], *agent, agent.Deltas[0], bytes.NewReader(w.content[agent.Deltas[0].SHA256]))
				if (c.spoil == nil) != (err == nil) {
					t.Errorf("proven beforehand: %v", err)
				}
				whole := w.content[agent.SHA256]
				if !c.whole {
					delete(w.content, agent.SHA256)
				}
				must(t, w.update(u, two))
				txn := u.Journal().Txn
				if notes := strings.Join(txn.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
					t.Errorf("notes %q, want %q", notes, c.note)
				}
				if c.state == install.Committed {
					w.want(u, c.state, "r2", two)
					return
				}
				if txn.State != c.state || txn.Reason != install.BadDelta {
					t.Fatalf("%s %s: %s", txn.State, txn.Reason, txn.Detail)
				}
				// Not remembered as failed: with the whole file it goes on.
				w.content[agent.SHA256] = whole
				must(t, w.update(u, two))
				w.want(u, install.Committed, "r2", two)
			})
		})
	}
}

// TestProgress: what a person sees of the copying and of the probation.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var seen []install.Progress
		u, err := install.Open(install.Options{Layout: w.layout, Dir: "var/updater", Units: w, Judge: w, Nodes: w,
			Raise: func(*install.Txn) error { return nil }, Running: func() []string { return nil },
			Progress: func(p install.Progress) { seen = append(seen, p) }})
		must(t, err)
		w.sick = "acks do not move"
		must(t, w.update(u, w.plan("r1", 1)))
		last := seen[len(seen)-1]
		if len(seen) < 7 || len(last.Copied) != 5 || last.Failing != "acks do not move" || !last.GoodSince.IsZero() || last.Deadline.IsZero() {
			t.Errorf("%d times, at last %+v", len(seen), last)
		}
		if txn := u.Journal().Txn; txn.Check != "acks do not move" || txn.Exit != "Result=exit-code" {
			t.Errorf("failed check %q, exit %q", txn.Check, txn.Exit)
		}
	})
}

// TestAbort: case 67. An operator's word ends the transaction in every state before the decision and is too late after it.
func TestAbort(t *testing.T) {
	for _, at := range []install.State{install.Begun, install.Installed, install.Probation, install.Decided} {
		t.Run(string(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				must(t, w.update(w.open(), w.plan("r1", 1)))
				two := w.plan("r2", 2)
				u, err := install.Open(install.Options{Layout: w.layout, Dir: "var/updater", Units: w, Judge: w, Nodes: w,
					Raise: func(*install.Txn) error { return nil }, Running: func() []string { return nil },
					Stop: func(t install.Txn) string {
						if t.State == at {
							return "aborted by anna"
						}
						return ""
					}})
				must(t, err)
				must(t, u.Begin("x", two, manifestOf(two), 1, time.Now()))
				must(t, u.Run(t.Context(), w.staged))
				txn := u.Journal().Txn
				switch {
				case at == install.Decided:
					w.want(u, install.Committed, "r2", two)
				case txn.Reason != install.Policy || txn.Detail != "aborted by anna" || w.link(install.Stable) != "r1" || w.candidate:
					t.Errorf("%s %s: %s, stable %s", txn.State, txn.Reason, txn.Detail, w.link(install.Stable))
				}
			})
		})
	}
}
