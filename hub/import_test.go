package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/carry"
	"github.com/edgelog/edgelog/internal/logtool"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// carried is a box whose log is carried by hand.
type carried struct {
	t    *testing.T
	log  string
	next int
}

// openings writes n readings in each of so many openings of the log: as many epochs.
func (c *carried) openings(times, n int) {
	c.t.Helper()
	ctx := context.Background()
	for range times {
		set := c.open()
		for _, stream := range []string{"telemetry", "events"} {
			l, err := set.Log(stream)
			if err != nil {
				c.t.Fatal(err)
			}
			for range n {
				id, err := l.Define(record.Series{Name: "temperature", Labels: []record.Label{{Key: "rom", Value: fmt.Sprintf("28-%d", c.next%7)}}, Unit: "Cel", Type: record.TypeInt})
				if err != nil {
					c.t.Fatal(err)
				}
				c.next++
				_, err = l.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation, Series: id, Time: int64(c.next) * 1e9, Clock: record.ClockBoot, Type: record.TypeInt, Num: int64(c.next)}}})
				if err == nil && c.next%5 == 0 {
					err = l.Sync(ctx)
				}
				if err != nil {
					c.t.Fatal(err)
				}
			}
		}
		if err := set.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *carried) open() *buffer.Set {
	c.t.Helper()
	set, err := buffer.Open(context.Background(), vfs.OS{}, c.log, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}, {Name: "events"}},
		Opening: func(string) []record.Record {
			r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot}, record.BootMark{
				Anchor: record.Anchor{Boot: "b", UTC: testNow.Add(-time.Hour).UnixNano(), Source: record.SourceNTP}})
			if err != nil {
				c.t.Error(err)
			}
			return []record.Record{r}
		}})
	if err != nil {
		c.t.Fatal(err)
	}
	return set
}

func (c *carried) export(name string, since bool) string {
	c.t.Helper()
	d := logtool.Dir{FS: vfs.OS{}, Path: c.log}
	file := filepath.Join(c.t.TempDir(), name)
	r, err := d.Export(context.Background(), file, logtool.ExportOptions{Device: "box-17", SinceDelivered: since, Program: "edgectl test", Now: testNow})
	if err != nil || !r.Remembered {
		c.t.Fatal(err, r)
	}
	return file
}

func (c *carried) ack(file string) *logtool.DeliverReport {
	c.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	r, err := logtool.Dir{FS: vfs.OS{}, Path: c.log}.Deliver(context.Background(), f)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// buffered is what the box has and does not count as delivered.
func (c *carried) buffered() (n uint64) {
	c.t.Helper()
	set, err := buffer.OpenReadOnly(context.Background(), vfs.OS{}, c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	defer set.Close()
	for _, l := range set.Logs() {
		n += uint64(l.Info().End - l.Info().Delivered)
	}
	return n
}

// network delivers the log as the agent does, through the real sender and receiver over a link in memory.
func (c *carried) network(db string) {
	c.t.Helper()
	s, err := sqlite.Open(db, sqlite.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	set := c.open()
	defer set.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	recv := receive.New(receive.Options{Store: s})
	var sources []uplink.Source
	for _, l := range set.Logs() {
		sources = append(sources, uplink.NewLog(l))
	}
	loop := uplink.NewLoop(uplink.LoopOptions{Sources: sources, Sender: uplink.Options{Random: rand.Uint64, Codec: &uplink.Bodies{}}, Dial: func(context.Context) (wire.Link, error) {
		return &direct{recv: recv, in: make(chan wire.Message, 1000)}, nil
	}})
	done := make(chan error, 2)
	go func() { done <- recv.Run(ctx) }()
	go func() { done <- loop.Run(ctx) }()
	for ctx.Err() == nil {
		left := uint64(0)
		for _, l := range set.Logs() {
			left += uint64(l.Info().End - l.Delivered())
		}
		if left == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if ctx.Err() != nil {
		c.t.Error("the network delivers nothing")
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			c.t.Error(err)
		}
	}
}

// direct is a link without a broker.
type direct struct {
	recv *receive.Receiver
	in   chan wire.Message
}

func (d *direct) Send(_ context.Context, m wire.Message) error {
	switch x := m.(type) { // what a sender reuses is copied, as a network would
	case *wire.Data:
		y, err := wire.ParseData(x.Stream, wire.AppendData(nil, x))
		if err != nil {
			return err
		}
		m = y
	case *wire.Hello:
		y := *x
		m = &y
	}
	d.recv.Handle("box-17", m, func(a *wire.Ack) { d.in <- a })
	return nil
}

func (d *direct) Recv(ctx context.Context) (wire.Message, error) {
	select {
	case m := <-d.in:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *direct) Close() error { return nil }

func newStore(t *testing.T) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "hub.db")
	s, err := sqlite.Open(db, sqlite.Options{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, db string) string {
	t.Helper()
	run(t, 0, "verify", "--db", db)
	run(t, 0, "account", "--db", db)
	return strings.TrimSpace(run(t, 0, "count", "--db", db))
}

func TestCarriedByHand(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(3, 40) // 2 streams × 3 epochs × (40 + boot mark)
	db := newStore(t)
	file := c.export("one.edge", false)
	var r hub.ImportReport
	if err := json.Unmarshal([]byte(run(t, 0, "import", file, "--json", "--db", db)), &r); err != nil || !r.Complete || len(r.Epochs) != 6 {
		t.Fatalf("%v %+v", err, r)
	}
	if n := count(t, db); n != "240" {
		t.Errorf("%s rows, want 240", n)
	}
	if out := run(t, 0, "import", file, "--db", db); !strings.Contains(out, "Everything in the file is in the store, once.") {
		t.Error(out)
	}
	if n := count(t, db); n != "240" {
		t.Errorf("after a second import: %s rows", n)
	}
	if n := c.buffered(); n != 246 {
		t.Errorf("%d records wait before the ack file came", n)
	}
	c.ack(file + ".ack")
	if n := c.buffered(); n != 0 {
		t.Errorf("%d records wait after the ack file came", n)
	}

	c.openings(2, 30)
	second := c.export("two.edge", true)
	run(t, 0, "import", second, "--db", db)
	if n := count(t, db); n != "360" {
		t.Errorf("%s rows, want 360", n)
	}
	c.openings(1, 10)
	c.network(db) // the rest, and nothing that was carried
	if n := count(t, db); n != "380" {
		t.Errorf("after the network: %s rows, want 380", n)
	}
	run(t, 0, "import", file, "--db", db)
	run(t, 0, "import", second, "--db", db)
	if n := count(t, db); n != "380" {
		t.Errorf("old sticks after the network: %s rows", n)
	}
}

func TestNetworkThenAnOldStick(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(2, 20)
	file := c.export("old.edge", false)
	c.openings(1, 20)
	db := newStore(t)
	c.network(db)
	want := count(t, db)
	run(t, 0, "import", file, "--db", db)
	if n := count(t, db); n != want || n != "120" {
		t.Errorf("%s rows, %s before the stick", n, want)
	}
}

// TestStickThatDoesNotReachNext: the second stick comes without the first. Nothing is taken, it is said, and the order
// of both heals it.
func TestStickThatDoesNotReachNext(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(1, 20)
	first := c.export("one.edge", false)
	db, other := newStore(t), newStore(t)
	run(t, 0, "import", first, "--db", other)
	c.ack(first + ".ack")
	c.openings(1, 10)
	second := c.export("two.edge", true)
	out := run(t, hub.ExitDegraded, "import", second, "--db", db)
	if !strings.Contains(out, "Keep the file") || !strings.Contains(strings.Join(strings.Fields(out), " "), "import the earlier file first, or let the box connect") {
		t.Error(out)
	}
	if n := count(t, db); n != "0" {
		t.Errorf("%s rows", n)
	}
	run(t, 0, "import", first, "--db", db)
	run(t, 0, "import", second, "--db", db)
	if n := count(t, db); n != "60" {
		t.Errorf("%s rows, want 60", n)
	}
}

func TestDamagedStick(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(1, 200)
	file := c.export("one.edge", false)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"cut": good[:len(good)*2/3], "flipped": append(bytes.Clone(good[:len(good)/2]), append([]byte{good[len(good)/2] ^ 1}, good[len(good)/2+1:]...)...)} {
		db := newStore(t)
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if out := run(t, hub.ExitDegraded, "import", path, "--db", db); !strings.Contains(out, "The file is damaged") {
			t.Error(out)
		}
		part := count(t, db)
		run(t, 0, "import", file, "--db", db)
		if n := count(t, db); n != "400" || part == "0" || part == n {
			t.Errorf("%s: %s rows of the damaged file, %s after the good one", name, part, n)
		}
	}
	if out := run(t, 1, "import", filepath.Join(c.log, "LOCK"), "--db", newStore(t)); !strings.Contains(out, "not a portable log file") {
		t.Error(out)
	}
	run(t, 2, "import")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := logtool.Dir{FS: vfs.OS{}, Path: c.log}
	if _, err := d.Deliver(context.Background(), f); err == nil || !strings.Contains(err.Error(), "edge-hub import") {
		t.Errorf("an export as an ack file: %v", err)
	}
	// The ack of another box's export does not count here.
	o := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	o.openings(1, 5)
	foreign := o.export("o.edge", false)
	run(t, 0, "import", foreign, "--db", newStore(t))
	a, err := os.Open(foreign + ".ack")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := d.Deliver(context.Background(), a); !errors.Is(err, logtool.ErrNotOurs) {
		t.Errorf("a foreign ack: %v", err)
	}
}

// TestMoreGapsThanAnAnswerLists: a file fills the gaps that it can, also those that no answer has room for; and the box does not take
// for delivered what the ack file says nothing of.
func TestMoreGapsThanAnAnswerLists(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(1, 900)
	whole := c.export("whole.edge", false)
	db := newStore(t)
	edges := c.holes(db, whole)
	if len(edges) < wire.MaxAckGaps+10 {
		t.Fatalf("%d gaps", len(edges))
	}
	set := c.open()
	l, err := set.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	l.SetDelivered(edges[wire.MaxAckGaps+2])
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	upper := c.export("upper.edge", true) // without the records of the first gaps
	if out := run(t, 0, "import", upper, "--db", db); !strings.Contains(out, "Everything in the file is in the store, once.") {
		t.Error(out)
	}
	s, err := sqlite.Open(db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st, err := s.Positions(context.Background(), "box-17")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Positions {
		if p.Stream == "telemetry" && len(p.Gaps) != wire.MaxAckGaps+2 {
			t.Errorf("%d of %d gaps are left, want those below the file", len(p.Gaps), len(edges))
		}
	}
}

// holes brings the file to the store, every second frame of telemetry as a gap in its place, and returns where these begin.
func (c *carried) holes(db, file string) (at []record.Offset) {
	c.t.Helper()
	s, err := sqlite.Open(db, sqlite.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	f, err := os.Open(file)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	r, err := carry.NewReader(f)
	if err != nil {
		c.t.Fatal(err)
	}
	recv := receive.New(receive.Options{Store: s})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- recv.Run(ctx) }()
	acks := make(chan *wire.Ack, 100)
	odd := false
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if d, ok := m.(*wire.Data); ok && d.Stream == "telemetry" {
			if odd = !odd; !odd && len(d.Definitions) == 0 {
				m = &wire.Gap{FrameHeader: d.FrameHeader, Range: record.Range{From: d.Base, To: d.Base + record.Offset(d.Count)}, Reason: record.ReasonRetention,
					ChainFrom: d.ChainBase, ChainTo: d.ChainEnd}
				at = append(at, d.Base)
			}
		}
		recv.Handle("box-17", m, func(a *wire.Ack) { acks <- a })
		<-acks
	}
	cancel()
	if err := <-done; err != nil {
		c.t.Error(err)
	}
	return at
}

// TestCarriedThenRestoredAndCloned: a stick was imported and its ack file brought back, then the store is put back to before, and
// the box has a twin from a copy of its disk. The network overrides the ack file (A11), and everything is there once.
func TestCarriedThenRestoredAndCloned(t *testing.T) {
	c := &carried{t: t, log: filepath.Join(t.TempDir(), "log")}
	c.openings(2, 20)
	db := newStore(t)
	first := c.export("one.edge", false)
	empty, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	run(t, 0, "import", first, "--db", db)
	c.ack(first + ".ack")
	if n := c.buffered(); n != 0 {
		t.Fatalf("%d records wait after the ack file came", n)
	}
	twin := &carried{t: t, log: filepath.Join(t.TempDir(), "log"), next: 10_000}
	if err := os.CopyFS(twin.log, os.DirFS(c.log)); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(db + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(db, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	c.openings(1, 10)
	twin.openings(2, 10)
	stick := twin.export("twin.edge", true) // above what the restored store has
	if out := run(t, hub.ExitDegraded, "import", stick, "--db", db); !strings.Contains(out, "Keep the file") {
		t.Error(out)
	}
	c.ack(first + ".ack") // an old ack file again: it raises nothing that stands
	c.network(db)         // the box has all of it still, and sends what the store has lost
	run(t, 0, "import", stick, "--db", db)
	twin.network(db)
	run(t, 0, "import", first, "--db", db)
	if n := count(t, db); n != "140" { // of two streams: 2 × 20, and 10 and 20 of either
		t.Errorf("%s rows, want 140", n)
	}
}
