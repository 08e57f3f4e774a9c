package updates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update"
	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
)

var (
	stormRounds = flag.Int("storm-rounds", 3, "releases in TestKilled")
	stormSeed   = flag.Uint64("storm-seed", 0, "of the kills; 0 picks one and prints it")
)

// updaters stands in for edge-update.path, edge-update.service and edge-updater.service: it starts edge-updater for each
// request, and again for what one that was killed had begun.
type updaters struct {
	b   *realBox
	env []string

	mu  sync.Mutex // guards cmd
	cmd *exec.Cmd
}

func (u *updaters) run(ctx context.Context) {
	again := false
	for ctx.Err() == nil {
		if !again && !u.b.requested() {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		verb := []string{"request", "--from", u.b.path("data/update")}
		if again {
			verb = []string{"resume"}
		}
		cmd := exec.CommandContext(ctx, program("edge-updater"), append(verb, "--root", u.b.path("edge"), "--state", u.b.path("updater"),
			"--run-dir", u.b.path("run"), "--npu-dir", u.b.path("npurun"), "--orders", u.b.path("data/update/orders.json"),
			"--trust", u.b.path("root.json"), "--product", u.b.path("product"))...)
		cmd.Env = u.env
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		u.mu.Lock()
		err := cmd.Start()
		u.cmd = cmd
		u.mu.Unlock()
		if err == nil {
			err = cmd.Wait()
		}
		var exit *exec.ExitError
		again = errors.As(err, &exit) && (!exit.Exited() || exit.ExitCode() == 1)
		f, ferr := os.OpenFile(u.b.path("edge-updater.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if ferr == nil {
			fmt.Fprintf(f, "--- %s: %v\n%s", verb[0], err, said.String())
			f.Close()
		}
		if again {
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// kill ends the updater that is at work; false if none is.
func (u *updaters) kill() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cmd != nil && u.cmd.ProcessState == nil && u.cmd.Process.Signal(syscall.SIGKILL) == nil
}

// updaterStatus is what edge-updater says of itself.
func (b *realBox) updaterStatus() update.Report {
	b.t.Helper()
	out, err := exec.Command(program("edge-updater"), "status", "--json", "--root", b.path("edge"), "--state", b.path("updater"),
		"--trust", b.path("root.json"), "--product", b.path("product")).Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) {
		b.t.Fatalf("edge-updater status: %v\n%s", err, out)
	}
	var r update.Report
	must(b.t, json.Unmarshal(out, &r))
	return r
}

// TestKilled: releases, good and bad, go to a real agent through a real Mosquitto, while agent, updater, hub and broker are
// killed at seeded moments from the order to the end. Each ends on exactly the old or the new release, the hub is told the
// truth, a bad one is never kept, and at the end every reading is at the hub once.
func TestKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	seed := *stormSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-storm-seed %d", seed)
	dir := t.TempDir()
	f := repotest.New(t, filepath.Join(dir, "releases"), time.Now())
	m := newMosquitto(t, dir)
	b := newRealBox(t, m.port, f.FactoryRoot())
	f.Publish()
	h := newHub(t, dir, m.port, f.Dir)
	b.up()
	ctx, stop := context.WithCancel(t.Context())
	u := &updaters{b: b, env: append(os.Environ(), "PATH="+b.bin+":"+os.Getenv("PATH"))}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() { u.run(ctx) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- last of the updater\n%s", programs.Tail(b.path("edge-updater.log"), 40))
		}
	})

	inForce, kept, ends, kills := "", 0, map[fleetwire.State]int{}, map[string]int{}
	for round := 1; round <= *stormRounds; round++ {
		rnd := rand.New(rand.NewPCG(seed, uint64(round)))
		bad := rnd.IntN(3) == 0
		name := fmt.Sprintf("2026.12.%d", round)
		config := b.config(m.port) + "# " + name + "\n"
		if bad {
			config = b.config(1)
		}
		content := make([]byte, 1<<20+rnd.IntN(2<<20))
		rand.NewChaCha8([32]byte{byte(round), byte(seed)}).Read(content)
		f.Release(release.Manifest{Release: name, Counter: uint64(round), Compatible: map[string][]string{"product": {"edgebox-2"}},
			Probation: release.Probation{SoakSeconds: 1, DeadlineSeconds: 60, Checks: []string{"ingest", "acks"}},
			Components: []release.Component{f.Component(release.Config, "config/base", name, "config/"+name+".yaml", strings.NewReader(config), false),
				f.Component(release.Model, "model/ballast", name, "models/"+name, bytes.NewReader(content), true)}})
		f.Publish()
		show := func() fleet.View {
			var a fleet.Answer
			out, err := exec.Command(program("edge-hub"), "rollout", "show", fmt.Sprintf("R-%d", round), "--json", "--config", h.file).Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) || json.Unmarshal(out, &a) != nil {
				return fleet.View{}
			}
			return a.Rollout
		}
		h.create(write(t, filepath.Join(dir, name+".yaml"), fmt.Sprintf("release: %s\nwaves: [{name: all, percent: 100}]\nmax_rate: 2MiB\nsuccess: 0\n", name)), 1)
		for range 1 + rnd.IntN(4) {
			time.Sleep(time.Duration(rnd.IntN(4000)) * time.Millisecond)
			switch what := rnd.IntN(5); what {
			case 0, 1:
				if u.kill() {
					kills["updater"]++
				}
			case 2:
				b.kill()
				kills["agent"]++
				time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
				b.systemctl("crashed", "edge-agent")
			case 3:
				h.Kill()
				kills["hub"]++
				time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
				h.up()
			default:
				m.Kill()
				kills["broker"]++
				time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
				m.up()
			}
		}
		var told fleetwire.State
		programs.WaitFor(t, 10*time.Minute, fmt.Sprintf("round %d (bad: %t): the hub is told how %s ended", round, bad, name), func() bool {
			if v := show(); len(v.Jobs) == 1 {
				told = fleetwire.State(v.Jobs[0].State)
			}
			return told.Terminal()
		})
		programs.WaitFor(t, 5*time.Minute, "the updater has ended", func() bool { return b.updaterStatus().Journal.Txn.State.Terminal() })
		r := b.updaterStatus()
		ends[told]++
		want := inForce
		if told == fleetwire.Committed {
			want = name
			kept++
		}
		switch {
		case bad && told == fleetwire.Committed:
			t.Fatalf("round %d: a release that leads nowhere was kept", round)
		case r.Stable != want || r.Candidate != "":
			t.Fatalf("round %d: the hub was told %s, %q is in force, want %q; candidate %q", round, told, r.Stable, want, r.Candidate)
		case told == fleetwire.Committed && r.Journal.Txn.State != install.Committed:
			t.Fatalf("round %d: the hub was told %s, the journal says %s", round, told, r.Journal.Txn.State)
		}
		inForce = want
		if inForce != "" {
			programs.WaitFor(t, 5*time.Minute, "the agent runs with the configuration in force", func() bool {
				s := b.status()
				return s != nil && strings.Contains(s.Config, "/edge/stable/")
			})
		}
		t.Logf("round %d (bad: %t): %s, %q is in force; %s", round, bad, told, inForce, r.Journal.Txn.Reason)
	}
	t.Logf("%d kept, ends %v, kills %v", kept, ends, kills)
	stop()
	parts.Wait()
	b.balance(h, 200)
}
