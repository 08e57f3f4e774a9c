package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestManualPage: what the help names stands in the manual page, and nothing else.
func TestManualPage(t *testing.T) {
	b, err := os.ReadFile("../../deploy/man/edge-updater.1")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(b), `\-`, "-")
	names := regexp.MustCompile(`--[a-z-]+|edge-updater [a-z]+`)
	of := func(text string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names.FindAllString(text, -1) {
			m[n] = true
		}
		return m
	}
	help, manual := of(usage), of(page)
	for n := range help {
		if !manual[n] {
			t.Errorf("edge-updater(1) does not name %s", n)
		}
	}
	for n := range manual {
		if !help[n] {
			t.Errorf("edge-updater(1) names %s, the help does not", n)
		}
	}
	if len(help) < 15 {
		t.Errorf("%d names in the help", len(help))
	}
	for line := range strings.Lines(usage) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than 80 columns: %s", line)
		}
	}
}
