package storetest

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

func testUnknown(t *testing.T, s store.Store) {
	if st := state(t, s, "nobody"); len(st.Positions) != 0 || len(st.Producers) != 0 {
		t.Errorf("an unknown device has %+v", st)
	}
	if p := refuse(t, s, store.Change{Device: "nobody", Stream: "telemetry", Epoch: 7}); p.Epoch != 0 {
		t.Errorf("the read-back of an unknown epoch says %+v", p)
	}
	if st := state(t, s, "nobody"); len(st.Positions) != 0 {
		t.Errorf("a read-back has made %+v", st)
	}
}

func testExtend(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	h.next, h.chain = 40, 99
	p := apply(t, s, h.create(3))
	if p.First != 40 || p.Next != 43 || p.Rows != 3 || p.Parent != 0 || p.Quarantined {
		t.Errorf("created: %+v", p)
	}
	// several frames of one epoch in one transaction
	p = apply(t, s, h.rows(1), h.rows(5), h.gap(2, record.ReasonCorrupt), h.rows(1))
	if p.Rows != 10 {
		t.Errorf("extended: %+v", p)
	}
	q := position(t, s, "box", 1)
	if q.Next != 52 || q.First != 40 || q.ChainNext != h.chain || len(q.Series) != 2 {
		t.Errorf("stored: %+v", q)
	}
}

func testLost(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(3))
	old := *h
	apply(t, s, h.rows(2))
	if p := refuse(t, s, old.rows(1)); p.Next != 5 || p.ChainNext != h.chain {
		t.Errorf("a lost compare-and-set reports %+v", p)
	}
	other := *h
	other.chain++
	refuse(t, s, other.rows(1))
	// the others of the same transaction apply
	e := newHistory("box", "events", 2)
	stale := newHistory("box", "telemetry", 1)
	stale.next = 1
	res := commit(t, s, e.create(1), stale.rows(1), h.rows(1))
	if !res[0].Applied || res[1].Applied || !res[2].Applied {
		t.Errorf("applied: %v %v %v, want true false true", res[0].Applied, res[1].Applied, res[2].Applied)
	}
	if p := position(t, s, "box", 1); p.Next != 6 || p.Rows != 6 {
		t.Errorf("stored: %+v", p)
	}
	// two frames that both begin at the position: the second loses against the first of the same transaction
	twin := *h
	res = commit(t, s, h.rows(2), twin.rows(1))
	if !res[0].Applied || res[1].Applied || res[1].Position.Next != 8 {
		t.Errorf("twins: %+v", res)
	}
	position(t, s, "box", 1)
}

func testCreateRace(t *testing.T, s store.Store) {
	a, b := newHistory("box", "telemetry", 1), newHistory("box", "telemetry", 1)
	apply(t, s, a.create(3))
	if p := refuse(t, s, b.create(2)); p.Next != 3 {
		t.Errorf("the loser of a create is told %+v", p)
	}
	c := newHistory("box", "telemetry", 9)
	if p := refuse(t, s, c.rows(1)); p.Epoch != 0 {
		t.Errorf("a change of an epoch that nobody created is told %+v", p)
	}
	// the same epoch id on another stream or another device is another epoch
	apply(t, s, newHistory("box", "events", 1).create(1), newHistory("crate", "telemetry", 1).create(1))
}

func testParent(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(5))
	child := func(e record.Epoch, end record.Offset) store.Change {
		k := newHistory("box", "telemetry", e)
		k.next, k.chain = h.next, h.chain
		c := k.create(2)
		c.Parent, c.ParentEnd = 1, end
		return c
	}
	refuse(t, s, child(2, 6))
	unknown := child(2, 5)
	unknown.Parent = 77
	refuse(t, s, unknown)
	if p := apply(t, s, child(2, 5)); p.Parent != 1 || p.ParentEnd != 5 || p.First != 5 {
		t.Errorf("child: %+v", p)
	}
	if p := position(t, s, "box", 1); p.End != 5 {
		t.Errorf("the parent's end is %d, want 5", p.End)
	}
	apply(t, s, child(3, 4))
	if p := position(t, s, "box", 1); p.End != 5 {
		t.Errorf("the parent's end is %d after a shorter child, want 5", p.End)
	}
	// parent and child in one transaction: the child sees what the change before it wrote
	last := h.rows(2)
	next := child(4, 7)
	apply(t, s, last, next)
	stale := last
	res := commit(t, s, stale, child(5, 9))
	if res[0].Applied || res[1].Applied {
		t.Error("a child was created although its parent has not reached its end")
	}
	q := h.at()
	q.Quarantine = true
	apply(t, s, q)
	apply(t, s, child(6, 99)) // a quarantined parent never gets there
}

func testGaps(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	c := h.gap(4, record.ReasonRetention)
	c.Create = true
	apply(t, s, c, h.rows(2), h.gap(3, record.ReasonCorrupt), h.rows(1))
	p := position(t, s, "box", 1)
	if len(p.Gaps) != 2 || p.Gaps[0] != c.Gaps[0] || p.Gaps[1].From != 6 || p.Rows != 3 {
		t.Fatalf("gaps: %+v", p)
	}
	testReason(t, s)
	fill := func(at, from, to, end record.Offset) store.Change {
		f := h.at()
		f.Late, f.RowBase, f.Rows = true, from, readings(from, int(to-from))
		now := p.Gaps[0]
		now.Range, now.ChainFrom = record.Range{From: to, To: end}, uint64(to)*7
		f.ShrinkGaps = []store.GapShrink{{At: at, Now: now}}
		if !h.defined {
			f.Definitions = []record.Definition{definition(1)}
		}
		return f
	}
	refuse(t, s, fill(1, 1, 2, 4))
	refuse(t, s, fill(0, 0, 2, 5))
	q := apply(t, s, fill(0, 0, 3, 4))
	if q.Rows != 6 || len(q.Gaps) != 2 || q.Gaps[0].From != 3 || q.Gaps[0].To != 4 || q.Gaps[0].ChainFrom != 21 || q.Gaps[0].Reason != record.ReasonRetention {
		t.Errorf("after a fill: %+v", q)
	}
	refuse(t, s, fill(0, 0, 3, 4)) // another hub has filled it
	both := []store.Change{fill(3, 3, 4, 4), fill(6, 6, 9, 9), h.rows(2)}
	q = apply(t, s, both...)
	if len(q.Gaps) != 0 || q.Rows != 12 {
		t.Errorf("after all fills: %+v", q)
	}
	if q = position(t, s, "box", 1); len(q.Gaps) != 0 || q.Rows != 12 || q.Next != 12 {
		t.Errorf("stored: %+v", q)
	}
}

// testReason: a gap frame over a recorded gap with another reason records the rest and changes that reason, if the gap is
// still the one that was read.
func testReason(t *testing.T, s store.Store) {
	h := newHistory("two", "telemetry", 2)
	first := h.gap(4, record.ReasonDelivered)
	first.Create = true
	apply(t, s, first)
	several := first.Gaps[0]
	several.Reason = record.ReasonSeveral
	stale := h.at()
	stale.To, stale.ToChain = stale.From+1, 1
	stale.Gaps = []record.Gap{{Epoch: 2, Range: record.Range{From: 4, To: 5}, Reason: record.ReasonRetention, ChainFrom: stale.FromChain, ChainTo: 1}}
	stale.ShrinkGaps = []store.GapShrink{{At: 0, Now: several}}
	stale.ShrinkGaps[0].Now.To = 3 // a gap that is not there
	refuse(t, s, stale)
	c := h.gap(3, record.ReasonRetention)
	c.ShrinkGaps = []store.GapShrink{{At: 0, Now: several}}
	want := []record.Gap{several, c.Gaps[0]}
	for _, p := range []store.Position{apply(t, s, c), position(t, s, "two", 2)} {
		if !slices.Equal(p.Gaps, want) || p.Next != 7 || p.Rows != 0 {
			t.Errorf("after another reason: %+v, want gaps %+v", p, want)
		}
	}
	again := h.at()
	again.To, again.ToChain = again.From+1, 1
	again.Gaps = []record.Gap{{Epoch: 2, Range: record.Range{From: 7, To: 8}, Reason: record.ReasonRetention, ChainFrom: again.FromChain, ChainTo: 1}}
	again.ShrinkGaps = []store.GapShrink{{At: 2, Now: several}}
	again.ShrinkGaps[0].Now.From = 2
	refuse(t, s, again)
}

// testLower: an epoch that began at 40 began at 37 by the word of another box; once, and in quarantine too.
func testLower(t *testing.T, s store.Store) {
	h := newHistory("lower", "telemetry", 1)
	h.next, h.chain = 40, 99
	apply(t, s, h.create(3), h.gap(2, record.ReasonCorrupt))
	if p := position(t, s, "lower", 1); len(p.Marks) != 3 || p.Marks[0] != (store.Mark{Offset: 40, Chain: 99}) {
		t.Errorf("the beginning of a root is not marked: %+v", p.Marks)
	}
	lower := func(from, to record.Offset) store.Change {
		c := h.at()
		c.Lower, c.First = true, from
		c.Gaps = []record.Gap{{Epoch: 1, Range: record.Range{From: from, To: to}, Reason: record.ReasonDiskLost, ChainTo: 99}}
		return c
	}
	refuse(t, s, lower(37, 39)) // it does not begin there
	stale := lower(37, 40)
	stale.From--
	stale.To--
	refuse(t, s, stale)
	apply(t, s, lower(38, 40))
	refuse(t, s, lower(37, 40)) // another hub was first
	q := h.at()
	q.Quarantine = true
	apply(t, s, q)
	for _, p := range []store.Position{apply(t, s, lower(37, 38)), position(t, s, "lower", 1)} {
		if p.First != 37 || p.Next != 45 || p.Rows != 3 || !p.Quarantined || len(p.Gaps) != 3 || p.Gaps[0].From != 37 || p.Gaps[1].From != 38 || p.Gaps[2].From != 43 {
			t.Errorf("lowered: %+v", p)
		}
	}
}

func testSkips(t *testing.T, s store.Store) {
	h := newHistory("box", "events", 1)
	c := h.create(10)
	skip := func(from, to record.Offset, why string) store.Skip {
		return store.Skip{Range: record.Range{From: from, To: to}, Reason: why}
	}
	c.Skips = []store.Skip{skip(1, 2, "dead-letter"), skip(2, 4, "repeat"), skip(8, 10, "repeat")}
	c.DeadLetters = []store.DeadLetter{{Offset: 1, Reason: "text is not UTF-8", Canonical: c.Rows[1].AppendCanonical(nil)}}
	p := apply(t, s, c)
	if p.Rows != 5 {
		t.Errorf("%d rows, want 5", p.Rows)
	}
	d := h.rows(3)
	d.Skips = []store.Skip{skip(10, 12, "repeat")}
	apply(t, s, d)
	p = position(t, s, "box", 1)
	want := []store.Skip{skip(1, 2, "dead-letter"), skip(2, 4, "repeat"), skip(8, 12, "repeat")}
	if len(p.Skipped) != 3 || p.Skipped[0] != want[0] || p.Skipped[1] != want[1] || p.Skipped[2] != want[2] || p.Rows != 6 {
		t.Errorf("skips: %+v, want %+v", p, want)
	}
	all := h.rows(2)
	all.Skips = []store.Skip{skip(13, 15, "repeat")}
	if p = apply(t, s, all); p.Rows != 6 || p.Next != 15 {
		t.Errorf("a change of nothing but skips: %+v", p)
	}
}

func testDefinitions(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(2))
	c := h.rows(1)
	second := definition(1)
	second.Series.Unit = "K"
	c.Definitions = []record.Definition{second, definition(65536), definition(3)}
	apply(t, s, c)
	p := position(t, s, "box", 1)
	want := []record.SeriesID{1, 2, 3, 65536}
	for i := range want {
		if len(p.Series) != len(want) || p.Series[i] != want[i] {
			t.Fatalf("series %v, want %v", p.Series, want)
		}
	}
	k := newHistory("box", "telemetry", 2)
	e := k.create(1)
	e.Definitions = []record.Definition{definition(1)}
	apply(t, s, e)
	if p := position(t, s, "box", 2); len(p.Series) != 1 {
		t.Errorf("definitions of another epoch leak: %v", p.Series)
	}
}

// testTexts: whatever a device may lawfully say in a text is kept. A text that one engine cannot hold would stop all devices
// of a commit, as the commit is tried again and again.
func testTexts(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	c := h.create(2)
	for i, text := range []string{`\u0000`, `\\u0000`, `a\`, "a\x00b", `"\x00`, "\u2400", "\ufffe\U0010ffff", `{"a":`, "'; DROP TABLE device; --", "%s$1?"} {
		d := definition(record.SeriesID(10 + i))
		d.Series.Labels = []record.Label{{Key: "text", Value: text}}
		d.Series.Unit = text
		if err := d.Series.Normalize(); err != nil {
			t.Fatal(err)
		}
		c.Definitions = append(c.Definitions, d)
	}
	apply(t, s, c)
	if p := position(t, s, "box", 1); len(p.Series) != len(c.Definitions) {
		t.Errorf("%d series are stored, want %d", len(p.Series), len(c.Definitions))
	}
	apply(t, s, h.rows(1))
}

// producer is one of which these sequences were taken.
func producer(name string, incarnation uint64, sequences ...uint64) store.Producer {
	p := store.Producer{Name: name, Incarnation: incarnation}
	for _, n := range sequences {
		p.Taken.Add(n)
	}
	return p
}

func testProducers(t *testing.T, s store.Store) {
	h := newHistory("box", "events", 1)
	c := h.create(2)
	c.Producers = []store.Producer{producer("npu", 7, 0), producer("node", math.MaxUint64, math.MaxUint64)}
	apply(t, s, c)
	blind := *h
	bad := blind.rows(1)
	bad.Producers = []store.Producer{producer("npu", 7, 3)} // not said on what it builds
	refuse(t, s, bad)
	bad.ProducersFrom = []store.Producer{producer("npu", 7, 1)}
	refuse(t, s, bad)
	good := h.rows(1)
	good.Producers = []store.Producer{producer("npu", 7, 3)}
	good.ProducersFrom = []store.Producer{producer("npu", 7, 0)}
	apply(t, s, good)
	// positions are of the device, over all streams and epochs
	k := newHistory("box", "telemetry", 2)
	other := k.create(1)
	other.Producers = []store.Producer{producer("npu", 7, 4)}
	other.ProducersFrom = []store.Producer{producer("npu", 7, 3)}
	fresh := h.rows(1)
	fresh.Producers = []store.Producer{producer("npu", 8, 0)}
	apply(t, s, other, fresh)
	got := state(t, s, "box").Producers
	want := []store.Producer{producer("node", math.MaxUint64, math.MaxUint64), producer("npu", 7, 4), producer("npu", 8, 0)}
	same(t, store.DeviceState{Producers: got}, store.DeviceState{Producers: want})
	// what was taken is kept number by number: one that comes late is not in it
	holes := h.rows(1)
	holes.Producers = []store.Producer{producer("npu", 8, 0, 5, 6, 9)}
	holes.ProducersFrom = []store.Producer{producer("npu", 8, 0)}
	apply(t, s, holes)
	blinder := h.rows(1)
	blinder.Producers = []store.Producer{producer("npu", 8, 0, 5, 6, 7, 9)}
	blinder.ProducersFrom = []store.Producer{producer("npu", 8, 0, 5, 9)} // the highest is the same, the set is not
	*h = blind
	h.next, h.chain = holes.To, holes.ToChain
	refuse(t, s, blinder)
	filled := h.rows(1)
	filled.Producers = blinder.Producers
	filled.ProducersFrom = holes.Producers
	apply(t, s, filled)
	// one that is created must not be there
	again := h.rows(1)
	again.Producers = []store.Producer{producer("later", 1, 1)}
	again.ProducersFrom = []store.Producer{producer("later", 1, 0)}
	refuse(t, s, again)
}

// testSequences: as many ranges as there may be, and what was forgotten, come back as they were stored.
func testSequences(t *testing.T, s store.Store) {
	h := newHistory("box", "events", 1)
	c := h.create(1)
	p := store.Producer{Name: "gappy", Incarnation: 1 << 63}
	for i := range uint64(2 * store.MaxSequenceRanges) {
		p.Taken.Add(1000 + 3*i)
	}
	p.Taken.Add(math.MaxUint64)
	c.Producers = []store.Producer{p}
	apply(t, s, c)
	got := state(t, s, "box").Producers
	if len(got) != 1 || !got[0].Taken.Equal(&p.Taken) {
		t.Fatalf("stored %+v, want %+v", got, p)
	}
	if got[0].Taken.Has(1000) || !got[0].Taken.Unsure(1000) || got[0].Taken.Unsure(math.MaxUint64-1) || !got[0].Taken.Has(math.MaxUint64) {
		t.Errorf("what was forgotten is not known as that: %+v", got[0].Taken)
	}
	d := h.rows(1)
	next := got[0]
	next.Taken = next.Taken.Clone()
	next.Taken.Add(999)
	d.ProducersFrom, d.Producers = got, []store.Producer{next}
	apply(t, s, d)
	same(t, store.DeviceState{Producers: state(t, s, "box").Producers}, store.DeviceState{Producers: []store.Producer{next}})
}

// testMarks: the borders of what was taken, by the rule of AddMark, over rows and gaps and over transactions; a change
// that does not move the position adds none.
func testMarks(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	var want []store.Mark
	taken := func(c ...store.Change) {
		t.Helper()
		apply(t, s, c...)
		for i := range c {
			if c[i].To > c[i].From {
				want = store.AddMark(want, store.Mark{Offset: c[i].To, Chain: c[i].ToChain})
			}
		}
		if got := position(t, s, "box", 1).Marks; !slices.Equal(got, want) {
			t.Fatalf("marks at %d:\n got %v\nwant %v", h.next, got, want)
		}
	}
	taken(h.create(3))
	taken(h.rows(1), h.gap(2, record.ReasonCorrupt), h.rows(5), h.at())
	for range 3 * store.MaxMarks {
		taken(h.rows(1), h.rows(2))
	}
	old := *h
	refuse(t, s, func() store.Change { c := old.rows(1); c.FromChain++; return c }())
	q := h.at()
	q.Quarantine = true
	taken(q)
}

func testIncarnations(t *testing.T, s store.Store) {
	h := newHistory("box", "events", 1)
	apply(t, s, h.create(1))
	const n = 3 * store.KeepIncarnations
	for i := range uint64(n) {
		c := h.rows(1)
		c.Producers = []store.Producer{producer("node", i+1, i)}
		apply(t, s, c)
	}
	kept := map[uint64]bool{}
	for _, p := range state(t, s, "box").Producers {
		kept[p.Incarnation] = p.Taken.Has(p.Incarnation - 1)
	}
	for i := range uint64(store.KeepIncarnations) {
		if !kept[n-i] {
			t.Errorf("incarnation %d of %d is forgotten or wrong", n-i, n)
		}
	}
}

func testQuarantine(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(3))
	c := h.at()
	c.Quarantine = true
	if p := apply(t, s, c); !p.Quarantined {
		t.Errorf("quarantined: %+v", p)
	}
	if p := apply(t, s, h.at()); !p.Quarantined || p.Next != 3 {
		t.Errorf("read-back of a quarantined epoch: %+v", p)
	}
	old := *h
	if p := refuse(t, s, old.rows(1)); !p.Quarantined {
		t.Errorf("a refusal by quarantine says %+v", p)
	}
}

func testBoot(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	a := record.Anchor{Boot: "b1", BootTime: 5, UTC: 1e18, Error: 10, Source: record.SourceSystem, State: "unsynchronised"}
	mark, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 5, Clock: record.ClockBoot}, record.BootMark{Anchor: a, Resolution: 1e6, Agent: "0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c := h.create(3)
	c.Rows[0] = mark
	c.Rows[1].Clock, c.Rows[1].Time = record.ClockBoot, 2e9
	c.Boot, c.Anchors = "b1", []record.Anchor{a}
	if p := apply(t, s, c); p.Boot != "b1" || p.Rows != 3 {
		t.Errorf("with a boot mark: %+v", p)
	}
	d := h.rows(2)
	b := a
	b.Source, b.UTC, b.State = record.SourceNTP, 1e18+5e9, "synchronised"
	d.Rows[0].Clock, d.Rows[0].Time = record.ClockBoot, 3e9
	d.Anchors = []record.Anchor{b}
	apply(t, s, d)
	if p := position(t, s, "box", 1); p.Boot != "b1" || p.Rows != 5 {
		t.Errorf("stored: %+v", p)
	}
}

func testReadBack(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(3))
	if p := apply(t, s, h.at()); p.Next != 3 || p.Rows != 3 {
		t.Errorf("read-back: %+v", p)
	}
	old := h.at()
	apply(t, s, h.rows(1))
	if p := refuse(t, s, old); p.Next != 4 {
		t.Errorf("a read-back of what is no more says %+v", p)
	}
	if res := commit(t, s); len(res) != 0 {
		t.Errorf("an empty commit has %d results", len(res))
	}
}

func testDevices(t *testing.T, s store.Store) {
	a, b := newHistory("box", "telemetry", 1), newHistory("crate", "telemetry", 2)
	ca, cb := a.create(2), b.create(3)
	ca.Producers = []store.Producer{producer("npu", 1, 1)}
	apply(t, s, ca, cb, a.rows(1), b.rows(1))
	sa, sb := state(t, s, "box"), state(t, s, "crate")
	if len(sa.Positions) != 1 || sa.Positions[0].Next != 3 || len(sb.Positions) != 1 || sb.Positions[0].Next != 4 || len(sb.Producers) != 0 {
		t.Errorf("box: %+v, crate: %+v", sa, sb)
	}
}

func testValues(t *testing.T, s store.Store) {
	h := newHistory("box", "events", 1)
	c := h.create(12)
	set := func(i int, typ record.Type, num int64, value, detail []byte) {
		r := &c.Rows[i]
		r.Type, r.Num = typ, num
		if value != nil || detail != nil {
			r.Data = &record.Data{Value: value, Detail: detail}
		}
	}
	set(0, record.TypeInt, math.MinInt64, nil, nil)
	set(1, record.TypeInt, math.MaxInt64, nil, nil)
	set(2, record.TypeFloat, int64(math.Float64bits(math.Inf(-1))), nil, nil)
	set(3, record.TypeFloat, math.MinInt64, nil, nil) // -0
	set(4, record.Decimal(9), math.MaxInt64, nil, nil)
	set(5, record.TypeBool, 1, nil, nil)
	set(6, record.TypeString, 0, []byte("it's \x00 ü"), nil)
	set(7, record.TypeJSON, 0, []byte(`{"a":[1,2]}`), []byte("raw"))
	set(8, record.TypeBytes, 0, []byte{0, 255}, nil)
	set(9, record.TypeNone, 0, nil, []byte{1, 2, 3})
	c.Rows[9].Quality = record.QualityCRC
	set(10, record.TypeString, 0, []byte{}, nil)
	c.Rows[11].Kind, c.Rows[11].Series = record.KindConfig, 0
	set(11, record.TypeJSON, 0, []byte(`{}`), nil)
	h.chain = record.FoldChain(0, c.Rows)
	c.ToChain = h.chain
	apply(t, s, c)
	if p := position(t, s, "box", 1); p.Rows != 12 {
		t.Errorf("%d rows, want 12", p.Rows)
	}
	l, ok := s.(store.Lister)
	if !ok {
		return
	}
	f := store.Filter{Device: "box", Stream: "events", SeriesLike: "%"}
	all, err := l.Values(t.Context(), f, 100)
	if err != nil || len(all) != 11 || all[7].Value != `{"a":[1,2]}` || all[7].Device != "box" || all[7].T != c.Rows[7].Time/1e3 {
		t.Errorf("values: %+v, %v", all, err)
	}
	if newest, err := l.Values(t.Context(), f, 4); err != nil || len(newest) != 4 || newest[0].Value != `{"a":[1,2]}` {
		t.Errorf("the newest values: %+v, %v", newest, err)
	}
	if latest, err := l.Latest(t.Context(), f); err != nil || len(latest) != 2 || latest[1].T != c.Rows[10].Time/1e3 && latest[0].T != c.Rows[10].Time/1e3 {
		t.Errorf("the latest of each series: %+v, %v", latest, err)
	}
	f.Device = "another"
	if none, err := l.Values(t.Context(), f, 100); err != nil || len(none) != 0 {
		t.Errorf("another device: %+v, %v", none, err)
	}
}

func testLarge(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	changes := []store.Change{h.create(record.MaxBatchRecords)}
	for range 50 {
		changes = append(changes, h.rows(97))
	}
	apply(t, s, changes...)
	if p := position(t, s, "box", 1); p.Rows != uint64(h.next) {
		t.Errorf("%d rows, want %d", p.Rows, h.next)
	}
}

// testConcurrent lets several hubs extend one epoch: each offset is taken by exactly one of them.
func testConcurrent(t *testing.T, s store.Store) {
	h := newHistory("box", "telemetry", 1)
	apply(t, s, h.create(1))
	var mu sync.Mutex
	var won int
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mine := *h
			for range 20 {
				next := mine
				res, err := s.Commit(context.Background(), []store.Change{next.rows(3)})
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				if res[0].Applied {
					mu.Lock()
					won++
					mu.Unlock()
					mine = next
					continue
				}
				mine.next, mine.chain = res[0].Position.Next, res[0].Position.ChainNext
				if _, err := s.Positions(context.Background(), "box"); err != nil {
					t.Errorf("positions: %v", err)
				}
			}
		}()
	}
	wg.Wait()
	if p := position(t, s, "box", 1); p.Rows != uint64(1+3*won) || won < 20 {
		t.Errorf("%d rows after %d changes of 3 that were said to be applied", p.Rows, won)
	}
}

func testContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h := newHistory("box", "telemetry", 1)
	if _, err := s.Commit(ctx, []store.Change{h.create(1)}); err == nil {
		t.Error("a commit under an ended context says nothing")
	}
	if st := state(t, s, "box"); len(st.Positions) > 1 {
		t.Errorf("positions: %+v", st)
	}
}

// everything applies one change of each kind and returns what the store then says.
func (h *history) everything(t *testing.T, s store.Store) store.DeviceState {
	c := h.create(6)
	c.Skips = []store.Skip{{Range: record.Range{From: 1, To: 3}, Reason: "repeat"}}
	c.Producers = []store.Producer{producer("npu", 3, 4)}
	c.Boot = "b1"
	apply(t, s, c, h.gap(3, record.ReasonErased), h.rows(2))
	k := newHistory(h.device, h.stream, h.epoch+1)
	k.next, k.chain = h.next, h.chain
	d := k.create(2)
	d.Parent, d.ParentEnd = h.epoch, h.next
	apply(t, s, d)
	q := newHistory(h.device, "alarms", h.epoch+2)
	apply(t, s, q.create(1))
	mark := q.at()
	mark.Quarantine = true
	apply(t, s, mark)
	return state(t, s, h.device)
}
