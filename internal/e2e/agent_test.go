package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

// TestFieldEngineer goes through a box's life with edgectl alone: healthy, reloaded, given a bad file, without a
// broker, dead.
func TestFieldEngineer(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	hub.Start()
	x := newBox(t, dir, b, boxOptions{device: "box-1", sources: hostSource + syntheticSource("load", 10, 100)})
	x.up()
	ctl := func(want int, args ...string) string {
		t.Helper()
		args = append([]string{"--run-dir", x.run, "--dir", x.data}, args...)
		out, code := tryRun(t, filepath.Join(bin, "edgectl"), args...)
		if code != want {
			t.Fatalf("edgectl %s: exit status %d, want %d\n%s", strings.Join(args[4:], " "), code, want, out)
		}
		return out
	}
	waitFor(t, 20*time.Second, "the uplink is online", func() bool {
		s, err := x.status()
		return err == nil && s.Uplink.State == api.UplinkOnline && len(s.Streams) > 0 && s.Sources.Rate > 0
	})
	var st api.Status
	if err := json.Unmarshal([]byte(ctl(0, "status", "--json")), &st); err != nil || st.State != api.StateOK || st.SchemaVersion != api.SchemaVersion {
		t.Fatalf("status --json: %+v %v", st, err)
	}
	for _, want := range []string{"box-1   OK", "SOURCES   2 ok", "online"} {
		if out := ctl(0, "status"); !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	if out := ctl(0, "sensors"); !strings.Contains(out, "cpu.busy") || !strings.Contains(out, "SIMULATED") {
		t.Errorf("sensors:\n%s", out)
	}
	if out := ctl(0, "query", "--since", "10m", "--series", "load.1m"); !strings.Contains(out, "load.1m") {
		t.Errorf("query:\n%s", out)
	}

	// A reload: the new source starts, the epoch stays, a mark says so.
	epochs := func() string {
		return strings.Join(hub.query("SELECT DISTINCT epoch FROM positions WHERE stream = 'telemetry'"), " ")
	}
	waitFor(t, 10*time.Second, "rows at the hub", func() bool { return exists(hub.db) && epochs() != "" })
	before := epochs()
	x.configure(hostSource+syntheticSource("load", 10, 100)+syntheticSource("more", 5, 50), b)
	hup(t, x)
	waitFor(t, 10*time.Second, "the new source gives readings", func() bool {
		s, err := x.api.Sensors(t.Context())
		return err == nil && len(s.Sources) == 3 && s.Sources[2].Taken > 0
	})
	waitFor(t, 10*time.Second, "the mark is at the hub", func() bool {
		return len(hub.query("SELECT value FROM marks WHERE kind = 'config' AND value LIKE '%sources.more%'")) == 1
	})
	if after := epochs(); after != before {
		t.Errorf("a reload changed the epoch: %s, then %s", before, after)
	}

	// A bad file leaves everything as it was, with a fault that names the line.
	good, err := os.ReadFile(x.file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, x.file, strings.Replace(string(good), "interval:", "intervall:", 1))
	if out, code := tryRun(t, filepath.Join(bin, "edge-agent"), "check", "--config", x.file); code != 1 || !strings.Contains(out, `did you mean "interval"?`) {
		t.Errorf("check: status %d\n%s", code, out)
	}
	hup(t, x)
	waitFor(t, 10*time.Second, "the fault is there", func() bool { return strings.Contains(faultsOf(t, x), "C003") })
	if out := ctl(3, "status"); !strings.Contains(out, "C003") || !strings.Contains(out, "DEGRADED") {
		t.Errorf("status:\n%s", out)
	}
	if out := ctl(0, "explain", "C003"); !strings.Contains(out, "old configuration goes on") {
		t.Errorf("explain:\n%s", out)
	}
	write(t, x.file, string(good))
	hup(t, x)
	waitFor(t, 10*time.Second, "the fault is over", func() bool {
		s, err := x.status()
		return err == nil && s.State == api.StateOK
	})

	// Without a link status answers soon and says why and what it costs.
	x.link.Cut()
	waitFor(t, 20*time.Second, "the dead link is a fault", func() bool { return strings.Contains(faultsOf(t, x), "U001") })
	began := time.Now()
	if out := ctl(3, "status"); !strings.Contains(out, "U001") {
		t.Errorf("status without a link:\n%s", out)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("status took %v with a dead link", took)
	}
	x.link.Restore()
	acc := x.quiet(b, time.Minute)
	if !acc.Balanced {
		t.Errorf("the account does not balance: %+v", acc)
	}

	// Dead: edgectl reads the directory itself.
	x.Kill()
	out := ctl(4, "status")
	for _, want := range []string{"DOWN", "telemetry"} {
		if !strings.Contains(out, want) {
			t.Errorf("status of a dead box does not say %q:\n%s", want, out)
		}
	}
	ctl(4, "doctor")
	ctl(0, "query", "--since", "10m", "--series", "cpu.busy")
	ctl(2, "frobnicate")
}

func hup(t *testing.T, x *box) {
	t.Helper()
	if err := syscall.Kill(x.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func faultsOf(t *testing.T, x *box) string {
	t.Helper()
	s, err := x.status()
	if err != nil {
		return ""
	}
	var codes []string
	for _, f := range s.Faults {
		if f.Active {
			codes = append(codes, f.Code)
		}
	}
	return strings.Join(codes, " ")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
