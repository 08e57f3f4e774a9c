package e2e_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/e2e/programs"
)

// TestBrokerOfSmallPackets: a broker that takes less than a frame may have, in both ways in which one refuses the rest,
// gets smaller frames. Nothing is lost, and the account closes.
func TestBrokerOfSmallPackets(t *testing.T) {
	for _, option := range []string{"max_packet_size", "message_size_limit"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			port := programs.FreePort(t)
			file := filepath.Join(dir, "small.conf")
			conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n%s 20000\n", port, option)
			if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
				t.Fatal(err)
			}
			b := &broker{port: port, Process: programs.New(t, dir, programs.Server(t, "mosquitto", "apt-get install mosquitto"), "-c", file)}
			b.Start()
			waitFor(t, time.Minute, "mosquitto listens", func() bool { return programs.Listens(port) })
			h := sharedHub(t, dir, "hub", onSQLite(dir), port)
			x := newBox(t, dir, b, boxOptions{device: "box-1", plain: true, extra: witnessYAML + stormStreams})
			x.up()
			const messages = 60
			for seq := range uint64(messages) {
				text := make([]byte, 2000)
				rand.Read(text)
				v, err := json.Marshal(hex.EncodeToString(text))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := x.api.Ingest(t.Context(), "witness", api.IngestRequest{Incarnation: 7, Sequence: seq + 1,
					Records: []api.IngestRecord{{Name: "witness.text", Type: "string", Value: v}}}); err != nil {
					t.Fatal(err)
				}
			}
			h.Start()
			x.quiet(b, 4*time.Minute)
			if got := len(h.query("SELECT 1 FROM readings WHERE series = 'witness.text'")); got != messages {
				t.Errorf("%d messages arrived, want %d", got, messages)
			}
			x.Stop()
			compareLogs(t, h, x.data)
			h.Stop()
		})
	}
}
