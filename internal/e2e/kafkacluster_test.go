package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/internal/e2e/servers"
)

var runCluster = flag.Bool("kafka-cluster", false, "run TestStormKafkaCluster (make test-kafka-cluster)")

// clusterStorm is three brokers, a group of two hubs and three boxes behind Mosquitto, and a fourth box that writes to the
// brokers itself.
type clusterStorm struct {
	t     *testing.T
	rng   *rand.Rand
	k     *servers.Kafka
	b     *broker
	hubs  []*receiver
	boxes []*box // the last one has no hub
	count map[string]int
}

const clusterBoxes = 3

// TestStormKafkaCluster kills -9 brokers (leaders among them), hubs and agents in rounds. In the end kcat and Kafka's own
// console consumer, which both read committed records only, must have every record of every log, once, in order.
func TestStormKafkaCluster(t *testing.T) {
	if !*runCluster {
		t.Skip("long: make test-kafka-cluster runs it")
	}
	rng, seed := stormRand(t)
	s := newClusterStorm(t, rng)
	faults := []string{"a leader", "a hub", "an agent", "two brokers", "a leader, a hub and an agent", "both hubs", "all agents"}
	rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	t.Logf("seed %d, %d rounds", seed, *rounds)
	s.flows("at first")
	for i := 0; i < *rounds && !t.Failed(); i++ {
		f := faults[i%len(faults)]
		if i >= len(faults) {
			f = faults[rng.IntN(len(faults))]
		}
		time.Sleep(time.Duration(300+rng.IntN(1700)) * time.Millisecond)
		s.kill(f)
		s.flows("after kill -9 of " + f)
	}
	t.Logf("kill -9 of: %v; ends of transactions that the brokers lost: %d", s.count, s.k.LostEnds())
	s.check()
}

func newClusterStorm(t *testing.T, rng *rand.Rand) *clusterStorm {
	t.Helper()
	k, err := servers.StartKafka(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	dir := t.TempDir()
	s := &clusterStorm{t: t, rng: rng, k: k, count: map[string]int{}}
	var names []string
	for i := range clusterBoxes + 1 {
		names = append(names, fmt.Sprintf("box-%d", i+1))
	}
	s.b = newBroker(t, dir, names...)
	brokers := "brokers: ['" + strings.Join(k.Brokers(), "', '") + "']"
	for _, name := range []string{"hub-a", "hub-b"} {
		h := newHub(t, filepath.Join(dir, name), s.b, "hubs: {name: "+name+", lease: 2s}\n")
		text, err := os.ReadFile(h.file)
		if err != nil {
			t.Fatal(err)
		}
		engine := "  kafka:\n    " + brokers + "\n    partitions: 4\n    replication_factor: 3\n    transaction_timeout: 10s\n"
		if err := os.WriteFile(h.file, []byte(strings.Replace(string(text), "  sqlite: "+h.db+"\n", engine, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		h.Start()
		s.hubs = append(s.hubs, h)
	}
	for i, name := range names {
		o := boxOptions{device: name, extra: stormStreams, sources: hostSource + syntheticSource("load", 20, 100)}
		if i == clusterBoxes {
			o.whole = "uplink:\n  kafka:\n    " + brokers + "\n    prefix: direct\n    partitions: 2\n    replication_factor: 3\n"
		}
		x := newBox(t, dir, s.b, o)
		x.up()
		s.boxes = append(s.boxes, x)
	}
	return s
}

// kill kills what is named, lets it lie for a moment and starts it again.
func (s *clusterStorm) kill(what string) {
	s.t.Helper()
	s.count[what]++
	var nodes []*servers.KafkaNode
	var hubs []*receiver
	var boxes []*box
	switch what {
	case "a leader":
		nodes = append(nodes, s.leader())
	case "two brokers":
		n := s.leader()
		nodes = append(nodes, n, s.k.Nodes[n.ID%len(s.k.Nodes)])
	case "a hub":
		hubs = append(hubs, s.hubs[s.rng.IntN(len(s.hubs))])
	case "both hubs":
		hubs = s.hubs
	case "an agent":
		boxes = append(boxes, s.boxes[s.rng.IntN(len(s.boxes))])
	case "all agents":
		boxes = s.boxes
	default:
		nodes, hubs, boxes = append(nodes, s.leader()), append(hubs, s.hubs[s.rng.IntN(len(s.hubs))]), append(boxes, s.boxes[s.rng.IntN(len(s.boxes))])
	}
	for _, n := range nodes {
		n.Kill()
	}
	for _, h := range hubs {
		h.Kill()
	}
	for _, x := range boxes {
		x.Kill()
	}
	time.Sleep(time.Duration(s.rng.IntN(3000)) * time.Millisecond)
	for _, x := range boxes {
		x.up()
	}
	for _, h := range hubs {
		h.Start()
	}
	for _, n := range nodes {
		if err := n.Start(); err != nil {
			s.t.Error(err)
		}
	}
}

// leader is the broker that leads a random partition: of rows, of positions, or of the coordinators' log.
func (s *clusterStorm) leader() *servers.KafkaNode {
	s.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.k.Brokers()...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	topics := []string{"edge.telemetry", "edge-offsets", "direct.telemetry", "__transaction_state"}
	topic := topics[s.rng.IntN(len(topics))]
	pick := s.rng.IntN(1000)
	var node *servers.KafkaNode
	waitFor(s.t, patience, topic+" has a leader", func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		m, err := kadm.NewClient(c).Metadata(ctx, topic)
		if err != nil || len(m.Topics[topic].Partitions) == 0 {
			return false
		}
		p := m.Topics[topic].Partitions[int32(pick%len(m.Topics[topic].Partitions))]
		if p.Leader < 1 {
			return false
		}
		node = s.k.Nodes[p.Leader-1]
		return true
	})
	return node
}

// delivered is how much a box knows to be stored; false if it does not answer.
func (s *clusterStorm) delivered(x *box) (n uint64, ok bool) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	a, err := x.api.Account(ctx)
	if err != nil {
		return 0, false
	}
	for _, l := range a.Streams {
		n += l.Sum.Delivered
	}
	return n, true
}

// flows waits until every box delivers.
func (s *clusterStorm) flows(when string) {
	s.t.Helper()
	for _, x := range s.boxes {
		before, known := s.delivered(x)
		waitFor(s.t, 3*time.Minute, x.device+" delivers "+when, func() bool {
			n, ok := s.delivered(x)
			if ok && !known {
				before, known = n, true
			}
			return ok && n > before
		})
	}
}

// check compares what every box has in its log with what the consumers see.
func (s *clusterStorm) check() {
	t := s.t
	for _, x := range s.boxes {
		if acc := x.quiet(s.b, 3*time.Minute); !acc.Balanced {
			t.Errorf("the account of %s does not balance: %+v", x.device, acc.Streams)
		}
	}
	for _, x := range s.boxes {
		x.Stop()
	}
	for _, h := range s.hubs {
		out, _ := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", h.file)
		t.Logf("edge-hub status: %s", lineWith(out, "ENGINE"))
	}
	for _, file := range []string{s.hubs[0].file, s.direct(t.TempDir())} {
		for _, word := range []string{"account", "verify"} {
			out, code := tryRun(t, filepath.Join(bin, "edge-hub"), word, "--config", file)
			t.Logf("edge-hub %s: %s", word, out)
			if code != 0 {
				t.Errorf("edge-hub %s ends with %d", word, code)
			}
		}
	}
	for _, h := range s.hubs {
		h.Stop()
	}
	all := strings.Join(s.k.Brokers(), ",")
	for _, who := range []struct {
		name string
		read func(topic string) string
	}{{"Kafka's console consumer", func(topic string) string { return s.console(all, topic) }}, {"kcat", func(topic string) string { return s.kcat(all, topic) }}} {
		seen := map[string]string{}
		for i, x := range s.boxes {
			prefix := "edge"
			if i == clusterBoxes {
				prefix = "direct"
			}
			compareWith(t, x, func(device, stream string) (lines []string) {
				for _, topic := range []string{prefix + "." + stream, prefix + "." + stream + ".late"} {
					if _, ok := seen[topic]; !ok {
						seen[topic] = who.read(topic)
					}
					lines = append(lines, kafkaLines(t, device, seen[topic])...)
				}
				return lines
			})
		}
		t.Logf("%s has read the logs of %d boxes, each record once and in order", who.name, len(s.boxes))
	}
}

// direct is the configuration of a hub on the topics of the box that has none.
func (s *clusterStorm) direct(dir string) string {
	file := filepath.Join(dir, "hub.yaml")
	text := fmt.Sprintf("embedded_broker: {listen: '127.0.0.1:0'}\nrun_dir: %s\nstore: {kafka: {brokers: ['%s'], prefix: direct}}\n", dir, strings.Join(s.k.Brokers(), "', '"))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func lineWith(text, word string) string {
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, word) {
			return l
		}
	}
	return "no line with " + word
}

// kcat is the committed records of a topic; "" where there is no such topic.
func (s *clusterStorm) kcat(brokers, topic string) string {
	if s.size(brokers, topic) == 0 {
		return ""
	}
	out, err := exec.Command("kcat", "-C", "-q", "-e", "-b", brokers, "-t", topic, "-o", "beginning", "-X", "isolation.level=read_committed").Output()
	if err != nil {
		s.t.Fatalf("kcat %s: %v", topic, err)
	}
	return string(out)
}

func (s *clusterStorm) console(brokers, topic string) string {
	n := strings.Count(s.kcat(brokers, topic), "\n")
	if n == 0 {
		return ""
	}
	out, err := s.k.Java("256m", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", brokers, "--topic", topic, "--from-beginning",
		"--isolation-level", "read_committed", "--max-messages", strconv.Itoa(n), "--timeout-ms", "60000").Output()
	if err != nil {
		s.t.Fatalf("console consumer of %s: %v", topic, err)
	}
	return string(out)
}

// size is how many partitions a topic has; 0 if there is none.
func (s *clusterStorm) size(brokers, topic string) int {
	out, err := exec.Command("kcat", "-L", "-b", brokers).CombinedOutput()
	if err != nil {
		s.t.Fatalf("kcat: %v\n%s", err, out)
	}
	return strings.Count(string(out), `topic "`+topic+`" with`)
}
