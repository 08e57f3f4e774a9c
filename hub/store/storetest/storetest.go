// Package storetest is the conformance suite of hub/store: every engine runs it. It looks at a store through its
// contract alone, so it can say that positions, gaps, skips, definitions and producers are kept, and that the
// compare-and-set holds; what an engine shows to people it tests itself.
package storetest

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
)

// Open makes a new, empty store for one test. The suite closes it.
type Open func(t *testing.T) store.Store

// Run runs every test that needs no second opening.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"unknown device", testUnknown},
		{"create and extend", testExtend},
		{"lost compare-and-set", testLost},
		{"create race", testCreateRace},
		{"parent", testParent},
		{"gaps and fills", testGaps},
		{"lower beginning", testLower},
		{"skips and dead letters", testSkips},
		{"definitions", testDefinitions},
		{"texts", testTexts},
		{"producers", testProducers},
		{"sequences of producers", testSequences},
		{"marks", testMarks},
		{"incarnations", testIncarnations},
		{"quarantine", testQuarantine},
		{"boot and anchors", testBoot},
		{"read-back", testReadBack},
		{"devices apart", testDevices},
		{"every kind of value", testValues},
		{"large commit", testLarge},
		{"concurrent", testConcurrent},
		{"failure cases of the protocol", testProtocol},
		{"whatever a device may say", testHostile},
		{"context", testContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer closeStore(t, s)
			c.test(t, s)
		})
	}
}

// RunDurable runs what needs files: open opens the store whose files lie in dir, an empty directory at first.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	t.Run("reopen", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		h := newHistory("box", "telemetry", 1)
		want := h.everything(t, s)
		closeStore(t, s)
		s = open(t, dir)
		defer closeStore(t, s)
		same(t, state(t, s, "box"), want)
		apply(t, s, h.rows(3))
	})
	t.Run("restored from a backup", func(t *testing.T) {
		dir, backup := t.TempDir(), t.TempDir()
		s := open(t, dir)
		h := newHistory("box", "telemetry", 1)
		apply(t, s, h.create(4))
		closeStore(t, s)
		copyDir(t, dir, backup)
		want := *h
		s = open(t, dir)
		apply(t, s, h.rows(5))
		closeStore(t, s)
		s = open(t, backup)
		defer closeStore(t, s)
		if p := position(t, s, "box", 1); p.Next != 4 {
			t.Errorf("the backup is at %d, want 4", p.Next)
		}
		apply(t, s, want.rows(2))
	})
}

// closeStore has an engine that can prove that nothing is doubled, missing or out of order do so first.
func closeStore(t *testing.T, s store.Store) {
	t.Helper()
	if v, ok := s.(store.Verifier); ok && !t.Failed() {
		if r, err := v.Verify(context.Background(), nil); err != nil || len(r.Faults) > 0 {
			t.Errorf("verify: %v, %+v", err, r)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, filepath.Base(path)), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// history makes the changes of one epoch, each on top of the one before.
type history struct {
	device, stream string
	epoch          record.Epoch
	next           record.Offset
	chain          uint64
	defined        bool
}

// History makes changes for the tests of one engine.
type History struct{ h *history }

// NewHistory is that of one epoch that no store has yet.
func NewHistory(device, stream string, e record.Epoch) History {
	return History{newHistory(device, stream, e)}
}

// Create makes the epoch with n readings of two series.
func (h History) Create(n int) store.Change { return h.h.create(n) }

// Rows extends it by n readings.
func (h History) Rows(n int) store.Change { return h.h.rows(n) }

// Gaps extends it by n gaps of one record each, side by side and of two reasons in turns, so that they stay n.
func (h History) Gaps(n int) store.Change {
	c := h.h.at()
	for i := range n {
		g := h.h.gap(1, []record.Reason{record.ReasonRetention, record.ReasonCorrupt}[i%2])
		c.Gaps = append(c.Gaps, g.Gaps...)
	}
	c.To, c.ToChain = h.h.next, h.h.chain
	return c
}

// Fill fills gaps that lie side by side.
func (h History) Fill(gaps []record.Gap) store.Change {
	c := h.h.at()
	c.Late, c.RowBase = true, gaps[0].From
	for _, g := range gaps {
		c.Rows = append(c.Rows, readings(g.From, int(g.Len()))...)
		now := g
		now.From, now.ChainFrom = g.To, g.ChainTo
		c.ShrinkGaps = append(c.ShrinkGaps, store.GapShrink{At: g.From, Now: now})
	}
	return c
}

func newHistory(device, stream string, e record.Epoch) *history {
	return &history{device: device, stream: stream, epoch: e}
}

// at is a change from the present position that changes nothing yet.
func (h *history) at() store.Change {
	return store.Change{Device: h.device, Stream: h.stream, Epoch: h.epoch, From: h.next, FromChain: h.chain, To: h.next, ToChain: h.chain}
}

// rows extends the epoch by n readings.
func (h *history) rows(n int) store.Change {
	c := h.at()
	c.RowBase = h.next
	c.Rows = readings(h.next, n)
	h.chain = record.FoldChain(h.chain, c.Rows)
	h.next += record.Offset(n)
	c.To, c.ToChain = h.next, h.chain
	if !h.defined {
		h.defined = true
		c.Definitions = []record.Definition{definition(1), definition(2)}
	}
	return c
}

// gap extends the epoch by a gap.
func (h *history) gap(n int, why record.Reason) store.Change {
	c := h.at()
	lost := readings(h.next, n)
	to := record.FoldChain(h.chain, lost)
	c.Gaps = []record.Gap{{Epoch: h.epoch, Range: record.Range{From: h.next, To: h.next + record.Offset(n)}, Reason: why,
		ChainFrom: h.chain, ChainTo: to, TimeMin: 5, TimeMax: 9}}
	h.next, h.chain = h.next+record.Offset(n), to
	c.To, c.ToChain = h.next, h.chain
	return c
}

func (h *history) create(n int) store.Change {
	c := h.rows(n)
	c.Create, c.First = true, c.From
	return c
}

func readings(from record.Offset, n int) []record.Record {
	recs := make([]record.Record, n)
	for i := range recs {
		o := from + record.Offset(i)
		recs[i] = record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Time: 1e18 + int64(o)*1e9,
			Type: record.Decimal(4), Num: int64(o) * 625, Series: record.SeriesID(o%2) + 1}
	}
	return recs
}

func definition(id record.SeriesID) record.Definition {
	return record.Definition{ID: id, Series: record.Series{Name: fmt.Sprintf("temperature%d", id), Unit: "Cel",
		Labels: []record.Label{{Key: "rom", Value: fmt.Sprint(id)}}, Type: record.Decimal(4)}}
}

func commit(t *testing.T, s store.Store, c ...store.Change) []store.Result {
	t.Helper()
	res, err := s.Commit(context.Background(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if len(res) != len(c) {
		t.Fatalf("%d results for %d changes", len(res), len(c))
	}
	return res
}

// apply commits changes that must all apply, and returns the last position.
func apply(t *testing.T, s store.Store, c ...store.Change) store.Position {
	t.Helper()
	var p store.Position
	for i, r := range commit(t, s, c...) {
		if !r.Applied {
			t.Fatalf("change %d (%s %s, %d to %d) was not applied: the store is at %d", i, c[i].Stream, c[i].Epoch, c[i].From, c[i].To, r.Position.Next)
		}
		p = r.Position
		if p.Stream != c[i].Stream || p.Epoch != c[i].Epoch || p.Next != c[i].To || p.ChainNext != c[i].ToChain {
			t.Fatalf("result of change %d: %+v, want next %d, chain %x", i, p, c[i].To, c[i].ToChain)
		}
	}
	return p
}

// refuse commits one change that must not apply, and sees that nothing changed.
func refuse(t *testing.T, s store.Store, c store.Change) store.Position {
	t.Helper()
	before := state(t, s, c.Device)
	r := commit(t, s, c)[0]
	if r.Applied {
		t.Fatalf("a change from %d to %d was applied; it must not", c.From, c.To)
	}
	same(t, state(t, s, c.Device), before)
	return r.Position
}

func state(t *testing.T, s store.Store, device string) store.DeviceState {
	t.Helper()
	st, err := s.Positions(context.Background(), device)
	if err != nil {
		t.Fatalf("positions: %v", err)
	}
	for i := 1; i < len(st.Positions); i++ {
		if st.Positions[i].Stream < st.Positions[i-1].Stream {
			t.Errorf("positions are not ascending by stream: %s after %s", st.Positions[i].Stream, st.Positions[i-1].Stream)
		}
	}
	return st
}

// position is that of an epoch; the account of it must close.
func position(t *testing.T, s store.Store, device string, e record.Epoch) store.Position {
	t.Helper()
	for _, p := range state(t, s, device).Positions {
		if p.Epoch == e {
			account(t, p)
			return p
		}
	}
	t.Fatalf("%s has no epoch %s", device, e)
	return store.Position{}
}

func account(t *testing.T, p store.Position) {
	t.Helper()
	gaps, skipped := uint64(0), uint64(0)
	for _, g := range p.Gaps {
		gaps += g.Len()
	}
	for _, k := range p.Skipped {
		skipped += k.Len()
	}
	if uint64(p.Next-p.First) != p.Rows+skipped+gaps {
		t.Errorf("account of %s %s: %d − %d is not %d rows + %d skipped + %d in gaps", p.Stream, p.Epoch, p.Next, p.First, p.Rows, skipped, gaps)
	}
}

// same compares what is stated, not how it is allocated.
func same(t *testing.T, got, want store.DeviceState) {
	t.Helper()
	if len(got.Positions) != len(want.Positions) {
		t.Fatalf("%d positions, want %d", len(got.Positions), len(want.Positions))
	}
	for i := range got.Positions {
		g, w := got.Positions[i], want.Positions[i]
		if !slices.Equal(g.Gaps, w.Gaps) || !slices.Equal(g.Skipped, w.Skipped) || !slices.Equal(g.Series, w.Series) {
			t.Errorf("position %d: gaps, skips or series differ:\n got %+v\nwant %+v", i, g, w)
		}
		g.Gaps, g.Skipped, g.Series, w.Gaps, w.Skipped, w.Series = nil, nil, nil, nil, nil, nil
		if fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", w) {
			t.Errorf("position %d:\n got %+v\nwant %+v", i, g, w)
		}
	}
	sortProducers(got.Producers)
	sortProducers(want.Producers)
	if !slices.EqualFunc(got.Producers, want.Producers, func(a, b store.Producer) bool {
		return a.Name == b.Name && a.Incarnation == b.Incarnation && a.Taken.Equal(&b.Taken)
	}) {
		t.Errorf("producers:\n got %+v\nwant %+v", got.Producers, want.Producers)
	}
}

func sortProducers(p []store.Producer) {
	slices.SortFunc(p, func(a, b store.Producer) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Incarnation, b.Incarnation))
	})
}

// World is a store whose whole contents can be put back to what they were.
type World struct {
	Open    func(t *testing.T) store.Store
	Backup  func(t *testing.T) // of everything, while no store is open
	Restore func(t *testing.T)
}

// RunWorld is RunDurable for engines that are no files.
func RunWorld(t *testing.T, w World) {
	t.Run("reopen", func(t *testing.T) {
		s := w.Open(t)
		h := newHistory("reopened", "telemetry", 1)
		want := h.everything(t, s)
		closeStore(t, s)
		s = w.Open(t)
		defer closeStore(t, s)
		same(t, state(t, s, "reopened"), want)
		apply(t, s, h.rows(3))
	})
	t.Run("restored from a backup", func(t *testing.T) {
		s := w.Open(t)
		h := newHistory("restored", "telemetry", 1)
		apply(t, s, h.create(4))
		closeStore(t, s)
		w.Backup(t)
		old := *h
		s = w.Open(t)
		apply(t, s, h.rows(5))
		closeStore(t, s)
		w.Restore(t)
		s = w.Open(t)
		defer closeStore(t, s)
		if p := position(t, s, "restored", 1); p.Next != 4 {
			t.Errorf("the backup is at %d, want 4", p.Next)
		}
		refuse(t, s, h.rows(1)) // the device knows more: it must hear where the store stands
		apply(t, s, old.rows(5))
	})
}
