package cli_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cli"
	"github.com/edgelog/edgelog/internal/term"
)

var utf8 = term.Style{UTF8: true}

func TestWhatPeopleSee(t *testing.T) {
	dirs := map[string]string{"healthy": serve(t, healthyBox()), "degraded": serve(t, degradedBox()), "npu": serve(t, npuBox())}
	cases := []struct {
		file, box string
		args      []string
		style     term.Style
		code      int
		width     int
	}{
		{"status-ok.txt", "healthy", []string{"status"}, utf8, cli.ExitOK, 80},
		{"status-degraded.txt", "degraded", []string{"status"}, utf8, cli.ExitDegraded, 80},
		{"status-degraded-ascii.txt", "degraded", []string{"status"}, term.Style{}, cli.ExitDegraded, 80},
		{"status-degraded-narrow.txt", "degraded", []string{"status"}, term.Style{UTF8: true, Columns: 60}, cli.ExitDegraded, 0},
		{"status-wide.txt", "healthy", []string{"status", "-o", "wide"}, utf8, cli.ExitOK, 0},
		{"status-npu.txt", "npu", []string{"status"}, utf8, cli.ExitOK, 80},
		{"sensors.txt", "degraded", []string{"sensors"}, utf8, cli.ExitOK, 80},
		{"sensors-one.txt", "degraded", []string{"sensors", "room 1"}, utf8, cli.ExitOK, 80},
		{"sensors-one.txt", "degraded", []string{"sensors", "ROOM 1"}, utf8, cli.ExitOK, 80},
		{"sensors-source.txt", "degraded", []string{"sensors", "hos"}, utf8, cli.ExitOK, 80},
		{"sensors-narrow.txt", "degraded", []string{"sensors"}, term.Style{UTF8: true, Columns: 44}, cli.ExitOK, 0},
		{"account-narrow.txt", "degraded", []string{"account"}, term.Style{UTF8: true, Columns: 40}, cli.ExitDegraded, 40},
		{"sensors-wide.txt", "degraded", []string{"sensors", "cold-rooms", "-o", "wide"}, utf8, cli.ExitOK, 0},
		{"help-modbus.txt", "healthy", []string{"help", "modbus"}, utf8, cli.ExitOK, 80},
		{"help-scan.txt", "healthy", []string{"help", "scan"}, utf8, cli.ExitOK, 80},
		{"account.txt", "degraded", []string{"account"}, utf8, cli.ExitDegraded, 80},
		{"account-wide.txt", "degraded", []string{"account", "-o", "wide"}, utf8, cli.ExitDegraded, 0},
		{"faults.txt", "degraded", []string{"faults"}, utf8, cli.ExitOK, 80},
		{"faults-none.txt", "healthy", []string{"faults"}, utf8, cli.ExitOK, 80},
		{"explain.txt", "healthy", []string{"explain", "s012"}, utf8, cli.ExitOK, 80},
		{"explain-all.txt", "healthy", []string{"explain"}, utf8, cli.ExitOK, 80},
		{"tail.txt", "degraded", []string{"tail", "telemetry"}, utf8, cli.ExitOK, 0},
		{"tail-utc-wide.txt", "degraded", []string{"--utc", "tail", "-o", "wide", "-n", "5"}, utf8, cli.ExitOK, 0},
		{"query.json", "degraded", []string{"query", "--json", "--since", "1h"}, utf8, cli.ExitOK, 0},
		{"status.json", "healthy", []string{"status", "--json"}, utf8, cli.ExitOK, 0},
		{"help.txt", "healthy", []string{"help"}, utf8, cli.ExitOK, 80},
		{"help-query.txt", "healthy", []string{"query", "--help"}, utf8, cli.ExitOK, 80},
	}
	for _, c := range cases {
		code, out, stderr := run{args: append([]string{"--run-dir", dirs[c.box]}, c.args...), style: c.style}.do(t)
		if code != c.code || stderr != "" {
			t.Errorf("%v: exit %d, want %d; %s", c.args, code, c.code, stderr)
		}
		golden(t, c.file, out, c.width)
	}
}

func TestHealthyBoxTakesFiveLines(t *testing.T) {
	_, out, _ := run{args: []string{"status", "--socket", filepath.Join(serve(t, healthyBox()), "view.sock")}, style: utf8}.do(t)
	if n := strings.Count(out, "\n"); n != 5 {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

// TestStatusOfAMeteredLink: what was used, what holds records back, and that the budget is used up.
func TestStatusOfAMeteredLink(t *testing.T) {
	b := healthyBox()
	b.status.Uplink.Held = "pace"
	b.status.Uplink.Budget = &api.UplinkBudget{HourBytes: 1 << 20, HourBudget: 5 << 20, MonthBytes: 412 << 20, MonthBudget: 1 << 30}
	status := func() string {
		_, out, _ := run{args: []string{"status", "--socket", filepath.Join(serve(t, b), "view.sock")}, style: utf8}.do(t)
		return out
	}
	out := status()
	for _, want := range []string{"backlog paced", "1.0 MiB of 5.0 MiB this hour", "412 MiB of 1.0 GiB this month"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	b.status.Uplink.Held, b.status.Uplink.Budget.UsedUp = "budget", true
	if out := status(); !strings.Contains(out, "BUDGET USED UP: alarms only") || strings.Contains(out, "paced") {
		t.Errorf("used up:\n%s", out)
	}
}

func TestColourRepeatsWhatWordsSay(t *testing.T) {
	dir := serve(t, degradedBox())
	_, plain, _ := run{args: []string{"status", "--run-dir", dir}, style: utf8}.do(t)
	_, coloured, _ := run{args: []string{"status", "--run-dir", dir}, style: term.Style{UTF8: true, Colour: true, TTY: true}}.do(t)
	if !strings.Contains(coloured, "\x1b[33mDEGRADED") {
		t.Errorf("no colour:\n%s", coloured)
	}
	for _, c := range []string{term.Red, term.Yellow, term.Green, term.Dim} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+c+"m", "")
	}
	if strings.ReplaceAll(coloured, "\x1b[0m", "") != plain {
		t.Errorf("with colour the words differ:\n%s", coloured)
	}
}

func TestEveryAnswerIsJSON(t *testing.T) {
	dir := serve(t, degradedBox())
	for _, args := range [][]string{{"status"}, {"sensors"}, {"account"}, {"faults"}, {"explain"}, {"explain", "U007"}, {"version"}, {"doctor"}} {
		_, out, _ := run{args: append(args, "--json", "--run-dir", dir, "--dir", t.TempDir())}.do(t)
		var v struct {
			SchemaVersion int `json:"schema_version"`
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil || v.SchemaVersion != api.SchemaVersion {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

func TestAck(t *testing.T) {
	b := degradedBox()
	dir := serve(t, b)
	do := func(args ...string) (int, string, string) {
		return run{args: append(args, "--run-dir", dir), style: utf8}.do(t)
	}
	if code, out, _ := do("faults", "ack", "1"); code != 0 || !strings.Contains(out, "acknowledged. It lasts") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, _ := do("faults", "ack", "3"); code != 0 || !strings.Contains(out, "its line is gone") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, _, stderr := do("faults", "ack", "3"); code != cli.ExitError || stderr != "edgectl: there is no fault 3; edgectl faults lists the ids\n" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, _ := do("faults", "ack", "x"); code != cli.ExitUsage {
		t.Errorf("exit %d", code)
	}
	if code, out, _ := do("faults", "--json"); code != 0 || strings.Contains(out, `"B005"`) || !strings.Contains(out, `"acknowledged_by": "anna"`) {
		t.Errorf("exit %d: %s", code, out)
	}
}

// A question that no record answers is answered in words, beside an output for programs that stays empty.
func TestNoRecord(t *testing.T) {
	b := degradedBox()
	b.records = nil
	dir := serve(t, b)
	code, out, stderr := run{args: []string{"--run-dir", dir, "query", "--series", "nothing"}, style: utf8}.do(t)
	if code != cli.ExitOK || out != "" || !strings.HasPrefix(stderr, "edgectl: no record is like that") {
		t.Errorf("exit %d %q %q", code, out, stderr)
	}
	if _, out, stderr := (run{args: []string{"--run-dir", dir, "query", "--json"}, style: utf8}).do(t); stderr != "" || !strings.Contains(out, `"records":0`) {
		t.Errorf("%q %q", out, stderr)
	}
}

func TestMistakesOfUsage(t *testing.T) {
	for args, want := range map[string]string{
		"statsu":                         `there is no command "statsu"; did you mean "status"?`,
		"status extra":                   `status: "extra" is one word too many; edgectl help status shows its form`,
		"status --jsn":                   `status: there is no flag --jsn; did you mean "--json"? edgectl help status shows its form`,
		"--jsn status":                   `there is no flag --jsn; did you mean "--json"? edgectl help lists all`,
		"stat":                           `there is no command "stat"; did you mean "status"? edgectl help lists all`,
		"tail -n":                        `tail: -n wants a value; edgectl help tail`,
		"tail -n ten":                    `tail: -n "ten": want a whole number; edgectl help tail`,
		"sensors --every 5":              `sensors: --every "5": want a length of time such as 500ms`,
		"release prepar x":               `there is no edgectl release "prepar"; did you mean "prepare"? edgectl help release`,
		"release sign":                   `release sign: which directory?`,
		"keys":                           `keys: its form is edgectl keys new NAME`,
		"explain S01":                    `there is no code "S01"; did you mean "S001"? edgectl explain lists all`,
		"explain S999":                   `there is no code "S999"; edgectl explain lists all`,
		"query --since gestern":          `--since: "gestern" is not a time; write`,
		"query --since today --until 9h": `--since today is not before --until 9h`,
		"tail -n 0":                      `-n 0: possible are 1 to 100,000`,
		"status -o tall":                 `-o tall: there are wide and json`,
		"completion csh":                 `completions for "csh" do not exist; there are bash, zsh, fish`,
		"help me":                        `there is no command "me"`,
		"faults forget 1":                `write: edgectl faults ack ID`,
	} {
		code, out, stderr := run{args: strings.Fields(args)}.do(t)
		if code != cli.ExitUsage || out != "" || !strings.HasPrefix(stderr, "edgectl: "+want) {
			t.Errorf("%s: exit %d, %s%s", args, code, out, stderr)
		}
	}
}

func TestParseTime(t *testing.T) {
	dir := serve(t, degradedBox())
	for _, s := range []string{"now", "today", "yesterday", "02:14", "02:14:05", "2026-11-20", "2026-11-20 02:14", "2026-11-20T02:14:00Z", "7d", "1h30m", "90m ago"} {
		if code, _, stderr := (run{args: []string{"query", "--run-dir", dir, "--since", s}}).do(t); code != 0 {
			t.Errorf("%s: exit %d: %s", s, code, stderr)
		}
	}
}

// Without an agent and without a log, everything says so and what to do.
func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	base := []string{"--run-dir", dir, "--dir", filepath.Join(dir, "data"), "--config", "/etc/edge-agent/agent.yaml"}
	for _, args := range [][]string{{"status"}, {"account"}, {"tail"}, {"query"}, {"doctor"}, {"sensors"}, {"faults"}, {"tail", "-f"}} {
		code, out, stderr := run{args: append(args, base...), style: utf8}.do(t)
		if code != cli.ExitUnreachable || !strings.Contains(out+stderr, "nothing listens on") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, stderr)
		}
	}
	code, out, _ := run{args: append([]string{"version"}, base...)}.do(t)
	if code != 0 || !strings.Contains(out, "edge-agent does not answer") {
		t.Errorf("version: exit %d: %s", code, out)
	}
}

func TestDownShowsWhy(t *testing.T) {
	dir := t.TempDir()
	code, out, _ := run{args: []string{"status", "--run-dir", "/nonexistent-run", "--dir", "/nonexistent-data"}, style: utf8,
		log: "-- Journal begins --\n2026-11-23T05:10:00+0100 box-17 edge-agent[99]: agent.yaml:31:5  unknown key \"intervall\"\n"}.do(t)
	if code != cli.ExitUnreachable {
		t.Errorf("exit %d", code)
	}
	golden(t, "status-down.txt", out, 80)
	_, out, _ = run{args: []string{"status", "--json", "--run-dir", dir, "--dir", dir + "/x"}, log: "one\n"}.do(t)
	var v struct {
		State   string
		Journal []string
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.State != api.StateDown || len(v.Journal) != 1 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestDoctor(t *testing.T) {
	b := healthyBox()
	data := t.TempDir()
	if err := os.Chmod(data, 0o750); err != nil {
		t.Fatal(err)
	}
	b.status.DataDir, b.status.Config = data, "/etc/agent.yaml"
	dir := serve(t, b)
	good := fstest.MapFS{"etc/agent.yaml": {Data: []byte("uplink: {mqtt: {broker: 'tcp://broker.example'}}\n")}}
	code, out, stderr := run{args: []string{"doctor", "--run-dir", dir}, style: utf8, files: good}.do(t)
	if code != cli.ExitOK || !strings.Contains(out, "broker.example:1883 accepts connections") {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	unplugged := fstest.MapFS{"etc/agent.yaml": {Data: []byte("sources:\n  - {name: gps, driver: nmea, nmea: {port: /dev/ttyUSB7}}\n")}}
	code, out, _ = run{args: []string{"doctor", "--run-dir", dir}, style: utf8, files: unplugged}.do(t)
	if code != cli.ExitDegraded || !strings.HasPrefix(out, "WARN  config      source gps: /dev/ttyUSB7 does not exist now") {
		t.Errorf("exit %d\n%s", code, out)
	}
	bad := fstest.MapFS{"etc/agent.yaml": {Data: []byte("sources:\n  - name: a\n    driver: w1\n    intervall: 1s\n")}}
	code, out, _ = run{args: []string{"doctor", "--run-dir", dir}, style: utf8, files: bad}.do(t)
	if code != cli.ExitDegraded || !strings.HasPrefix(out, "FAIL  config") || !strings.Contains(out, `"intervall"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	code, out, _ = run{args: []string{"doctor", "--run-dir", dir, "--json"}, files: good, dial: os.ErrDeadlineExceeded}.do(t)
	var e struct {
		Checks []struct{ Name, State, Code string }
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != cli.ExitDegraded || e.Checks[0].Name != "broker" || e.Checks[0].Code != "U001" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

// What the system calls a failure is no answer to a person.
func TestDoctorSaysWhyInWords(t *testing.T) {
	files := fstest.MapFS{"etc/agent.yaml": {Data: []byte("device: box-17\nuplink: {mqtt: {broker: 'tcp://b.example:1883'}}\n")}}
	b := healthyBox()
	b.status.DataDir, b.status.Config = t.TempDir(), "/etc/agent.yaml"
	dir := serve(t, b)
	for want, err := range map[string]error{
		"b.example:1883: connection refused: the machine answers,": &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"b.example:1883: nobody knows that name":                   &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "b.example", IsNotFound: true}},
		"b.example:1883: no answer within 3s":                      context.DeadlineExceeded,
	} {
		_, out, _ := run{args: []string{"doctor", "--run-dir", dir}, style: utf8, files: files, dial: err}.do(t)
		if !strings.Contains(out, want) || strings.Contains(out, "dial tcp") {
			t.Errorf("%v: want %q\n%s", err, want, out)
		}
	}
}

func TestStatusIsFastWithoutAnAgent(t *testing.T) {
	start := time.Now()
	run{args: []string{"status", "--run-dir", t.TempDir(), "--dir", t.TempDir() + "/none"}}.do(t)
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// sealed is a machine on which this user may not read the agent's key.
type sealed struct{ machine }

func (s sealed) ReadFile(name string) ([]byte, error) {
	if name == "/key" {
		return nil, os.ErrPermission
	}
	return s.machine.ReadFile(name)
}

// What this user may not read is no fault of the box.
func TestDoctorForOrdinaryUsers(t *testing.T) {
	b := healthyBox()
	b.status.DataDir, b.status.Config = t.TempDir(), "/etc/agent.yaml"
	files := fstest.MapFS{"etc/agent.yaml": {Data: []byte("device: box-17\nuplink: {mqtt: {broker: 'ssl://b', cert_file: /cert, key_file: /key}}\n")},
		"cert": {Data: []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")}}
	code, out, _ := run{args: []string{"doctor", "--run-dir", serve(t, b)}, style: utf8, host: sealed{machine{files}}}.do(t)
	if code != cli.ExitOK || !strings.HasPrefix(out, `skip  config      uplink.mqtt.key_file "/key" may not be read`) {
		t.Errorf("exit %d\n%s", code, out)
	}
}
