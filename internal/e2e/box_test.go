package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/cutproxy"
	"github.com/edgelog/edgelog/internal/e2e/programs"
)

// box is one agent with its configuration, sockets and the link to its broker.
type box struct {
	*programs.Process
	t      testing.TB
	device string
	data   string
	run    string
	file   string
	link   *cutproxy.Link
	api    *api.Client
	opts   boxOptions
}

type boxOptions struct {
	device  string
	data    string // data directory; "" makes one
	sources string // YAML below "sources:"
	extra   string // YAML at the top level
	uplink  string // YAML below "uplink: mqtt:"
	plain   bool   // no TLS
	whole   string // YAML of another uplink altogether
	port    int    // where the broker is reached; 0: through a link of the box's own
}

const hostSource = `  - name: host
    driver: system
    interval: 1s
`

func syntheticSource(name string, series int, rate float64) string {
	return fmt.Sprintf("  - name: %s\n    driver: synthetic\n    synthetic: {series: %d, rate: %g}\n", name, series, rate)
}

func newBox(t testing.TB, dir string, b *broker, o boxOptions) *box {
	t.Helper()
	home := filepath.Join(dir, o.device)
	x := &box{t: t, device: o.device, data: o.data, run: filepath.Join(home, "run"), file: filepath.Join(home, "agent.yaml"),
		link: newLink(t, b.port), opts: o}
	if x.data == "" {
		x.data = filepath.Join(home, "data")
	}
	for _, d := range []string{home, x.run, x.data} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	x.configure(o.sources, b)
	x.Process = programs.New(t, home, filepath.Join(bin, "edge-agent"), "run", "--config", x.file)
	x.api = api.NewClient(x.run)
	return x
}

func (x *box) configure(sources string, b *broker) {
	x.t.Helper()
	text := fmt.Sprintf("device: %s\ndata_dir: %s\nrun_dir: %s\n%s", x.device, x.data, x.run, x.opts.extra)
	if sources != "" {
		text += "sources:\n" + sources
	}
	if x.opts.whole != "" {
		text += x.opts.whole
	} else if x.opts.plain {
		text += fmt.Sprintf("uplink:\n  mqtt:\n    broker: tcp://127.0.0.1:%d\n", cmp.Or(x.opts.port, x.link.Port()))
	} else {
		text += fmt.Sprintf("uplink:\n  mqtt:\n    broker: ssl://127.0.0.1:%d\n    ca_file: %[2]s/ca.crt\n    cert_file: %[2]s/%[3]s.crt\n    key_file: %[2]s/%[3]s.key\n",
			x.link.Port(), b.certs, x.device)
	}
	text += x.opts.uplink
	if err := os.WriteFile(x.file, []byte(text), 0o644); err != nil {
		x.t.Fatal(err)
	}
}

func (x *box) status() (*api.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return x.api.Status(ctx)
}

func (x *box) up() {
	x.t.Helper()
	x.Start()
	waitFor(x.t, 20*time.Second, x.device+" answers on its socket", func() bool {
		if !x.Running() {
			x.t.Fatalf("%s ended:\n%s", x.device, programs.Tail(x.Log, 20))
		}
		_, err := x.status()
		return err == nil
	})
}

// quiet stops the sources by a reload and waits until everything is delivered.
func (x *box) quiet(b *broker, limit time.Duration) *api.Account {
	x.t.Helper()
	x.configure("", b)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := x.api.Reload(ctx)
	if err != nil || r.Error != "" {
		x.t.Fatalf("reload: %v %+v", err, r)
	}
	return x.drained(limit)
}

func (x *box) drained(limit time.Duration) *api.Account {
	x.t.Helper()
	var acc *api.Account
	end := time.Now().Add(limit)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		a, err := x.api.Account(ctx)
		cancel()
		if err == nil {
			acc = a
			waiting := uint64(0)
			for _, s := range a.Streams {
				waiting += s.Sum.Buffered + s.Sum.InFlight
			}
			if waiting == 0 {
				return acc
			}
		}
		if time.Now().After(end) {
			text, _ := json.MarshalIndent(acc, "", " ")
			st, _ := x.status()
			up, _ := json.Marshal(st)
			x.t.Fatalf("not drained within %v (last error %v):\n%s\n%s", limit, err, text, up)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// receiver is an edge-hub with its store.
type receiver struct {
	*programs.Process
	db, file string
}

func newHub(t testing.TB, dir string, b *broker, extra string) *receiver {
	t.Helper()
	home := filepath.Join(dir, "hub")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &receiver{db: filepath.Join(home, "hub.db"), file: filepath.Join(home, "hub.yaml")}
	text := fmt.Sprintf(hubYAML, b.port, b.certs, h.db, home) + extra
	if err := os.WriteFile(h.file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Process = programs.New(t, home, filepath.Join(bin, "edge-hub"), "run", "--config", h.file)
	return h
}

func (h *receiver) query(sql string) []string {
	h.T.Helper()
	out := strings.TrimSpace(run(h.T, "sqlite3", "-readonly", "-separator", "|", "-cmd", ".timeout 10000", h.db, sql))
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// witness is a local producer that keeps what was acknowledged to it. It sends each message until it is acknowledged,
// over restarts of the agent, as an application does that persists its sequence.
type witness struct {
	x           *box
	incarnation uint64

	mu     sync.Mutex
	acked  uint64
	resent uint64
}

const witnessYAML = "control:\n  producers:\n    witness: {stream: events}\n"

func (w *witness) run(ctx context.Context, every time.Duration) {
	for seq := uint64(1); ctx.Err() == nil; seq++ {
		for ctx.Err() == nil {
			call, cancel := context.WithTimeout(ctx, 5*time.Second)
			pos, err := w.x.api.Ingest(call, "witness", api.IngestRequest{Incarnation: w.incarnation, Sequence: seq,
				Records: []api.IngestRecord{{Name: "witness.sequence", Type: "int", Value: json.RawMessage(fmt.Sprint(seq))}}})
			cancel()
			if err == nil && pos.Sequence >= seq {
				w.mu.Lock()
				w.acked = seq
				if pos.Repeated {
					w.resent++
				}
				w.mu.Unlock()
				break
			}
			sleep(ctx, 100*time.Millisecond)
		}
		sleep(ctx, every)
	}
}

func (w *witness) count() (acked, resent uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked, w.resent
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// smallDisk mounts a tmpfs of so many MiB; only root can.
func smallDisk(t testing.TB, dir string, mib int) (fill, free func()) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatalf("mount a small disk on %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	fill = func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Errorf("fill the disk: %v", err)
			return
		}
		defer f.Close()
		buf := make([]byte, 1<<20)
		for len(buf) > 256 {
			if _, err := f.Write(buf); err != nil {
				buf = buf[:len(buf)/2]
			}
		}
	}
	free = func() {
		if err := os.Remove(ballast); err != nil && !os.IsNotExist(err) {
			t.Errorf("free the disk: %v", err)
		}
	}
	return fill, free
}

const hubYAML = `broker:
  url: ssl://127.0.0.1:%[1]d
  ca_file: %[2]s/ca.crt
  cert_file: %[2]s/hub.crt
  key_file: %[2]s/hub.key
store:
  sqlite: %[3]s
run_dir: %[4]s
`
