package npu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two models do not take each other's files.
func TestOneModelOfADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "npu.yaml")
	load := func(second string) error {
		t.Helper()
		text := `models:
  - {name: a, path: a.om, output: {kind: raw}}
  - {name: b, path: b.om, output: {kind: raw}}
files:
  - {dir: in, model: a}
  - {dir: ` + second + `, model: b}
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		return err
	}
	if err := load("other"); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{"in", "./in/", filepath.Dir(file) + "/in/"} {
		if err := load(dir); err == nil || !strings.Contains(err.Error(), "files[1].dir") || !strings.Contains(err.Error(), "npu.yaml:6") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
