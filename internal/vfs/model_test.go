package vfs_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
)

// modelFile is a file as a plain reading of the contract has it.
type modelFile struct {
	now, durable []byte
	dirty        bool // changed since the last sync
}

// model is one directory: names as seen and as durable.
type model struct {
	now, durable map[string]*modelFile
	dirty        bool // changed since the last directory sync
}

// TestMemAgainstModel runs random operations on a Mem and on the model. After each, the running disk and a clone that
// keeps all equal what the model sees, a clone that keeps nothing equals what the model has durable, and in a settled
// directory a random clone has the same names and the same content in settled files.
func TestMemAgainstModel(t *testing.T) {
	for seed := range 60 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			m, d := memDir(t)
			mod := &model{now: map[string]*modelFile{}, durable: map[string]*modelFile{}}
			var trace []string
			for range 80 {
				trace = append(trace, mod.step(t, r, m, d))
				running, all := mod.view(t, m, d), mod.view(t, m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}), d)
				none := mod.view(t, m.CrashClone(vfs.CrashOptions{}), d)
				some := mod.view(t, m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: r, Stale: true}), d)
				if err := mod.check(running, all, none, some); err != nil {
					t.Fatalf("%v\nafter %q\n%s", err, trace, m.Dump())
				}
			}
		})
	}
}

// step does one random operation on both and says which.
func (mod *model) step(t *testing.T, r *rand.Rand, m *vfs.Mem, d string) string {
	t.Helper()
	name, other := fmt.Sprint("f", r.IntN(3)), fmt.Sprint("f", r.IntN(3))
	f := mod.now[name]
	if f == nil {
		c, err := m.Create(d + "/" + name)
		must(t, err)
		must(t, c.Close())
		mod.now[name], mod.dirty = &modelFile{}, true
		return "create " + name
	}
	h, err := m.OpenRW(d + "/" + name)
	must(t, err)
	defer h.Close()
	size := r.IntN(12000)
	switch x := r.IntN(20); {
	case x < 8:
		p := bytes.Repeat([]byte{byte('a' + r.IntN(26))}, 1+r.IntN(6000))
		_, err := h.WriteAt(p, int64(size))
		must(t, err)
		f.resize(max(len(f.now), size+len(p)))
		copy(f.now[size:], p)
		return fmt.Sprintf("write %s %d+%d", name, size, len(p))
	case x < 12:
		must(t, h.Sync())
		f.durable, f.dirty = bytes.Clone(f.now), false
		return "sync " + name
	case x < 13:
		must(t, h.Truncate(int64(size)))
		f.resize(size)
		return fmt.Sprintf("truncate %s %d", name, size)
	case x < 14:
		must(t, h.Reserve(int64(size)))
		f.resize(max(len(f.now), size))
		return fmt.Sprintf("reserve %s %d", name, size)
	case x < 15:
		must(t, m.Remove(d+"/"+name))
		delete(mod.now, name)
		mod.dirty = true
		return "remove " + name
	case x < 17:
		must(t, m.Rename(d+"/"+name, d+"/"+other))
		delete(mod.now, name)
		mod.now[other], mod.dirty = f, true
		return "rename " + name + " " + other
	default:
		must(t, m.SyncDir(d))
		clear(mod.durable)
		mod.dirty = false
		maps.Copy(mod.durable, mod.now)
		return "syncdir"
	}
}

// resize cuts off or adds zeros.
func (f *modelFile) resize(n int) {
	p := make([]byte, n)
	copy(p, f.now)
	f.now, f.dirty = p, true
}

// view reads all files of the directory, checking that no space is leaked.
func (mod *model) view(t *testing.T, m *vfs.Mem, d string) map[string]string {
	t.Helper()
	es, err := m.List(d)
	must(t, err)
	out := map[string]string{}
	for _, e := range es {
		out[e.Name] = content(t, m, d+"/"+e.Name)
	}
	u, err := m.Usage(d)
	must(t, err)
	c, err := m.CrashClone(vfs.CrashOptions{Keep: vfs.KeepAll}).Usage(d)
	must(t, err)
	if u != c {
		t.Fatalf("usage %+v, counted anew %+v", u, c)
	}
	return out
}

func (mod *model) check(running, all, none, some map[string]string) error {
	now, durable := map[string]string{}, map[string]string{}
	for name, f := range mod.now {
		now[name] = string(f.now)
	}
	for name, f := range mod.durable {
		durable[name] = string(f.durable)
	}
	switch {
	case !maps.Equal(running, now):
		return fmt.Errorf("the running disk differs from the model")
	case !maps.Equal(all, now):
		return fmt.Errorf("the clone that keeps all differs from the model")
	case !maps.Equal(none, durable):
		return fmt.Errorf("the clone that keeps nothing differs from the model")
	}
	if mod.dirty {
		return nil
	}
	if len(some) != len(durable) {
		return fmt.Errorf("random clone: %d files, want %d", len(some), len(durable))
	}
	for name, f := range mod.durable {
		if got, ok := some[name]; !ok || !f.dirty && got != string(f.durable) {
			return fmt.Errorf("random clone: settled file %s differs", name)
		}
	}
	return nil
}
