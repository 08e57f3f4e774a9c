package npu_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tables of faults and parts in docs/ascend.md name tests that are there.
func TestFaultTableNamesTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/ascend.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Faults")
	table, _, _ = strings.Cut(table, "\n## ")
	sources := map[string]string{}
	for _, pkg := range []string{"acl", "dcmi", "npu", "standin"} {
		files, err := filepath.Glob("../" + pkg + "/*_test.go")
		if err != nil || len(files) == 0 {
			t.Fatal(pkg, err)
		}
		for _, f := range files {
			code, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources[pkg] += string(code)
		}
	}
	rows, pkg := 0, ""
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[len(cells)-2], "Test") {
			continue
		}
		rows++
		for _, m := range regexp.MustCompile(`(?:(acl|dcmi|npu|standin) )?(Test\w+)(…?)`).FindAllStringSubmatch(cells[len(cells)-2], -1) {
			if m[1] != "" {
				pkg = m[1]
			}
			name := "func " + m[2]
			if m[3] == "" {
				name += "("
			}
			if !strings.Contains(sources[pkg], name) {
				t.Errorf("the table names %s of %s, which is not there", m[2], pkg)
			}
		}
	}
	if rows < 45 {
		t.Errorf("%d rows of the table name tests", rows)
	}
}
