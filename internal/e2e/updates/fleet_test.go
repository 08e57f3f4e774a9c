package updates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update/mqtt"
	"github.com/edgelog/edgelog/agent/update/updatetest"
	uplink "github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
)

const fleetSize = 200

// virtual is one virtual box: the agent's link, client of updates and stage, over a disk in memory.
type virtual struct {
	*updatetest.Box
	name   string
	client *mqtt.Client
}

// run connects, and connects again, until ctx ends.
func (v *virtual) run(ctx context.Context, port int) {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { _ = v.client.Run(ctx) }) // ends with ctx
	parts.Go(func() { v.Updater(ctx) })
	for ctx.Err() == nil {
		l, err := uplink.Dial(ctx, uplink.Options{Device: v.name, Client: mqttclient.Options{
			Broker: fmt.Sprintf("tcp://127.0.0.1:%d", port), Username: v.name}})
		if err == nil {
			v.client.Connected(l)
			select {
			case <-l.Done():
			case <-ctx.Done():
			}
			v.client.Connected(nil)
			l.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + rand.N(time.Second)):
		}
	}
}

// TestFleet: 200 boxes speak the real protocol through a real Mosquitto, five of them real agents with readings and updaters;
// 5 % of all do worse with the release, one real one among them. The rollout stops where it should: after the wave that
// passes, in the one where the share shows, and the other boxes never hear of it. Across all of it the accounts of the real
// boxes balance.
func TestFleet(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := t.TempDir()
	f := repotest.New(t, filepath.Join(dir, "releases"), time.Now())
	for i, name := range []string{"2026.11.1", "2026.11.2"} {
		content := make([]byte, 150_000)
		rand.NewChaCha8([32]byte{byte(i)}).Read(content)
		f.Release(release.Manifest{Release: name, Counter: uint64(i + 1), Compatible: map[string][]string{"product": {"edgebox-2"}},
			Probation:  release.Probation{DeadlineSeconds: 60, Checks: []string{"ingest", "acks"}},
			Components: []release.Component{f.Component(release.Model, "model/defect", name, "models/"+name, bytes.NewReader(content), true)}})
	}
	f.Publish()
	b := newMosquitto(t, dir)
	h := newHub(t, dir, b.port, f.Dir)

	// Cohorts are known beforehand, so that the test knows where it must stop: every 20th box of R-2 is bad.
	var names []string
	for i := range fleetSize {
		names = append(names, fmt.Sprintf("box-%03d", i))
	}
	byCohort := slices.Clone(names)
	slices.SortFunc(byCohort, func(a, b string) int { return rollout.Cohort("R-2", a) - rollout.Cohort("R-2", b) })
	bad := map[string]bool{}
	for i := 10; i < fleetSize; i += 20 {
		bad[byCohort[i]] = true
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	boxes := map[string]*virtual{}
	root := f.FactoryRoot()
	real := map[string]*realBox{}
	for _, i := range []int{1, 10, 12, 60, 150} { // in the lab; bad, in the canary; in the canary; in the last wave, early and late
		r := newDevice(t, byCohort[i], b.port, root)
		if bad[r.device] {
			write(t, r.path("worse-with"), "2026.11.2\n")
		}
		r.up()
		u := &updaters{b: r, env: append(os.Environ(), "PATH="+r.bin+":"+os.Getenv("PATH"))}
		all.Go(func() { u.run(ctx) })
		real[r.device] = r
	}
	for _, name := range names {
		if real[name] != nil {
			continue
		}
		v := &virtual{name: name, Box: updatetest.New(mqtt.Options{Topics: updatetest.Topics(name), Root: root, Facts: updatetest.Facts(),
			Now: func() (time.Time, bool) { return time.Now(), true }})}
		v.Took = 100 * time.Millisecond
		v.Ends = func(r string) string {
			if bad[name] && r == "2026.11.2" {
				return "UPD-HEALTH"
			}
			return ""
		}
		var err error
		v.client, err = v.Client()
		must(t, err)
		boxes[name] = v
		all.Go(func() { v.run(ctx, b.port) })
	}
	list := func() (l fleet.List) {
		must(t, json.Unmarshal([]byte(h.rollout(0, "list", "--json")), &l))
		return l
	}
	programs.WaitFor(t, 2*time.Minute, "all boxes are known", func() bool { l := list(); return l.Devices == fleetSize && l.Online == fleetSize })
	show := func(id string) (v fleet.View) {
		out, err := exec.Command(program("edge-hub"), "rollout", "show", id, "--json", "--config", h.file).Output()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) { // 3: it was aborted
			t.Fatalf("rollout show %s: %v: %s", id, err, out)
		}
		var a fleet.Answer
		must(t, json.Unmarshal(out, &a))
		if aborted := a.Rollout.State == rollout.Aborted; aborted != (err != nil) {
			t.Errorf("%s is %s: %v", id, a.Rollout.State, err)
		}
		return a.Rollout
	}

	// A good release reaches everybody.
	began := time.Now()
	spec := func(name, release string) string {
		return write(t, filepath.Join(dir, name), fmt.Sprintf(`release: %s
target: {product: [edgebox-2]}
waves:
  - {name: lab, devices: [%s, %s], soak: 1s}
  - {name: canary, percent: 10, min: 10, soak: 1s}
  - {name: all, percent: 100, max_in_flight: 15%%}
success: 90
abort: [{on: [ROLLED_BACK, FAILED, REJECTED, INCONSISTENT], percent: 4, min_finished: 40}]
`, release, byCohort[0], byCohort[1]))
	}
	h.create(spec("first.yaml", "2026.11.1"), fleetSize)
	programs.WaitFor(t, 4*time.Minute, "the good release is everywhere", func() bool { return show("R-1").State == rollout.Done })
	if v := show("R-1"); v.Done != fleetSize || v.By == "unknown" || v.By == "" {
		t.Fatalf("%+v", v)
	}
	t.Logf("a good release reached %d boxes in %v", fleetSize, time.Since(began).Round(100*time.Millisecond))

	began = time.Now()
	h.create(spec("second.yaml", "2026.11.2"), fleetSize)
	programs.WaitFor(t, 4*time.Minute, "the bad release is stopped", func() bool { v := show("R-2"); return v.State.Over() && v.Running == 0 })
	v := show("R-2")
	t.Logf("a release with 5 %% bad boxes: %s after %d done, %d failed, in %v: %s", v.State, v.Done, v.Failed, time.Since(began).Round(100*time.Millisecond), v.Reason)
	told := v.Done + v.Failed
	if v.State != rollout.Aborted || v.Wave != "all" || told < 40 || told > 40+fleetSize*15/100+2 {
		t.Errorf("%s in wave %s after %d boxes", v.State, v.Wave, told)
	}
	inForce := 0
	for _, name := range names {
		stable := ""
		if r := real[name]; r != nil {
			stable = r.updaterStatus().Stable
		} else {
			stable = boxes[name].Public().Stable
		}
		switch {
		case stable == "2026.11.2":
			inForce++
			if bad[name] {
				t.Errorf("%s is bad and kept the release", name)
			}
		case stable != "2026.11.1":
			t.Errorf("%s runs %q", name, stable)
		}
	}
	if inForce != v.Done {
		t.Errorf("%d boxes run the release, the hub knows of %d", inForce, v.Done)
	}
	for _, name := range byCohort {
		if r := real[name]; r != nil {
			t.Logf("%s (bad: %t): %d records, all delivered", name, bad[name], r.delivered(100))
		}
	}
	// Everybody can see who did what, and that nobody has changed it.
	h.rollout(0, "audit", "R-2")
	h.Stop()
	h.rollout(4, "list")
	h.up()
	if again := show("R-2"); again.State != rollout.Aborted || again.Done != v.Done {
		t.Errorf("after a restart: %+v", again)
	}
	h.Stop()
	run(t, 0, program("edge-hub"), "verify", "--config", h.file)
}
