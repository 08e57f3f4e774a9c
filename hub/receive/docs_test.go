package receive_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameRealTests: docs/protocol.md names a test for each failure case; each must exist, each transcript too, and
// no transcript of a pair may be missing there.
func TestDocsNameRealTests(t *testing.T) {
	const root = "../.."
	b, err := os.ReadFile(filepath.Join(root, "docs/protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+) ((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([a-z0-9-]+))?`").FindAllStringSubmatch(string(b), -1)
	if len(named) < 100 {
		t.Fatalf("%d tests are named", len(named))
	}
	sources := map[string]string{}
	for _, m := range named {
		dir, test, transcript := filepath.Join(root, m[1]), m[2], m[3]
		if _, ok := sources[dir]; !ok {
			files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				sources[dir] += string(text)
			}
		}
		if !strings.Contains(sources[dir], "\nfunc "+test+"(") {
			t.Errorf("%s: there is no %s in %s", m[0], test, m[1])
		}
		if transcript == "" {
			continue
		}
		sub := map[string]string{"TestTranscripts": "testdata", "TestPair": "testdata/pair"}[test]
		if _, err := os.Stat(filepath.Join(dir, sub, transcript+".txt")); err != nil || sub == "" {
			t.Errorf("%s: no such transcript: %v", m[0], err)
		}
	}
	files, _ := filepath.Glob("testdata/pair/*.txt")
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); !strings.Contains(string(b), "TestPair/"+name+"`") {
			t.Errorf("%s stands in no table of docs/protocol.md", f)
		}
	}
}
