package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/mqtt"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	hubmqtt "github.com/edgelog/edgelog/hub/receive/mqtt"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/e2e/programs"
	"github.com/edgelog/edgelog/internal/mqttclient"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

const (
	manyDevices  = 200
	hubAbsent    = 12 * time.Second // how long a backlog grows before the hub comes
	loadFor      = 36 * time.Second // in all
	drainLimit   = patience
	storeDelay   = 5 * time.Millisecond // of each frame
	maxResent    = 0.20                 // of first-sent bytes
	maxHeapBytes = 768 << 20            // of hub and all agents, in one process
)

// TestDevicesOnDefaultLimits runs 200 devices on a Mosquitto whose limits are its defaults, into a hub that takes 200
// frames a second, which is no more than what the devices commit: nothing may be lost or doubled, and what is on its
// way must stay below what broker and hub can hold, or most of it is sent again and again.
func TestDevicesOnDefaultLimits(t *testing.T) {
	dir := t.TempDir()
	port, pid := defaultMosquitto(t, dir)
	files, err := sqlite.Open(filepath.Join(dir, "hub.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()

	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	run := func(name string, f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	defer parts.Wait()
	defer stop()

	devices := make([]*smallBox, manyDevices)
	for i := range devices {
		devices[i] = newSmallBox(t, filepath.Join(dir, fmt.Sprintf("box-%03d", i)), fmt.Sprintf("box-%03d", i), port, uint64(i))
		run(devices[i].name, devices[i].set.Run)
		run(devices[i].name, devices[i].loop.Run)
	}
	var load sync.WaitGroup
	loadCtx, cancel := context.WithTimeout(ctx, loadFor)
	defer cancel()
	for _, d := range devices {
		load.Go(func() { d.produce(loadCtx, t) })
	}
	time.Sleep(hubAbsent)

	hub := receive.New(receive.Options{Store: &slowStore{Store: files}})
	adapter, err := hubmqtt.New(hubmqtt.Options{Spread: time.Second,
		Client: mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", port), ClientID: "edge-hub"}}, hub)
	if err != nil {
		t.Fatal(err)
	}
	run("hub", hub.Run)
	run("hub's link", adapter.Run)
	var m peaks
	run("peaks", func(ctx context.Context) error { m.watch(ctx, hub, devices); return nil })

	load.Wait()
	loaded := time.Now()
	drained := func() bool {
		for _, d := range devices {
			if d.log.Delivered() != d.acked {
				return false
			}
		}
		return true
	}
	for !drained() && time.Since(loaded) < drainLimit {
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(loaded)

	var sum wireCount
	var records uint64
	for _, d := range devices {
		d.check(t)
		f, r := d.sent.sums()
		sum.first, sum.again = sum.first+f, sum.again+r
		records += uint64(d.acked)
	}
	s := hub.Stats()
	resent := float64(sum.again) / float64(sum.first)
	t.Logf("%d records of %d devices; %d bytes first sent, %d resent (%.1f %%); drained %v after the load ended", records,
		manyDevices, sum.first, sum.again, 100*resent, took.Round(10*time.Millisecond))
	t.Logf("hub: %d frames, %d duplicates, %d rewinds, %d dropped, %d hellos, %d commits; at most %d KiB queued, %d KiB credit given",
		s.Frames, s.Duplicates, s.Rewinds, s.Dropped, s.Hellos, s.Commits, m.queue.Load()>>10, m.credit.Load()>>10)
	t.Logf("memory: heap of hub and agents at most %d MiB, in flight of one agent at most %d KiB, broker %s",
		m.heap.Load()>>20, m.flight.Load()>>10, highWater(pid))
	if resent > maxResent {
		t.Errorf("%.1f %% of what was sent was sent again, want at most %.0f %%", 100*resent, 100*maxResent)
	}
	if s.Rows != records || s.DeadLetters+s.Repeats+s.Gaps != 0 {
		t.Errorf("the hub stored %d rows, %d dead letters, %d repeats, %d gaps; the logs hold %d records", s.Rows, s.DeadLetters, s.Repeats, s.Gaps, records)
	}
	if m.queue.Load() > receive.DefaultQueueBytes || m.credit.Load() > receive.DefaultCreditBytes || m.heap.Load() > maxHeapBytes {
		t.Errorf("a bound was passed: %d bytes queued, %d of credit, %d of heap", m.queue.Load(), m.credit.Load(), m.heap.Load())
	}
	checkStore(t, files, devices)
}

// defaultMosquitto starts a broker with nothing configured but where it listens.
func defaultMosquitto(t *testing.T, dir string) (port, pid int) {
	t.Helper()
	port = programs.FreePort(t)
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n", port)
	file := filepath.Join(dir, "default.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	b := programs.New(t, dir, programs.Server(t, "mosquitto", "apt-get install mosquitto"), "-c", file)
	b.Start()
	waitFor(t, 10*time.Second, "mosquitto listens", func() bool { return programs.Listens(port) })
	return port, b.PID()
}

// highWater is the peak of a process's resident memory.
func highWater(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}

// slowStore takes 5 ms for each frame of a commit.
type slowStore struct{ store.Store }

func (s *slowStore) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	sleep(ctx, time.Duration(len(c))*storeDelay)
	return s.Store.Commit(ctx, c)
}

// peaks are the largest values seen.
type peaks struct{ queue, credit, heap, flight atomic.Int64 }

func (p *peaks) watch(ctx context.Context, hub *receive.Receiver, devices []*smallBox) {
	for ctx.Err() == nil {
		s := hub.Stats()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		flight := 0
		for _, d := range devices {
			flight = max(flight, d.loop.Status().InFlight)
		}
		p.queue.Store(max(p.queue.Load(), int64(s.QueueBytes)))
		p.credit.Store(max(p.credit.Load(), int64(s.CreditGiven)))
		p.heap.Store(max(p.heap.Load(), int64(m.HeapInuse)))
		p.flight.Store(max(p.flight.Load(), int64(flight)))
		sleep(ctx, 250*time.Millisecond)
	}
}

// smallBox is an agent reduced to what delivers: a real log, the sender, its link.
type smallBox struct {
	name  string
	set   *buffer.Set
	log   *buffer.Log
	loop  *uplink.Loop
	rng   *rand.Rand
	sent  wireCount
	acked record.Offset // what the log acknowledged; read it after produce
}

func newSmallBox(t *testing.T, dir, name string, port int, seed uint64) *smallBox {
	t.Helper()
	b := &smallBox{name: name, rng: rand.New(rand.NewPCG(seed, 5))}
	var err error
	b.set, err = buffer.Open(t.Context(), vfs.OS{}, dir, buffer.Options{Streams: []buffer.StreamOptions{
		{Name: "telemetry", CommitInterval: time.Second, MaxBytes: 4 << 20, SegmentBytes: 1 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	if b.log, err = b.set.Log("telemetry"); err != nil {
		t.Fatal(err)
	}
	source := uplink.NewLog(b.log)
	o := mqtt.Options{Device: name, Client: mqttclient.Options{Broker: fmt.Sprintf("tcp://127.0.0.1:%d", port)}}
	b.loop = uplink.NewLoop(uplink.LoopOptions{Sender: uplink.Options{Random: rand.Uint64}, Sources: []uplink.Source{source},
		Dial: func(ctx context.Context) (wire.Link, error) {
			l, err := mqtt.Dial(ctx, o)
			if err != nil {
				return nil, err
			}
			return &countedLink{l, &b.sent}, nil
		}})
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
		if err := b.set.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
	})
	return b
}

// produce appends 10 to 100 records a second, each holding its own offset, until ctx ends, and waits until the last one
// is durable: from then on the log has acknowledged all of them.
func (b *smallBox) produce(ctx context.Context, t *testing.T) {
	var ids []record.SeriesID
	for i := range 10 {
		id, err := b.log.Define(record.Series{Name: fmt.Sprintf("probe%d.temperature", i), Unit: "Cel", Type: record.TypeInt})
		if err != nil {
			t.Error(err)
			return
		}
		ids = append(ids, id)
	}
	var last buffer.Ticket
	recs := make([]record.Record, 2+b.rng.IntN(19)) // five times a second
	sleep(ctx, time.Duration(b.rng.IntN(1000))*time.Millisecond)
	for n := int64(0); ctx.Err() == nil; sleep(ctx, 200*time.Millisecond) {
		for i := range recs {
			recs[i] = record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Time: time.Now().UnixNano(),
				Type: record.TypeInt, Num: n, Series: ids[i%len(ids)]}
			n++
		}
		var err error
		if last, err = b.log.Append(context.Background(), record.Draft{Records: recs}); err != nil {
			t.Errorf("append to %s: %v", b.name, err)
			return
		}
	}
	wait, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	r, err := last.Wait(wait)
	if err != nil {
		t.Errorf("%s: %v", b.name, err)
	}
	b.acked = r.To
}

// check looks at the account of the box.
func (b *smallBox) check(t *testing.T) {
	for _, a := range b.loop.Accounts() {
		if !a.Balanced || !a.Verified || a.Delivered != uint64(b.acked) || a.Buffered+a.InFlight != 0 || a.Conflict {
			t.Errorf("%s acknowledged %d records, its account says %+v, its link %+v", b.name, b.acked, a, b.loop.Status())
		}
	}
}

// wireCount counts the payloads of data frames, apart by whether their records were sent before.
type wireCount struct {
	mu           sync.Mutex // guards what follows
	end          map[record.Epoch]record.Offset
	first, again uint64
}

func (c *wireCount) count(d *wire.Data) {
	size := uint64(len(wire.AppendData(nil, d)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		c.end = map[record.Epoch]record.Offset{}
	}
	to := d.Base + record.Offset(d.Count)
	before := record.Range{From: d.Base, To: min(to, max(c.end[d.Epoch], d.Base))}.Len()
	again := size * before / uint64(d.Count)
	c.first, c.again = c.first+size-again, c.again+again
	c.end[d.Epoch] = max(c.end[d.Epoch], to)
}

func (c *wireCount) sums() (first, again uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first, c.again
}

type countedLink struct {
	wire.Link
	sent *wireCount
}

func (l *countedLink) Send(ctx context.Context, m wire.Message) error {
	if d, ok := m.(*wire.Data); ok {
		l.sent.count(d)
	}
	return l.Link.Send(ctx, m)
}

// checkStore proves by counting, and then record for record, that the store holds what the logs acknowledged.
func checkStore(t *testing.T, s *sqlite.Store, devices []*smallBox) {
	t.Helper()
	if v, err := s.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, v)
	}
	accounts, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Remainder() != 0 || a.Quarantined {
			t.Errorf("account of %s at the hub: %+v", a.Device, a)
		}
	}
	if len(accounts) != len(devices) {
		t.Errorf("the hub knows %d epochs of %d devices", len(accounts), len(devices))
	}
	// Each record holds its own offset: one that is missing, doubled, changed or out of order shows.
	out := run(t, "sqlite3", "-readonly", "-separator", " ", s.Path(), `SELECT device, count(*), sum(value <> place), sum(record_offset <> place)
		FROM (SELECT device, value, record_offset, row_number() OVER (PARTITION BY device ORDER BY arrival) - 1 AS place FROM readings)
		GROUP BY device ORDER BY device`)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, d := range devices {
		if want := fmt.Sprintf("%s %d 0 0", d.name, d.acked); i >= len(lines) || lines[i] != want {
			t.Fatalf("the store says %q (device, rows, wrong values, out of order), want %q", lines[min(i, len(lines)-1)], want)
		}
	}
}
