package stores

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

var runCluster = flag.Bool("kafka-cluster", false, "run TestKafkaCluster: three brokers")

// seen is what a consumer has seen of one device: offsets must come once, in order.
type seen struct {
	t    *testing.T
	who  string
	next map[string]record.Offset
	rows int
	bad  int
}

func newSeen(t *testing.T, who string) *seen {
	return &seen{t: t, who: who, next: map[string]record.Offset{}}
}

func (s *seen) row(device string, offset, value int64) {
	s.rows++
	if want := s.next[device]; record.Offset(offset) != want || value != offset*3 {
		if s.bad++; s.bad < 10 {
			s.t.Errorf("%s: of %s came offset %d with value %d, want offset %d with value %d", s.who, device, offset, value, want, int64(want)*3)
		}
	}
	s.next[device] = record.Offset(offset) + 1
}

func (s *seen) check(devices []*device) {
	s.t.Helper()
	for _, d := range devices {
		if s.next[d.name] != d.next {
			s.t.Errorf("%s saw %d records of %s, the store has %d", s.who, s.next[d.name], d.name, d.next)
		}
	}
	s.t.Logf("%s saw %d records, each once and in order", s.who, s.rows)
}

// checkKafka reads the topic with a consumer of ours, with kcat and, where they are asked for, with kafka-python.
func checkKafka(t *testing.T, k *servers.Kafka, prefix string, devices []*device, python bool) {
	t.Helper()
	topic := prefix + ".telemetry"
	total := 0
	for _, d := range devices {
		total += int(d.next)
	}
	go1 := newSeen(t, "a read_committed consumer (franz-go)")
	consume(t, k.Brokers(), topic, total, go1)
	go1.check(devices)

	kc := newSeen(t, "kcat")
	path, err := exec.LookPath("kcat")
	if err != nil {
		t.Fatal("kcat is not installed: deploy/bootstrap/setup.sh stores installs it")
	}
	external(t, kc, exec.Command(path, "-C", "-q", "-e", "-b", strings.Join(k.Brokers(), ","), "-t", topic, "-o", "beginning",
		"-X", "isolation.level=read_committed", "-f", `%k %s\n`))
	kc.check(devices)
	if python {
		py := newSeen(t, "kafka-python")
		external(t, py, exec.Command(pythonWithKafka(t), "testdata/consume.py", strings.Join(k.Brokers(), ","), topic))
		py.check(devices)
		console := newSeen(t, "Kafka's console consumer")
		external(t, console, k.Java("256m", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", strings.Join(k.Brokers(), ","), "--topic", topic,
			"--from-beginning", "--isolation-level", "read_committed", "--formatter-property", "print.key=true", "--formatter-property", "key.separator= ",
			"--max-messages", strconv.Itoa(total), "--timeout-ms", "30000"))
		console.check(devices)
	}
}

func consume(t *testing.T, brokers []string, topic string, total int, s *seen) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	quiet := time.Duration(0)
	for s.rows < total || quiet < 2*time.Second { // a while longer: nothing may come twice
		poll, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		f := c.PollFetches(poll)
		stop()
		if ctx.Err() != nil {
			t.Errorf("%s: %d of %d records within a minute", s.who, s.rows, total)
			return
		}
		if f.NumRecords() == 0 {
			quiet += 500 * time.Millisecond
			continue
		}
		quiet = 0
		f.EachRecord(func(r *kgo.Record) { s.value(string(r.Key), r.Value) })
	}
}

// value takes a row in JSON.
func (s *seen) value(key string, b []byte) {
	var v struct {
		Device string
		Offset int64
		Value  int64
		Series string
	}
	if err := json.Unmarshal(b, &v); err != nil || v.Device != key || v.Series != "count" {
		s.t.Errorf("%s: key %s, value %s: %v", s.who, key, b, err)
		return
	}
	s.row(v.Device, v.Offset, v.Value)
}

// external reads lines "KEY VALUE" of another program.
func external(t *testing.T, s *seen, cmd *exec.Cmd) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		s.value(key, []byte(value))
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", s.who, err, stderr.String())
	}
}

const kafkaPython = "kafka-python[zstd]==3.0.12"

// pythonWithKafka is a Python with that package, in an environment of its own in the user's cache.
func pythonWithKafka(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "edgelog", "kafka-python-zstd")
	python := filepath.Join(dir, "bin", "python3")
	if exec.Command(python, "-c", "import kafka, zstandard").Run() == nil {
		return python
	}
	for _, cmd := range [][]string{{"python3", "-m", "venv", dir}, {python, "-m", "pip", "install", "-q", kafkaPython}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	return python
}

// TestKafkaKilled kills the one broker again and again under load.
func TestKafkaKilled(t *testing.T) {
	k := kafkaServer(t)
	prefix := newPrefix()
	s := openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: prefix, TransactionTimeout: 6 * time.Second})
	defer s.Close()
	n := *rounds
	*rounds = min(n, 2) // each takes a start of the broker
	defer func() { *rounds = n }()
	devices := campaign(t, 8, s, func(rng *rand.Rand, _ *load) string {
		k.Nodes[0].Kill()
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
		if err := k.Nodes[0].Start(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		return "kill -9"
	})
	checkKafka(t, k, prefix, devices, false)
	t.Logf("ends of transactions that the broker lost: %d; %+v", k.LostEnds(), s.Health())
}

// TestKafkaCluster kills brokers of three, leaders and coordinators among them, and stops one for a while.
func TestKafkaCluster(t *testing.T) {
	if !*runCluster {
		t.Skip("long: make test-kafka-cluster runs it")
	}
	k, err := servers.StartKafka(3)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	prefix := newPrefix()
	s := openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: prefix, Shards: 4, Partitions: 6, ReplicationFactor: 3, TransactionTimeout: 10 * time.Second})
	defer s.Close()
	devices := campaign(t, 12, s, func(rng *rand.Rand, l *load) string {
		node := k.Nodes[rng.IntN(len(k.Nodes))]
		fault := []string{"kill -9 of a broker", "stop of a broker", "broker stands still", "kill -9 of two brokers"}[rng.IntN(4)]
		pause := time.Duration(200+rng.IntN(3000)) * time.Millisecond
		start := func(n *servers.KafkaNode) {
			if err := n.Start(); err != nil {
				t.Error(err)
			}
		}
		switch fault {
		case "kill -9 of a broker":
			node.Kill()
			time.Sleep(pause)
			start(node)
		case "stop of a broker":
			node.Stop()
			time.Sleep(pause)
			start(node)
		case "broker stands still":
			node.Pause()
			time.Sleep(2 * pause)
			node.Resume()
		case "kill -9 of two brokers":
			other := k.Nodes[node.ID%len(k.Nodes)]
			node.Kill()
			other.Kill()
			time.Sleep(pause)
			start(node)
			start(other)
		}
		before := l.commits.Load()
		for end := time.Now().Add(90 * time.Second); l.commits.Load() < before+3 && time.Now().Before(end); {
			time.Sleep(100 * time.Millisecond)
		}
		return fault
	})
	checkKafka(t, k, prefix, devices, true)
	t.Logf("ends of transactions that the brokers lost: %d; %+v", k.LostEnds(), s.Health())
}

// sampleRows calls f with some rows of a topic.
func sampleRows(t *testing.T, brokers []string, topic string, f func(key, value []byte)) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { f(r.Key, r.Value) })
}
