package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameSentences: what the page says in words of its own, edgectl says with the same. (Numbers and names are compared in
// a browser, by internal/e2e/page; faults have one table.)
func TestSameSentences(t *testing.T) {
	var cli strings.Builder
	files, err := filepath.Glob("../../internal/cli/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("internal/cli is not there", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		cli.Write(text)
	}
	script := ""
	for _, f := range []string{"page.mjs", "words.mjs"} {
		text, err := os.ReadFile(filepath.Join("web", f))
		if err != nil {
			t.Fatal(err)
		}
		script += string(text)
	}
	for _, words := range []string{"the hub does not answer", "not connected", "none configured: records stay on this box", "backlog paced", "BUDGET USED UP: alarms only",
		"last answer ", " without a link", "written today ", "disk free ", "missed today ", "clock NOT synchronised", "clock synchronised", "edge-npu does not answer",
		"models ready", "NOT BALANCED", "nobody has acknowledged", "acknowledged by ", "the packaged programs", "held by ", "paused by ", "records behind",
		"What it means", "How it is found", "What to do", "What is at risk", "No source is configured."} {
		if !strings.Contains(script, words) {
			t.Errorf("the page does not say %q any more: change this list", words)
		}
		if !strings.Contains(cli.String(), words) {
			t.Errorf("edgectl does not say %q any more, and the page does: they say it with the same words", words)
		}
	}
}
