package collect

import (
	"math"
	"sync"

	"github.com/edgelog/edgelog/buffer/record"
)

// table holds the series of one source with their latest readings. The worker writes, Snapshot reads.
type table struct {
	mu        sync.Mutex
	byKey     map[string]*series
	order     []*series
	trendAt   int64 // boot time of the latest value that went into trends, ns
	trendOnce bool
}

// series is one series and what is known of its latest reading. The reader changes it under table.mu; def, key and
// range never change. Its treatment is the reader's own.
type series struct {
	treatment
	def      record.Series
	key      string
	lo, hi   float64
	ranged   bool
	id       record.SeriesID // 0: not defined in the log
	admitted bool            // counted against the limit of new series
	over     bool            // beyond the limit: readings go to the overflow series
	invalid  error           // the definition is refused for good

	seen    bool
	quality record.Quality
	typ     record.Type
	num     int64
	value   []byte
	at      record.Stamp
	goodAt  record.Stamp // Clock 0: never
	since   record.Stamp // since when it has been good or not good
	same    record.Stamp // since when the value has been exactly this
	badRun  int
	faulted record.Quality // told to Events; good if none
	trend   [trendLen]float32
	trendN  int // values ever put into trend
}

// observe takes the record as the latest reading. trend says that its value belongs into the sparkline.
func (s *series) observe(r *record.Record, at record.Stamp, trend bool) {
	if !s.seen || s.quality.Good() != r.Quality.Good() {
		s.since = at
	}
	if !s.seen || s.num != r.Num || s.typ != r.Type {
		s.same = at
	}
	s.seen, s.quality, s.at = true, r.Quality, at
	s.typ, s.num = r.Type, r.Num
	if v := r.Value(); v != nil || s.value != nil {
		s.value = append(s.value[:0], v[:min(len(v), latestTextBytes)]...)
	}
	if r.Quality.Bad() {
		s.badRun++
	} else {
		s.goodAt, s.badRun = at, 0
	}
	if trend {
		v, ok := r.Float64()
		if !ok {
			v = math.NaN()
		}
		s.trend[s.trendN%trendLen] = float32(v)
		s.trendN++
	}
}

// stuck reports whether the value has not moved at all for longer than after (ns), this reading included.
func (s *series) stuck(r *record.Record, at record.Stamp, after int64) bool {
	return s.seen && s.num == r.Num && s.typ == r.Type && s.same.Clock == at.Clock && at.Time-s.same.Time > after
}

// forget makes the next reading of every series one to report. t.mu is held.
func (t *table) forget() {
	for _, s := range t.order {
		s.sent = false
	}
}

// bad reports whether a series has no valid reading.
func (t *table) bad() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.order {
		if s.seen && s.quality.Bad() {
			return true
		}
	}
	return false
}

// trends returns the sparkline's values, oldest first; NaN where there was none.
func (s *series) trends() []float32 {
	n := min(s.trendN, trendLen)
	out := make([]float32, n)
	for i := range out {
		out[i] = s.trend[(s.trendN-n+i)%trendLen]
	}
	return out
}

// text is the latest value as people read it, without unit.
func (s *series) text() string {
	r := record.Record{Type: s.typ, Num: s.num, Data: &record.Data{Value: s.value}}
	return string(r.AppendText(nil))
}
