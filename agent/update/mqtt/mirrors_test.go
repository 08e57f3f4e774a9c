package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update/fetch"
	"github.com/edgelog/edgelog/agent/update/mirror"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
)

// shelf is a mirror in memory: the fleet's directory of releases behind a line with a rate, and with whatever is wrong
// with it.
type shelf struct {
	dir  string
	rate float64 // bytes a second

	mu     sync.Mutex // guards what follows
	err    error      // of the next Open or Read
	spoil  func(target string, off int64, p []byte)
	opened map[string]int
	given  int64
}

func newShelf(w *world) *shelf { return &shelf{dir: w.fleet.Dir, rate: 2e6, opened: map[string]int{}} }

func (s *shelf) Name() string { return "https://files.example/fleet" }
func (s *shelf) Close() error { return nil }

func (s *shelf) with(f func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *shelf) fails(err error) { s.with(func(s *shelf) { s.err = err }) }

func (s *shelf) Open(ctx context.Context, target string, size, off int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened[target]++
	if s.err != nil {
		return nil, s.err
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "targets", target))
	if err != nil {
		return nil, errors.Join(mirror.ErrAbsent, err)
	}
	if int64(len(data)) != size {
		return nil, mirror.ErrOther
	}
	return &onLine{s, ctx, target, data, off}, nil
}

type onLine struct {
	s      *shelf
	ctx    context.Context
	target string
	data   []byte
	off    int64
}

func (l *onLine) Close() error { return nil }

func (l *onLine) Read(p []byte) (int, error) {
	n := copy(p, l.data[l.off:])
	if n == 0 {
		return 0, io.EOF
	}
	select {
	case <-l.ctx.Done():
		return 0, l.ctx.Err()
	case <-time.After(time.Duration(float64(n) / l.s.rate * float64(time.Second))):
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.err != nil {
		return 0, l.s.err
	}
	if l.s.spoil != nil {
		l.s.spoil(l.target, l.off, p[:n])
	}
	l.off += int64(n)
	l.s.given += int64(n)
	return n, nil
}

// TestMirror: content comes from the mirror and not from the hub, the source is shown, the hub's word on rates holds, and a
// restart goes on where it was.
func TestMirror(t *testing.T) {
	inWorld(t, func(w *world) {
		s := newShelf(w)
		w.box.Options.Mirrors = []mirror.Mirror{s}
		content := w.release("2026.11.1", 1, 12<<20)
		w.start()
		w.box.Ends = func(string) string { return "UPD-HEALTH" } // so that the stage stays
		began := time.Now()
		w.roll("2026.11.1", func(r *rollout.Spec) { r.MaxRate = 1 << 20 })
		w.reaches(time.Minute, fleetwire.Downloading, "")
		if got := w.client.Reported().Source; got != s.Name() {
			t.Errorf("the source is %q", got)
		}
		time.Sleep(4 * time.Second)
		w.stop()
		w.start()
		w.reaches(time.Minute, fleetwire.RolledBack, "UPD-HEALTH")
		if took := time.Since(began); took < 11*time.Second {
			t.Errorf("12 MiB at 1 MiB a second took %v", took)
		}
		if n := w.server.Stats().Content.Bytes; n > 0 {
			t.Errorf("the hub sent %d bytes", n)
		}
		s.with(func(s *shelf) {
			if over := s.given - int64(len(content)); over > fetch.MaxWindowBytes {
				t.Errorf("%d bytes were read beyond the content", over)
			}
			if n := s.opened["models/defect-2026.11.1.om"]; n != 2 {
				t.Errorf("the model was opened %d times", n)
			}
		})
		if !bytes.Equal(w.staged("models/defect-2026.11.1.om"), content) {
			t.Error("another file came out")
		}
	})
}

// TestMirrorFails: whatever a mirror does, the content comes over the broker, and what the mirror had given is kept.
func TestMirrorFails(t *testing.T) {
	const model = "models/defect-2026.11.1.om"
	half := int64(2 << 20)
	for name, c := range map[string]struct {
		do func(w *world, s *shelf)
		// bytes of the model that the hub sends at most
		hub int64
	}{
		"not there":       {do: func(_ *world, s *shelf) { s.fails(errors.New("connection refused")) }, hub: 4 << 20},
		"lacks the files": {do: func(_ *world, s *shelf) { s.dir = "/nowhere" }, hub: 4 << 20},
		"breaks in the middle": {do: func(_ *world, s *shelf) {
			s.spoil = func(target string, off int64, _ []byte) {
				if target == model && off > half {
					s.err = io.ErrUnexpectedEOF
				}
			}
		}, hub: 2<<20 + fetch.MaxWindowBytes/4},
		"36: wrong bytes in the middle": {do: func(_ *world, s *shelf) {
			s.spoil = func(target string, off int64, p []byte) {
				if target == model && off > half {
					p[0] ^= 1
				}
			}
		}, hub: 2<<20 + fetch.MaxWindowBytes/4},
		"36: wrong bytes of what has no index": {do: func(_ *world, s *shelf) {
			s.spoil = func(target string, off int64, p []byte) {
				if strings.HasPrefix(target, "releases/") {
					p[0] ^= 1
				}
			}
		}, hub: 4 << 20},
		"41: changed under its name": {do: func(w *world, s *shelf) {
			s.spoil = func(target string, off int64, p []byte) {
				if target == model && off >= half {
					copy(p, bytes.Repeat([]byte("another file"), len(p)/12+1))
				}
			}
		}, hub: 2<<20 + fetch.MaxWindowBytes/4},
		"39: next to nothing": {do: func(_ *world, s *shelf) { s.rate = 100 }, hub: 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := newShelf(w)
				w.box.Options.Mirrors = []mirror.Mirror{s}
				content := w.release("2026.11.1", 1, 4<<20)
				c.do(w, s)
				w.start()
				w.box.Ends = func(string) string { return "UPD-HEALTH" }
				w.roll("2026.11.1", nil)
				w.reaches(30*time.Minute, fleetwire.RolledBack, "UPD-HEALTH")
				if n := int64(w.server.Stats().Content.Bytes); n == 0 || n > c.hub+1<<17 {
					t.Errorf("the hub sent %d bytes", n)
				}
				if !bytes.Equal(w.staged(model), content) {
					t.Error("another file came out")
				}
			})
		})
	}
}

// TestMirrorWithoutBroker: while the broker is gone content goes on from the mirror; a mirror that comes back is asked
// again; what the hub does not have comes from the mirror alone.
func TestMirrorWithoutBroker(t *testing.T) {
	inWorld(t, func(w *world) {
		s := newShelf(w)
		s.rate = 500e3
		s.fails(errors.New("connection refused"))
		w.rate = 200e3
		w.box.Options.Mirrors = []mirror.Mirror{s}
		w.release("2026.11.1", 1, 8<<20)
		w.start()
		id := w.roll("2026.11.1", nil)
		w.until(time.Minute, "it comes over the broker", func() bool {
			r := w.client.Reported()
			return r.State == fleetwire.Downloading && r.Source == "broker" && strings.Contains(r.Detail, "connection refused")
		})
		s.fails(nil)
		w.until(2*time.Minute, "the mirror is asked again", func() bool { return w.client.Reported().Source == s.Name() })
		w.link.Close()
		had := w.client.Reported().Done
		w.until(time.Minute, "all has come without the broker", func() bool { return w.client.Reported().State == fleetwire.Committed })
		if had >= 7<<20 {
			t.Errorf("%d bytes were there before the broker went", had)
		}
		w.connect()
		w.until(time.Minute, "the hub knows", func() bool { return w.job(id).State == "COMMITTED" })
	})
}

// TestMirrorOnly: the hub lost a file that a mirror has; and one that neither has ends the attempt.
func TestMirrorOnly(t *testing.T) {
	for _, both := range []bool{false, true} {
		inWorld(t, func(w *world) {
			s := newShelf(w)
			s.dir = t.TempDir()
			w.box.Options.Mirrors = []mirror.Mirror{s}
			w.release("2026.11.1", 1, 1<<20)
			if err := os.CopyFS(s.dir, os.DirFS(w.fleet.Dir)); err != nil {
				t.Fatal(err)
			}
			model := filepath.Join("targets", "models", "defect-2026.11.1.om")
			if err := os.Remove(filepath.Join(w.fleet.Dir, model)); err != nil {
				t.Fatal(err)
			}
			s.fails(errors.New("not yet"))
			if both {
				s.fails(nil)
				if err := os.Remove(filepath.Join(s.dir, model)); err != nil {
					t.Fatal(err)
				}
			}
			w.start()
			w.roll("2026.11.1", nil)
			if both {
				w.reaches(30*time.Minute, fleetwire.Failed, "UPD-NET")
				return
			}
			time.Sleep(10 * time.Second)
			s.fails(nil)
			w.reaches(30*time.Minute, fleetwire.Committed, "")
		})
	}
}

// TestMirrorOrders: a pause and a used-up budget stop reading from a mirror, as they stop asking the hub.
func TestMirrorOrders(t *testing.T) {
	inWorld(t, func(w *world) {
		s := newShelf(w)
		s.rate = 200e3
		spent := ""
		var mu sync.Mutex
		w.box.Options.Spent = func() string {
			mu.Lock()
			defer mu.Unlock()
			return spent
		}
		w.box.Options.Mirrors = []mirror.Mirror{s}
		w.release("2026.11.1", 1, 4<<20)
		w.start()
		w.roll("2026.11.1", nil)
		w.reaches(time.Minute, fleetwire.Downloading, "")
		still := func(what string) {
			time.Sleep(30 * time.Second) // what was asked for may come
			var had int64
			s.with(func(s *shelf) { had = s.given })
			time.Sleep(10 * time.Minute)
			s.with(func(s *shelf) {
				if s.given != had {
					t.Errorf("%s: %d bytes were read", what, s.given-had)
				}
			})
		}
		if err := w.client.Do(fleetwire.OpPause, "ann"); err != nil {
			t.Fatal(err)
		}
		still("paused")
		mu.Lock()
		spent = "the budget of the hour is used up"
		mu.Unlock()
		if err := w.client.Do(fleetwire.OpResume, "ann"); err != nil {
			t.Fatal(err)
		}
		still("budget")
		mu.Lock()
		spent = ""
		mu.Unlock()
		w.reaches(5*time.Minute, fleetwire.Committed, "")
	})
}

// TestLargeChunks: chunks above what MQTT carries come from a mirror, and are refused without one.
func TestLargeChunks(t *testing.T) {
	for _, mirrored := range []bool{false, true} {
		inWorld(t, func(w *world) {
			if mirrored {
				w.box.Options.Mirrors = []mirror.Mirror{newShelf(w)}
			}
			c := w.fleet.Component(release.Model, "model/large", "1", "models/large.om", bytes.NewReader(noise(1<<20)), true)
			index, _, err := release.MakeIndex(bytes.NewReader(noise(1<<20)), release.MaxChunkBits)
			if err != nil {
				t.Fatal(err)
			}
			x := w.fleet.Component(release.Model, "model/index", "1", "models/index", bytes.NewReader(index.Append(nil)), false)
			c.Index = &release.Pin{Path: x.Path, Size: x.Size, SHA256: x.SHA256}
			w.fleet.Release(release.Manifest{Release: "2026.11.1", Counter: 1, Components: []release.Component{c}})
			w.fleet.Publish()
			w.start()
			w.roll("2026.11.1", nil)
			if mirrored {
				w.reaches(5*time.Minute, fleetwire.Committed, "")
			} else {
				w.reaches(5*time.Minute, fleetwire.Failed, "UPD-SIZE")
			}
		})
	}
}
