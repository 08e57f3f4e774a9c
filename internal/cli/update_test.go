package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/chainlog"
	"github.com/edgelog/edgelog/internal/cli"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust"
	"github.com/edgelog/edgelog/internal/vfs"
)

// components of the release that comes.
func components() []release.Component {
	c := func(order int, name string, kind release.Kind, version string, size int64) release.Component {
		return release.Component{Order: order, Name: name, Kind: kind, Version: version, Pin: release.Pin{Size: size}}
	}
	return []release.Component{c(10, "node/flow", release.Firmware, "1.8.3", 191_488), c(20, "config/base", release.Config, "37", 9211),
		c(30, "model/defect", release.Model, "4.2", 214_958_080), c(90, "agent", release.Agent, "2.31.0", 9_300_123)}
}

func report(state install.State) *update.Report {
	r := &update.Report{Stable: "2026.10.2", Previous: "2026.9.1", Counter: 117, Expires: now.Add(147 * time.Hour), Free: 3 << 30,
		Trust:     trust.Have{Root: 4, Timestamp: 57},
		Installed: []update.Part{{Name: "node/flow", Version: "1.8.1"}, {Name: "config/base", Version: "36"}, {Name: "agent", Version: "2.30.4"}}}
	if state == "" {
		return r
	}
	r.Journal.Txn = install.Txn{ID: "01ab", Release: "2026.11.3", From: "2026.10.2", Manifest: strings.Repeat("ab", 32), State: state, Tries: 1,
		Attempt: 1, Components: components(), Begun: ago(11 * time.Minute), Since: ago(6 * time.Minute),
		Probation: release.Probation{SoakSeconds: 600, DeadlineSeconds: 1500, Checks: []string{"ingest", "acks", "nodes>=90%"}}}
	return r
}

func probation() *update.Report {
	r := report(install.Probation)
	r.Progress = install.Progress{GoodSince: ago(4 * time.Minute), Deadline: now.Add(19 * time.Minute)}
	return r
}

func failed() *update.Report {
	r := report(install.RolledBack)
	t := &r.Journal.Txn
	t.Reason, t.Detail, t.Check = install.Unwell, "within 25m: acks: the uplink is connecting, before the update it was online", "acks: the uplink is connecting, before the update it was online"
	t.LastLog, t.Exit = "05:08:01 edge-agent: open log\n05:08:02 edge-agent: ready\n05:14:00 edge-agent: broker.example:8883: certificate signed by unknown authority\n",
		"Result=success ExecMainCode=1 ExecMainStatus=0"
	t.Unfinished = nil
	r.Journal.Failed = map[string]string{t.Manifest + "/1": install.Unwell}
	r.Journal.Past = []install.Txn{{ID: "00ff", Release: "2026.10.2", From: "2026.9.1", State: install.Committed, Begun: ago(500 * time.Hour), Since: ago(499 * time.Hour),
		Notes: []string{"agent: the delta could not be used (UPD-DELTA: made for another old file); the whole file was"}}}
	return r
}

func downloading() *fleetwire.Reported {
	r := &fleetwire.Reported{Desired: "2026.11.3", State: fleetwire.Downloading, Since: ago(90 * time.Second), Rollout: "R-58",
		Manifest: strings.Repeat("ab", 32), Attempt: 1, Done: 61_000_000, Total: 224_458_902}
	for i, c := range components() {
		x := fleetwire.Component{Name: c.Name, Kind: string(c.Kind), Want: c.Version, Total: c.Size}
		if i < 2 {
			x.Done = c.Size
		} else if i == 2 {
			x.Done = 60_800_000
		}
		r.Components = append(r.Components, x)
	}
	return r
}

func updating(r *update.Report, remote *fleetwire.Reported, o update.Orders) *box {
	b := healthyBox()
	b.update = update.Situation{Report: r, Remote: remote, Orders: o, Rooted: true, Now: now}.Show()
	brief := *b.update
	brief.Gates, brief.Past, brief.Components = nil, nil, nil
	b.status.Update = &brief
	return b
}

func TestUpdatePages(t *testing.T) {
	held := update.Orders{Hold: &api.UpdateOrder{By: "anna (uid 1000)", Why: "shift", Since: ago(time.Hour), Until: now.Add(12 * time.Hour)}}
	dirs := map[string]string{
		"idle":        serve(t, updating(report(""), nil, update.Orders{})),
		"downloading": serve(t, updating(report(""), downloading(), update.Orders{})),
		"probation":   serve(t, updating(probation(), downloading(), update.Orders{})),
		"failed":      serve(t, updating(failed(), nil, held)),
	}
	for _, c := range []struct {
		file, box string
		args      []string
		code      int
	}{
		{"update-idle.txt", "idle", []string{"update"}, cli.ExitOK},
		{"update-downloading.txt", "downloading", []string{"update"}, cli.ExitOK},
		{"update-probation.txt", "probation", []string{"update"}, cli.ExitOK},
		{"update-failed.txt", "failed", []string{"update"}, cli.ExitDegraded},
		{"update-explain.txt", "failed", []string{"update", "explain"}, cli.ExitDegraded},
		{"update-history.txt", "failed", []string{"update", "history"}, cli.ExitOK},
		{"update.json", "probation", []string{"update", "--json"}, cli.ExitOK},
		{"update-status.txt", "probation", []string{"status"}, cli.ExitOK},
		{"update-status-download.txt", "downloading", []string{"status"}, cli.ExitOK},
		{"help-update.txt", "idle", []string{"help", "update"}, cli.ExitOK},
	} {
		code, out, stderr := run{args: append([]string{"--run-dir", dirs[c.box]}, c.args...), style: utf8}.do(t)
		if code != c.code || stderr != "" {
			t.Errorf("%v: exit %d, want %d; %s", c.args, code, c.code, stderr)
		}
		width := 80
		if strings.HasSuffix(c.file, ".json") {
			width = 0
		}
		golden(t, c.file, out, width)
	}
	// A box on which nothing happens keeps its five lines.
	if _, out, _ := (run{args: []string{"status", "--run-dir", dirs["idle"]}, style: utf8}).do(t); strings.Count(out, "\n") != 5 {
		t.Errorf("status has grown:\n%s", out)
	}
}

func TestUpdateOrders(t *testing.T) {
	b := updating(probation(), nil, update.Orders{})
	dir := serve(t, b)
	do := func(args ...string) (int, string, string) {
		return run{args: append([]string{"update", "--run-dir", dir}, args...), style: utf8}.do(t)
	}
	if code, out, stderr := do("hold", "--until", "18:00", "--why", "shift"); code != 0 || !strings.Contains(out, "until 2026-11-23 18:00") {
		t.Errorf("exit %d: %s %s", code, out, stderr)
	}
	if got := b.ordered[0]; got.Op != api.UpdateHold || got.Why != "shift" || !got.Until.Equal(time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("ordered %+v", got)
	}
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"abort"}, cli.ExitDegraded, "the decision has been made"},
		{[]string{"hold", "--until", "2020-01-01"}, cli.ExitUsage, "is over"},
		{[]string{"pause", "--until", "2h"}, cli.ExitUsage, "--until belongs to hold"},
		{[]string{"abort", "x"}, cli.ExitUsage, "too much"},
		{[]string{"import"}, cli.ExitUsage, "import DIR"},
		{[]string{"frob"}, cli.ExitUsage, "lists all"},
	} {
		if code, _, stderr := do(c.args...); code != c.code || !strings.Contains(stderr, c.err) {
			t.Errorf("%v: exit %d: %s", c.args, code, stderr)
		}
	}
}

// TestUpdateOfADeadAgent: page and orders come from, and go to, the files of agent and updater.
func TestUpdateOfADeadAgent(t *testing.T) {
	state, data := t.TempDir(), t.TempDir()
	if err := probation().Write(state, -1); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) (int, string, string) {
		return run{args: append([]string{"update", "--run-dir", t.TempDir(), "--dir", data, "--updater-dir", state}, args...), style: utf8,
			env: map[string]string{"USER": "anna"}}.do(t)
	}
	if code, out, stderr := do(); code != 0 || !strings.Contains(out, "PROBATION") {
		t.Errorf("exit %d: %s %s", code, out, stderr)
	}
	if code, out, stderr := do("abort", "--why", "wrong box"); code != 0 || !strings.Contains(out, "is given up") {
		t.Errorf("exit %d: %s %s", code, out, stderr)
	}
	o, err := update.ReadOrders(filepath.Join(data, update.AgentDir, update.OrdersName))
	if why := o.Stops(probation().Journal.Txn); err != nil || why != "aborted by anna: wrong box" {
		t.Errorf("%q, %v", why, err)
	}
	if o.Stops(install.Txn{ID: "later"}) != "" {
		t.Error("the abort of one transaction ends the next")
	}
	if code, _, _ := do("hold"); code != 0 {
		t.Errorf("exit %d", code)
	}
	if code, out, _ := do("explain"); code != cli.ExitDegraded || !strings.Contains(out, "held by anna") {
		t.Errorf("exit %d: %s", code, out)
	}
	r := report(install.Decided)
	if err := r.Write(state, -1); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := do("abort"); code != cli.ExitDegraded || !strings.Contains(stderr, "the decision for the new release has been made") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, is := range []install.State{install.Committed, "", install.Decided} {
		if err := report(is).Write(state, -1); err != nil {
			t.Fatal(err)
		}
		if code, out, stderr := do("retry"); code != cli.ExitDegraded || out != "" || !strings.Contains(stderr, "nothing has failed on this box") {
			t.Errorf("retry after %q: exit %d: %s%s", is, code, out, stderr)
		}
	}
	if err := failed().Write(state, -1); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := do("retry"); code == 0 || out != "" || !strings.Contains(stderr, "update import DIR --retry") {
		t.Errorf("retry without an agent that fetches: exit %d: %s%s", code, out, stderr)
	}
}

func TestUpdateImport(t *testing.T) {
	state := t.TempDir()
	var got []string
	r := run{args: []string{"update", "import", "/media/stick", "--retry", "--updater-dir", state, "--dir", "/data"}, style: utf8,
		child: func(args []string) ([]byte, int, error) {
			got = args
			return []byte("release 2026.11.3 was not kept\n"), 3, nil
		}}
	code, out, _ := r.do(t)
	if code != cli.ExitDegraded || out != "release 2026.11.3 was not kept\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, want := range []string{"edge-updater", "apply", "/media/stick", "--retry", "/data/update/orders.json", state} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing in %v", want, got)
		}
	}
	r.child = nil
	if code, _, stderr := r.do(t); code != cli.ExitError || !strings.Contains(stderr, "run edge-updater: no such program") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestUpdateDiag(t *testing.T) {
	dir, state := serve(t, updating(failed(), nil, update.Orders{})), t.TempDir()
	if err := failed().Write(state, -1); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "diag.tar.gz")
	code, out, stderr := run{args: []string{"update", "diag", file, "--run-dir", dir, "--updater-dir", state, "--root", t.TempDir()}, style: utf8, log: "the journal\n"}.do(t)
	if code != 0 || !strings.Contains(out, "no keys") {
		t.Fatalf("exit %d: %s %s", code, out, stderr)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if parts[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var u api.Update
	if err := json.Unmarshal(parts["update.json"], &u); err != nil || u.State != "ROLLED_BACK" || len(u.Past) != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	if !bytes.Contains(parts["report.json"], []byte("unknown authority")) || len(parts) < 10 {
		t.Errorf("%d parts", len(parts))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestUpdateEvents: what was done to the box is listed; a line that somebody changed is found, with the exit code of trust.
func TestUpdateEvents(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, update.AgentDir)
	l, err := chainlog.Open(vfs.OS{}, dir, update.EventsName, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"command diag", "order hold", "update COMMITTED"} {
		if _, err := l.Append(map[string]string{"what": what, "by": "anna"}, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	do := func() (int, string, string) {
		return run{args: []string{"update", "events", "--dir", data}, style: utf8}.do(t)
	}
	if code, out, stderr := do(); code != 0 || strings.Count(out, "\n") != 3 || !strings.Contains(out, "2  2026-11-23 05:20:00  order hold  (anna)") {
		t.Errorf("exit %d: %s %s", code, out, stderr)
	}
	files, err := filepath.Glob(filepath.Join(dir, "events-*.log"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err == nil {
		err = os.WriteFile(files[0], bytes.Replace(text, []byte("order hold"), []byte("order pass"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := do(); code != cli.ExitTrust || !strings.Contains(stderr, "chain of entries is broken") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
