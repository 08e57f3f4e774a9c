package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/term"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata")

var testNow = time.Date(2026, 9, 21, 15, 0, 0, 0, time.UTC)

// filled makes a store with three devices: one in order, one with gaps, skips and late rows, one in quarantine.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := sqlite.Open(path, sqlite.Options{Now: func() time.Time { return testNow.Add(-2 * time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	anchor := record.Anchor{Boot: "b", UTC: testNow.Add(-time.Hour).UnixNano(), Source: record.SourceNTP}
	def := record.Definition{ID: 1, Series: record.Series{Name: "temperature", Labels: []record.Label{{Key: "rom", Value: "28-1"}}, Unit: "Cel", Type: record.TypeInt}}
	rows := make([]record.Record, 3000)
	for i := range rows {
		rows[i] = record.Record{Kind: record.KindObservation, Series: 1, Time: int64(i) * 1e9, Clock: record.ClockBoot, Type: record.TypeInt, Num: int64(i)}
	}
	var cs []store.Change
	for i, device := range []string{"box-1", "box-17", "box-2"} {
		c := store.Change{Device: device, Stream: "telemetry", Epoch: record.Epoch(0xe0 + i), Create: true, First: 100, From: 100,
			To: 3100, ToChain: 1, RowBase: 100, Rows: rows, Definitions: []record.Definition{def}, Boot: "b", Anchors: []record.Anchor{anchor}}
		if i == 1 {
			c.Skips = []store.Skip{{Range: record.Range{From: 110, To: 112}, Reason: "repeat"}}
		}
		cs = append(cs, c)
	}
	cs = append(cs, store.Change{Device: "box-17", Stream: "telemetry", Epoch: 0xe1, From: 3100, FromChain: 1, To: 4350, ToChain: 2, RowBase: 4350,
		Gaps: []record.Gap{{Epoch: 0xe1, Range: record.Range{From: 3100, To: 4350}, Reason: record.ReasonRetention, ChainFrom: 1, ChainTo: 2}}},
		store.Change{Device: "box-2", Stream: "telemetry", Epoch: 0xe2, From: 3100, FromChain: 1, To: 3100, ToChain: 1, Quarantine: true})
	rs, err := s.Commit(context.Background(), cs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		if !r.Applied {
			t.Fatalf("change %d: %+v", i, r)
		}
	}
	return path
}

func run(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := hub.Main(context.Background(), hub.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Style: term.Style{UTF8: true}, Now: func() time.Time { return testNow }, Zone: time.UTC})
	if code != want {
		t.Errorf("edge-hub %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func TestCommands(t *testing.T) {
	path := filled(t)
	var b strings.Builder
	for _, x := range []struct {
		code int
		args string
	}{
		{0, "account"}, {0, "account -o wide"}, {3, "status"}, {0, "verify"}, {0, "count --series temperature{rom=%"},
		{0, "count --device box-9"}, {0, "quarantine"}, {0, "purge --before 2026-09-21T14:10:00Z --dry-run"},
		{2, "purge --before 2026-09-21T14:10:00Z"}, {0, "purge --before 2026-09-21T14:10:00Z --yes"}, {0, "account"}, {0, "verify"},
		{0, "quarantine resolve box-2 telemetry 00000000000000e2"}, {1, "quarantine resolve box-2 telemetry 00000000000000e2"},
		{0, "quarantine list"}, {2, "purge"}, {2, "acount"}, {2, "account --jsn"}, {0, "help"}, {0, "help purge"}, {0, "help quarantine"},
		{2, "help quarantin"}, {0, "--utc count"}, {2, "--jsn count"}, {1, "import nothing.edge"}, {2, "command box-1 dig"}, {2, "command box-1 diag"}, {2, "rollout"}, {2, "enrol"},
	} {
		fmt.Fprintf(&b, "$ edge-hub %s\n", x.args)
		b.WriteString(run(t, x.code, append(strings.Fields(x.args), dbFlag(x.args, path)...)...))
		fmt.Fprintf(&b, "[%d]\n\n", x.code)
	}
	got := strings.ReplaceAll(b.String(), path, "hub.db")
	for i, l := range strings.Split(got, "\n") {
		if term.Columns(l) > 80 && !strings.HasPrefix(l, "$") && !strings.HasPrefix(l, "edge-hub: ") {
			t.Errorf("line %d is wider than 80 columns: %s", i+1, l)
		}
	}
	golden := filepath.Join("testdata", "commands.txt")
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; go test -rewrite shows how:\n%s", golden, got)
	}
}

func dbFlag(args, path string) []string {
	if strings.HasPrefix(args, "help") || strings.HasPrefix(args, "acount") {
		return nil
	}
	return []string{"--db", path}
}

func TestAccountJSON(t *testing.T) {
	var acc struct {
		SchemaVersion int  `json:"schema_version"`
		Balanced      bool `json:"balanced"`
		Streams       []struct {
			Device, Stream string
			Rows, Gaps     uint64
		}
	}
	if err := json.Unmarshal([]byte(run(t, 0, "account", "--json", "--db", filled(t))), &acc); err != nil {
		t.Fatal(err)
	}
	if acc.SchemaVersion != 1 || !acc.Balanced || len(acc.Streams) != 3 || acc.Streams[1].Gaps != 1250 || acc.Streams[1].Rows != 2998 {
		t.Errorf("%+v", acc)
	}
}

// On a phone every line fits 40 columns, but for single words that are longer.
func TestOnAPhone(t *testing.T) {
	path := filled(t)
	calls := []string{"status", "account", "verify", "quarantine", "help"}
	for name := range strings.Lines(run(t, 0, "__complete", "")) {
		calls = append(calls, "help "+strings.TrimSpace(name))
	}
	if len(calls) < 15 {
		t.Errorf("%q", calls)
	}
	for _, call := range calls {
		var out bytes.Buffer
		hub.Main(context.Background(), hub.Env{Args: append(strings.Fields(call), dbFlag(call, path)...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
			Style: term.Style{TTY: true, Columns: 40}, Now: func() time.Time { return testNow }, Zone: time.UTC})
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if i := strings.LastIndexByte(line, '\r'); i >= 0 {
				line = strings.TrimPrefix(line[i+1:], "\x1b[K") // the progress bar before it is gone
			}
			if n := term.Columns(line); n > 40 && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s: %d columns: %s", call, n, line)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	path := filled(t)
	for line, want := range map[string]string{
		"acc":                                         "account",
		"--db DB count --device box-1":                "box-1 box-17",
		"command --db DB ":                            "box-1 box-17 box-2",
		"command box-1 dia":                           "diag",
		"--db DB quarantine resolve ":                 "box-2",
		"--db DB quarantine resolve box-2 ":           "telemetry",
		"--db DB quarantine resolve box-2 telemetry ": "00000000000000e2",
		"purge --ke":                                  "--keep-file",
		"import ":                                     ":files",
		"rollout pau":                                 "pause",
		"enrol --li":                                  "--life",
		"completion f":                                "fish",
		"no-such ":                                    "",
	} {
		words := strings.Split(strings.ReplaceAll(line, "DB", path), " ")
		if got := strings.Fields(run(t, 0, append([]string{"__complete"}, words...)...)); strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		name := map[string]string{"bash": "edge-hub.bash", "zsh": "_edge-hub", "fish": "edge-hub.fish"}[shell]
		golden := filepath.Join("..", "deploy", "completions", name)
		got := run(t, 0, "completion", shell)
		if *rewrite {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(golden); err != nil || string(b) != got {
			t.Errorf("%s differs (%v); go test -rewrite", golden, err)
		}
	}
}
