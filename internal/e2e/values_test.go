package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/mqttclient"
)

// TestValuesBeforeTheBacklog: after an outage the latest values are on the broker while the backlog, which is paced, is
// still on the box; all of it comes.
func TestValuesBeforeTheBacklog(t *testing.T) {
	dir := t.TempDir()
	port, _ := defaultMosquitto(t, dir)
	b := &broker{port: port}
	hub := sharedHub(t, dir, "hub", onSQLite(dir), port)
	hub.Start()
	type latest struct {
		Time    time.Time
		Backlog uint64
		Values  []struct{ Time time.Time }
	}
	var mu sync.Mutex
	var got []latest
	c, err := mqttclient.Dial(t.Context(), mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", port), ClientID: "watcher"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Subscribe(t.Context(), "edge/v1/box-1/v", 0, func(m mqttclient.Message) {
		var l latest
		if err := json.Unmarshal(m.Payload, &l); err != nil {
			t.Errorf("%s: %v", m.Payload, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, l)
	}); err != nil {
		t.Fatal(err)
	}
	x := newBox(t, dir, b, boxOptions{device: "box-1", plain: true, data: filepath.Join(dir, "data"),
		sources: syntheticSource("load", 20, 1200), uplink: "    backlog_rate: 2KiB\n    values: 1s\n"})
	x.link.Cut()
	x.up()
	buffered := func() (n uint64) {
		st, err := x.status()
		if err != nil {
			return 0
		}
		for _, s := range st.Streams {
			n += s.Buffered + s.InFlight
		}
		return n
	}
	waitFor(t, 2*time.Minute, "a backlog has grown", func() bool { return buffered() > 24000 }) // not to be sent before the first values are due
	back := time.Now()
	x.link.Restore()
	waitFor(t, 2*time.Minute, "latest values of after the outage, with the backlog still on the box", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range got {
			if len(l.Values) >= 20 && l.Backlog > 2000 && l.Values[0].Time.After(back.Add(-2*time.Second)) {
				return true
			}
		}
		return false
	})
	if acc := x.quiet(b, 3*time.Minute); !acc.Balanced {
		t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	x.Stop()
	hub.Stop()
}
