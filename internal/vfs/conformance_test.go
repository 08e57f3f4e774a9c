package vfs_test

import (
	"testing"

	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/vfs/vfstest"
)

func TestOS(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return vfs.OS{}, t.TempDir() })
}

func TestMem(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return memDir(t) })
}

func TestInjectWithoutRules(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m, dir := memDir(t)
		return vfs.NewInject(m), dir
	})
}

// TestCrashClonePasses runs the suite on a disk that has been through a power cut.
func TestCrashClonePasses(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		m, dir := memDir(t)
		return m.CrashClone(vfs.CrashOptions{}), dir
	})
}

// memDir returns a Mem with a durable directory.
func memDir(t *testing.T) (*vfs.Mem, string) {
	t.Helper()
	m := vfs.NewMem()
	must(t, m.MkdirAll("/data"))
	must(t, m.SyncDir("/"))
	return m, "/data"
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
