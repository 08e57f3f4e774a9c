package lint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryFaultIsRaised: a code that stands in the table and the guides, and that no program ever declares, is a promise
// that nobody keeps. The NPU worker names codes by their text, everybody else by the constants of agent/health.
func TestEveryFaultIsRaised(t *testing.T) {
	dir := root(t)
	used := map[string]bool{}
	names := regexp.MustCompile(`\bhealth\.([A-Z]\w+)|"([A-Z]\d{3})"`)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if rel, _ := filepath.Rel(dir, path); d.IsDir() && (rel == "agent/health" || rel == "scratch" || strings.HasPrefix(d.Name(), ".") && rel != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range names.FindAllStringSubmatch(string(text), -1) {
			used[m[1]+m[2]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "agent/health/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("agent/health has no files", err)
	}
	n := 0
	declared := regexp.MustCompile(`(?m)^\s+(\w+)\s+(?:Code )?= "([A-Z]\d{3})"`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			if n++; !used[m[1]] && !used[m[2]] {
				t.Errorf("%s (%s) is declared in %s and raised nowhere", m[2], m[1], filepath.Base(file))
			}
		}
	}
	if n < 50 {
		t.Errorf("%d codes were found", n)
	}
}
