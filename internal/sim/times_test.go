package sim_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/buffertest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

const (
	second = int64(time.Second)
	hour   = int64(time.Hour)
	utc0   = int64(1_790_000_000) * second // of the first boot, in truth
)

// timed is a box whose clock the test moves, with a real log and sender, before a real receiver over SQLite.
type timed struct {
	t      *testing.T
	disk   *vfs.Mem
	set    *buffer.Set
	log    *buffer.Log
	sender *uplink.Sender
	id     record.SeriesID
	boots  int
	boot   string
	now    int64 // boot time, ns

	hub  *receive.Receiver
	st   *sqlite.Store
	db   *sql.DB
	acks chan *wire.Ack
}

func newTimed(t *testing.T) *timed {
	path := filepath.Join(t.TempDir(), "hub.db")
	st, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	b := &timed{t: t, disk: vfs.NewMem(), st: st, db: db, acks: make(chan *wire.Ack, 64)}
	b.hub = receive.New(receive.Options{Store: st})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.hub.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := buffertest.Verify(b.log); err != nil {
			t.Error(err)
		}
		for _, c := range []interface{ Close() error }{b.set, db, st} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return b
}

// start boots the box; wall is what its clock says at boot time 0. Without an RTC that is 1970, or where it stood.
func (b *timed) start(wall int64) {
	b.t.Helper()
	if b.set != nil {
		if err := b.set.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	b.boots++
	b.boot, b.now = fmt.Sprintf("boot-%d", b.boots), second
	var err error
	b.set, err = buffer.Open(b.t.Context(), b.disk, "log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}},
		Opening: func(string) []record.Record {
			r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: b.now, Clock: record.ClockBoot},
				record.BootMark{Anchor: record.Anchor{Boot: b.boot, BootTime: b.now, UTC: wall + b.now, Source: record.SourceSystem, State: "unsynchronised"}})
			if err != nil {
				b.t.Error(err)
			}
			return []record.Record{r}
		}})
	if err == nil {
		b.log, err = b.set.Log("telemetry")
	}
	if err == nil {
		b.id, err = b.log.Define(record.Series{Name: "count", Type: record.TypeInt})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.sender = uplink.New(uplink.Options{Random: rand.Uint64}, uplink.NewLog(b.log))
}

func (b *timed) put(r record.Record) {
	b.t.Helper()
	if _, err := b.log.Append(b.t.Context(), record.Draft{Records: []record.Record{r}}); err != nil {
		b.t.Fatal(err)
	}
	if err := b.log.Sync(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// read takes a reading after a while of boot time.
func (b *timed) read(after int64) {
	b.now += after
	b.put(record.Record{Kind: record.KindObservation, Series: b.id, Time: b.now, Clock: record.ClockBoot, Type: record.TypeInt, Num: int64(b.log.Info().End)})
}

// anchor notes that at this moment UTC is known.
func (b *timed) anchor(utc, bound int64, state string) {
	b.t.Helper()
	r, err := record.MarkRecord(record.KindAnchor, record.Stamp{Time: b.now, Clock: record.ClockBoot},
		record.Anchor{Boot: b.boot, BootTime: b.now, UTC: utc, Error: bound, Source: record.SourceNTP, State: state})
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(r)
}

// deliver runs sender and receiver until the hub has everything.
func (b *timed) deliver() {
	b.t.Helper()
	b.sender.Connected(time.Now())
	limit := time.After(time.Minute)
	for b.log.Delivered() != b.log.Info().End {
		b.sender.LogChanged("telemetry")
		b.sender.Tick(time.Now())
		for {
			m, ok := b.sender.Next(time.Now())
			if !ok {
				break
			}
			b.hub.Handle(device, throughBytes(m), func(a *wire.Ack) { b.acks <- a })
		}
		select {
		case a := <-b.acks:
			b.sender.Received(throughBytes(a), time.Now())
		case <-time.After(10 * time.Millisecond):
		case <-limit:
			b.t.Fatalf("not delivered: %+v", b.log.Info())
		}
	}
	b.sender.Disconnected(time.Now(), nil)
}

// times are the readings in the order of arrival at the hub, µs UTC and width, after a check that the box says the same.
func (b *timed) times() (out []record.Time) {
	b.t.Helper()
	rows, err := b.db.Query("SELECT record_offset, t, t_error FROM readings ORDER BY arrival")
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	hub := map[record.Offset]record.Time{}
	last := int64(-1)
	for rows.Next() {
		var o, t, e int64
		if err := rows.Scan(&o, &t, &e); err != nil {
			b.t.Fatal(err)
		}
		if o <= last {
			b.t.Errorf("offset %d came after %d", o, last)
		}
		last = o
		hub[record.Offset(o)] = record.Time{UTC: t, Error: e}
		out = append(out, record.Time{UTC: t, Error: e})
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	all, err := buffertest.ReadAll(b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	n := 0
	for i := range all {
		r := &all[i].Record
		if r.Kind != record.KindObservation {
			continue
		}
		n++
		box, ok := b.log.Time(all[i].Epoch, record.Stamp{Time: r.Time, Clock: r.Clock})
		h, stored := hub[all[i].Offset]
		if !ok || !stored || box.UTC/1000 != h.UTC || (box.Error == 0) != (h.Error == 0) {
			b.t.Errorf("offset %d: the box says %+v (%v), the hub %+v (%v)", all[i].Offset, box, ok, h, stored)
		}
	}
	if n != len(out) {
		b.t.Errorf("the box holds %d readings, the hub %d", n, len(out))
	}
	return out
}

// known demands these times of the readings, as seconds after utc0; all are exact.
func (b *timed) known(what string, seconds ...int64) {
	b.t.Helper()
	var want []record.Time
	for _, s := range seconds {
		want = append(want, record.Time{UTC: (utc0 + s*second) / 1000})
	}
	if got := b.times(); !slices.Equal(got, want) {
		b.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// one is one number that the database says.
func (b *timed) one(query string) (n int64) {
	b.t.Helper()
	if err := b.db.QueryRow(query).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// settled: the account of every epoch closes and nothing was taken twice; corrections are carried out without a trace in it.
func (b *timed) settled() {
	b.t.Helper()
	before := b.times()
	if _, err := b.st.Correct(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if after := b.times(); !slices.Equal(before, after) {
		b.t.Errorf("rewriting the rows has changed what a query sees: %v, before %v", after, before)
	}
	if n := b.one("SELECT count(*) FROM positions WHERE NOT balanced OR gaps <> 0 OR skipped <> 0"); n != 0 {
		b.t.Errorf("%d epochs do not balance, or have gaps", n)
	}
	if v, err := b.st.Verify(b.t.Context(), nil); err != nil || len(v.Faults) > 0 {
		b.t.Errorf("verify: %+v %v", v, err)
	}
}

// corrections are those that the hub has noted and not carried out.
func (b *timed) corrections() int {
	b.t.Helper()
	i, err := b.st.Info(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return int(i.Corrections)
}

// TestNoClock: a box without an RTC boots in 1970 and learns the time hours later, when most of its readings are at the hub.
// They get their time on both sides, and that they were corrected is recorded on both.
func TestNoClock(t *testing.T) {
	b := newTimed(t)
	b.start(0)
	b.read(second)
	b.read(3 * hour)
	b.deliver()
	for i, got := range b.times() {
		if got.Error == 0 || got.UTC > 4*hour/1000 {
			t.Errorf("reading %d has a time before anybody knew it: %+v", i, got)
		}
	}
	if n := b.corrections(); n != 0 {
		t.Errorf("%d corrections before an anchor", n)
	}
	b.read(2 * hour)
	b.anchor(utc0+b.now, second/1000, "synchronised")
	b.read(second)
	b.deliver()
	b.known("after the anchor", 2, 2+3*3600, 2+5*3600, 3+5*3600)
	if n := b.corrections(); n == 0 {
		t.Error("the hub has noted no correction")
	}
	if n := b.one("SELECT count(*) FROM marks WHERE kind = 'anchor' AND value LIKE '%synchronised%'"); n != 1 {
		t.Errorf("%d anchors are records at the hub", n)
	}
	b.settled()
	b.known("after the rows were rewritten", 2, 2+3*3600, 2+5*3600, 3+5*3600)
}

// TestClockSetForward and back: the time that a boot had was wrong, by an anchor with a wide bound. A better one corrects
// all readings of that boot, older ones too, whichever way the clock was moved; offsets and order stay.
func TestClockSteps(t *testing.T) {
	for name, wrong := range map[string]int64{"forward": -9 * hour, "back": 9 * hour} {
		t.Run(name, func(t *testing.T) {
			b := newTimed(t)
			b.start(utc0 + wrong)
			b.read(second)
			b.anchor(utc0+b.now+wrong, 10*second, "synchronised")
			b.read(second)
			b.deliver()
			if got := b.times(); got[0].UTC != (utc0+wrong+2*second)/1000 {
				t.Errorf("before the step: %v", got)
			}
			b.read(hour)
			b.anchor(utc0+b.now, second/1000, "stepped")
			b.read(second)
			b.deliver()
			b.known("after the step", 2, 3, 3+3600, 4+3600)
			if b.corrections() == 0 {
				t.Error("the hub has noted no correction")
			}
			if n := b.one("SELECT count(*) FROM marks WHERE kind = 'anchor' AND value LIKE '%stepped%'"); n != 1 {
				t.Errorf("%d steps are records at the hub", n)
			}
			// A worse anchor afterwards, as of a clock that is set wrongly again, changes nothing.
			b.anchor(utc0+b.now+3*hour, hour, "stepped")
			b.deliver()
			b.known("after a worse anchor", 2, 3, 3+3600, 4+3600)
			b.settled()
		})
	}
}

// TestBootWithoutTime: a boot that never learned the time lies between its neighbours, on both sides; the anchor of a later
// boot does not pretend to know it.
func TestBootWithoutTime(t *testing.T) {
	b := newTimed(t)
	b.start(0)
	b.read(second)
	b.anchor(utc0+b.now, second/1000, "synchronised")
	b.start(0)
	b.read(second)
	b.deliver()
	b.start(0)
	b.read(second)
	b.anchor(utc0+10*hour, second/1000, "synchronised")
	b.deliver()
	got := b.times()
	if len(got) != 3 || got[0] != (record.Time{UTC: (utc0 + 2*second) / 1000}) || got[2] != (record.Time{UTC: (utc0 + 10*hour) / 1000}) {
		t.Fatalf("the boots that know the time: %v", got)
	}
	// It was 2 s up: at the earliest it began where the first boot was last seen, at the latest it ended where the third began.
	if want := (record.Time{UTC: (utc0 + 4*second) / 1000, Error: 10*hour - 6*second}); got[1].UTC != want.UTC || got[1].Error*1000 != want.Error {
		t.Errorf("the boot between them: %+v, want %+v", got[1], want)
	}
	b.settled()
}
