package receive

import (
	"bytes"
	"encoding/json"
	"math"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/internal/wire"
)

// The reasons of skipped ranges.
const (
	SkipRepeat     = "repeat"      // H6
	SkipDeadLetter = "dead-letter" // H5
)

// taking is one data frame whose body is sound, on its way into changes.
type taking struct {
	v    *View
	e    *epochView
	f    *wire.Data
	recs []record.Record
	dead []deadRecord // of the whole frame, ascending
	d    *Decision
}

// deadRecord is a record that no store can take.
type deadRecord struct {
	index  int
	reason string
}

// inspect looks at every record of the frame: which the store can never take, and whether the series of all others
// are defined, by the store or by the frame.
func (v *View) inspect(e *epochView, f *wire.Data, recs []record.Record) (dead []deadRecord, defined bool) {
	for i := range f.Definitions {
		v.frame.add(f.Definitions[i].ID)
	}
	defined = true
	for i := range recs {
		r := &recs[i]
		if r.Data != nil || r.Kind != record.KindObservation || r.Type.Base() == record.TypeFloat ||
			r.Clock == 0 || r.Clock > record.ClockApp || r.Type > record.TypeBool && (r.Type.Base() != record.TypeDecimal || !r.Type.Valid()) {
			if reason := deadReason(r); reason != "" {
				dead = append(dead, deadRecord{i, reason})
				continue
			}
		}
		if r.Series == 0 && r.Kind != record.KindObservation || e.defined.has(r.Series) || v.frame.has(r.Series) {
			continue
		}
		if r.Series == 0 || r.Series > record.MaxSeriesPerEpoch {
			dead = append(dead, deadRecord{i, "series id out of range"})
			continue
		}
		defined = false
	}
	clear(v.frame)
	return dead, defined
}

// deadReason says why a store can never take the record, "" if it can.
func deadReason(r *record.Record) string {
	switch {
	case r.Kind < record.KindObservation || r.Kind > record.KindConfig:
		return "unknown kind"
	case !r.Type.Valid():
		return "unknown type"
	case r.Clock == 0 || r.Clock > record.ClockApp:
		return "unknown clock"
	case r.Type == record.TypeFloat && math.IsNaN(math.Float64frombits(uint64(r.Num))):
		return "not a number"
	case r.CanonicalLen() > record.MaxRecordBytes:
		return "record too large"
	case len(r.Detail()) > record.MaxDetailBytes:
		return "detail too large"
	case r.Type == record.TypeString && !utf8.Valid(r.Value()):
		return "text is not UTF-8"
	case r.Type == record.TypeJSON && !jsonContainer(r.Value()):
		return "not a json object or array"
	}
	return ""
}

func jsonContainer(b []byte) bool {
	t := bytes.TrimLeft(b, " \t\r\n")
	return len(t) > 0 && (t[0] == '{' || t[0] == '[') && utf8.Valid(t) && json.Valid(t)
}

// rows puts the records of r, a part of the frame, into a change.
func (t *taking) rows(c *store.Change, r record.Range) {
	base := t.f.Base
	c.Rows, c.RowBase = t.recs[r.From-base:r.To-base], r.From
	for _, def := range t.f.Definitions {
		if !t.e.defined.has(def.ID) {
			t.e.defined.add(def.ID)
			c.Definitions = append(c.Definitions, def)
		}
	}
	t.repeats(c, r)
	t.deadLetters(c, r)
	t.marks(c)
	stored := r.Len()
	for _, s := range c.Skips {
		stored -= s.Len()
	}
	if c.Late {
		t.d.Late += stored
	}
	t.d.Rows += stored
}

// repeats skips the messages of producers that were taken before (H6), by whichever epoch brought them. A message that begins below r was judged
// when its beginning was taken.
func (t *taking) repeats(c *store.Change, r record.Range) {
	moved := map[producerKey]int{} // index in c.Producers
	at := r.From                   // spans rise and do not overlap; one that does not is no span
	for _, s := range t.f.Producers {
		if s.From < at || s.To > r.To || s.Len() == 0 {
			continue
		}
		at = s.To
		k := producerKey{s.Name, s.Incarnation}
		taken, known := t.v.producers[k]
		i, seen := moved[k]
		if !seen { // what is skipped builds on the stored sequences as much as what is taken: a hub may remember too much
			i = len(c.Producers)
			moved[k] = i
			if known {
				c.ProducersFrom = append(c.ProducersFrom, store.Producer{Name: s.Name, Incarnation: s.Incarnation, Taken: taken})
			}
			c.Producers = append(c.Producers, store.Producer{Name: s.Name, Incarnation: s.Incarnation, Taken: taken.Clone()})
		}
		if taken.Has(s.Sequence) {
			c.Skips = addSkip(c.Skips, s.Range, SkipRepeat)
			t.d.Repeats += s.Len()
			continue
		}
		if taken.Unsure(s.Sequence) { // rather twice than not at all
			t.d.notice("producer-memory %s %s", t.f.Stream, s.Name)
		}
		c.Producers[i].Taken.Add(s.Sequence)
		t.v.producers[k] = c.Producers[i].Taken
	}
}

// deadLetters keeps what the store can never take, record by record, and lists it as skipped (H5).
func (t *taking) deadLetters(c *store.Change, r record.Range) {
	repeats := c.Skips
	for _, x := range t.dead {
		o := t.f.Base + record.Offset(x.index)
		if !r.Contains(o) || skipped(repeats, o) {
			continue
		}
		c.DeadLetters = append(c.DeadLetters, store.DeadLetter{Offset: o, Reason: x.reason,
			Canonical: t.recs[x.index].AppendCanonical(nil)})
		c.Skips = insertSkip(c.Skips, record.Range{From: o, To: o + 1})
		t.d.Dead++
	}
}

// marks takes the boot and the anchors out of the rows.
func (t *taking) marks(c *store.Change) {
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.Kind != record.KindBoot && r.Kind != record.KindAnchor || skipped(c.Skips, c.RowBase+record.Offset(i)) {
			continue
		}
		a, ok := record.AnchorOf(r)
		if !ok {
			continue
		}
		if r.Kind == record.KindBoot && t.e.pos.Boot == "" {
			t.e.pos.Boot, c.Boot = a.Boot, a.Boot
		}
		c.Anchors = append(c.Anchors, a)
	}
}

// addSkip appends a range, merged with the last one where they touch.
func addSkip(skips []store.Skip, r record.Range, reason string) []store.Skip {
	if n := len(skips); n > 0 && skips[n-1].To == r.From && skips[n-1].Reason == reason {
		skips[n-1].To = r.To
		return skips
	}
	return append(skips, store.Skip{Range: r, Reason: reason})
}

// insertSkip puts the range of one dead record at its place between the repeats.
func insertSkip(skips []store.Skip, r record.Range) []store.Skip {
	i := len(skips)
	for i > 0 && skips[i-1].From > r.From {
		i--
	}
	if i > 0 && skips[i-1].To == r.From && skips[i-1].Reason == SkipDeadLetter {
		skips[i-1].To = r.To
		return skips
	}
	skips = append(skips, store.Skip{})
	copy(skips[i+1:], skips[i:])
	skips[i] = store.Skip{Range: r, Reason: SkipDeadLetter}
	return skips
}

func skipped(skips []store.Skip, o record.Offset) bool {
	for _, s := range skips {
		if s.Contains(o) {
			return true
		}
	}
	return false
}
