package updates_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/edgelog/edgelog/agent/update/install"
	"github.com/edgelog/edgelog/ascend/standin"
	"github.com/edgelog/edgelog/hub/fleet"
	"github.com/edgelog/edgelog/hub/fleet/rollout"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/chips"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/fleetwire"
	"github.com/edgelog/edgelog/internal/release"
	"github.com/edgelog/edgelog/internal/trust/repo/repotest"
	"github.com/edgelog/edgelog/mcu/sim/target"
)

const images = "firmware/build/"

func image(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(shipped(images + name))
	if err != nil {
		t.Fatalf("%v (run make firmware)", err)
	}
	return b
}

// archive is that of a release's programs; note tells two of them apart.
func archive(t *testing.T, note string, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	must(t, err)
	w := tar.NewWriter(z)
	add := func(name string, data []byte) {
		must(t, w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeReg, Size: int64(len(data)), Mode: 0o755}))
		_, err := w.Write(data)
		must(t, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(program(name))
		must(t, err)
		add(name, data)
	}
	add("note", []byte(note))
	must(t, errors.Join(w.Close(), z.Close()))
	return b.Bytes()
}

// wholeBox is a box with everything that a release can change: programs, configuration of agent and worker, a model, a
// node with one slot for its image and a node with two.
type wholeBox struct {
	*realBox
	f       *repotest.Fleet
	lib     string
	one     *target.PTY // the node with one slot
	avr     *chips.AVR
	two     *chips.MCUboot
	port    int
	counter uint64
}

// content is what a release makes of the box.
type content struct {
	name    string
	one     []byte // flash of the node with one slot
	two     []byte // file of the node with two
	model   *standin.Model
	factor  float64 // what the model multiplies with
	version string  // of the nodes' images
	hexFile string
}

func contents(t *testing.T) (old, fresh content) {
	three := standin.Doubler(1)
	three.Ops[0].Params[0] = 3
	old = content{name: "old", version: "1.0.1", one: image(t, "node-avr.bin"), hexFile: "node-avr.hex", two: chips.Wrap(image(t, "node-stm32f4.bin"), 1, 0, 1), model: standin.Doubler(1), factor: 2}
	fresh = content{name: "fresh", version: "1.1.1", one: image(t, "node-avr-v2.bin"), hexFile: "node-avr-v2.hex", two: chips.Wrap(image(t, "node-stm32f4-v2.bin"), 1, 1, 1), model: three, factor: 3}
	return old, fresh
}

func newWholeBox(t *testing.T, dir string, port int, old, fresh content) *wholeBox {
	t.Helper()
	f := repotest.New(t, filepath.Join(dir, "releases"), time.Now())
	w := &wholeBox{f: f, port: port, avr: chips.NewAVR(t, shipped(images+"optiboot.elf"), shipped(images+"node-avr.elf"))}
	w.one = chips.Plug(t, w.avr)
	w.two = chips.NewMCUboot(t, old.two, map[string][]byte{shipped(images + "node-stm32f4.elf"): old.two, shipped(images + "node-stm32f4-v2.elf"): fresh.two})
	libs, err := standin.Cached(standin.Options{})
	must(t, err)
	w.lib = libs.ACL
	w.realBox = newRealBox(t, port, f.FactoryRoot())
	write(t, w.path("npu"), "")
	write(t, w.path("agent.yaml"), w.agent(port))
	write(t, w.path("product"), "product=edgebox-2\nsite=north\n")
	site := f.Component(release.Config, "config/site", "north-1", "sites/north.hall", strings.NewReader("hall 7\n"), false)
	overlay, err := json.Marshal(release.Manifest{Schema: 1, Release: "north-1", Counter: 1, Created: time.Now(), Components: []release.Component{site}})
	must(t, err)
	f.Add("sites/north.overlay-1.json", bytes.NewReader(overlay), false)
	return w
}

// agent is the configuration of the agent; nodes come before the rest, so that a broker elsewhere is all that differs.
func (w *wholeBox) agent(port int) string {
	return w.config(port) + fmt.Sprintf(`control: {producers: {edge-npu: {stream: events}}}
npu: {run_dir: %[1]s/npurun}
nodes:
  - {line: cellar, port: %[2]s, timeout: 2s, nodes: [{name: aquarium, unit: 247, flash: {protocol: stk500v1, enter: command}}]}
  - {line: roof, port: %[3]s, timeout: 2s, nodes: [{name: climate, unit: 247, flash: {protocol: smp, port: %[4]s}}]}
`, w.dir, w.one.Name, w.two.Modbus.Name, w.two.SMP.Name)
}

func (w *wholeBox) worker(c content) string {
	return fmt.Sprintf(`state_dir: %[1]s/npustate
run_dir: %[1]s/npurun
agent_run_dir: %[1]s/run
acl: %[2]s
dcmi: none
models:
  - {name: times, path: "release:model/times", version: "%[3]s", output: {kind: raw}, golden: {input: "release:config/sample", output: [%[4]g]}}
`, w.dir, w.lib, c.name, c.factor)
}

// release publishes one with all of it; agent is the configuration of the agent.
func (w *wholeBox) release(name string, c content, agent string, p release.Probation) {
	w.t.Helper()
	w.counter++
	add := func(kind release.Kind, component, version, path string, data []byte, order int, selector map[string][]string) release.Component {
		x := w.f.Component(kind, component, version, path+"-"+name, bytes.NewReader(data), len(data) > release.MaxUnindexed)
		x.Order, x.Selector = order, selector
		return x
	}
	two := add(release.Firmware, "node/climate", c.version, "firmware/climate", c.two, 11, map[string][]string{"node_type": {"climate"}})
	two.Revertable = true
	w.f.Release(release.Manifest{Release: name, Counter: w.counter, Compatible: map[string][]string{"product": {"edgebox-2"}}, Probation: p,
		Components: []release.Component{
			add(release.Firmware, "node/aquarium", c.version, "firmware/aquarium", image(w.t, c.hexFile), 10, map[string][]string{"node_type": {"aquarium"}, "chip": {"ATmega328P"}}),
			two,
			add(release.Config, "config/base", name, "config/base", []byte(agent), 20, nil),
			add(release.Config, "config/npu", name, "config/npu", []byte(w.worker(c)), 21, nil),
			add(release.Config, "config/sample", name, "config/sample", []byte{0, 0, 128, 63}, 22, nil), // 1, as a float
			add(release.Model, "model/times", name, "models/times", c.model.Bytes(), 30, nil),
			add(release.Agent, "agent", name, "agent/programs", archive(w.t, name, "edge-agent", "edge-npu"), 90, nil)}})
	w.f.Publish()
}

// is tells why the box is not wholly what a content makes of it; trial: the node with two slots runs its image on trial.
func (w *wholeBox) is(c content, trial bool) string {
	flashed := false
	w.one.Do(func(target.Chip) { flashed = bytes.Equal(w.avr.C.Flash()[:len(c.one)], c.one) })
	if !flashed {
		return "the node with one slot has another image than the " + c.name + " one"
	}
	if runs, kept := w.two.Holds(c.two); !runs || kept == trial {
		return fmt.Sprintf("the node with two slots: runs the %s image: %t, keeps it: %t", c.name, runs, kept)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := api.NewNPUClient(w.path("npurun")).Status(ctx)
	if err != nil {
		return err.Error()
	}
	if len(s.Models) != 1 || s.Models[0].State != "ready" || s.Models[0].Version != c.name || s.Models[0].SelfTest != "passed" {
		return fmt.Sprintf("models %+v", s.Models)
	}
	got, err := api.NewNPUClient(w.path("npurun")).Infer(ctx, "times", "", []byte{0, 0, 128, 63})
	if err != nil {
		return err.Error()
	}
	var result struct{ Values []float64 }
	if err := json.Unmarshal(got.Result, &result); err != nil || len(result.Values) != 1 || result.Values[0] != c.factor {
		return fmt.Sprintf("the model says %s, %v", got.Result, err)
	}
	all, err := w.api.Nodes(ctx)
	if err != nil {
		return err.Error()
	}
	for _, l := range all.Lines {
		for _, n := range l.Nodes {
			if n.State != api.NodeOnline || n.Version != c.version {
				return fmt.Sprintf("node %s is %s with %q", n.Name, n.State, n.Version)
			}
		}
	}
	return ""
}

func (w *wholeBox) becomes(limit time.Duration, what string, c content, trial bool) {
	w.t.Helper()
	why := ""
	for end := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		if why = w.is(c, trial); why == "" {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("not within %v: %s: %s", limit, what, why)
		}
	}
}

// runsFrom tells whether agent and worker run programs of a release.
func (w *wholeBox) runsFrom(release string) error {
	for _, p := range []string{"edge-agent", "edge-npu"} {
		pid, err := os.ReadFile(w.path("pid." + p))
		if err != nil {
			return err
		}
		exe, err := os.Readlink("/proc/" + strings.TrimSpace(string(pid)) + "/exe")
		if err != nil {
			return err
		}
		want, err := filepath.EvalSymlinks(w.path("edge/releases", release, "agent/bin", p))
		if err != nil {
			return err
		}
		if exe != want {
			return fmt.Errorf("%s runs %s, want %s", p, exe, want)
		}
	}
	return nil
}

// TestWholeRelease: programs, configuration, some of it of the box's site, a model and the images of two nodes come in one release over a real broker. A
// release that does worse is rolled back with all of them, the next one is kept with all of them. The nodes are simulated
// chips that run the real images; the one with two slots stays on trial until the decision. The NPU is a stand-in.
func TestWholeRelease(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := t.TempDir()
	m := newMosquitto(t, dir)
	old, fresh := contents(t)
	w := newWholeBox(t, dir, m.port, old, fresh)
	checks := []string{"ingest", "acks", "nodes", "npu"}
	good := release.Probation{SoakSeconds: 2, DeadlineSeconds: 400, Checks: checks}
	w.release("2026.11.1", old, w.agent(m.port)+"log: {level: info}\n", good)
	h := newHub(t, dir, m.port, w.f.Dir)
	w.up()
	r := 0
	rollOut := func(name string) {
		t.Helper()
		programs.WaitFor(t, 2*time.Minute, "the box is online", func() bool {
			var l fleet.List
			must(t, json.Unmarshal([]byte(h.rollout(0, "list", "--json")), &l))
			return l.Online == 1
		})
		r++
		h.create(write(t, filepath.Join(dir, name+".yaml"), fmt.Sprintf("release: %s\nwaves: [{name: all, percent: 100}]\n", name)), 1)
		programs.WaitFor(t, 4*time.Minute, name+" is staged", w.requested)
	}
	told := func(s fleetwire.State) {
		t.Helper()
		programs.WaitFor(t, 3*time.Minute, "the hub knows that it is "+string(s), func() bool {
			var a fleet.Answer
			must(t, json.Unmarshal([]byte(h.rollout(0, "show", fmt.Sprintf("R-%d", r), "--json")), &a))
			return len(a.Rollout.Jobs) == 1 && a.Rollout.Jobs[0].State == rollout.JobState(s)
		})
	}

	rollOut("2026.11.1")
	if out := w.updater(0); !strings.Contains(out, "release 2026.11.1 is in force") {
		t.Fatal(out)
	}
	w.becomes(5*time.Minute, "the first release", old, false)
	must(t, w.runsFrom("2026.11.1"))
	told(fleetwire.Committed)

	// The configuration leads to a broker that is not there, so that the hub's answers stop: all goes back.
	w.release("2026.11.2", fresh, w.agent(1), release.Probation{SoakSeconds: 2, DeadlineSeconds: 60, Checks: checks})
	rollOut("2026.11.2")
	ended := make(chan string, 1)
	go func() { ended <- w.updater(3) }()
	w.becomes(5*time.Minute, "in probation all is new, and the node with two slots on trial", fresh, true)
	must(t, w.runsFrom("2026.11.2"))
	if out := <-ended; !strings.Contains(out, install.Unwell) || !strings.Contains(out, "acks") || strings.Contains(out, "needs a person") {
		t.Fatal(out)
	}
	w.becomes(5*time.Minute, "all is old again", old, false)
	must(t, w.runsFrom("2026.11.1"))
	told(fleetwire.RolledBack)

	w.release("2026.11.3", fresh, w.agent(m.port), good)
	rollOut("2026.11.3")
	if out := w.updater(0); !strings.Contains(out, "release 2026.11.3 is in force") {
		t.Fatal(out)
	}
	w.becomes(5*time.Minute, "all is new, and kept", fresh, false)
	must(t, w.runsFrom("2026.11.3"))
	if hall, err := os.ReadFile(w.path("edge/stable/config/site")); err != nil || string(hall) != "hall 7\n" {
		t.Errorf("the overlay of the site: %q, %v", hall, err)
	}
	told(fleetwire.Committed)
	w.killProgram("edge-npu")
}
