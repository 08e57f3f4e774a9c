package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/agent/health"
)

// TestCommandsThatAreMentionedExist: what a guide or a fault tells people to type is a command.
func TestCommandsThatAreMentionedExist(t *testing.T) {
	texts := map[string]string{}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	for _, name := range append(files, "../../README.md") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	for _, d := range health.Table() {
		texts[string(d.Code)] = d.Means + "\n" + d.Found + "\n" + d.Do + "\n" + d.Risk
	}
	inline := regexp.MustCompile("`(?:sudo )?(?:bin/)?edgectl ([a-z]+)")
	block := regexp.MustCompile(`^(?:\$ )?(?:sudo )?(?:bin/)?edgectl ([a-z]+)`)
	seen := 0
	for name, text := range texts {
		code := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "```") {
				code = !code
				continue
			}
			typed := inline
			if code {
				typed = block
			}
			for _, m := range typed.FindAllStringSubmatch(line, -1) {
				if seen++; !slices.Contains(commandNames(), m[1]) {
					t.Errorf("%s: there is no %q", name, m[0])
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("found %d commands only", seen)
	}
}
