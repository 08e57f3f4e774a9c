package logtool

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
)

// Selection says which records are meant. The zero value means all.
type Selection struct {
	Stream       string
	Series       string    // a part of the series' key
	Since, Until time.Time // zero: no bound; records whose time is not known belong to no bound
	From, To     uint64    // offsets; To 0: to the end
}

// Records calls each for every record and gap of the selection, stream by stream, in the order of the log. Gaps are told
// wherever they may hide what was asked for. The end of the log is not waited for.
func (d Dir) Records(ctx context.Context, q Selection, each func(*api.Record) error) error {
	set, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer set.Close()
	list, err := logs(set, q.Stream)
	if err != nil {
		return err
	}
	var total int64
	for _, l := range list {
		total += l.Info().Bytes
	}
	p := d.progress(total)
	for _, l := range list {
		if err := records(ctx, l, q, p, each); err != nil {
			return err
		}
	}
	p.add(p.total)
	return nil
}

func records(ctx context.Context, l *buffer.Log, q Selection, p *progress, give func(*api.Record) error) error {
	w := walker{l: l, q: q, each: give, series: map[record.SeriesID]*series{}}
	from := record.Offset(q.From)
	if !q.Since.IsZero() {
		from = max(from, l.SeekTime(q.Since.UnixNano()))
	}
	err := each(ctx, l, from, func(item *buffer.Item) error {
		p.add(int64(len(item.Batch.Body)))
		if q.To != 0 && uint64(item.Range().From) >= q.To {
			return errEnough
		}
		if item.Gap != nil {
			return w.gap(item.Gap)
		}
		return w.batch(&item.Batch)
	}, func(*buffer.HeldError) {})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

var errEnough = errors.New("enough")

// source is a stream of a log, or of a portable file.
type source interface {
	Name() string
	Time(record.Epoch, record.Stamp) (record.Time, bool)
	Series(record.Epoch, record.SeriesID) (record.Series, bool)
}

// walker turns items into records as people and programs see them.
type walker struct {
	l      source
	q      Selection
	each   func(*api.Record) error
	dec    record.Decoder
	recs   []record.Record
	epoch  record.Epoch
	series map[record.SeriesID]*series
}

// series is a definition as its records repeat it.
type series struct {
	name, key, unit string
	labels          json.RawMessage
	match           bool
}

func (w *walker) batch(b *record.Batch) (err error) {
	if w.recs, err = w.dec.Decode(w.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return fmt.Errorf("read stream %s at offset %d: %w", w.l.Name(), b.Base, err)
	}
	if w.epoch != b.Epoch {
		w.epoch = b.Epoch
		clear(w.series)
	}
	for i := range w.recs {
		rec, o := &w.recs[i], uint64(b.Base)+uint64(i)
		if o < w.q.From || w.q.To != 0 && o >= w.q.To {
			continue
		}
		at, ok := w.l.Time(b.Epoch, record.Stamp{Time: rec.Time, Clock: rec.Clock})
		s := w.of(rec.Series)
		if !s.match || !w.wanted(at, ok) {
			continue
		}
		out := api.Record{Stream: w.l.Name(), Epoch: b.Epoch.String(), Offset: o, Kind: rec.Kind.String(), Name: s.name, Labels: s.labels,
			Series: s.key, Unit: s.unit, Type: rec.Type.String(), Quality: rec.Quality.String(), Value: logquery.Value(rec), Detail: hex.EncodeToString(rec.Detail())}
		if ok {
			out.Time, out.TError = time.Unix(0, at.UTC).UTC(), float64(at.Error)/1e9
		}
		if err := w.each(&out); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) wanted(at record.Time, ok bool) bool {
	if !ok {
		return w.q.Since.IsZero() && w.q.Until.IsZero()
	}
	return (w.q.Since.IsZero() || at.UTC+at.Error >= w.q.Since.UnixNano()) && (w.q.Until.IsZero() || at.UTC < w.q.Until.UnixNano())
}

func (w *walker) of(id record.SeriesID) *series {
	if s := w.series[id]; s != nil {
		return s
	}
	s := &series{match: w.q.Series == ""}
	if def, ok := w.l.Series(w.epoch, id); ok && id != 0 {
		s.name, s.key, s.unit = def.Name, def.Key(), def.Unit
		s.match = logquery.Match(w.q.Series, s.key)
		if len(def.Labels) > 0 {
			m := make(map[string]string, len(def.Labels))
			for _, l := range def.Labels {
				m[l.Key] = l.Value
			}
			s.labels, _ = json.Marshal(m) // a map of strings cannot fail
		}
	}
	w.series[id] = s
	return s
}

func (w *walker) gap(g *record.Gap) error {
	known := g.TimeMin != 0 || g.TimeMax != 0
	if known && (!w.q.Since.IsZero() && g.TimeMax < w.q.Since.UnixMicro() || !w.q.Until.IsZero() && g.TimeMin >= w.q.Until.UnixMicro()) {
		return nil
	}
	from, to := max(uint64(g.From), w.q.From), uint64(g.To)
	if w.q.To != 0 {
		to = min(to, w.q.To)
	}
	if from >= to {
		return nil
	}
	out := api.Record{Stream: w.l.Name(), Epoch: g.Epoch.String(), Offset: from, Kind: "gap", Gap: &api.Gap{To: to, Count: to - from, Reason: g.Reason.String()}}
	if known {
		out.Gap.From, out.Gap.Until = time.UnixMicro(g.TimeMin).UTC(), time.UnixMicro(g.TimeMax).UTC()
		out.Time = out.Gap.From
	}
	return w.each(&out)
}
