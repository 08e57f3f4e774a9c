package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/vfs"
)

var wireRounds = flag.Int("wire-rounds", 12, "faults in TestWireStorm")

// TestWireStorm is the storm below the programs: packets dropped, delayed, doubled and reordered by type on both sides of
// a broker with tiny queues, steps of the box's clock, two hubs on one database that are killed and stopped, the database put back to a copy taken
// earlier, and a second box from a copy of the first one's disk. In the end everything that either box acknowledged is
// in the store once, in order, at its place, and the accounts balance.
func TestWireStorm(t *testing.T) {
	dir := t.TempDir()
	rng, s := stormRand(t)
	t.Logf("seed %d, %d rounds", s, *wireRounds)
	b := tinyBroker(t, dir)
	w := &wireStorm{t: t, dir: dir, rng: rng, b: b, count: map[string]int{}, near: newWireLink(t, b.port, uint64(s)), far: newWireLink(t, b.port, uint64(s)+1)}
	for _, name := range []string{"a", "b"} {
		w.hubs = append(w.hubs, sharedHub(t, dir, name, onSQLite(dir), w.far.Port()))
	}
	w.clock = newWarp(t, dir)
	w.x = w.box("box", filepath.Join(dir, "disk"))
	if w.clock != nil {
		w.clock.wrap(w.x.Process)
	}
	for _, h := range w.hubs {
		h.Start()
	}
	w.x.up()
	waitFor(t, 30*time.Second, "the first records arrive", func() bool { return exists(w.hubs[0].db) && w.rows() > 0 })

	wit := &witness{x: w.x, incarnation: uint64(s) | 1}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { wit.run(ctx, 20*time.Millisecond) })
	for i := 0; i < *wireRounds && !t.Failed(); i++ {
		w.round(i)
	}
	w.calm()
	stop()
	wg.Wait()
	acked, resent := wit.count()
	t.Logf("faults: %v; on the box's wire: %s; on the hubs': %s; witness: %d acknowledged, %d resends recognised",
		w.count, w.near.did(), w.far.did(), acked, resent)
	w.drain(w.x)
	data := []string{w.x.data}
	if w.twin != nil { // the other box comes to its right when it has the name for itself
		w.twin.up()
		w.drain(w.twin)
		data = append(data, w.twin.data)
	}
	checkWitness(t, w.hubs[0], acked)
	compareLogs(t, w.hubs[0], data...)
	out := run(t, filepath.Join(bin, "edge-hub"), "verify", "--config", w.hubs[0].file)
	t.Logf("edge-hub verify: %s", strings.TrimSpace(out))
	run(t, filepath.Join(bin, "edge-hub"), "account", "--config", w.hubs[0].file)
	if w.twin != nil {
		if st := statusText(t, w.hubs[0]) + statusText(t, w.hubs[1]); !strings.Contains(st, "two-writers") {
			t.Errorf("no hub says that there are two boxes of one name:\n%s", st)
		}
	}
	for _, h := range w.hubs {
		h.Stop()
	}
}

// tinyBroker is a Mosquitto that queues almost nothing.
func tinyBroker(t *testing.T, dir string) *broker {
	t.Helper()
	port := programs.FreePort(t)
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\nlog_type error\n"+
		"max_queued_messages 8\nmax_inflight_messages 4\n", port)
	file := filepath.Join(dir, "tiny.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &broker{port: port, Process: programs.New(t, dir, programs.Server(t, "mosquitto", "apt-get install mosquitto"), "-c", file)}
	b.Start()
	waitFor(t, 10*time.Second, "mosquitto listens", func() bool { return programs.Listens(port) })
	return b
}

type wireStorm struct {
	t         *testing.T
	dir       string
	rng       *rand.Rand
	b         *broker
	hubs      []*receiver
	near, far *wireLink // of the box, of the hubs
	x         *box
	twin      *box   // from a copy of x's disk; nil before there is one
	clock     *warp  // of x; nil where there is none
	backup    string // a copy of the database, "" before there is one
	count     map[string]int
}

func (w *wireStorm) box(home, data string) *box {
	return newBox(w.t, filepath.Join(w.dir, home), w.b, boxOptions{device: "box-1", data: data, plain: true,
		port: w.near.Port(), extra: witnessYAML + stormStreams, sources: hostSource + syntheticSource("load", 20, 400)})
}

// rows is how many rows the store has, 0 while it has no tables.
func (w *wireStorm) rows() int {
	out, code := tryRun(w.t, "sqlite3", "-readonly", "-cmd", ".timeout 10000", w.hubs[0].db, "SELECT count(*) FROM record")
	n := 0
	if code == 0 {
		fmt.Sscan(out, &n)
	}
	return n
}

func (w *wireStorm) pause(lo, hi time.Duration) {
	time.Sleep(lo + time.Duration(w.rng.Int64N(int64(hi-lo))))
}

// round is one fault, or several at the same time. The first rounds bring each of the rare ones once.
func (w *wireStorm) round(i int) {
	rare := []string{"clock step", "copy the database", "clone the box", "clock step", "database restored", ""}
	f := ""
	if i < len(rare) {
		f = rare[i]
	}
	if f == "" {
		all := []string{"clock step", "drop", "double", "reorder", "delay", "everything", "everything", "kill a hub", "stop a hub", "kill broker",
			"kill agent", "cut link", "kill all", "copy the database", "database restored", "clone the box"}
		f = all[w.rng.IntN(len(all))]
	}
	if f == "database restored" && w.backup == "" || f == "clone the box" && w.twin != nil {
		f = "everything"
	}
	if f == "clock step" && w.clock == nil {
		f = "everything"
	}
	w.count[f]++
	w.pause(200*time.Millisecond, 800*time.Millisecond)
	switch f {
	case "drop", "double", "reorder", "delay", "everything":
		for _, p := range []*wireLink{w.near, w.far} {
			p.set(w.wire(f))
		}
		w.pause(time.Second, 3*time.Second)
		w.near.set(wireFault{})
		w.far.set(wireFault{})
	case "clock step": // of the box: to 1970 and back, by hours, by a day
		offsets := []time.Duration{-time.Duration(time.Now().UnixNano()), -25 * time.Hour, -time.Hour, 0, time.Hour, 25 * time.Hour, 400 * 24 * time.Hour}
		w.clock.set(w.t, offsets[w.rng.IntN(len(offsets))])
	case "kill a hub":
		h := w.hubs[w.rng.IntN(2)]
		h.Kill()
		w.pause(0, 2*sharedLease)
		h.Start()
	case "stop a hub":
		h := w.hubs[w.rng.IntN(2)]
		if err := syscall.Kill(h.PID(), syscall.SIGSTOP); err != nil {
			w.t.Errorf("stop a hub: %v", err)
		}
		w.pause(0, 2*sharedLease)
		if err := syscall.Kill(h.PID(), syscall.SIGCONT); err != nil {
			w.t.Errorf("wake a hub: %v", err)
		}
	case "kill broker":
		w.b.Kill()
		w.pause(0, 500*time.Millisecond)
		w.b.Start()
	case "kill agent":
		w.x.Kill()
		w.pause(0, 300*time.Millisecond)
		w.x.up()
	case "cut link":
		w.near.Cut()
		w.pause(100*time.Millisecond, 1500*time.Millisecond)
		w.near.Restore()
	case "kill all":
		for _, p := range []*programs.Process{w.x.Process, w.b.Process, w.hubs[0].Process, w.hubs[1].Process} {
			p.Kill()
		}
		w.b.Start()
		w.hubs[0].Start()
		w.hubs[1].Start()
		w.x.up()
	case "copy the database":
		w.backup = filepath.Join(w.dir, "backup.db")
		_ = os.Remove(w.backup)
		run(w.t, "sqlite3", "-cmd", ".timeout 10000", w.hubs[0].db, ".backup "+w.backup)
	case "database restored":
		w.restore()
	case "clone the box":
		w.clone()
	}
}

// wire is what a fault does to packets.
func (w *wireStorm) wire(f string) wireFault {
	p := wireFault{types: []byte{mqttPublish, mqttPuback}, holdFor: 300 * time.Millisecond}
	if w.rng.IntN(2) == 0 {
		p.types = append(p.types, mqttSuback, mqttPingresp)
	}
	switch f {
	case "drop":
		p.drop = 0.3
	case "double":
		p.double = 0.5
	case "reorder":
		p.swap = 0.5
	case "delay":
		p.hold = 0.3
	default:
		p.drop, p.double, p.swap, p.hold = 0.15, 0.15, 0.15, 0.1
	}
	return p
}

// restore puts the database back to the copy, as an operator does: with all hubs stopped.
func (w *wireStorm) restore() {
	for _, h := range w.hubs {
		h.Kill()
	}
	db := w.hubs[0].db
	for _, f := range []string{db, db + "-wal", db + "-shm"} {
		if err := os.Remove(f); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	copyFile(w.t, w.backup, db)
	for _, h := range w.hubs {
		h.Start()
	}
}

// clone makes a second box from a copy of the disk and lets both run for a while: one name, one client id.
func (w *wireStorm) clone() {
	w.x.Kill()
	data := filepath.Join(w.dir, "disk-2")
	if err := os.CopyFS(data, os.DirFS(w.x.data)); err != nil {
		w.t.Fatalf("copy the disk: %v", err)
	}
	w.x.up()
	w.twin = w.box("twin", data)
	w.twin.up()
	w.pause(3*time.Second, 6*time.Second)
	w.twin.Kill()
}

// calm ends all faults.
func (w *wireStorm) calm() {
	w.near.set(wireFault{})
	w.far.set(wireFault{})
	w.near.Restore()
	if w.clock != nil {
		w.clock.set(w.t, 0)
	}
	if !w.b.Running() {
		w.b.Start()
	}
	for _, h := range w.hubs {
		if !h.Running() {
			h.Start()
		}
	}
}

// drain lets a box deliver everything and ends it.
func (w *wireStorm) drain(x *box) {
	w.t.Helper()
	began := time.Now()
	acc := x.quiet(w.b, 4*time.Minute)
	w.t.Logf("drained %v after the faults ended", time.Since(began).Round(10*time.Millisecond))
	if !acc.Balanced {
		w.t.Errorf("the account of the box does not balance: %+v", acc.Streams)
	}
	run(w.t, filepath.Join(bin, "edgectl"), "--run-dir", x.run, "account")
	x.Stop()
}

// compareLogs reads the logs of all boxes of one name and demands their records, epoch by epoch, in the store, and no
// others.
func compareLogs(t *testing.T, hub *receiver, dirs ...string) {
	t.Helper()
	total := 0
	for _, stream := range hub.query("SELECT DISTINCT stream FROM positions") {
		want := map[string][]string{}
		for _, dir := range dirs {
			for e, lines := range epochsOf(t, dir, stream) {
				if have := want[e]; len(have) > 0 && !slices.Equal(have, lines) {
					t.Errorf("stream %s: two disks hold epoch %s differently", stream, e)
				}
				want[e] = lines
			}
		}
		got := map[string][]string{}
		for _, l := range hub.query("SELECT epoch, record_offset, series || labels, value, quality FROM readings WHERE stream = '" + stream + "' ORDER BY epoch, record_offset") {
			e, _, _ := strings.Cut(l, "|")
			got[e] = append(got[e], l)
		}
		for e := range got {
			if want[e] == nil {
				t.Errorf("stream %s: the store has epoch %s, which no box wrote", stream, e)
			}
		}
		for e, lines := range want {
			if len(got[e]) != len(lines) {
				t.Errorf("stream %s epoch %s: the log has %d observations, the store %d", stream, e, len(lines), len(got[e]))
			}
			for i := range min(len(got[e]), len(lines)) {
				if !sameLine(got[e][i], lines[i]) {
					t.Fatalf("stream %s, observation %d:\n log   %s\n store %s", stream, i, lines[i], got[e][i])
				}
			}
			total += len(lines)
		}
	}
	t.Logf("%d observations are the same in the logs and in the store, each once", total)
}

// epochsOf are the observations of a stream by epoch. The disk must hold all of them.
func epochsOf(t *testing.T, dir, stream string) map[string][]string {
	t.Helper()
	set, err := buffer.OpenReadOnly(t.Context(), vfs.OS{}, filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	out := map[string][]string{}
	for _, l := range set.Logs() {
		if l.Name() != stream {
			continue
		}
		for _, g := range l.Info().Gaps {
			if g.Reason != record.ReasonDelivered {
				t.Errorf("stream %s of %s has a gap: %+v", stream, dir, g)
			}
		}
		for _, line := range logLines(t, l) {
			e, _, _ := strings.Cut(line, "|")
			out[e] = append(out[e], line)
		}
	}
	return out
}
