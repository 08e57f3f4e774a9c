package vfs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDeviceWritten reads a tree as the kernel makes it: a partition's directory lies in that of its disk.
func TestDeviceWritten(t *testing.T) {
	sys := t.TempDir()
	for name, text := range map[string]string{
		"devices/mmcblk0/stat":                "  100 0 800 1 200 0 4096 9 0 1 1\n",
		"devices/mmcblk0/mmcblk0p2/partition": "2\n",
		"devices/mmcblk0/mmcblk0p2/stat":      "  1 0 8 1 2 0 16 9 0 1 1\n",
	} {
		p := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(sys, "dev/block"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"179:0": "../../devices/mmcblk0", "179:2": "../../devices/mmcblk0/mmcblk0p2"} {
		if err := os.Symlink(to, filepath.Join(sys, "dev/block", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		minor uint32
		want  uint64
	}{{0, 4096 * 512}, {2, 4096 * 512}, {9, 0}} {
		if got := deviceWritten(sys, 179, c.minor); got != c.want {
			t.Errorf("179:%d: %d bytes, want %d", c.minor, got, c.want)
		}
	}
}
