package ledger_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

const now = 1_790_000_000_000_000 // µs

func row(series record.SeriesID) record.Record {
	return record.Record{Kind: record.KindObservation, Series: series, Clock: record.ClockBoot, Time: 5e9, Type: record.TypeInt, Num: 1}
}

func rows(n int) []record.Record { return slices.Repeat([]record.Record{row(1)}, n) }

var defs = []record.Definition{{ID: 1, Series: record.Series{Name: "n", Type: record.TypeInt}}}

// step is a change of epoch 1 from one offset to another, all rows, with chains that follow from offsets.
func step(from, to record.Offset) store.Change {
	return store.Change{Device: "box", Stream: "s", Epoch: 1, From: from, FromChain: uint64(from) * 10, To: to, ToChain: uint64(to) * 10,
		RowBase: from, Rows: rows(int(to - from)), Definitions: defs}
}

func create(to record.Offset) store.Change {
	c := step(0, to)
	c.Create = true
	return c
}

// apply is one commit of these changes; all must be taken or refused as want says.
func apply(t *testing.T, d *ledger.Device, want bool, changes ...store.Change) (out []*ledger.Applied) {
	t.Helper()
	tx := d.Begin(now)
	for i := range changes {
		r, a, err := tx.Apply(&changes[i])
		if err != nil || r.Applied != want {
			t.Fatalf("change %d: %+v, %v; want applied %v", i, r, err, want)
		}
		out = append(out, a)
	}
	tx.Keep()
	return out
}

func TestCheck(t *testing.T) {
	gap := func(from, to record.Offset) record.Gap { return record.Gap{Range: record.Range{From: from, To: to}} }
	for name, change := range map[string]func(c *store.Change){
		"no device":                     func(c *store.Change) { c.Device = "" },
		"no stream":                     func(c *store.Change) { c.Stream = "" },
		"no epoch":                      func(c *store.Change) { c.Epoch = 0 },
		"backwards":                     func(c *store.Change) { c.To = c.From - 1 },
		"another chain at the same end": func(c *store.Change) { c.To, c.Rows = c.From, nil },
		"a row too few":                 func(c *store.Change) { c.Rows = c.Rows[1:] },
		"a row too many":                func(c *store.Change) { c.Rows = rows(5) },
		"rows before the position":      func(c *store.Change) { c.RowBase-- },
		"a gap beside":                  func(c *store.Change) { c.Gaps = []record.Gap{gap(9, 10)}; c.Rows = rows(3) },
		"an empty gap":                  func(c *store.Change) { c.Gaps = []record.Gap{gap(5, 5)} },
		"a gap over rows":               func(c *store.Change) { c.Gaps = []record.Gap{gap(4, 6)} },
		"a skip beside the rows":        func(c *store.Change) { c.Skips = []store.Skip{{Range: record.Range{From: 7, To: 9}}} },
		"skips out of order": func(c *store.Change) {
			c.Skips = []store.Skip{{Range: record.Range{From: 6, To: 7}}, {Range: record.Range{From: 5, To: 6}}}
		},
		"an empty skip": func(c *store.Change) { c.Skips = []store.Skip{{Range: record.Range{From: 5, To: 5}}} },
		"a fill that moves": func(c *store.Change) {
			c.Late, c.ShrinkGaps = true, []store.GapShrink{{At: 0, Now: gap(4, 4)}}
		},
		"a fill of another length": func(c *store.Change) {
			c.Late, c.To, c.ToChain, c.ShrinkGaps = true, c.From, c.FromChain, []store.GapShrink{{At: 0, Now: gap(3, 3)}}
		},
		"a fill that grows a gap": func(c *store.Change) {
			c.Late, c.To, c.ToChain, c.ShrinkGaps = true, c.From, c.FromChain, []store.GapShrink{{At: 3, Now: gap(2, 4)}}
		},
		"a lower beginning with rows": func(c *store.Change) {
			c.Lower, c.First, c.Gaps = true, 0, []record.Gap{gap(0, 4)}
		},
		"a lower beginning beside its gap": func(c *store.Change) {
			c.Lower, c.First, c.To, c.ToChain, c.Rows, c.Definitions, c.Gaps = true, 1, c.From, c.FromChain, nil, nil, []record.Gap{gap(0, 4)}
		},
		"a lower beginning without a gap": func(c *store.Change) {
			c.Lower, c.To, c.ToChain, c.Rows, c.Definitions = true, c.From, c.FromChain, nil, nil
		},
		"another reason for a part": func(c *store.Change) { c.ShrinkGaps = []store.GapShrink{{At: 0, Now: gap(1, 4)}} },
		"another reason beyond":     func(c *store.Change) { c.ShrinkGaps = []store.GapShrink{{At: 0, Now: gap(0, 5)}} },
	} {
		c := step(4, 8)
		if err := ledger.Check(&c); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := ledger.Check(&c); !errors.Is(err, ledger.ErrChange) {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
}

func TestRuns(t *testing.T) {
	c := step(10, 20)
	for _, r := range [][2]record.Offset{{10, 12}, {14, 15}, {15, 16}, {19, 20}} {
		c.Skips = append(c.Skips, store.Skip{Range: record.Range{From: r[0], To: r[1]}})
	}
	var got [][2]record.Offset
	err := ledger.Runs(&c, func(rows []record.Record, at record.Offset) error {
		got = append(got, [2]record.Offset{at, at + record.Offset(len(rows))})
		return nil
	})
	if want := [][2]record.Offset{{12, 14}, {16, 19}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("runs %v (%v), want %v", got, err, want)
	}
	stop := errors.New("stop")
	if err := ledger.Runs(&c, func([]record.Record, record.Offset) error { return stop }); err != stop {
		t.Errorf("the callback's error became %v", err)
	}
}

func TestInsertSkip(t *testing.T) {
	skip := func(from, to record.Offset, reason string) store.Skip {
		return store.Skip{Range: record.Range{From: from, To: to}, Reason: reason}
	}
	var list []store.Skip
	for _, k := range []store.Skip{skip(10, 12, "a"), skip(2, 3, "a"), skip(12, 13, "a"), skip(13, 14, "b"), skip(8, 10, "a"), skip(3, 8, "a"), skip(14, 15, "b")} {
		list = ledger.InsertSkip(list, k)
	}
	if want := []store.Skip{skip(2, 13, "a"), skip(13, 15, "b")}; !slices.Equal(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
}

func TestDiff(t *testing.T) {
	for _, x := range []struct{ was, now, gone, added []int }{
		{[]int{1, 2}, []int{1, 2, 3}, nil, []int{3}}, {[]int{1, 2, 3}, []int{1, 3}, []int{2}, nil},
		{[]int{1}, []int{2}, []int{1}, []int{2}}, {nil, nil, nil, nil}, {[]int{1, 4}, []int{1, 2, 4}, nil, []int{2}},
	} {
		gone, added := ledger.Diff(x.was, x.now)
		if !slices.Equal(gone, x.gone) || !slices.Equal(added, x.added) {
			t.Errorf("%v to %v: gone %v, added %v; want %v, %v", x.was, x.now, gone, added, x.gone, x.added)
		}
	}
}

// TestCompareAndSet: a change is taken only at exactly the position it names, and says where the store stands else.
func TestCompareAndSet(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	apply(t, d, false, step(0, 2)) // nothing is there yet
	apply(t, d, true, create(4))
	apply(t, d, false, create(4), step(3, 5), step(5, 6))
	wrong := step(4, 5)
	wrong.FromChain++
	apply(t, d, false, wrong)
	apply(t, d, true, step(4, 6), step(6, 7)) // the second builds on the first
	tx := d.Begin(now)
	c := step(4, 6)
	if r, a, err := tx.Apply(&c); err != nil || a != nil || r.Applied || r.Position.Next != 7 || r.Position.ChainNext != 70 || tx.Dirty() {
		t.Errorf("a repeat: %+v, %+v, %v, dirty %v", r, a, err, tx.Dirty())
	}
	read := store.Change{Device: "box", Stream: "s", Epoch: 1, From: 7, FromChain: 70, To: 7, ToChain: 70}
	if r, a, err := tx.Apply(&read); err != nil || a != nil || !r.Applied || tx.Dirty() {
		t.Errorf("a read-back: %+v, %+v, %v", r, a, err)
	}
	quarantine := read
	quarantine.Quarantine = true
	apply(t, d, true, quarantine)
	apply(t, d, false, step(7, 8))
	apply(t, d, true, read)
}

// TestDrop: a transaction that fails leaves nothing, and what State gave out is never changed.
func TestDrop(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	first := create(4)
	first.Producers = []store.Producer{{Name: "p", Incarnation: 1}}
	apply(t, d, true, first)
	before := d.State()
	tx := d.Begin(now)
	c := step(4, 8)
	c.Rows = []record.Record{row(1), row(2)}
	c.Gaps = []record.Gap{{Epoch: 1, Range: record.Range{From: 6, To: 8}, Reason: record.ReasonRetention}}
	c.Definitions = append(slices.Clone(defs), record.Definition{ID: 2, Series: record.Series{Name: "m", Type: record.TypeInt}})
	p := store.Producer{Name: "p", Incarnation: 1}
	c.ProducersFrom = []store.Producer{p}
	p.Taken.Add(3)
	c.Producers = []store.Producer{p}
	if r, _, err := tx.Apply(&c); err != nil || !r.Applied {
		t.Fatalf("%+v, %v", r, err)
	}
	tx.Drop()
	if after := d.State(); !reflect.DeepEqual(after, before) {
		t.Errorf("after a drop\n%+v, before\n%+v", after, before)
	}
	apply(t, d, true, c) // the series is new again
	if len(before.Positions[0].Gaps) != 0 || before.Positions[0].Next != 4 {
		t.Errorf("what was given out has changed: %+v", before.Positions[0])
	}
	if e := d.Find("s", 1); e.Next != 8 || len(e.Gaps) != 1 || e.Rows != 6 || !slices.Equal(e.Series, []record.SeriesID{1, 2}) {
		t.Errorf("%+v", e)
	}
}

// TestFill: late rows shrink and close recorded gaps; a gap that is not there makes the change lose.
func TestFill(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	c := create(2)
	c.To, c.ToChain = 10, 100
	c.Gaps = []record.Gap{{Epoch: 1, Range: record.Range{From: 2, To: 10}, Reason: record.ReasonRetention}}
	apply(t, d, true, c)
	fill := func(at, from, to record.Offset) store.Change {
		return store.Change{Device: "box", Stream: "s", Epoch: 1, From: 10, FromChain: 100, To: 10, ToChain: 100, Late: true, RowBase: at, Rows: rows(int(from - at)),
			ShrinkGaps: []store.GapShrink{{At: at, Now: record.Gap{Epoch: 1, Range: record.Range{From: from, To: to}, Reason: record.ReasonRetention}}}}
	}
	apply(t, d, false, fill(3, 5, 10), fill(2, 5, 9))
	apply(t, d, true, fill(2, 5, 10))
	apply(t, d, false, fill(2, 5, 10))
	apply(t, d, true, fill(5, 10, 10))
	if e := d.Find("s", 1); len(e.Gaps) != 0 || e.Rows != 10 || e.Late != 8 || e.Next != 10 {
		t.Errorf("%+v", e)
	}
}

// TestParents: a child needs its parent's end to be reached, and tells the parent where it ends.
func TestParents(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	child := create(3)
	child.Epoch, child.Parent, child.ParentEnd = 2, 1, 4
	apply(t, d, false, child)
	apply(t, d, true, create(3))
	apply(t, d, false, child)
	apply(t, d, true, step(3, 4))
	apply(t, d, true, child)
	if e := d.Find("s", 1); e.End != 4 {
		t.Errorf("the parent ends at %d, want 4", e.End)
	}
}

// TestDefinitions: a series id keeps its first meaning, and rows need one.
func TestDefinitions(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	a := apply(t, d, true, create(1))
	if len(a[0].Definitions) != 1 {
		t.Errorf("new definitions: %v", a[0].Definitions)
	}
	again := step(1, 2)
	again.Definitions = []record.Definition{{ID: 1, Series: record.Series{Name: "another", Type: record.TypeInt}}}
	a = apply(t, d, true, again)
	if len(a[0].Definitions) != 0 || d.Find("s", 1).Definitions[1].Name != "n" {
		t.Errorf("the id has a second meaning: %v", a[0].Definitions)
	}
	unknown := step(2, 3)
	unknown.Rows = []record.Record{row(9)}
	if _, _, err := d.Begin(now).Apply(&unknown); !errors.Is(err, ledger.ErrChange) {
		t.Errorf("a row of no series: %v", err)
	}
}

// TestProducers: what is taken of a producer is part of the compare-and-set, and the oldest incarnations go.
func TestProducers(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	apply(t, d, true, create(1))
	at := record.Offset(1)
	move := func(inc uint64, from []store.Producer) store.Change {
		p := store.Producer{Name: "p", Incarnation: inc}
		p.Taken.Add(inc)
		c := step(at, at+1)
		c.Producers, c.ProducersFrom = []store.Producer{p}, from
		return c
	}
	c := move(1, nil)
	apply(t, d, true, c)
	at++
	apply(t, d, false, move(1, nil)) // it is there already
	apply(t, d, false, move(1, []store.Producer{{Name: "p", Incarnation: 1}}))
	apply(t, d, true, move(1, c.Producers))
	at++
	const many = 100
	forgotten := 0
	for i := range many {
		tx := d.Begin(now)
		c := move(uint64(i)+2, nil)
		if r, _, err := tx.Apply(&c); err != nil || !r.Applied {
			t.Fatalf("incarnation %d: %+v, %v", i, r, err)
		}
		_, gone := tx.Producers()
		forgotten += len(gone)
		tx.Keep()
		at++
	}
	st := d.State()
	if n := len(st.Producers); n < store.KeepIncarnations || n+forgotten != many+1 || n > 4*store.KeepIncarnations {
		t.Errorf("%d incarnations are known, %d were forgotten of %d", n, forgotten, many+1)
	}
	if last := st.Producers[len(st.Producers)-1]; last.Incarnation != many+1 {
		t.Errorf("the newest incarnation is not there: %d", last.Incarnation)
	}
}

// TestClock: an anchor that comes late places the rows that are there, of every stream of that boot.
func TestClock(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	c := create(2)
	c.Boot = "boot-1"
	other := c
	other.Stream = "other"
	a := apply(t, d, true, c, other)
	if a[0].Base != 0 || a[0].TError != ledger.UnknownError {
		t.Errorf("without an anchor: base %d, error %d", a[0].Base, a[0].TError)
	}
	const utc = 1_790_000_000_000_000_000
	anchor := step(2, 3)
	anchor.Anchors = []record.Anchor{{Boot: "boot-1", BootTime: 10e9, UTC: utc, Error: 5_000, Source: record.SourceSystem}}
	a = apply(t, d, true, anchor)
	base := int64(utc/1000 - 10e6)
	if len(a[0].Shifts) == 0 {
		t.Fatal("a first guess moves nothing")
	}
	to := map[string]record.Offset{}
	for _, x := range a[0].Shifts {
		to[x.Epoch.Stream] = x.To
		if x.Micros != base {
			t.Errorf("%s moves by %d, want %d", x.Epoch.Stream, x.Micros, base)
		}
	}
	if to["s"] != 2 || to["other"] != 2 {
		t.Errorf("rows that move, up to: %v", to)
	}
	r := row(1)
	if got := a[0].Micros(&r); got != base+5e6 {
		t.Errorf("a row of second 5 is at %d, want %d", got, base+5e6)
	}
	if e := d.Find("s", 1); e.LastTime != base+5e6 {
		t.Errorf("last time %d, want %d", e.LastTime, base+5e6)
	}
}

// TestMoved: a device for another store keeps what decides and nothing of the engine.
func TestMoved(t *testing.T) {
	d := &ledger.Device{Name: "box"}
	apply(t, d, true, create(4))
	d.Ref, d.Epochs[0].Ref = 7, 8
	m := d.Moved()
	if m.Ref != 0 || m.Epochs[0].Ref != 0 || m.Epochs[0].Removed != 4 {
		t.Errorf("%+v", m.Epochs[0])
	}
	if !reflect.DeepEqual(m.State(), d.State()) {
		t.Errorf("positions differ:\n%+v\n%+v", m.State(), d.State())
	}
	apply(t, m, true, step(4, 5))
	if d.Find("s", 1).Next != 4 {
		t.Error("the copy shares with the original")
	}
}
