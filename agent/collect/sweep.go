package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// sweeper is what the reader reuses from sweep to sweep, so that a sample costs no allocation.
type sweeper struct {
	samples  []drivers.Sample
	byIndex  []*series // parallel to the sensor's quantities
	waiting  int       // of them, without an id in the log
	overflow record.SeriesID
	records  []record.Record   // for the source's own stream
	routed   [][]record.Record // for each outlet; the first is not used
	due      []record.Record   // of a door's message
	data     []record.Data
	arena    []byte // details of overflowing series
	faults   []fault
}

type fault struct {
	s *series
	q record.Quality // good: over
}

// index makes the series of quantities that are new since the sweep before.
func (w *worker) index(qs []drivers.Quantity) {
	if len(w.byIndex) > len(qs) { // a sensor breaks the rule that quantities only grow, or was opened again
		w.byIndex, w.waiting = w.byIndex[:0], 0
	}
	for i := len(w.byIndex); i < len(qs); i++ {
		s := w.treated(qs[i].Series, qs[i].Min, qs[i].Max)
		if known := w.table.byKey[s.key]; known != nil {
			s = known
		} else {
			if s.invalid != nil {
				w.acc.note(s.invalid)
			}
			w.table.mu.Lock()
			w.table.byKey[s.key] = s
			w.table.order = append(w.table.order, s)
			w.table.mu.Unlock()
		}
		w.byIndex = append(w.byIndex, s)
		if s.id == 0 && s.invalid == nil {
			w.waiting++
		}
	}
}

// mergeLabels adds those labels whose key is not there yet.
func mergeLabels(have, add []record.Label) []record.Label {
	out := append([]record.Label(nil), have...)
next:
	for _, a := range add {
		for _, h := range have {
			if h.Key == a.Key {
				continue next
			}
		}
		out = append(out, a)
	}
	return out
}

// define gives ids to series that have none yet, within the limit of new series.
func (w *worker) define() {
	if w.waiting == 0 {
		return
	}
	now := time.Now()
	retry := w.acc.hourOver(now)
	for _, s := range w.byIndex {
		if s.id != 0 || s.invalid != nil || s.over && !retry {
			continue
		}
		if !s.admitted {
			ok, first := w.acc.admit(now, w.source.MaxNewSeries)
			if !ok {
				s.over = true
				if first && w.o.Events.SeriesLimit != nil {
					w.o.Events.SeriesLimit(w.source.Name, s.def)
				}
				continue
			}
			s.admitted = true
		}
		w.defineOne(s)
	}
}

func (w *worker) defineOne(s *series) {
	to := w.outlets[s.dest]
	id, err := to.log.Define(s.def)
	switch {
	case err == nil:
		w.waiting--
		w.table.mu.Lock()
		s.id, s.over = id, false
		w.table.mu.Unlock()
	case errors.Is(err, ErrSeriesLimit):
		s.over, s.admitted = true, false
		if ok := w.acc.tellLimit(); ok && w.o.Events.SeriesLimit != nil {
			w.o.Events.SeriesLimit(w.source.Name, s.def)
		}
	default:
		w.acc.note(fmt.Errorf("define %s: %w", s.key, err))
		w.logOutcome(to.stream, err)
	}
}

// overflowSeries takes the readings of series beyond the limits; their own name and labels stand in the detail.
func overflowSeries(s Source) record.Series {
	return record.Series{Name: "overflow", Labels: []record.Label{{Key: "source", Value: s.Name}}}
}

// target is the id that readings of s are recorded under, 0 if they cannot be.
func (w *worker) target(s *series) record.SeriesID {
	if s.id != 0 || !s.over {
		return s.id
	}
	if w.overflow == 0 {
		id, err := w.outlets[0].log.Define(overflowSeries(w.source))
		if err != nil {
			w.acc.note(fmt.Errorf("define overflow series: %w", err))
			return 0
		}
		w.overflow = id
	}
	return w.overflow
}

// convert turns samples into records, judges them and notes them as the latest readings.
func (w *worker) convert(samples []drivers.Sample, at record.Stamp) {
	w.records, w.arena, w.faults = w.records[:0], w.arena[:0], w.faults[:0]
	if cap(w.data) < len(samples) { // never grown below: records point into it
		w.data = make([]record.Data, 0, len(samples))
	}
	w.data = w.data[:0]
	for len(w.routed) < len(w.outlets) {
		w.routed = append(w.routed, nil)
	}
	for i := range w.routed {
		w.routed[i] = w.routed[i][:0]
	}
	refused, unchanged := 0, 0
	quality := [256]uint32{}
	t := w.table
	t.mu.Lock()
	trend := !t.trendOnce || at.Time-t.trendAt >= int64(trendEvery) || at.Time < t.trendAt
	if trend {
		t.trendAt, t.trendOnce = at.Time, true
	}
	if w.lossy.Swap(false) {
		t.forget()
	}
	for i := range samples {
		x := &samples[i]
		if x.Quantity < 0 || x.Quantity >= len(w.byIndex) {
			refused++
			continue
		}
		s := w.byIndex[x.Quantity]
		r := record.Record{Time: at.Time, Clock: at.Clock, Kind: record.KindObservation, Series: s.id}
		w.fill(&r, x, s, at)
		s.observe(&r, at, trend)
		quality[r.Quality]++
		if s.badRun >= faultAfter && s.faulted != s.quality {
			s.faulted = s.quality
			w.faults = append(w.faults, fault{s, s.quality})
		} else if s.badRun == 0 && s.faulted.Bad() {
			s.faulted = record.QualityGood
			w.faults = append(w.faults, fault{s, record.QualityGood})
		}
		if !s.due(&r, at.Time) {
			unchanged++
			continue
		}
		dest := s.dest
		if s.id == 0 {
			if r.Series = w.target(s); r.Series == 0 {
				refused++
				continue
			}
			dest = 0
			w.labelOverflow(&r, s)
		}
		s.reported(&r, at.Time)
		if dest == 0 {
			w.records = append(w.records, r)
		} else {
			w.routed[dest] = append(w.routed[dest], r)
		}
	}
	t.mu.Unlock()
	w.acc.countQuality(&quality)
	if unchanged > 0 {
		w.acc.countUnchanged(unchanged)
	}
	if refused > 0 {
		w.acc.countMissed(MissedRefused, refused)
	}
}

// fill sets value, quality and detail of a record, and enforces what the record model demands of them.
func (w *worker) fill(r *record.Record, x *drivers.Sample, s *series, at record.Stamp) {
	r.Quality, r.Type, r.Num = x.Quality, x.Type, x.Num
	value, detail := x.Value, x.Detail
	if !r.Quality.Bad() {
		why := faulty(x, s)
		if !why.Bad() {
			why = s.calibrate(r)
		}
		if why.Bad() {
			if len(detail) == 0 {
				detail = value
			}
			if len(detail) == 0 && r.Type != record.TypeNone { // of another type than its series, or too large once calibrated
				from := len(w.arena)
				w.arena = r.AppendText(w.arena)
				detail = w.arena[from:len(w.arena):len(w.arena)]
			}
			r.Quality = why
		}
	}
	if r.Quality.Bad() {
		r.Type, r.Num, value = record.TypeNone, 0, nil
	} else {
		if !r.Type.InData() {
			value = nil
		}
		w.judge(r, s, at)
	}
	if len(value) > 0 || len(detail) > 0 {
		w.data = append(w.data, record.Data{Value: value, Detail: detail[:min(len(detail), record.MaxDetailBytes)]})
		r.Data = &w.data[len(w.data)-1]
	}
}

// faulty says why the value of a sample is none that can be recorded; good if it can.
func faulty(x *drivers.Sample, s *series) record.Quality {
	switch x.Type.Base() {
	case record.TypeFloat:
		if math.IsNaN(math.Float64frombits(uint64(x.Num))) {
			return record.QualityNaN
		}
	case record.TypeString:
		if !utf8.Valid(x.Value) {
			return record.QualityMalformed
		}
	case record.TypeJSON:
		if len(x.Value) == 0 || x.Value[0] != '{' && x.Value[0] != '[' || !json.Valid(x.Value) {
			return record.QualityMalformed
		}
	case record.TypeNone:
		return record.QualityBad
	}
	switch {
	case !x.Type.Valid() || x.Type.Base() != s.raw.Base():
		return record.QualityMalformed
	case len(x.Value)+len(x.Detail) > record.MaxRecordBytes-64: // the rest of the canonical bytes
		return record.QualityOverflow
	}
	return record.QualityGood
}

// judge marks a value that is implausible; a reason that the driver gave stays.
func (w *worker) judge(r *record.Record, s *series, at record.Stamp) {
	if !r.Quality.Good() {
		return
	}
	if s.ranged {
		if v, ok := r.Float64(); ok && (v < s.lo || v > s.hi) {
			r.Quality = record.QualityOutOfRange
			return
		}
	}
	if after := int64(w.source.StuckAfter); after > 0 && !r.Type.InData() && s.stuck(r, at, after) {
		r.Quality = record.QualityStuck
	}
}

// labelOverflow puts the name and labels of the series into the detail.
func (w *worker) labelOverflow(r *record.Record, s *series) {
	from := len(w.arena)
	w.arena = append(w.arena, s.key[:min(len(s.key), record.MaxDetailBytes)]...)
	if r.Data == nil {
		w.data = append(w.data, record.Data{})
		r.Data = &w.data[len(w.data)-1]
	}
	r.Data.Detail = w.arena[from:len(w.arena):len(w.arena)]
}

// append gives the records of a sweep to the log, usually as one draft a stream.
func (w *worker) append(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	for i := range w.outlets {
		rs := w.records
		if i > 0 {
			rs = w.routed[i]
		}
		for len(rs) > 0 {
			n := draftLen(rs)
			w.appendDraft(ctx, &w.outlets[i], rs[:n])
			rs = rs[n:]
		}
	}
}

// draftLen is how many of the records fit one draft, at least one.
func draftLen(rs []record.Record) int {
	bytes := 0
	for i := range min(len(rs), draftRecords) {
		if bytes += rs[i].CanonicalLen(); bytes > draftBytes && i > 0 {
			return i
		}
	}
	return min(len(rs), draftRecords)
}

func (w *worker) appendDraft(ctx context.Context, to *outlet, rs []record.Record) {
	if len(w.pending) == cap(w.pending) { // only this goroutine sends
		w.lossy.Store(true)
		w.acc.countMissed(MissedBacklog, len(rs))
		w.logOutcome(to.stream, errBacklog)
		return
	}
	ticket, err := to.log.Append(ctx, record.Draft{Records: rs})
	if err != nil {
		w.lossy.Store(true)
		w.acc.countMissed(missedByLog(err), len(rs))
		w.acc.note(fmt.Errorf("append to %s: %w", to.stream, err))
		w.logOutcome(to.stream, err)
		return
	}
	w.pending <- pending{ticket, len(rs), to.stream}
	w.logOutcome(to.stream, nil)
}

// tellSeries tells Events about series that turned bad or good.
func (w *worker) tellSeries(faults []fault) {
	for _, f := range faults {
		switch {
		case f.q.Bad() && w.o.Events.SeriesBad != nil:
			w.o.Events.SeriesBad(w.source.Name, f.s.def, f.q, f.s.since)
		case !f.q.Bad() && w.o.Events.SeriesGood != nil:
			w.o.Events.SeriesGood(w.source.Name, f.s.def)
		}
	}
}
