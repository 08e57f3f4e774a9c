package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
)

var benchRate = flag.Float64("bench-rate", 300_000, "samples per second that TestBench offers")

// TestBench measures the whole path on this machine: agent and hub as processes, a real Mosquitto, TLS, the load from
// a source behind drivers.Sensor, every sample durable at the agent before it is sent. It prints bench lines.
func TestBench(t *testing.T) {
	if !*runBench {
		return // measured on demand: make bench-e2e
	}
	t.Run("throughput", benchThroughput)
	t.Run("slow", benchSlow)
	t.Run("latency", benchLatency)
	t.Run("idle", benchIdle)
}

func bench(name string, value float64, unit string) {
	fmt.Printf("bench %s %.4g %s\n", name, value, unit)
}

// direct makes the box talk to the broker itself: a proxy in between would take its share of two cores.
func direct(x *box, b *broker) {
	b2, err := os.ReadFile(x.file)
	if err != nil {
		x.t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b2), fmt.Sprintf("127.0.0.1:%d", x.link.Port()), fmt.Sprintf("127.0.0.1:%d", b.port))
	if err := os.WriteFile(x.file, []byte(text), 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// usage is what a process has used since it started.
type usage struct {
	cpu     float64 // s
	written int64   // bytes to the device
	rss     float64 // MiB now
	peak    float64 // MiB
}

func usageOf(t testing.TB, pid int) usage {
	t.Helper()
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		u.cpu += n / 100 // USER_HZ
	}
	u.written = int64(procValue(t, pid, "io", "write_bytes"))
	u.rss = procValue(t, pid, "status", "VmRSS") / 1024
	u.peak = procValue(t, pid, "status", "VmHWM") / 1024
	return u
}

func procValue(t testing.TB, pid int, file, key string) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			v, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("/proc/%d/%s has no %s", pid, file, key)
	return 0
}

// shell is one sqlite3 process that answers queries without being started for each.
type shell struct {
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

func newShell(t testing.TB, db string) *shell {
	t.Helper()
	cmd := exec.Command("sqlite3", "-readonly", "-batch", db)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &shell{t, in, bufio.NewReader(out)}
}

func (s *shell) number(sql string) float64 {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, sql+";"); err != nil {
		s.t.Fatal(err)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return 0
	}
	v, err := strconv.ParseFloat(line, 64)
	if err != nil {
		s.t.Fatalf("%s: %q", sql, line)
	}
	return v
}

const committed = "SELECT coalesce(sum(rows), 0) FROM positions"

// wire is what the agent's connection has carried, both ways: MQTT packets with topics, inside TLS.
func wireBytes(t testing.TB, x *box) float64 {
	t.Helper()
	s, err := x.status()
	if err != nil {
		t.Fatal(err)
	}
	return float64(s.Uplink.SentBytes + s.Uplink.ReceivedBytes)
}

type rig struct {
	b   *broker
	hub *receiver
	x   *box
	sh  *shell
}

func newRig(t *testing.T, o boxOptions) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{}
	o.device = "bench-1"
	r.b = newBroker(t, dir, o.device)
	r.hub = newHub(t, dir, r.b, "")
	r.hub.Start()
	r.x = newBox(t, dir, r.b, o)
	direct(r.x, r.b)
	r.x.up()
	waitFor(t, 20*time.Second, "the hub's store", func() bool { return exists(r.hub.db) })
	r.sh = newShell(t, r.hub.db)
	waitFor(t, 30*time.Second, "first rows", func() bool {
		s, err := r.x.status()
		return err == nil && s.Uplink.State == api.UplinkOnline && r.sh.number(committed) > 0
	})
	return r
}

func benchThroughput(t *testing.T) {
	r := newRig(t, boxOptions{sources: syntheticSource("load", 3000, *benchRate)})
	time.Sleep(5 * time.Second) // steady state
	agent, hub, rows, wire, at := usageOf(t, r.x.PID()), usageOf(t, r.hub.PID()), r.sh.number(committed), wireBytes(t, r.x), time.Now()
	time.Sleep(*benchFor)
	took := time.Since(at).Seconds()
	agent2, hub2, wire2 := usageOf(t, r.x.PID()), usageOf(t, r.hub.PID()), wireBytes(t, r.x)
	n := r.sh.number(committed) - rows
	bench("e2e_samples_per_s", n/took, "1/s")
	bench("e2e_agent_cpu_s_per_million", (agent2.cpu-agent.cpu)/n*1e6, "s")
	bench("e2e_hub_cpu_s_per_million", (hub2.cpu-hub.cpu)/n*1e6, "s")
	bench("e2e_agent_disk_bytes_per_sample", float64(agent2.written-agent.written)/n, "B")
	bench("e2e_hub_disk_bytes_per_sample", float64(hub2.written-hub.written)/n, "B")
	bench("e2e_wire_bytes_per_sample", (wire2-wire)/n, "B")
	s, err := r.x.status()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("backlog %d, missed %v, hub rss %.0f MiB (peak %.0f)", s.Streams[0].Buffered, s.Sources.MissedFor, hub2.rss, hub2.peak)
	r.b.Kill() // link down: the backlog grows, then drains
	time.Sleep(min(15*time.Second, *benchFor/2))
	r.b.Start()
	time.Sleep(min(15*time.Second, *benchFor/2))
	bench("agent_rss_load_mib", usageOf(t, r.x.PID()).peak, "MiB")
}

// benchSlow is 100 series at 1 Hz with commits of 1 s: what a small box costs on the wire. Latest values are a view
// beside the delivery (one JSON message a minute by default) and are switched off.
func benchSlow(t *testing.T) {
	r := newRig(t, boxOptions{sources: syntheticSource("load", 100, 100), extra: "streams:\n  telemetry: {commit_interval: 1s}\n",
		uplink: "    values: 0s\n"})
	time.Sleep(3 * time.Second)
	rows, wire := r.sh.number(committed), wireBytes(t, r.x)
	time.Sleep(min(20*time.Second, *benchFor))
	rows2, wire2 := r.sh.number(committed), wireBytes(t, r.x)
	bench("e2e_wire_bytes_per_sample_1s", (wire2-wire)/(rows2-rows), "B")
}

// benchLatency takes the time from the moment when a sample is durable at the agent (its producer is answered) to the
// moment when a reader of the store sees it, under 1,000 samples/s in the same stream.
func benchLatency(t *testing.T) {
	r := newRig(t, boxOptions{sources: syntheticSource("load", 100, 1000),
		extra: "streams:\n  telemetry: {commit_interval: 100ms}\ncontrol:\n  producers:\n    probe: {stream: telemetry}\n"})
	time.Sleep(2 * time.Second)
	var took []float64
	end := time.Now().Add(min(20*time.Second, *benchFor))
	for seq := uint64(1); time.Now().Before(end); seq++ {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := r.x.api.Ingest(ctx, "probe", api.IngestRequest{Incarnation: 7, Sequence: seq,
			Records: []api.IngestRecord{{Name: "probe", Type: "int", Value: json.RawMessage(fmt.Sprint(seq))}}})
		cancel()
		durable := time.Now()
		if err != nil {
			t.Fatal(err)
		}
		for r.sh.number("SELECT coalesce(max(sequence), 0) FROM producer WHERE name = 'probe'") < float64(seq) {
			if time.Since(durable) > 10*time.Second {
				t.Fatalf("message %d is not in the store 10 s after it was durable", seq)
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, float64(time.Since(durable).Microseconds())/1000)
		time.Sleep(13 * time.Millisecond)
	}
	slices.Sort(took)
	t.Logf("%d probes, median %.1f ms", len(took), took[len(took)/2])
	bench("e2e_latency_p99_ms", took[len(took)*99/100], "ms")
}

func benchIdle(t *testing.T) {
	dir := t.TempDir()
	b := newBroker(t, dir, "bench-1")
	x := newBox(t, dir, b, boxOptions{device: "bench-1", sources: hostSource})
	x.up()
	time.Sleep(min(15*time.Second, *benchFor))
	bench("agent_rss_idle_mib", usageOf(t, x.PID()).rss, "MiB")
}
