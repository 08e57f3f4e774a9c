package stores

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/storetest"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

func kafkaServer(t testing.TB) *servers.Kafka {
	t.Helper()
	broker.once.Do(func() { broker.k, broker.err = servers.StartKafka(1) })
	if broker.err != nil {
		t.Fatal(broker.err)
	}
	return broker.k
}

func newPrefix() string { return fmt.Sprintf("t%d", shared.n.Add(1)) }

func openKafka(t testing.TB, o kafka.Options) *kafka.Store {
	t.Helper()
	if o.Shards == 0 {
		o.Shards, o.Partitions = 2, 2
	}
	s, err := kafka.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKafkaConformance(t *testing.T) {
	k := kafkaServer(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: newPrefix()})
	})
	storetest.RunLeases(t, func(t *testing.T) (a, b store.Store) {
		o := kafka.Options{Brokers: k.Brokers(), Prefix: newPrefix()}
		return openKafka(t, o), openKafka(t, o)
	})
}

// TestKafkaBackup stops the shared broker; tests of this package run one after another.
func TestKafkaBackup(t *testing.T) {
	k := kafkaServer(t)
	backup, prefix := filepath.Join(t.TempDir(), "backup"), newPrefix()
	stopped := func(t *testing.T, f func(string) error) {
		k.Nodes[0].Kill() // its files are what a power cut leaves
		if err := f(backup); err != nil {
			t.Fatal(err)
		}
		if err := k.Nodes[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	storetest.RunWorld(t, storetest.World{
		Open: func(t *testing.T) store.Store {
			return openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: prefix})
		},
		Backup:  func(t *testing.T) { stopped(t, k.Backup) },
		Restore: func(t *testing.T) { stopped(t, k.Restore) },
	})
	t.Logf("ends of transactions that the broker lost: %d", k.LostEnds())
}

// TestKafkaRefusals: what Kafka cannot do is refused with the reason and with what to do instead.
func TestKafkaRefusals(t *testing.T) {
	k := kafkaServer(t)
	prefix := newPrefix()
	openKafka(t, kafka.Options{Brokers: k.Brokers(), Prefix: prefix}).Close() // makes the topics
	file := filepath.Join(t.TempDir(), "hub.yaml")
	text := fmt.Sprintf("embedded_broker: {listen: '127.0.0.1:0'}\nrun_dir: %s\nstore: {kafka: {brokers: ['%s'], prefix: %s}}\n", t.TempDir(), k.Brokers()[0], prefix)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for words, want := range map[string][]string{
		"count":                    {"no index", "edge-hub account"},
		"purge --before 90d --yes": {"retention.ms", "kafka-configs.sh"},
		"quarantine resolve box s 00000000000000e1": {"transactional id", "nothing waits"},
	} {
		out := command(t, 2, append(strings.Fields(words), "--config", file)...)
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s says %s, want %q in it", words, out, w)
			}
		}
	}
}
