package vfs_test

import (
	"errors"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
)

// TestLinks runs on the real disk and in memory: a link is replaced by a rename, whole, and survives what is synced.
func TestLinks(t *testing.T) {
	mem := vfs.NewMem()
	for name, d := range map[string]struct {
		fs  vfs.FS
		dir string
	}{"OS": {vfs.OS{}, t.TempDir()}, "Mem": {mem, ""}, "Inject": {vfs.NewInject(vfs.NewMem()), ""}} {
		t.Run(name, func(t *testing.T) {
			l := d.fs.(vfs.Linker)
			stable, next := path.Join(d.dir, "stable"), path.Join(d.dir, "stable.new")
			if err := l.Symlink("releases/1", stable); err != nil {
				t.Fatal(err)
			}
			if err := l.Symlink("releases/9", stable); !errors.Is(err, vfs.ErrExist) {
				t.Errorf("made twice: %v", err)
			}
			if err := errors.Join(l.Symlink("releases/2", next), d.fs.Rename(next, stable), d.fs.SyncDir(d.dir)); err != nil {
				t.Fatal(err)
			}
			if got, err := l.Readlink(stable); got != "releases/2" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := l.Readlink(next); !errors.Is(err, vfs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
	for seed := range uint64(50) {
		_ = mem.Symlink("releases/3", "stable.new")
		_ = mem.Rename("stable.new", "stable")
		after := mem.CrashClone(vfs.CrashOptions{Keep: vfs.KeepRandom, Rand: rand.New(rand.NewPCG(1, seed))})
		if got, err := after.Readlink("stable"); err != nil || got != "releases/2" && got != "releases/3" {
			t.Fatalf("seed %d: after a power cut the link is %q, %v", seed, got, err)
		}
	}
}
