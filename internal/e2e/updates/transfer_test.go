package updates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
)

// systemctl stands in for systemd, which the tests of deploy/systemd boot for real: it starts agent and NPU worker of
// candidate or stable, in place of whichever runs, by the shipped edge-release.
const systemctl = `#!/bin/sh
box=%s
exec 9>"$box/lock"
flock 9
export EDGE_ROOT=$box/edge EDGE_PROGRAMS=%s EDGE_CONFIG=$box/agent.yaml
alive() { [ -n "$1" ] && [ -e "/proc/$1/status" ] && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }
end() {
	old=$(cat "$box/pid.$1" 2>/dev/null)
	if [ -n "$old" ]; then kill "$old" 2>/dev/null; while alive "$old"; do sleep 0.05; done; fi
	rm -f "$box/pid.$1" "$box/unit.$1"
}
start() { # edge-agent or edge-npu, stable or candidate
	end "$1"
	%s "$2" "$1" run >>"$box/$1.log" 2>&1 9>&- &
	echo $! >"$box/pid.$1"
	echo "$2" >"$box/unit.$1"
}
active() {
	if [ "$(cat "$box/unit.$1" 2>/dev/null)" = candidate ] && alive "$(cat "$box/pid.$1")"; then echo active; else echo inactive; exit 3; fi
}
case "$1 $2" in
"start edge-agent-exp.service")
	# A box that does worse with a release: its candidate ends at once, and stable is started again.
	if [ "$(readlink "$box/edge/candidate")" = "releases/$(cat "$box/worse-with" 2>/dev/null)" ]; then start edge-agent stable; exit 1; fi
	start edge-agent candidate ;;
"start edge-npu-exp.service") start edge-npu candidate ;;
"restart edge-agent.service") if [ "$(cat "$box/unit.edge-npu" 2>/dev/null)" = candidate ]; then end edge-npu; fi; start edge-agent stable ;;
"restart edge-npu.service") start edge-npu stable ;;
"is-active edge-agent-exp.service") active edge-agent ;;
"is-active edge-npu-exp.service") active edge-npu ;;
"crashed edge-agent") # as Restart= and OnFailure= do
	if ! alive "$(cat "$box/pid.edge-agent")"; then start edge-agent stable; fi ;;
"is-enabled edge-npu.service") if [ -e "$box/npu" ]; then echo enabled; else echo not-found; exit 1; fi ;;
esac
`

// realBox is an edge-agent with its updater on this machine.
type realBox struct {
	t      *testing.T
	device string
	dir    string
	bin    string // with the stand-in for systemctl
	api    *api.Client
}

func (b *realBox) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

// config is the agent's configuration, as a file or as a component of a release.
func (b *realBox) config(port int) string {
	return fmt.Sprintf(`device: %[3]s
data_dir: %[1]s/data
run_dir: %[1]s/run
sources:
  - {name: load, driver: synthetic, interval: 100ms, synthetic: {series: 10}}
uplink: {mqtt: {broker: "tcp://127.0.0.1:%[2]d", username: %[3]s}}
update: {trust: %[1]s/root.json, product: %[1]s/product, releases: %[1]s/edge, updater: %[1]s/updater, progress: 1s}
`, b.dir, port, b.device)
}

func newRealBox(t *testing.T, port int, root []byte) *realBox {
	t.Helper()
	return newDevice(t, "box-1", port, root)
}

func newDevice(t *testing.T, device string, port int, root []byte) *realBox {
	t.Helper()
	dir, err := os.MkdirTemp("", "edgelog-box") // short enough for a socket's path
	must(t, err)
	b := &realBox{t: t, device: device, dir: dir, bin: filepath.Join(dir, "bin"), api: api.NewClient(filepath.Join(dir, "run"))}
	write(t, b.path("agent.yaml"), b.config(port))
	write(t, b.path("root.json"), string(root))
	write(t, b.path("product"), "product=edgebox-2\n")
	must(t, os.Chmod(write(t, filepath.Join(b.bin, "systemctl"), fmt.Sprintf(systemctl, dir, bin, shipped("deploy/systemd/edge-release"))), 0o755))
	must(t, os.Chmod(write(t, filepath.Join(b.bin, "journalctl"), "#!/bin/sh\ntail -n 20 "+dir+"/edge-agent.log\n"), 0o755))
	t.Cleanup(func() {
		b.kill()
		b.killProgram("edge-npu")
		if t.Failed() {
			t.Logf("--- last of the agent\n%s", programs.Tail(b.path("edge-agent.log"), 40))
			if exists(b.path("npu")) {
				t.Logf("--- last of the worker\n%s", programs.Tail(b.path("edge-npu.log"), 20))
			}
		}
		os.RemoveAll(dir)
	})
	return b
}

func (b *realBox) systemctl(args ...string) {
	b.t.Helper()
	run(b.t, 0, append([]string{filepath.Join(b.bin, "systemctl")}, args...)...)
}

// up starts stable and waits until it answers.
func (b *realBox) up() {
	b.t.Helper()
	b.systemctl("restart", "edge-agent.service")
	programs.WaitFor(b.t, 90*time.Second, "the agent answers", func() bool { return b.status() != nil })
}

func (b *realBox) status() *api.Status {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := b.api.Status(ctx)
	if err != nil {
		return nil
	}
	return s
}

// kill ends the agent with SIGKILL.
func (b *realBox) kill() { b.killProgram("edge-agent") }

func (b *realBox) killProgram(name string) {
	data, err := os.ReadFile(b.path("pid." + name))
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	must(b.t, err)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	programs.WaitFor(b.t, time.Minute, name+" is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
}

// updater runs edge-updater as edge-update.service does.
func (b *realBox) updater(want int) string {
	b.t.Helper()
	return runIn(b.t, []string{"PATH=" + b.bin + ":" + os.Getenv("PATH")}, 12*time.Minute, want, program("edge-updater"), "request", "--from", b.path("data/update"), "--root", b.path("edge"), "--state", b.path("updater"),
		"--run-dir", b.path("run"), "--npu-dir", b.path("npurun"), "--orders", b.path("data/update/orders.json"), "--trust", b.path("root.json"), "--product", b.path("product"))
}

func (b *realBox) requested() bool { return exists(b.path("data/update", update.RequestName)) }

// TestTransfer: a real agent that takes readings fetches a release of 12 MB from a real hub through a real Mosquitto while
// each of the three is killed again and again; the updater installs it, and rolls back the next one, whose configuration
// leads nowhere. At the end every reading is at the hub, once.
func TestTransfer(t *testing.T) {
	dir := t.TempDir()
	f := repotest.New(t, filepath.Join(dir, "releases"), time.Now())
	m := newMosquitto(t, dir)
	b := newRealBox(t, m.port, f.FactoryRoot())
	content := make([]byte, 12<<20)
	rand.NewChaCha8([32]byte{1}).Read(content)
	model := f.Component(release.Model, "model/defect", "1", "models/defect.om", bytes.NewReader(content), true)
	for i, config := range []string{b.config(m.port) + "log: {level: info}\n", b.config(1)} {
		name := fmt.Sprintf("2026.11.%d", i+1)
		f.Release(release.Manifest{Release: name, Counter: uint64(i + 1), Compatible: map[string][]string{"product": {"edgebox-2"}},
			Probation:  release.Probation{SoakSeconds: 0, DeadlineSeconds: 20, Checks: []string{"ingest", "acks"}},
			Components: []release.Component{model, f.Component(release.Config, "config/base", name, "config/base-"+name+".yaml", strings.NewReader(config), false)}})
	}
	f.Publish()
	h := newHub(t, dir, m.port, f.Dir)
	b.up()

	spec := func(name string) string {
		return write(t, filepath.Join(dir, name+".yaml"), fmt.Sprintf("release: %s\nwaves: [{name: all, percent: 100}]\nmax_rate: 1MiB\n", name))
	}
	show := func(id string, want int) fleet.View {
		var a fleet.Answer
		must(t, json.Unmarshal([]byte(h.rollout(want, "show", id, "--json")), &a))
		return a.Rollout
	}
	done := func() (n int64) {
		if v := show("R-1", 0); len(v.Jobs) == 1 {
			return v.Jobs[0].Done
		}
		return 0
	}
	programs.WaitFor(t, 2*time.Minute, "the box is known", func() bool {
		var l fleet.List
		must(t, json.Unmarshal([]byte(h.rollout(0, "list", "--json")), &l))
		return l.Online == 1
	})
	h.create(spec("2026.11.1"), 1)
	programs.WaitFor(t, 2*time.Minute, "content comes", func() bool { return done() > 1<<20 })
	b.kill()
	b.up()
	had := done()
	programs.WaitFor(t, 2*time.Minute, "it goes on after the agent was killed", func() bool { return done() > had+1<<20 })
	m.Kill()
	m.up()
	had = done()
	programs.WaitFor(t, 3*time.Minute, "it goes on after the broker was killed", func() bool { return done() > had+1<<20 || b.requested() })
	h.Kill()
	h.up()
	programs.WaitFor(t, 4*time.Minute, "all has come after the hub was killed", b.requested)
	staged, err := os.ReadFile(b.path("data/update/stage/targets/models/defect.om"))
	must(t, err)
	if !bytes.Equal(staged, content) {
		t.Fatal("another file came out")
	}

	out := b.updater(0)
	if !strings.Contains(out, "release 2026.11.1 is in force") {
		t.Errorf("%s", out)
	}
	committed := rollout.JobState(fleetwire.Committed)
	programs.WaitFor(t, 3*time.Minute, "the hub knows that it is committed", func() bool { v := show("R-1", 0); return len(v.Jobs) == 1 && v.Jobs[0].State == committed })

	h.create(spec("2026.11.2"), 1)
	programs.WaitFor(t, 3*time.Minute, "the next one is staged", b.requested)
	if out = b.updater(3); !strings.Contains(out, "UPD-HEALTH") {
		t.Errorf("%s", out)
	}
	programs.WaitFor(t, 3*time.Minute, "the hub knows that it was rolled back", func() bool {
		v := show("R-2", 0)
		return len(v.Jobs) == 1 && v.Jobs[0].State == rollout.JobState(fleetwire.RolledBack)
	})
	if link, err := os.Readlink(b.path("edge/stable")); err != nil || link != "releases/2026.11.1" {
		t.Errorf("%s, %v", link, err)
	}

	sameEvents(t, b, h)
	b.balance(h, 500)
}

// balance: everything that was ingested during all of it is at the hub, once.
func (b *realBox) balance(h *hub, least uint64) {
	b.t.Helper()
	records := b.delivered(least)
	h.Stop()
	run(b.t, 0, program("edge-hub"), "verify", "--config", h.file)
	b.t.Logf("%d records, each at the hub once", records)
}

// delivered lets the box deliver all that it has, and counts it.
func (b *realBox) delivered(least uint64) (records uint64) {
	t := b.t
	t.Helper()
	var account *api.Account
	b.quiet()
	programs.WaitFor(t, 3*time.Minute, "everything is delivered", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a, err := b.api.Account(ctx)
		if err != nil {
			return false
		}
		account = a
		for _, s := range a.Streams {
			if s.Sum.Buffered+s.Sum.InFlight > 0 {
				return false
			}
		}
		return true
	})
	for _, s := range account.Streams {
		if !s.Sum.Balance() || len(s.Sum.Dropped) > 0 {
			t.Errorf("stream %s: %+v", s.Name, s.Sum)
		}
		records += s.Sum.Delivered
	}
	if records < least {
		t.Errorf("%d records are no load", records)
	}
	return records
}

// sameEvents: what the box noted of its updates is at the hub, every line once, as it stands in the box's log.
func sameEvents(t *testing.T, b *realBox, h *hub) {
	t.Helper()
	type event struct {
		N    uint64 `json:"n"`
		Hash string `json:"hash"`
		What string `json:"what"`
	}
	var own []event
	var at struct {
		Events []event  `json:"events"`
		Broken []string `json:"broken"`
	}
	look := func() bool {
		own, at.Events, at.Broken = nil, nil, nil
		must(t, json.Unmarshal([]byte(run(t, 0, program("edge-hub"), "rollout", "events", "box-1", "--last", "1000", "--json", "--config", h.file)), &at))
		for d := json.NewDecoder(strings.NewReader(run(t, 0, program("edgectl"), "update", "events", "--json", "--dir", b.path("data")))); d.More(); {
			var x struct {
				event
				Event event `json:"event"`
			}
			must(t, d.Decode(&x))
			own = append(own, event{x.N, x.Hash, x.Event.What})
		}
		return slices.Equal(own, at.Events) && len(own) > 0
	}
	for end := time.Now().Add(2 * time.Minute); !look(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("events of the box:\n%v\nat the hub:\n%v", own, at.Events)
		}
	}
	var committed, back bool
	for _, e := range own {
		committed, back = committed || e.What == "update COMMITTED", back || e.What == "update ROLLED_BACK"
	}
	if len(at.Broken) > 0 || !committed || !back {
		t.Errorf("%v, %v", own, at.Broken)
	}
	text := run(t, 0, program("edge-hub"), "rollout", "events", "--config", h.file)
	if !strings.Contains(text, "box-1") || !strings.Contains(run(t, 0, program("edge-hub"), "rollout", "events", "box-1", "-o", "wide", "--config", h.file), "UPD-HEALTH") {
		t.Errorf("%s", text)
	}
	t.Logf("%d events, each at the hub once", len(own))
}

// quiet stops the sources: the release's configuration is replaced by the box's own without them.
func (b *realBox) quiet() {
	b.t.Helper()
	text, err := os.ReadFile(b.path("agent.yaml"))
	must(b.t, err)
	lines := strings.Split(string(text), "\n")
	var without []string
	for _, l := range lines {
		if l != "sources:" && !strings.HasPrefix(l, "  - {name: load") {
			without = append(without, l)
		}
	}
	write(b.t, b.path("agent.yaml"), strings.Join(without, "\n"))
	if err := os.Remove(b.path("edge/stable")); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	b.up()
}
