package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/e2e/servers"
)

const (
	sharedLease = 2 * time.Second
	// takeover bounds how long devices of a dead hub may be without one: its lease, the look of the others, the spread
	// of the hellos, and room for a busy machine.
	takeover = time.Minute
)

// sharedHub is one of several hubs on one database and one broker. engine is the store's part of the configuration.
func sharedHub(t testing.TB, dir, name, engine string, port int) *receiver {
	t.Helper()
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &receiver{db: filepath.Join(dir, "hub.db"), file: filepath.Join(home, "hub.yaml")}
	write := fmt.Sprintf("broker:\n  url: tcp://127.0.0.1:%d\nstore:\n%srun_dir: %s\nhubs: {name: %s, lease: %v}\n",
		port, engine, home, name, sharedLease)
	if err := os.WriteFile(h.file, []byte(write), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Process = programs.New(t, home, filepath.Join(bin, "edge-hub"), "run", "--config", h.file)
	return h
}

// onSQLite is the store's part of the configuration of hubs that share one file.
func onSQLite(dir string) string { return "  sqlite: " + filepath.Join(dir, "hub.db") + "\n" }

// held is how many shards a running hub says that it serves; −1 if it does not answer.
func (h *receiver) held() int {
	out, _ := tryRun(h.T, filepath.Join(bin, "edge-hub"), "status", "--json", "--config", h.file)
	var st struct {
		Live *struct {
			Hubs struct {
				Held []int `json:"held"`
			} `json:"hubs"`
		} `json:"live"`
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil || st.Live == nil {
		return -1
	}
	return len(st.Live.Hubs.Held)
}

func TestTwoHubs(t *testing.T) {
	twoHubs(t, onSQLite, func(a *receiver, boxes []*smallBox) {
		s, err := sqlite.Open(a.db, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		checkStore(t, s, boxes)
	})
}

// TestTwoHubsPostgres is the same on one PostgreSQL.
func TestTwoHubsPostgres(t *testing.T) {
	if !*runStores {
		t.Skip("make test-stores runs it")
	}
	pg, err := servers.StartPostgres()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	twoHubs(t, func(string) string { return "  postgres:\n    url: " + pg.URL() + "\n" }, func(_ *receiver, boxes []*smallBox) {
		var want, have []string
		for _, x := range boxes {
			want = append(want, fmt.Sprintf("%s|%d|0|0|t", x.name, x.acked))
		}
		// Each record holds its own offset: one that is missing, doubled, changed or out of order shows. Rows of one commit
		// share their arrival.
		out, err := pg.Query(`SELECT r.*, (SELECT bool_and(balanced AND NOT quarantined AND rows + gaps = next - first AND gaps = 0 AND skipped = 0)
				FROM edgelog.positions p WHERE p.device = r.device)
			FROM (SELECT device, count(*), sum((value <> place)::int), sum((record_offset <> place)::int)
				FROM (SELECT device, value, record_offset, row_number() OVER (PARTITION BY device ORDER BY arrival, record_offset) - 1 AS place FROM edgelog.readings) q
				GROUP BY device ORDER BY device) r`)
		if err != nil {
			t.Fatal(err)
		}
		if have = strings.Fields(out); !slices.Equal(have, want) {
			t.Errorf("the store says (device, rows, wrong values, out of order, account)\n%q, want\n%q", have, want)
		}
	})
}

// twoHubs runs two real hubs on one database: devices are divided between them; one is killed, one is stopped for
// longer than its lease and wakes up as a zombie, one leaves in order and comes back. All devices go on within a bound,
// and in the end everything is in the store once and in order, which check looks at.
func twoHubs(t *testing.T, engine func(dir string) string, check func(a *receiver, boxes []*smallBox)) {
	const devices = 12
	dir := t.TempDir()
	port, _ := defaultMosquitto(t, dir)
	a, b := sharedHub(t, dir, "a", engine(dir), port), sharedHub(t, dir, "b", engine(dir), port)
	a.Start()
	waitFor(t, takeover, "hub a has all shards", func() bool { return a.held() == 16 })

	ctx, stop := context.WithCancel(context.Background())
	var parts, load sync.WaitGroup
	defer parts.Wait()
	defer stop()
	loadCtx, enough := context.WithCancel(ctx)
	defer enough()
	boxes := make([]*smallBox, devices)
	for i := range boxes {
		boxes[i] = newSmallBox(t, filepath.Join(dir, fmt.Sprintf("box-%02d", i)), fmt.Sprintf("box-%02d", i), port, uint64(i))
		for _, f := range []func(context.Context) error{boxes[i].set.Run, boxes[i].loop.Run} {
			parts.Go(func() {
				if err := f(ctx); err != nil {
					t.Errorf("%s: %v", boxes[i].name, err)
				}
			})
		}
		load.Go(func() { boxes[i].produce(loadCtx, t) })
	}
	// all waits until each device has delivered something that it appended after now.
	all := func(what string) time.Duration {
		began := time.Now()
		at := make([]record.Offset, devices)
		for i, x := range boxes {
			at[i] = x.log.Info().Durable + 1
		}
		waitFor(t, takeover, what, func() bool {
			for i, x := range boxes {
				if x.log.Delivered() < at[i] {
					return false
				}
			}
			return true
		})
		return time.Since(began).Round(10 * time.Millisecond)
	}
	all("all devices deliver to one hub")
	b.Start()
	waitFor(t, takeover, "the hubs share", func() bool { return a.held() == 8 && b.held() == 8 })
	t.Logf("after a hub has joined all devices delivered within %v", all("all devices deliver to two hubs"))
	if out := statusText(t, a); !strings.Contains(out, "a 8: ") || !strings.Contains(out, "(this one)") || !strings.Contains(out, "b 8: ") {
		t.Errorf("status:\n%s", out)
	}

	a.Kill()
	t.Logf("after a kill all devices delivered within %v (lease %v)", all("all devices deliver to the hub that is left"), sharedLease)
	a.Start()
	waitFor(t, takeover, "the hubs share again", func() bool { return a.held() == 8 && b.held() == 8 })

	if err := syscall.Kill(b.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Logf("after a stop all devices delivered within %v", all("all devices deliver while one hub stands still"))
	if err := syscall.Kill(b.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFor(t, takeover, "the hubs share after the zombie woke up", func() bool { return a.held() == 8 && b.held() == 8 })
	all("all devices deliver after the zombie woke up")

	b.Stop()
	t.Logf("after a hub has left in order all devices delivered within %v", all("all devices deliver after one left"))
	if n := a.held(); n != 16 {
		t.Errorf("the hub that is left has %d shards", n)
	}

	enough()
	load.Wait()
	waitFor(t, time.Minute, "everything is delivered", func() bool {
		for _, x := range boxes {
			if x.log.Delivered() != x.acked {
				return false
			}
		}
		return true
	})
	for _, x := range boxes {
		x.check(t)
	}
	b.Start()
	waitFor(t, takeover, "the hubs share at the end", func() bool { return a.held() == 8 && b.held() == 8 })
	for _, h := range []*receiver{a, b} {
		if out := run(t, filepath.Join(bin, "edge-hub"), "account", "--config", h.file); !strings.Contains(out, "Every stream balances.") {
			t.Errorf("edge-hub account:\n%s", out)
		}
		h.Stop()
	}
	check(a, boxes)
}

// statusText is the text of a hub's status, whatever its state.
func statusText(t *testing.T, h *receiver) string {
	out, _ := tryRun(t, filepath.Join(bin, "edge-hub"), "status", "--config", h.file)
	return out
}
