package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/edgelog/edgelog/agent/health"
	"github.com/edgelog/edgelog/internal/api"
)

// Bounds of what readers of a view may cost. Zero fields take the server's.
type Bounds struct {
	Streams   int           // queries and tails at once
	Records   uint64        // of one query or tail
	QueryTime time.Duration // of one query; what is over is told as truncated
	TailTime  time.Duration // of one followed tail; a reader asks again
	Sensors   int           // in one answer, worst first
	Spare     bool          // while a query or chart works it rests as long again, so that it takes half a processor at most
}

// NewView serves the reading part of the API, and nothing that changes anything, within bounds of its own. Of the options
// View and Records are needed, Nodes and Updates may be there.
func NewView(o Options, b Bounds) http.Handler {
	if b.Streams == 0 {
		b.Streams = MaxStreamAnswers
	}
	return newView(o, b, make(chan struct{}, b.Streams)).routes(http.NewServeMux())
}

type view struct {
	o       Options
	b       Bounds
	streams chan struct{} // a place for each streamed answer
	charts  chan struct{} // one chart at a time; the others wait
}

func newView(o Options, b Bounds, streams chan struct{}) *view {
	if b.Records == 0 {
		b.Records = api.MaxQueryRecords
	}
	return &view{o: o, b: b, streams: streams, charts: make(chan struct{}, 1)}
}

func (v *view) routes(m *http.ServeMux) *http.ServeMux {
	m.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { answer(w, v.o.View.Status()) })
	m.HandleFunc("GET /v1/sensors", v.sensors)
	m.HandleFunc("GET /v1/account", func(w http.ResponseWriter, r *http.Request) { answer(w, v.o.View.Account()) })
	m.HandleFunc("GET /v1/faults", func(w http.ResponseWriter, r *http.Request) {
		answer(w, &api.Faults{SchemaVersion: api.SchemaVersion, Faults: v.o.View.Faults()})
	})
	m.HandleFunc("GET /v1/explain/{code}", explain)
	if v.o.Nodes != nil {
		m.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, r *http.Request) { answer(w, v.o.Nodes.Nodes()) })
	}
	if v.o.Updates != nil {
		m.HandleFunc("GET /v1/update", func(w http.ResponseWriter, r *http.Request) { answer(w, v.o.Updates.Update()) })
	}
	m.HandleFunc("GET /v1/query", v.query)
	m.HandleFunc("GET /v1/tail", v.tail)
	if c, ok := v.o.Records.(Charts); ok {
		m.HandleFunc("GET /v1/chart", func(w http.ResponseWriter, r *http.Request) { v.chart(w, r, c) })
	}
	m.HandleFunc("/", unknown)
	return m
}

// explain tells what the table of faults says of a code.
func explain(w http.ResponseWriter, r *http.Request) {
	d, ok := health.Lookup(health.Code(r.PathValue("code")))
	if !ok {
		problem(w, fmt.Errorf("%w: no fault has the code %q", ErrNotFound, r.PathValue("code")))
		return
	}
	answer(w, api.Explained{SchemaVersion: api.SchemaVersion, Faults: []api.FaultText{api.TextOf(d)}})
}

func (v *view) sensors(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if err := known(q, "match", "limit"); err != nil {
		problem(w, err)
		return
	}
	most := v.b.Sensors
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			problem(w, fmt.Errorf("%w: limit=%q is not a number from 1", ErrBadRequest, text))
			return
		}
		if most == 0 || n < most {
			most = n
		}
	}
	s := v.o.View.Sensors()
	s.Keep(q.Get("match"), most)
	answer(w, s)
}

var errTimeOver = errors.New("time is over")

// pacer keeps what reads the log from taking a whole processor, and ends it in time.
type pacer struct {
	begun time.Time // of the present slice of work
	end   time.Time
	spare bool
}

// workSlice is how long a reader works before it rests as long.
const workSlice = 5 * time.Millisecond

func (p *pacer) step() error {
	now := time.Now()
	if !p.end.IsZero() && now.After(p.end) {
		return errTimeOver
	}
	if worked := now.Sub(p.begun); p.spare && worked >= workSlice {
		time.Sleep(min(worked, 10*workSlice)) // more was not work, but a slow reader
		p.begun = time.Now()
	}
	return nil
}

func (v *view) pacer(limit time.Duration) *pacer {
	p := &pacer{begun: time.Now(), spare: v.b.Spare}
	if limit > 0 {
		p.end = p.begun.Add(limit)
	}
	return p
}

func (v *view) query(w http.ResponseWriter, r *http.Request) {
	q, err := v.queryOf(r.URL.Query())
	if err != nil {
		problem(w, err)
		return
	}
	free, err := take(v.streams)
	if err != nil {
		problem(w, err)
		return
	}
	defer free()
	unhurried(w)
	out, pace := (*lines)(nil), v.pacer(v.b.QueryTime)
	truncated, err := v.o.Records.Query(r.Context(), q, pace.step, func(rec *api.Record) error {
		if out == nil {
			out = newLines(w, false)
		}
		if err := pace.step(); err != nil { // a batch may have many records, and their reader be slow
			return err
		}
		return out.record(rec)
	})
	if errors.Is(err, errTimeOver) {
		truncated, err = true, nil
	}
	finish(w, out, truncated, err)
}

func (v *view) tail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n, err, most := api.DefaultTail, error(nil), int(min(api.MaxTail, v.b.Records))
	if text := q.Get("n"); text != "" {
		if n, err = strconv.Atoi(text); err != nil || n < 0 || n > most {
			problem(w, fmt.Errorf("%w: n=%q is not a number from 0 to %d", ErrBadRequest, text, most))
			return
		}
	}
	free, err := take(v.streams)
	if err != nil {
		problem(w, err)
		return
	}
	defer free()
	unhurried(w)
	ctx := r.Context()
	if v.b.TailTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, v.b.TailTime)
		defer cancel()
	}
	follow := q.Get("follow") == "1" || q.Get("follow") == "true"
	out, pace := (*lines)(nil), v.pacer(0)
	begin := func() *lines {
		if out == nil {
			out = newLines(w, false)
		}
		return out
	}
	err = v.o.Records.Tail(ctx, q.Get("stream"), n, follow,
		func(rec *api.Record) error {
			if err := pace.step(); err != nil {
				return err
			}
			return begin().record(rec)
		},
		func() error { return begin().idle() })
	if ctx.Err() != nil {
		err = nil // the reader has gone, its time is over or the agent stops: that is how a followed tail ends
	}
	finish(w, out, false, err)
}

// chart is answered one at a time: who waits costs nothing.
func (v *view) chart(w http.ResponseWriter, r *http.Request, from Charts) {
	q, err := chartOf(r.URL.Query(), time.Now())
	if err != nil {
		problem(w, err)
		return
	}
	unhurried(w)
	select {
	case v.charts <- struct{}{}:
		defer func() { <-v.charts }()
	case <-r.Context().Done():
		return
	case <-time.After(maxChartTime):
		problem(w, fmt.Errorf("%w: other charts are being read; try again in a moment", errBusy))
		return
	}
	c, err := from.Chart(r.Context(), q, v.pacer(maxChartTime).step)
	if err != nil {
		problem(w, err)
		return
	}
	answer(w, c)
}

func known(v url.Values, names ...string) error {
next:
	for key := range v {
		for _, n := range names {
			if key == n {
				continue next
			}
		}
		return fmt.Errorf("%w: unknown parameter %q", ErrBadRequest, key)
	}
	return nil
}

// times reads since and until.
func times(v url.Values, since, until *time.Time) (err error) {
	for _, t := range []struct {
		name string
		into *time.Time
	}{{"since", since}, {"until", until}} {
		if text := v.Get(t.name); text != "" {
			if *t.into, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return fmt.Errorf("%w: %s=%q is not a time like 2026-11-23T02:14:00Z", ErrBadRequest, t.name, text)
			}
		}
	}
	return nil
}

func (v *view) queryOf(form url.Values) (q api.Query, err error) {
	if err := known(form, "since", "until", "stream", "series", "limit"); err != nil {
		return q, err
	}
	q.Stream, q.Series, q.Limit = form.Get("stream"), form.Get("series"), min(api.DefaultQuery, v.b.Records)
	if err := times(form, &q.Since, &q.Until); err != nil {
		return q, err
	}
	if text := form.Get("limit"); text != "" {
		if q.Limit, err = strconv.ParseUint(text, 10, 64); err != nil || q.Limit == 0 || q.Limit > v.b.Records {
			return q, fmt.Errorf("%w: limit=%q is not a number from 1 to %d", ErrBadRequest, text, v.b.Records)
		}
	}
	return q, nil
}

// chartOf reads what a chart shall show; without since it is the last hour before until, which is now if it is not given.
func chartOf(form url.Values, now time.Time) (q api.ChartQuery, err error) {
	if err := known(form, "series", "since", "until", "stream", "points"); err != nil {
		return q, err
	}
	q.Stream, q.Series, q.Points = form.Get("stream"), form["series"], api.DefaultChartPoints
	if n := len(q.Series); n == 0 || n > api.MaxChartSeries {
		return q, fmt.Errorf("%w: %d series; give series=KEY once to %d times", ErrBadRequest, n, api.MaxChartSeries)
	}
	if err := times(form, &q.Since, &q.Until); err != nil {
		return q, err
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-time.Hour)
	}
	if span := q.Until.Sub(q.Since); span <= 0 || span > api.MaxChartSpan || q.Since.Unix() < 0 {
		return q, fmt.Errorf("%w: since must lie before until, by %.0f days at most", ErrBadRequest, api.MaxChartSpan.Hours()/24)
	}
	if text := form.Get("points"); text != "" {
		if q.Points, err = strconv.Atoi(text); err != nil || q.Points < 2 || q.Points > api.MaxChartPoints {
			return q, fmt.Errorf("%w: points=%q is not a number from 2 to %d", ErrBadRequest, text, api.MaxChartPoints)
		}
	}
	return q, nil
}
