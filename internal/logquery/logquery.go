// Package logquery reads the log for people and programs: records by time, series and stream, the tail of a stream,
// and the account, as the JSON of package api.
//
// The agent serves it from its open log; edgectl uses it on a log directory whose agent is dead.
package logquery

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
)

// Bounds of a query.
const (
	// Lateness is how far behind the box's own time a producer's asserted time may be and still be found by a query
	// with an end: reading stops at the first batch that lies wholly this much after the end.
	Lateness  = 24 * time.Hour
	idleEvery = 2 * time.Second // a followed tail calls idle at least this often
)

// Log is what a query needs of one stream; *buffer.Log with Open around it is one.
type Log interface {
	Name() string
	Info() buffer.Info
	SeekTime(utc int64) record.Offset
	Series(e record.Epoch, id record.SeriesID) (record.Series, bool)
	Time(e record.Epoch, s record.Stamp) (record.Time, bool)
	Changed() <-chan struct{}
}

// Items is a reader; *buffer.Reader is one.
type Items interface {
	Next() (buffer.Item, error)
	Close() error
}

// Source is one stream with a way to read it.
type Source struct {
	Log
	Open func(from record.Offset) Items
}

// Reader answers queries over the logs of a set. All methods may be called concurrently.
type Reader struct {
	// Sources lists the streams, in any order.
	Sources func() []Source
	// ChartRecords is how many records are read for one chart; 0 means api.MaxChartRecords.
	ChartRecords uint64
}

// New reads an open set.
func New(set *buffer.Set) *Reader {
	return &Reader{Sources: func() []Source {
		var out []Source
		for _, l := range set.Logs() {
			out = append(out, Source{Log: l, Open: func(from record.Offset) Items { return l.Read(from) }})
		}
		return out
	}}
}

// find returns the stream, or all if name is "", sorted by name.
func (r *Reader) find(name string) ([]Source, error) {
	all := r.Sources()
	sort.Slice(all, func(i, j int) bool { return all[i].Name() < all[j].Name() })
	if name == "" {
		return all, nil
	}
	var names []string
	for _, s := range all {
		if s.Name() == name {
			return []Source{s}, nil
		}
		names = append(names, s.Name())
	}
	return nil, fmt.Errorf("%w: %q; there are %s", buffer.ErrNoStream, name, strings.Join(names, ", "))
}

var errLimit = errors.New("limit reached")

// Query calls each for every record that q selects, stream by stream, in the order of the log. Gaps are told too,
// wherever they may hide what was asked for. truncated says that q.Limit records were given and there are more. pause, which
// may be nil, is called after every batch and gap, whether something in it was selected or not; its error ends the query.
func (r *Reader) Query(ctx context.Context, q api.Query, pause func() error, each func(*api.Record) error) (truncated bool, err error) {
	sources, err := r.find(q.Stream)
	if err != nil {
		return false, err
	}
	left := q.Limit
	if left == 0 {
		left = api.DefaultQuery
	}
	for _, s := range sources {
		from := record.Offset(0)
		if !q.Since.IsZero() {
			from = s.SeekTime(q.Since.UnixNano())
		}
		w := newWalk(s, q, func(rec *api.Record) error {
			if left == 0 {
				return errLimit
			}
			left--
			return each(rec)
		})
		w.pause = pause
		switch err := w.all(ctx, from); {
		case errors.Is(err, errLimit):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

// Tail gives the last n records of a stream ("" means telemetry, or the first there is) and, with follow, those that
// come until ctx ends, which is no error. idle is called whenever everything durable has been given, and again every
// two seconds; its error ends the tail.
func (r *Reader) Tail(ctx context.Context, stream string, n int, follow bool, each func(*api.Record) error, idle func() error) error {
	sources, err := r.find(stream)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("%w: the log is empty", buffer.ErrNoStream)
	}
	s := sources[0]
	for _, x := range sources {
		if x.Name() == "telemetry" {
			s = x
		}
	}
	info := s.Info()
	from := info.Low
	if held := uint64(info.Durable - info.Low); info.Durable > info.Low && held > uint64(n) {
		from = info.Durable - record.Offset(n)
	}
	w := newWalk(s, api.Query{}, each)
	if !follow {
		return w.all(ctx, from)
	}
	return w.follow(ctx, from, idle)
}

// walk reads one stream.
type walk struct {
	src   Source
	q     api.Query
	each  func(*api.Record) error
	pause func() error
	dec   record.Decoder
	recs  []record.Record
	epoch record.Epoch
	known map[record.SeriesID]*series
	from  record.Offset
}

func newWalk(s Source, q api.Query, each func(*api.Record) error) *walk {
	return &walk{src: s, q: q, each: each, known: map[record.SeriesID]*series{}}
}

func (w *walk) all(ctx context.Context, from record.Offset) (err error) {
	w.from = from
	items := w.src.Open(from)
	defer func() { err = errors.Join(err, items.Close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := w.next(items)
		if err != nil || !more {
			return err
		}
		if w.pause == nil {
			continue
		}
		if err := w.pause(); err != nil {
			return err
		}
	}
}

func (w *walk) follow(ctx context.Context, from record.Offset, idle func() error) (err error) {
	w.from = from
	items := w.src.Open(from)
	defer func() { err = errors.Join(err, items.Close()) }()
	tick := time.NewTicker(idleEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		changed := w.src.Changed() // before reading, so that no advance is missed
		for more := true; more && ctx.Err() == nil; {
			if more, err = w.next(items); err != nil {
				return err
			}
		}
		if err := idle(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// next gives the records of one item; more is false at the end.
func (w *walk) next(items Items) (more bool, err error) {
	item, err := items.Next()
	switch {
	case errors.Is(err, buffer.ErrEnd):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read stream %s: %w", w.src.Name(), err)
	case item.Gap != nil:
		return true, w.gap(item.Gap)
	}
	b := &item.Batch
	if w.recs, err = w.dec.Decode(w.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return false, fmt.Errorf("read stream %s at offset %d: %w", w.src.Name(), b.Base, err)
	}
	if w.epoch != b.Epoch {
		w.epoch = b.Epoch
		clear(w.known)
	}
	return w.batch(b)
}

// batch gives the batch's records; more is false once everything lies far after the end of the query.
func (w *walk) batch(b *record.Batch) (more bool, err error) {
	past := !w.q.Until.IsZero()
	for i := range w.recs {
		rec, offset := &w.recs[i], b.Base+record.Offset(i)
		at, ok := w.src.Time(b.Epoch, record.Stamp{Time: rec.Time, Clock: rec.Clock})
		if past && (!ok || at.UTC < w.q.Until.Add(Lateness).UnixNano()) {
			past = false
		}
		if offset < w.from || !w.wanted(at, ok) {
			continue
		}
		s := w.series(rec.Series)
		if !s.match {
			continue
		}
		out := api.Record{Stream: w.src.Name(), Epoch: b.Epoch.String(), Offset: uint64(offset), Kind: rec.Kind.String(),
			Name: s.name, Labels: s.labels, Series: s.key, Unit: s.unit, Type: rec.Type.String(),
			Quality: rec.Quality.String(), Value: Value(rec), Detail: fmt.Sprintf("%x", rec.Detail())}
		if ok {
			out.Time, out.TError = time.Unix(0, at.UTC).UTC(), float64(at.Error)/1e9
		}
		if err := w.each(&out); err != nil {
			return false, err
		}
	}
	return !past, nil
}

// wanted reports whether a time lies in the query. A record whose time is not known belongs to queries without bounds.
func (w *walk) wanted(at record.Time, ok bool) bool {
	if !ok {
		return w.q.Since.IsZero() && w.q.Until.IsZero()
	}
	return (w.q.Since.IsZero() || at.UTC+at.Error >= w.q.Since.UnixNano()) && (w.q.Until.IsZero() || at.UTC < w.q.Until.UnixNano())
}

func (w *walk) gap(g *record.Gap) error {
	known := g.TimeMin != 0 || g.TimeMax != 0
	if known && !w.q.Since.IsZero() && g.TimeMax < w.q.Since.UnixMicro() || known && !w.q.Until.IsZero() && g.TimeMin >= w.q.Until.UnixMicro() {
		return nil
	}
	out := api.Record{Stream: w.src.Name(), Epoch: g.Epoch.String(), Offset: uint64(g.From), Kind: "gap",
		Gap: &api.Gap{To: uint64(g.To), Count: g.Len(), Reason: g.Reason.String()}}
	if known {
		out.Gap.From, out.Gap.Until = time.UnixMicro(g.TimeMin).UTC(), time.UnixMicro(g.TimeMax).UTC()
		out.Time = out.Gap.From
	}
	return w.each(&out)
}
