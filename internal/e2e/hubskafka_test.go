package e2e_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/edgelog/edgelog/internal/e2e/servers"
)

// TestTwoHubsKafka is TestTwoHubs on one Kafka: kcat, which reads committed records only, must find each record once and
// in order.
func TestTwoHubsKafka(t *testing.T) {
	if !*runStores {
		t.Skip("make test-stores runs it")
	}
	k, err := servers.StartKafka(1)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	broker := k.Brokers()[0]
	engine := func(string) string {
		return "  kafka:\n    brokers: ['" + broker + "']\n    partitions: 4\n    transaction_timeout: 6s\n"
	}
	twoHubs(t, engine, func(_ *receiver, boxes []*smallBox) {
		out, err := exec.Command("kcat", "-C", "-q", "-e", "-b", broker, "-t", "edge.telemetry", "-o", "beginning", "-X", "isolation.level=read_committed").Output()
		if err != nil {
			t.Fatalf("kcat: %v", err)
		}
		next := map[string]int64{}
		for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			var r struct {
				Device        string
				Offset, Value int64
			}
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				t.Fatalf("row %s: %v", l, err)
			}
			if r.Offset != next[r.Device] || r.Value != r.Offset { // each record holds its own offset
				t.Errorf("of %s came offset %d with value %d, want %d", r.Device, r.Offset, r.Value, next[r.Device])
			}
			next[r.Device] = r.Offset + 1
		}
		for _, x := range boxes {
			if uint64(next[x.name]) != uint64(x.acked) {
				t.Errorf("kcat saw %d records of %s, %d were acknowledged", next[x.name], x.name, x.acked)
			}
		}
	})
}
