package collect

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// State is how a source does, in one word.
type State string

// The states, from the best to the worst.
const (
	StateOK       State = "ok"
	StateStarting State = "starting" // no sweep has ended yet
	StateDegraded State = "degraded" // some series have no valid reading, or the log refuses readings
	StateDead     State = "dead"     // the latest sweep failed, or a read hangs
)

// SourceStatus is one source at a moment. Counters run since the source was first started by this process.
type SourceStatus struct {
	Name, Driver, Stream string
	Interval             time.Duration // 0: it speaks when it likes
	State                State
	Since                record.Stamp // of the first failed sweep in a row; Clock 0 if the latest did not fail
	Taken                uint64       // readings that are durable
	Unchanged            uint64       // readings that a rule kept out of the log, because they said nothing new
	Pending              uint64       // drafts that wait for the disk
	Missed               map[string]uint64
	Quality              map[record.Quality]uint64 // readings as they were read
	Sweeps               uint64
	LastSweep            record.Stamp
	LastError            string
	LastErrorAt          record.Stamp
	JitterMean           time.Duration // how long after its time a sweep starts
	JitterMax            time.Duration
	Series               []SeriesStatus
}

// SeriesStatus is the latest reading of one series: fresher than what is durable, and never part of the account.
type SeriesStatus struct {
	Source, Stream string
	Series         record.Series
	ID             record.SeriesID // 0: recorded in the overflow series, or not at all
	Seen           bool            // false: no reading yet
	Value          string          // as people read it, without unit; "-" for none
	Type           record.Type     // of Value
	Quality        record.Quality
	Stamp          record.Stamp
	LastGood       record.Stamp // Clock 0: never
	Since          record.Stamp // since when it has been good, or not good
	Trend          []float32    // recent values, oldest first, at most one per second; NaN where there was none
}

// Snapshot is the state of every source, in the order of the plan.
func (c *Collector) Snapshot() []SourceStatus {
	ws := c.list()
	out := make([]SourceStatus, len(ws))
	for i, w := range ws {
		out[i] = w.status()
	}
	return out
}

// Overview is Snapshot without the series.
func (c *Collector) Overview() []SourceStatus {
	ws := c.list()
	out := make([]SourceStatus, len(ws))
	for i, w := range ws {
		out[i] = w.overview(w.table.bad())
	}
	return out
}

func (w *worker) status() SourceStatus {
	series, bad := w.seriesStatus()
	s := w.overview(bad)
	s.Series = series
	return s
}

// overview is the state of a source of which some series have no valid reading, or not.
func (w *worker) overview(bad bool) SourceStatus {
	s := SourceStatus{Name: w.source.Name, Driver: w.source.Driver, Stream: w.source.Stream,
		Interval: w.source.Interval, Missed: map[string]uint64{}, Quality: map[record.Quality]uint64{},
		Pending: uint64(len(w.pending))}
	if w.source.Door != nil {
		s.Interval = 0
	}
	a := w.acc
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Taken, s.Unchanged, s.Sweeps, s.LastSweep = a.taken, a.unchanged, a.sweeps, a.last
	s.LastError, s.LastErrorAt = a.lastErr, a.errStamp
	s.JitterMax = a.lateMax
	if a.lateCount > 0 {
		s.JitterMean = a.lateSum / time.Duration(a.lateCount)
	}
	for m, n := range a.missed {
		if n > 0 {
			s.Missed[Missed(m).String()] = n
		}
	}
	for q, n := range a.quality {
		if n > 0 {
			s.Quality[record.Quality(q)] = n
		}
	}
	hangs := !a.busySince.IsZero() && time.Since(a.busySince) > w.source.Timeout+time.Second
	if a.failing > 0 {
		s.Since = a.since
	}
	switch {
	case a.failing > 0 || hangs:
		s.State = StateDead
	case bad || len(a.refusing) > 0:
		s.State = StateDegraded
	case a.sweeps == 0 || a.sweeps == 1 && !a.busySince.IsZero():
		s.State = StateStarting
	default:
		s.State = StateOK
	}
	return s
}

func (w *worker) seriesStatus() (out []SeriesStatus, bad bool) {
	t := w.table
	t.mu.Lock()
	defer t.mu.Unlock()
	out = make([]SeriesStatus, len(t.order))
	for i, s := range t.order {
		bad = bad || s.seen && s.quality.Bad()
		out[i] = SeriesStatus{Source: w.source.Name, Stream: w.outlets[s.dest].stream, Series: s.def, ID: s.id, Seen: s.seen,
			Value: s.text(), Type: s.typ, Quality: s.quality, Stamp: s.at, LastGood: s.goodAt, Since: s.since, Trend: s.trends()}
	}
	return out, bad
}
