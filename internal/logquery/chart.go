package logquery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

// Chart reads how series went. pause, which may be nil, is called after every batch; its error ends the reading, and what
// was read until then is answered as truncated, unless ctx has ended.
//
// A span of more than ChartRecords is sampled: of each part the first records are read, the newest part first.
func (r *Reader) Chart(ctx context.Context, q api.ChartQuery, pause func() error) (*api.Chart, error) {
	sources, err := r.find(q.Stream)
	if err != nil {
		return nil, err
	}
	c, most := newChart(q), r.ChartRecords
	if most == 0 {
		most = api.MaxChartRecords
	}
	for _, s := range sources {
		from := s.SeekTime(c.from)
		end := min(s.Info().Durable, s.SeekTime(c.from+int64(c.parts)*c.width+int64(Lateness))) // as far as it is read
		if end > from {
			c.held += uint64(end - from)
		}
	}
	c.sampled = c.held > most
	for _, s := range sources {
		w := &chartWalk{chart: c, src: s, pause: pause}
		if c.sampled {
			err = w.sample(ctx, most/uint64(max(len(c.rows)*len(sources), 1)))
		} else {
			err = w.span(ctx, s.SeekTime(c.from), c.from+int64(c.parts)*c.width, math.MaxUint64)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case w.paused:
			c.truncated = true
			return c.answer(), nil
		default:
			return nil, err
		}
	}
	return c.answer(), nil
}

// chart adds readings up.
type chart struct {
	q           api.ChartQuery
	from, width int64 // ns UTC, ns
	parts       int
	index       map[string]int // series key → line
	units       []string
	rows        [][]part // by part, then line; nil: no reading
	gaps        []api.ChartGap
	records     uint64
	held        uint64
	sampled     bool
	truncated   bool
}

// part is what one series said in one part of the span.
type part struct {
	readings, bad, uncertain, numbers uint64
	min, max, sum                     float64
}

func newChart(q api.ChartQuery) *chart {
	c := &chart{q: q, index: map[string]int{}, units: make([]string, len(q.Series))}
	c.from, c.width, c.parts = q.Parts()
	for i, key := range q.Series {
		c.index[key] = i
	}
	c.rows = make([][]part, c.parts)
	return c
}

// add takes one reading of line i.
func (c *chart) add(i int, utc int64, rec *record.Record) {
	if utc < c.from {
		return
	}
	at := (utc - c.from) / c.width
	if at >= int64(c.parts) {
		return
	}
	if c.rows[at] == nil {
		c.rows[at] = make([]part, len(c.units))
	}
	c.rows[at][i].add(rec)
}

func (p *part) add(rec *record.Record) {
	p.readings++
	if rec.Quality.Bad() {
		p.bad++
		return
	}
	if !rec.Quality.Good() {
		p.uncertain++
	}
	x, ok := rec.Float64()
	if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	if p.numbers == 0 {
		p.min, p.max = x, x
	}
	p.min, p.max = min(p.min, x), max(p.max, x)
	p.numbers++
	p.sum += x / 1024 // so that the sum of large numbers does not overflow; exact, but for the smallest
}

func (p *part) point(at int64) api.ChartPoint {
	out := api.ChartPoint{Time: time.Unix(0, at).UTC(), Readings: p.readings, Bad: p.bad, Uncertain: p.uncertain}
	if p.numbers > 0 {
		mean := min(max(p.sum/float64(p.numbers)*1024, p.min), p.max) // rounding must not leave the band
		out.Min, out.Mean, out.Max = &p.min, &mean, &p.max
	}
	return out
}

func (c *chart) answer() *api.Chart {
	out := &api.Chart{SchemaVersion: api.SchemaVersion, Since: time.Unix(0, c.from).UTC(), Until: time.Unix(0, c.from+int64(c.parts)*c.width).UTC(),
		PointSeconds: float64(c.width) / 1e9, Records: c.records, Held: c.held, Sampled: c.sampled, Truncated: c.truncated, Gaps: c.gaps}
	for _, key := range c.q.Series {
		i := c.index[key]
		s := api.ChartSeries{Series: key, Unit: c.units[i], Points: []api.ChartPoint{}}
		for k := range c.rows {
			if row := c.rows[k]; row != nil && row[i].readings > 0 {
				s.Points = append(s.Points, row[i].point(c.from+int64(k)*c.width))
			}
		}
		out.Series = append(out.Series, s)
	}
	return out
}

// gap notes a gap of the log that touches the span and whose time is known, once.
func (c *chart) gap(stream string, g *record.Gap) {
	from, until := time.UnixMicro(g.TimeMin).UTC(), time.UnixMicro(g.TimeMax).UTC()
	known := g.TimeMin != 0 || g.TimeMax != 0
	if !known || until.UnixNano() < c.from || from.UnixNano() >= c.from+int64(c.parts)*c.width || len(c.gaps) == api.MaxChartGaps {
		return
	}
	out := api.ChartGap{Stream: stream, From: from, Until: until, Count: g.Len(), Reason: g.Reason.String()}
	for _, old := range c.gaps {
		if old == out { // it lies across two sampled parts
			return
		}
	}
	c.gaps = append(c.gaps, out)
}

// chartWalk reads one stream into a chart. It looks a series up once for each epoch, and the time of a record only if its
// series is asked for.
type chartWalk struct {
	*chart
	src    Source
	pause  func() error
	paused bool // pause has ended it
	dec    record.Decoder
	recs   []record.Record
	epoch  record.Epoch
	lines  map[record.SeriesID]int // line, -1: not asked for
}

// sample reads at most most records of each part, the newest part first.
func (w *chartWalk) sample(ctx context.Context, most uint64) error {
	for k := w.parts - 1; k >= 0; k-- {
		begin := w.from + int64(k)*w.width
		if err := w.span(ctx, w.src.SeekTime(begin), begin+w.width, max(most, 1)); err != nil {
			return err
		}
	}
	return nil
}

// span reads on from an offset until most records were read or all lies at or after utc.
func (w *chartWalk) span(ctx context.Context, from record.Offset, utc int64, most uint64) (err error) {
	items := w.src.Open(from)
	defer func() { err = errors.Join(err, items.Close()) }()
	w.lines = nil
	for read := uint64(0); read < most; {
		if err := ctx.Err(); err != nil {
			return err
		}
		item, err := items.Next()
		switch {
		case errors.Is(err, buffer.ErrEnd):
			return nil
		case err != nil:
			return fmt.Errorf("read stream %s: %w", w.src.Name(), err)
		case item.Gap != nil:
			w.gap(w.src.Name(), item.Gap)
			continue
		}
		later, err := w.batch(&item.Batch, utc)
		if err != nil || later {
			return err
		}
		read += uint64(item.Batch.Count)
		if w.pause == nil {
			continue
		}
		if err := w.pause(); err != nil {
			w.paused = true
			return err
		}
	}
	return nil
}

// batch adds the records of a batch; later says that it begins at or after utc, by more than records may be late.
func (w *chartWalk) batch(b *record.Batch, utc int64) (later bool, err error) {
	if w.recs, err = w.dec.Decode(w.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return false, fmt.Errorf("read stream %s at offset %d: %w", w.src.Name(), b.Base, err)
	}
	if w.lines == nil || w.epoch != b.Epoch {
		w.epoch, w.lines = b.Epoch, map[record.SeriesID]int{}
	}
	w.records += uint64(len(w.recs))
	for i := range w.recs {
		rec := &w.recs[i]
		if i == 0 {
			first, ok := w.time(rec)
			if late := int64(Lateness); ok && (w.sampled && first >= utc || first >= utc+late) {
				return true, nil
			}
		}
		if rec.Kind != record.KindObservation {
			continue
		}
		line := w.line(rec.Series)
		if line < 0 {
			continue
		}
		if at, ok := w.time(rec); ok && (!w.sampled || at < utc && at >= utc-w.width) {
			w.add(line, at, rec)
		}
	}
	return false, nil
}

func (w *chartWalk) time(rec *record.Record) (int64, bool) {
	at, ok := w.src.Time(w.epoch, record.Stamp{Time: rec.Time, Clock: rec.Clock})
	return at.UTC, ok
}

// line is where a series goes, -1 if nobody asked for it.
func (w *chartWalk) line(id record.SeriesID) int {
	if i, ok := w.lines[id]; ok {
		return i
	}
	line := -1
	if def, ok := w.src.Series(w.epoch, id); ok && id != 0 {
		if i, wanted := w.index[def.Key()]; wanted {
			line, w.units[i] = i, def.Unit
		}
	}
	w.lines[id] = line
	return line
}
