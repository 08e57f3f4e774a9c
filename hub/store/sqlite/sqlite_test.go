package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/sqlite"
	_ "github.com/mattn/go-sqlite3"
)

const (
	second = int64(time.Second)
	day0   = int64(1_790_000_000) * second // UTC of the tests' boots, ns
)

func open(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		verify(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func verify(t *testing.T, s *sqlite.Store) {
	t.Helper()
	r, err := s.Verify(context.Background(), nil)
	if errors.Is(err, sqlite.ErrClosed) {
		return
	}
	if err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, r)
	}
}

// box makes the changes of one epoch.
type box struct {
	device, stream string
	epoch          record.Epoch
	next           record.Offset
	chain          uint64
	created        bool
}

func newBox(device string) *box {
	return &box{device: device, stream: "telemetry", epoch: 0xe1, next: 100}
}

func (b *box) change(rows ...record.Record) store.Change {
	c := store.Change{Device: b.device, Stream: b.stream, Epoch: b.epoch, Create: !b.created, First: b.next,
		From: b.next, FromChain: b.chain, RowBase: b.next, Rows: rows, To: b.next + record.Offset(len(rows)),
		ToChain: record.FoldChain(b.chain, rows)}
	b.created, b.next, b.chain = true, c.To, c.ToChain
	return c
}

func (b *box) gap(n record.Offset) store.Change {
	c := b.change()
	c.To, c.ToChain = c.From+n, c.FromChain+7
	c.Gaps = []record.Gap{{Epoch: b.epoch, Range: record.Range{From: c.From, To: c.To}, Reason: record.ReasonRetention,
		ChainFrom: c.FromChain, ChainTo: c.ToChain}}
	b.next, b.chain = c.To, c.ToChain
	return c
}

func commit(t *testing.T, s *sqlite.Store, c ...store.Change) []store.Result {
	t.Helper()
	rs, err := s.Commit(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		if !r.Applied {
			t.Fatalf("change %d was not applied: %+v", i, r)
		}
	}
	return rs
}

func decimal(at, n int64) record.Record {
	return record.Record{Kind: record.KindObservation, Series: 1, Time: at * second, Clock: record.ClockBoot,
		Type: record.Decimal(4), Num: n}
}

func temperature() record.Definition {
	return record.Definition{ID: 1, Series: record.Series{Name: "temperature",
		Labels: []record.Label{{Key: "rom", Value: "28-1"}}, Unit: "Cel", Type: record.Decimal(4)}}
}

func ask(t *testing.T, path, query string) string {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	cols, _ := rows.Columns()
	var out []string
	for rows.Next() {
		vals, ptrs := make([]any, len(cols)), make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Trim(fmt.Sprint(vals...), "[]"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

func TestRowsOfEveryTypeInTheView(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	boot, err := record.MarkRecord(record.KindBoot, record.Stamp{Clock: record.ClockBoot}, record.BootMark{
		Anchor: record.Anchor{Boot: "b1", UTC: day0, Source: record.SourceNTP}})
	if err != nil {
		t.Fatal(err)
	}
	rec := func(typ record.Type, num int64, d *record.Data) record.Record {
		return record.Record{Kind: record.KindObservation, Series: 1, Time: 1_500_000, Clock: record.ClockBoot, Type: typ,
			Num: num, Data: d}
	}
	float := rec(record.TypeNone, 0, nil)
	float.Float(2.5)
	bad := rec(record.TypeNone, 0, &record.Data{Detail: []byte{0xff, 1}})
	bad.Quality = record.QualityCRC
	asserted := rec(record.TypeInt, 7, nil)
	asserted.Clock, asserted.Time = record.ClockApp, day0+5*second
	c := b.change(boot, rec(record.Decimal(4), 210625, nil), rec(record.TypeInt, -3, nil), float,
		rec(record.TypeBool, 1, nil), rec(record.TypeString, 0, &record.Data{Value: []byte("on")}),
		rec(record.TypeJSON, 0, &record.Data{Value: []byte(`{"a":1}`)}), bad, asserted)
	c.Definitions = []record.Definition{temperature()}
	c.Boot = "b1"
	a, _ := record.AnchorOf(&boot)
	c.Anchors = []record.Anchor{a}
	commit(t, s, c)
	got := ask(t, path, `SELECT device||' '||stream||' '||epoch||' '||record_offset||' '||(t-1790000000000000)||' '||t_error||
		' '||time||' '||series||' '||labels||' '||unit||' '||ifnull(value,'-')||' '||typeof(value)||' '||quality FROM readings`)
	p := `box-1 telemetry 00000000000000e1 `
	m := ` temperature {"rom":"28-1"} Cel `
	at := "2026-09-21T14:13:20.001500Z"
	want := strings.Join([]string{
		p + `101 1500 0 ` + at + m + `21.0625 real good`, p + `102 1500 0 ` + at + m + `-3 integer good`,
		p + `103 1500 0 ` + at + m + `2.5 real good`, p + `104 1500 0 ` + at + m + `1 integer good`,
		p + `105 1500 0 ` + at + m + `on text good`, p + `106 1500 0 ` + at + m + `{"a":1} text good`,
		p + `107 1500 0 ` + at + m + `- null bad:crc`,
		p + `108 5000000 0 2026-09-21T14:13:25.000000Z` + m + `7 integer good`}, "\n")
	if got != want {
		t.Errorf("readings:\n%s\nwant\n%s", got, want)
	}
	if got := ask(t, path, "SELECT kind||' '||record_offset FROM marks"); got != "boot 100" {
		t.Errorf("marks: %s", got)
	}
	if got := ask(t, path, "SELECT hex(detail) FROM record WHERE detail IS NOT NULL"); got != "FF01" {
		t.Errorf("detail: %s", got)
	}
	if got := ask(t, path, "SELECT value, t - 1790000000000000 FROM latest"); got != "7 5000000" {
		t.Errorf("latest: %s", got)
	}
	for q, want := range map[string]string{
		"WHERE t >= 5 AND t < 9 AND series = 'x' ORDER BY t LIMIT 3":      "SEARCH r USING INDEX record_t (t>? AND t<?)",
		"WHERE series LIKE 'x%' AND device = 'd' ORDER BY t DESC LIMIT 3": "SCAN r USING INDEX record_t",
	} {
		plan := ask(t, path, "EXPLAIN QUERY PLAN SELECT time, series, value FROM readings "+q)
		if !strings.Contains(plan, want) || strings.Contains(plan, "AUTOMATIC") {
			t.Errorf("%s does not use the index on t:\n%s", q, plan)
		}
	}
}

func TestCompareAndSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	first := b.change(decimal(1, 1), decimal(2, 2))
	first.Definitions = []record.Definition{temperature()}
	second := b.change(decimal(3, 3))
	commit(t, s, first, second)
	again := store.Change{Device: "box-1", Stream: "telemetry", Epoch: 0xe1, From: 102, FromChain: second.FromChain,
		RowBase: 102, Rows: second.Rows, To: 103, ToChain: second.ToChain}
	unknown := again
	unknown.Epoch = 0xe2
	rs, err := s.Commit(context.Background(), []store.Change{again, first, unknown})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs[:2] {
		if r.Applied || r.Position.Next != 103 || r.Position.ChainNext != second.ToChain || r.Position.Rows != 3 {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	if rs[2].Applied || rs[2].Position.Epoch != 0 {
		t.Errorf("unknown epoch: %+v", rs[2])
	}
	undefined := b.change(record.Record{Kind: record.KindObservation, Series: 9, Clock: record.ClockBoot, Type: record.TypeInt})
	if _, err := s.Commit(context.Background(), []store.Change{undefined}); err == nil {
		t.Error("a row of an undefined series was taken")
	}
	if got := ask(t, path, "SELECT rows, next, balanced FROM positions"); got != "3 103 1" {
		t.Errorf("after a failed transaction: %s", got)
	}
}

func TestGapsFillsSkipsAndProducers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	c1 := b.change(decimal(1, 1), decimal(2, 2), decimal(3, 3), decimal(4, 4))
	c1.Definitions = []record.Definition{temperature()}
	c1.Skips = []store.Skip{{Range: record.Range{From: 101, To: 102}, Reason: "repeat"}, {Range: record.Range{From: 103, To: 104}, Reason: "dead-letter"}}
	c1.DeadLetters = []store.DeadLetter{{Offset: 103, Reason: "text is not UTF-8", Canonical: []byte{1}}}
	c1.Producers = []store.Producer{{Name: "node-1", Incarnation: 1 << 63, Taken: store.Sequences{Ranges: []store.SequenceRange{{First: 4, Last: 4}}}}}
	g := b.gap(10)
	c2 := b.change(decimal(5, 5), decimal(6, 6))
	c2.Skips = []store.Skip{{Range: record.Range{From: 114, To: 115}, Reason: "repeat"}}
	commit(t, s, c1, g, c2)

	now := g.Gaps[0]
	now.From, now.ChainFrom = 107, 99
	fill := store.Change{Device: "box-1", Stream: "telemetry", Epoch: 0xe1, From: b.next, FromChain: b.chain, To: b.next,
		ToChain: b.chain, Late: true, RowBase: 104, Rows: []record.Record{decimal(7, 7), decimal(8, 8), decimal(9, 9)},
		ShrinkGaps: []store.GapShrink{{At: 104, Now: now}}}
	r := commit(t, s, fill)[0].Position
	want := []record.Gap{now}
	if !reflect.DeepEqual(r.Gaps, want) || r.Rows != 6 || len(r.Skipped) != 3 {
		t.Errorf("after the fill: %+v", r)
	}
	if rs, _ := s.Commit(context.Background(), []store.Change{fill}); rs[0].Applied {
		t.Error("the same fill was applied twice")
	}
	st, err := s.Positions(context.Background(), "box-1")
	if err != nil {
		t.Fatal(err)
	}
	r.Series, r.Marks = []record.SeriesID{1}, st.Positions[0].Marks
	if !reflect.DeepEqual(st.Positions, []store.Position{r}) || !reflect.DeepEqual(st.Producers, c1.Producers) {
		t.Errorf("positions:\n%+v\n%+v", st, r)
	}
	acc, err := s.Accounts(context.Background())
	if err != nil || len(acc) != 1 || acc[0].Remainder() != 0 || acc[0].Late != 3 || acc[0].Gaps["retention"] != 7 ||
		acc[0].Skipped["repeat"] != 2 || acc[0].Skipped["dead-letter"] != 1 {
		t.Errorf("account %+v %v", acc, err)
	}
	if got := ask(t, path, "SELECT value FROM latest"); got != "0.0006" {
		t.Errorf("late rows changed the latest value: %s", got)
	}
}

func TestParentLearnsItsEnd(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	b := newBox("box-1")
	c := b.change(decimal(1, 1))
	c.Definitions = []record.Definition{temperature()}
	commit(t, s, c)
	child := store.Change{Device: "box-1", Stream: "telemetry", Epoch: 0xe2, Create: true, Parent: 0xe1, ParentEnd: 105,
		First: 105, From: 105, To: 105}
	if rs, err := s.Commit(context.Background(), []store.Change{child}); err != nil || rs[0].Applied {
		t.Fatalf("a child came before its parent's end: %+v %v", rs, err)
	}
	child.ParentEnd, child.First, child.From, child.To = 101, 101, 101, 101
	commit(t, s, child)
	st, err := s.Positions(context.Background(), "box-1")
	if err != nil || st.Positions[0].End != 101 {
		t.Fatalf("%+v %v", st, err)
	}
	quarantine := store.Change{Device: "box-1", Stream: "telemetry", Epoch: 0xe1, From: 101, FromChain: b.chain, To: 101,
		ToChain: b.chain, Quarantine: true}
	commit(t, s, quarantine)
	more := b.change(decimal(2, 2))
	if rs, _ := s.Commit(context.Background(), []store.Change{more}); rs[0].Applied || !rs[0].Position.Quarantined {
		t.Fatalf("a quarantined epoch took rows: %+v", rs)
	}
	if err := s.Release(context.Background(), "box-1", "telemetry", 0xe1); err != nil {
		t.Fatal(err)
	}
	commit(t, s, more)
	if err := s.Release(context.Background(), "box-1", "telemetry", 0xe1); !errors.Is(err, sqlite.ErrUnknownEpoch) {
		t.Errorf("release twice: %v", err)
	}
}

func TestAnchorsCorrectTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	guess := record.Anchor{Boot: "b1", UTC: 1000 * second, Source: record.SourceSystem}
	c := b.change(decimal(1, 1), decimal(2, 2))
	c.Definitions, c.Boot, c.Anchors = []record.Definition{temperature()}, "b1", []record.Anchor{guess}
	commit(t, s, c)
	const q = "SELECT t, t_error FROM readings ORDER BY record_offset"
	if got := ask(t, path, q); got != "1001000000 315360000000000\n1002000000 315360000000000" {
		t.Fatalf("before an anchor: %s", got)
	}
	// Retention must not take a boot that starts in 1970 for old.
	if r, err := s.Purge(context.Background(), sqlite.PurgeOptions{Before: day0 / 1000}, nil); err != nil || r.Rows != 0 {
		t.Fatalf("purge took %d rows of a boot of unknown time: %v", r.Rows, err)
	}
	c = b.change(decimal(3, 3))
	c.Anchors = []record.Anchor{{Boot: "b1", BootTime: 3 * second, UTC: day0 + 3*second + 1234, Error: 5, Source: record.SourceNTP}}
	commit(t, s, c)
	better := b.change(decimal(4, 4))
	better.Anchors = []record.Anchor{{Boot: "b1", BootTime: 3 * second, UTC: day0 + 3*second + 9999, Error: 2, Source: record.SourceNTP}}
	commit(t, s, better)
	want := "1790000001000009 0\n1790000002000009 0\n1790000003000009 0\n1790000004000009 0"
	if got := ask(t, path, q); got != want {
		t.Fatalf("with corrections pending:\n%s", got)
	}
	if got := ask(t, path, "SELECT t FROM readings WHERE t BETWEEN 1790000002000009 AND 1790000003000009 ORDER BY t"); got != "1790000002000009\n1790000003000009" {
		t.Fatalf("filter with corrections pending:\n%s", got)
	}
	if got := ask(t, path, "SELECT t FROM latest"); got != "1790000004000009" {
		t.Fatalf("latest: %s", got)
	}
	s.Close()
	s = open(t, path)
	if i, err := s.Info(context.Background()); err != nil || i.Corrections != 2 {
		t.Fatalf("info %+v %v", i, err)
	}
	if _, err := s.Correct(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, path, q); got != want {
		t.Fatalf("after correcting:\n%s", got)
	}
	if got := ask(t, path, "SELECT count(*), min(t) FROM record"); got != "4 1790000001000009" {
		t.Fatalf("table: %s", got)
	}
	// The boot that this process reads back from the file is the same: a worse anchor changes nothing.
	c = b.change(decimal(5, 5))
	c.Anchors = []record.Anchor{{Boot: "b1", BootTime: 5 * second, UTC: day0, Error: 50, Source: record.SourceNTP}}
	commit(t, s, c)
	if got := ask(t, path, "SELECT max(t) FROM readings"); got != "1790000005000009" {
		t.Fatalf("after reopening: %s", got)
	}
}

func TestPurgeKeepsTheAccount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	rows := make([]record.Record, 30_000)
	for i := range rows {
		rows[i] = decimal(int64(i), int64(i))
	}
	c := b.change(rows...)
	c.Definitions, c.Boot = []record.Definition{temperature()}, "b1"
	c.Anchors = []record.Anchor{{Boot: "b1", UTC: day0, Source: record.SourceGPS}}
	commit(t, s, c)
	ctx := context.Background()
	o := sqlite.PurgeOptions{Before: day0/1000 + 25_000*1_000_000, DryRun: true}
	if r, err := s.Purge(ctx, o, nil); err != nil || r.Rows != 25_000 {
		t.Fatalf("dry run: %+v %v", r, err)
	}
	o.DryRun, o.Compact = false, true
	r, err := s.Purge(ctx, o, nil)
	if err != nil || r.Rows != 25_000 {
		t.Fatalf("purge: %+v %v", r, err)
	}
	if got := ask(t, path, "SELECT rows, removed, balanced FROM positions"); got != "5000 25000 1" {
		t.Fatalf("positions: %s", got)
	}
	verify(t, s)
	if r, err = s.Purge(ctx, sqlite.PurgeOptions{MaxBytes: 100}, nil); err != nil || r.Rows != 5000 {
		t.Fatalf("purge by size: %+v %v", r, err)
	}
	commit(t, s, b.change(decimal(40_000, 1)))
	if got := ask(t, path, "SELECT min(id) FROM record"); got != "30001" {
		t.Errorf("ids begin again at %s", got)
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	for name, x := range map[string]struct{ sql, want string }{
		"duplicate": {"INSERT INTO record (t,epoch,record_offset,series,form) SELECT t,epoch,record_offset,series,form FROM record WHERE record_offset = 101", "offset 101 is there twice"},
		"lost":      {"DELETE FROM record WHERE record_offset = 101", "3 rows are there, the account says 4"},
		"position":  {"UPDATE epoch SET next = next + 1", "leaves 1"},
		"outside":   {"UPDATE record SET record_offset = 900 WHERE record_offset = 103", "offset 900 lies outside"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hub.db")
			s, err := sqlite.Open(path, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b := newBox("box-1")
			c := b.change(decimal(1, 1), decimal(2, 2), decimal(3, 3), decimal(4, 4))
			c.Definitions = []record.Definition{temperature()}
			commit(t, s, c)
			verify(t, s)
			db, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(x.sql); err != nil {
				t.Fatal(err)
			}
			db.Close()
			r, err := s.Verify(context.Background(), nil)
			if err != nil || !strings.Contains(strings.Join(r.Faults, "\n"), x.want) {
				t.Errorf("%v %+v", err, r)
			}
		})
	}
}

func TestFilesThatAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	exec := func(path, q string) {
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	foreign, newer, torn := filepath.Join(dir, "f.db"), filepath.Join(dir, "n.db"), filepath.Join(dir, "t.db")
	exec(foreign, "CREATE TABLE x (y)")
	s, err := sqlite.Open(newer, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	exec(newer, "PRAGMA user_version = 99")
	if err := os.WriteFile(torn, []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{foreign: sqlite.ErrForeign, newer: sqlite.ErrNewer, torn: sqlite.ErrDamaged} {
		for _, ro := range []bool{false, true} {
			if _, err := sqlite.Open(path, sqlite.Options{ReadOnly: ro}); !errors.Is(err, want) {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
}

func TestUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	b := newBox("box-1")
	c := b.change(decimal(1, 1))
	c.Definitions = []record.Definition{temperature()}
	commit(t, s, c)
	// Another process holds the file for longer than anybody waits.
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	next := b.change(decimal(2, 2))
	if _, err := s.Commit(context.Background(), []store.Change{next}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("busy: %v", err)
	}
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	commit(t, s, next)
	s.Close()
	if _, err := s.Commit(context.Background(), []store.Change{next}); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// BenchmarkCommit appends 20,000 rows of 500 series in frames of 2,000, one transaction an iteration.
func BenchmarkCommit(b *testing.B) {
	path := filepath.Join(b.TempDir(), "hub.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	x := newBox("box-1")
	var defs []record.Definition
	for id := 1; id <= 500; id++ {
		d := temperature()
		d.ID = record.SeriesID(id)
		d.Series.Labels = []record.Label{{Key: "rom", Value: fmt.Sprint(id)}}
		defs = append(defs, d)
	}
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		var cs []store.Change
		for range 10 {
			rows := make([]record.Record, 2000)
			for i := range rows {
				rows[i] = decimal(n/500, 210000+n%1000)
				rows[i].Series = record.SeriesID(n%500 + 1)
				n++
			}
			c := x.change(rows...)
			if c.Create {
				c.Definitions, c.Boot = defs, "b1"
				c.Anchors = []record.Anchor{{Boot: "b1", UTC: day0, Source: record.SourceGPS}}
			}
			cs = append(cs, c)
		}
		if _, err := s.Commit(context.Background(), cs); err != nil {
			b.Fatal(err)
		}
	}
	info, err := s.Info(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(info.UsedBytes)/float64(n), "B/row")
}
