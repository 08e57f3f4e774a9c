package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgelog/edgelog/internal/cli"
	"github.com/edgelog/edgelog/internal/term"
)

var (
	epochIDs  = regexp.MustCompile(`[0-9a-f]{16}`)
	positions = regexp.MustCompile(`byte [\d,]+`)
)

// logRun is one call of edgectl log with what changes from run to run replaced.
func logRun(t *testing.T, want int, data string, args ...string) string {
	t.Helper()
	code, out, errs := run{args: append([]string{"log"}, args...), style: utf8}.do(t)
	if code != want {
		t.Errorf("edgectl log %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
	text := strings.ReplaceAll(out+errs, data, "DATA")
	n := map[string]string{}
	text = epochIDs.ReplaceAllStringFunc(text, func(id string) string {
		if id == "0000000000000000" {
			return id
		}
		if n[id] == "" {
			n[id] = strings.Repeat("abcdef"[len(n)%6:len(n)%6+1], 16)
		}
		return n[id]
	})
	return positions.ReplaceAllString(text, "byte N")
}

func segmentFile(t *testing.T, data string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(data, "log", "telemetry", "*.seg"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list[0]
}

func TestLogTools(t *testing.T) {
	data := deadBox(t)
	var b strings.Builder
	do := func(want int, args ...string) {
		t.Helper()
		b.WriteString("$ edgectl log " + strings.ReplaceAll(strings.Join(args, " "), data, "DATA") + "\n" + logRun(t, want, data, args...) + "\n")
	}
	before := listing(t, data)
	do(0, "verify", data)
	do(0, "inspect", data)
	do(0, "size", data)
	do(0, "dump", data, "--from", "39", "--csv", "--utc")
	if after := listing(t, data); after != before {
		t.Errorf("reading changed the directory:\n%s\n%s", before, after)
	}
	do(cli.ExitUsage, "export", data+"/box.edge", data)
	do(0, "export", data+"/box.edge", data, "--device", "box-17", "--since-delivered")
	do(cli.ExitError, "export", data+"/box.edge", data, "--device", "box-17")
	do(cli.ExitError, "import", data+"/box.edge", data)
	do(0, "verify", data+"/box.edge")
	do(0, "dump", data+"/box.edge", "--from", "39", "--csv", "--utc")
	do(cli.ExitUsage, "inspect", data+"/box.edge")
	do(0, "erase", data, "--stream", "telemetry", "--dry-run")
	do(cli.ExitUsage, "erase", data, "--stream", "telemetry")

	file := segmentFile(t, data)
	bytes, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)/2] ^= 1
	if err := os.WriteFile(file, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	do(cli.ExitDegraded, "verify", data)
	do(cli.ExitDegraded, "salvage", data, data+"/saved")
	do(0, "verify", data+"/saved")
	do(cli.ExitDegraded, "salvage", data, data+"/saved.edge", "--portable", "--device", "box-17")
	do(cli.ExitDegraded, "salvage", data, data+"/saved.jsonl", "--lines")
	do(0, "erase", data+"/saved", "--stream", "telemetry", "--yes")
	do(0, "verify", data+"/saved")
	do(cli.ExitUsage, "vrify")
	do(cli.ExitError, "verify", data+"/nothing")
	golden(t, "log.txt", b.String(), 0)
	for i, line := range strings.Split(b.String(), "\n") {
		if term.Columns(line) > 80 && !strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "edgectl: ") && !strings.Contains(line, ",observation,") && !strings.Contains(line, "DATA") {
			t.Errorf("line %d has %d columns: %s", i+1, term.Columns(line), line)
		}
	}
}

func TestLogDumpForPrograms(t *testing.T) {
	data := deadBox(t)
	code, out, _ := run{args: []string{"log", "dump", data, "--series", "temperature", "--from", "5", "--to", "8"}}.do(t)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r struct {
		Offset uint64
		Value  json.Number
	}
	if err := json.Unmarshal([]byte(lines[0]), &r); err != nil || code != 0 || len(lines) != 3 || r.Offset != 5 || r.Value != "-17.9996" {
		t.Errorf("exit %d: %v %s", code, err, out)
	}
	_, out, _ = run{args: []string{"log", "dump", data, "--csv", "--since", "30m", "--until", "25m"}}.do(t)
	rows, err := csv.NewReader(bytes.NewBufferString(out)).ReadAll()
	if err != nil || len(rows) != 6 || rows[1][2] != "31" {
		t.Errorf("%v %v", err, rows)
	}
	for _, verb := range []string{"verify", "inspect", "size"} {
		_, out, _ = run{args: []string{"log", verb, data, "--json"}}.do(t)
		var v struct {
			SchemaVersion int `json:"schema_version"`
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || v.SchemaVersion != 1 {
			t.Errorf("%s: %v %s", verb, err, out)
		}
	}
}

// TestLogOfThisBox: a person types the word; the configuration names the box of its own log.
func TestLogOfThisBox(t *testing.T) {
	data := deadBox(t)
	conf := fstest.MapFS{"c.yaml": {Data: []byte("device: box-9\ndata_dir: " + data)}}
	code, out, errs := run{args: []string{"log", "export", data + "/x.edge", "--config", "/c.yaml"}, files: conf}.do(t)
	if code != 0 || !strings.Contains(out, "device box-9") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, x := range []struct {
		typed string
		code  int
	}{{"yes\n", cli.ExitError}, {"", cli.ExitError}, {"erase\n", 0}} {
		code, out, errs := run{args: []string{"log", "erase", data, "--stream", "telemetry"}, stdin: x.typed, tty: true}.do(t)
		if code != x.code || !strings.Contains(errs, "41 records of telemetry will be erased for good, 31 of them not delivered. Type erase: ") {
			t.Errorf("typed %q: exit %d\n%s%s", x.typed, code, out, errs)
		}
	}
}

// On a phone every line of the tools that look at a log fits 40 columns.
func TestLogToolsOnAPhone(t *testing.T) {
	data := deadBox(t)
	var b strings.Builder
	for _, verb := range []string{"inspect", "size", "verify"} {
		_, out, errs := run{args: []string{"log", verb, data}, style: term.Style{Columns: 40}}.do(t)
		out = strings.ReplaceAll(out+errs, data, "DATA")
		for line := range strings.Lines(out) {
			if n := term.Columns(strings.TrimSuffix(line, "\n")); n > 40 {
				t.Errorf("log %s: %d columns: %s", verb, n, line)
			}
		}
		b.WriteString("$ edgectl log " + verb + "\n" + epochIDs.ReplaceAllString(out, "aaaaaaaaaaaaaaaa") + "\n")
	}
	compare(t, "testdata/log-narrow.txt", b.String())
}
