package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/internal/e2e/servers"
	"github.com/edgelog/edgelog/internal/vfs"
)

var runStores = flag.Bool("stores", false, "run TestStormPostgres and TestStormKafka (make test-stores)")

// storeStorm kills agent, hub, broker and the store's server at random moments, and compares the agent's log with what
// programs that are not ours find in the store.
func storeStorm(t *testing.T, engineYAML string, killEngine func(), read func(device, stream string) []string) {
	t.Helper()
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	hub := newHub(t, dir, b, "")
	text, err := os.ReadFile(hub.file)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(text), "  sqlite: "+hub.db+"\n", engineYAML, 1)
	if err := os.WriteFile(hub.file, []byte(with), 0o644); err != nil {
		t.Fatal(err)
	}
	x := newBox(t, dir, b, boxOptions{device: "box-1", data: filepath.Join(dir, "agent"), extra: witnessYAML + stormStreams,
		sources: hostSource + syntheticSource("load", 20, 200)})
	hub.Start()
	x.up()
	rng, s := stormRand(t)
	n := min(*rounds, 8)
	if *rounds > 40 {
		n = *rounds
	}
	t.Logf("seed %d, %d rounds", s, n)
	w := &witness{x: x, incarnation: uint64(s) | 1}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx, 20*time.Millisecond) })
	st := &storm{t: t, rng: rng, b: b, hub: hub, x: x, fill: func() {}, free: func() {}, count: map[string]int{}}
	for i := 0; i < n && !t.Failed(); i++ {
		if i%4 == 1 {
			st.pause(100*time.Millisecond, 900*time.Millisecond)
			st.count["kill store"]++
			killEngine()
			continue
		}
		st.round()
	}
	st.calm()
	time.Sleep(time.Second)
	stop()
	wg.Wait()
	if acc := x.quiet(b, 2*time.Minute); !acc.Balanced {
		t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	acked, resent := w.count()
	t.Logf("faults: %v; witness: %d acknowledged, %d resends recognised", st.count, acked, resent)
	x.Stop()
	t.Logf("edge-hub account: %s", run(t, filepath.Join(bin, "edge-hub"), "account", "--config", hub.file))
	out, _ := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", hub.file)
	if !strings.Contains(out, "ENGINE ") || !strings.Contains(out, "transactions") {
		t.Errorf("status does not tell of the engine:\n%s", out)
	}
	hub.Stop()
	compareWith(t, x, read)
}

// compareWith demands the same observations, each once, in the log and in the store.
func compareWith(t *testing.T, x *box, read func(device, stream string) []string) {
	t.Helper()
	set, err := buffer.OpenReadOnly(t.Context(), vfs.OS{}, filepath.Join(x.data, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	total := 0
	for _, l := range set.Logs() {
		want, got := logLines(t, l), read(x.device, l.Name())
		byPlace := func(lines []string) {
			sort.SliceStable(lines, func(i, j int) bool { return place(lines[i]) < place(lines[j]) })
		}
		byPlace(want)
		byPlace(got)
		if len(got) != len(want) {
			t.Errorf("stream %s: the log has %d observations, the store %d", l.Name(), len(want), len(got))
		}
		for i := range min(len(got), len(want)) {
			if !sameLine(got[i], want[i]) {
				t.Fatalf("stream %s, observation %d:\n log   %s\n store %s", l.Name(), i, want[i], got[i])
			}
		}
		total += len(want)
	}
	if total == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%d observations are the same in the log and in the store, each once", total)
}

// place sorts by epoch and offset.
func place(line string) string {
	f := strings.SplitN(line, "|", 3)
	return fmt.Sprintf("%s|%20s", f[0], f[1])
}

// sortedLabels writes labels as the log's lines do.
func sortedLabels(t *testing.T, b []byte) string {
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("labels %s: %v", b, err)
	}
	out, _ := json.Marshal(m) // of strings: never fails
	return string(out)
}

func TestStormPostgres(t *testing.T) {
	if !*runStores {
		t.Skip("make test-stores runs it")
	}
	pg, err := servers.StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	storeStorm(t, "  postgres:\n    url: "+pg.URL()+"\n", func() {
		pg.Kill()
		time.Sleep(300 * time.Millisecond)
		if err := pg.Start(); err != nil {
			t.Error(err)
		}
	}, func(device, stream string) (lines []string) {
		out, err := pg.Query(fmt.Sprintf(`SELECT epoch, record_offset, series, labels, coalesce(text, value::text, ''), quality
			FROM edgelog.readings WHERE device = '%s' AND stream = '%s'`, device, stream))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(out, "\n") {
			if f := strings.Split(l, "|"); len(f) == 6 {
				lines = append(lines, strings.Join([]string{f[0], f[1], f[2] + sortedLabels(t, []byte(f[3])), f[4], f[5]}, "|"))
			} else if l != "" {
				t.Fatalf("psql says %s", l)
			}
		}
		return lines
	})
}

func TestStormKafka(t *testing.T) {
	if !*runStores {
		t.Skip("make test-stores runs it")
	}
	k, err := servers.StartKafka(1)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	broker := k.Brokers()[0]
	storeStorm(t, "  kafka:\n    brokers: ['"+broker+"']\n    shards: 2\n    partitions: 2\n    transaction_timeout: 6s\n", func() {
		k.Nodes[0].Kill()
		if err := k.Nodes[0].Start(); err != nil {
			t.Error(err)
		}
	}, func(device, stream string) []string { return kcatLines(t, broker, device, stream) })
}

// kcatLines is what kcat reads of a stream.
func kcatLines(t *testing.T, broker, device, stream string) (lines []string) {
	t.Helper()
	topics, err := exec.Command("kcat", "-L", "-b", broker).CombinedOutput()
	if err != nil {
		t.Fatalf("kcat: %v\n%s", err, topics)
	}
	for _, topic := range []string{"edge." + stream, "edge." + stream + ".late"} {
		if !strings.Contains(string(topics), `"`+topic+`"`) {
			continue // of a stream that never had any
		}
		out, err := exec.Command("kcat", "-C", "-q", "-e", "-b", broker, "-t", topic, "-o", "beginning", "-X", "isolation.level=read_committed").Output()
		if err != nil {
			t.Fatalf("kcat %s: %v", topic, err)
		}
		lines = append(lines, kafkaLines(t, device, string(out))...)
	}
	return lines
}

// TestStormDirect has no hub: the agent writes to Kafka itself, and both are killed.
func TestStormDirect(t *testing.T) {
	if !*runStores {
		t.Skip("make test-stores runs it")
	}
	k, err := servers.StartKafka(1)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	dir := t.TempDir()
	b := newBroker(t, dir, "box-1")
	x := newBox(t, dir, b, boxOptions{device: "box-1", data: filepath.Join(dir, "agent"), extra: witnessYAML + stormStreams,
		sources: hostSource + syntheticSource("load", 20, 200),
		whole:   "uplink:\n  kafka:\n    brokers: ['" + k.Brokers()[0] + "']\n    partitions: 2\n"})
	x.up()
	rng, s := stormRand(t)
	t.Logf("seed %d", s)
	for i := range 6 {
		time.Sleep(time.Duration(300+rng.IntN(1500)) * time.Millisecond)
		if i == 3 {
			k.Nodes[0].Kill()
			if err := k.Nodes[0].Start(); err != nil {
				t.Error(err)
			}
			continue
		}
		x.Kill()
		x.up()
	}
	if acc := x.quiet(b, 2*time.Minute); !acc.Balanced {
		t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	x.Stop()
	compareWith(t, x, func(device, stream string) []string { return kcatLines(t, k.Brokers()[0], device, stream) })
}

// kafkaLines turns rows in JSON into lines as the log's; within an epoch they must come in order.
func kafkaLines(t *testing.T, device, out string) (lines []string) {
	last := map[string]int64{}
	for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
		var r struct {
			Device, Epoch, Series, Quality string
			Offset                         int64
			Labels                         json.RawMessage
			Value                          json.RawMessage
		}
		if l == "" {
			continue
		}
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("row %s: %v", l, err)
		}
		if before, ok := last[r.Epoch]; ok && r.Offset <= before {
			t.Errorf("epoch %s: offset %d after %d", r.Epoch, r.Offset, before)
		}
		last[r.Epoch] = r.Offset
		if r.Device != device || r.Series == "" {
			continue
		}
		value := string(r.Value)
		var s string
		if value == "null" {
			value = ""
		} else if json.Unmarshal(r.Value, &s) == nil {
			value = s
		}
		lines = append(lines, fmt.Sprintf("%s|%d|%s|%s|%s", r.Epoch, r.Offset, r.Series+sortedLabels(t, r.Labels), value, r.Quality))
	}
	return lines
}
