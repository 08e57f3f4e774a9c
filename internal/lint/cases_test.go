package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	updateCases    = 70
	withoutUpdates = 24 // needs a director
)

// TestCasesOfUpdates: each of the numbered attacks and faults of docs/updates.md stands in the table of proofs, and every
// test that the table names exists in the package that it names.
func TestCasesOfUpdates(t *testing.T) {
	dir := root(t)
	text, err := os.ReadFile(filepath.Join(dir, "docs", "updates.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n## Proof\n")
	if !ok {
		t.Fatal("docs/updates.md has no section Proof")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	seen := map[int]bool{}
	tests := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.HasPrefix(line, "|---") || strings.Contains(cells[1], "cases") && strings.Contains(cells[2], "test") {
			continue
		}
		for _, n := range numbersOf(cells[1]) {
			seen[n] = true
		}
		tests += checkTests(t, dir, strings.Join(cells[2:], "|"))
	}
	for n := 1; n <= updateCases; n++ {
		if !seen[n] && n != withoutUpdates {
			t.Errorf("case %d stands nowhere in the table of docs/updates.md", n)
		}
	}
	if tests < 60 {
		t.Errorf("only %d tests are named", tests)
	}
}

// numbersOf reads the numbers at the beginning of a cell: "1–8, 11, 19 what it is about".
func numbersOf(cell string) (out []int) {
	m := regexp.MustCompile(`^\s*((?:\d+(?:–\d+)?)(?:, \d+(?:–\d+)?)*) `).FindStringSubmatch(cell)
	if m == nil {
		return nil
	}
	for part := range strings.SplitSeq(m[1], ", ") {
		from, to, span := strings.Cut(part, "–")
		if !span {
			to = from
		}
		a, _ := strconv.Atoi(from)
		b, _ := strconv.Atoi(to)
		for n := a; n <= b; n++ {
			out = append(out, n)
		}
	}
	return out
}

// checkTests holds the names of a cell against the sources. A name without a package is of the package before it; a
// package alone has tests.
func checkTests(t *testing.T, dir, cell string) (n int) {
	t.Helper()
	pkg := ""
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		words := strings.Fields(m[1])
		name := words[len(words)-1]
		switch {
		case words[0] == "make":
			if !targets(t, dir)[words[1]] {
				t.Errorf("docs/updates.md names make %s, which the Makefile has not", words[1])
			}
			continue
		case len(words) == 1 && !strings.Contains(name, "/"):
		case len(words) <= 2:
			pkg = words[0]
		}
		files, err := filepath.Glob(filepath.Join(dir, pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("docs/updates.md names the tests of %q, which has none", pkg)
			continue
		}
		if name == pkg {
			continue
		}
		n++
		want := fmt.Sprintf("\nfunc %s(", name)
		found := false
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(source), want)
		}
		if !found {
			t.Errorf("docs/updates.md names %s of %s, which does not exist", name, pkg)
		}
	}
	return n
}

// targets are those of the Makefile.
func targets(t *testing.T, dir string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = true
	}
	return out
}
