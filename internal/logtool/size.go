package logtool

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// SizeReport says what fills the disk. Bytes of a series are its share of the batches that it stands in: a body is one
// encoding of many series, so the share follows from encoding each series alone. The sum is exact, a share is not.
type SizeReport struct {
	SchemaVersion int          `json:"schema_version"`
	Dir           string       `json:"dir"`
	Bytes         int64        `json:"bytes"` // of the files
	Streams       []StreamSize `json:"streams"`
	Series        []SeriesSize `json:"series"` // largest first
	Days          []DaySize    `json:"days"`   // latest first
}

// StreamSize is one stream: bodies, and what files need beside them (headers, definitions, index, reserved space).
type StreamSize struct {
	Stream    string `json:"stream"`
	Bytes     int64  `json:"bytes"`
	BodyBytes int64  `json:"body_bytes"`
	Records   uint64 `json:"records"`
	Series    int    `json:"series"`
}

// SeriesSize is one series of one stream. Marks (boot, clock, configuration) have the series "".
type SeriesSize struct {
	Stream  string    `json:"stream"`
	Series  string    `json:"series"`
	Bytes   int64     `json:"bytes"`
	Records uint64    `json:"records"`
	PerDay  int64     `json:"bytes_per_day"` // over the days on which it has records
	Days    []DaySize `json:"days"`          // latest first
}

// DaySize is one calendar day in the zone of the measurement; "" where the time is not known.
type DaySize struct {
	Day     string `json:"day"`
	Bytes   int64  `json:"bytes"`
	Records uint64 `json:"records"`
}

type cell struct{ stream, series, day string }

type amount struct {
	bytes   float64
	records uint64
}

// sizer adds up shares.
type sizer struct {
	zone  *time.Location
	cells map[cell]amount
	dec   record.Decoder
	enc   record.Encoder
	recs  []record.Record
	body  []byte
	group map[record.SeriesID][]record.Record
	keys  map[record.SeriesID]string
	epoch record.Epoch
}

// Size measures. stream "" means all; days are those of the zone.
func (d Dir) Size(ctx context.Context, stream string, zone *time.Location) (*SizeReport, error) {
	set, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	list, err := logs(set, stream)
	if err != nil {
		return nil, err
	}
	r := &SizeReport{SchemaVersion: SchemaVersion, Dir: d.Path, Streams: []StreamSize{}, Series: []SeriesSize{}, Days: []DaySize{}}
	for _, l := range list {
		r.Bytes += l.Info().Bytes
	}
	p := d.progress(r.Bytes)
	z := sizer{zone: zone, cells: map[cell]amount{}, group: map[record.SeriesID][]record.Record{}, keys: map[record.SeriesID]string{}}
	for _, l := range list {
		s := StreamSize{Stream: l.Name(), Bytes: l.Info().Bytes}
		z.epoch = 0
		err := each(ctx, l, 0, func(item *buffer.Item) error {
			if item.Gap != nil {
				return nil
			}
			s.BodyBytes += int64(len(item.Batch.Body))
			s.Records += uint64(item.Batch.Count)
			p.add(int64(len(item.Batch.Body)))
			return z.batch(l, &item.Batch)
		}, func(*buffer.HeldError) {})
		if err != nil {
			return nil, err
		}
		r.Streams = append(r.Streams, s)
	}
	p.add(p.total)
	z.report(r)
	return r, nil
}

func (z *sizer) batch(l *buffer.Log, b *record.Batch) (err error) {
	if z.recs, err = z.dec.Decode(z.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return fmt.Errorf("read stream %s at offset %d: %w", l.Name(), b.Base, err)
	}
	if z.epoch != b.Epoch {
		z.epoch = b.Epoch
		clear(z.keys)
	}
	clear(z.group)
	for i := range z.recs {
		z.group[z.recs[i].Series] = append(z.group[z.recs[i].Series], z.recs[i])
	}
	weights, sum := make(map[record.SeriesID]float64, len(z.group)), 0.0
	for id, recs := range z.group {
		weights[id] = z.alone(recs)
		sum += weights[id]
	}
	for id, recs := range z.group {
		each := weights[id] / sum * float64(len(b.Body)) / float64(len(recs))
		for i := range recs {
			k := cell{l.Name(), z.key(l, id), z.day(l, &recs[i])}
			a := z.cells[k]
			a.bytes += each
			a.records++
			z.cells[k] = a
		}
	}
	if len(z.cells) > maxSizeCells {
		return fmt.Errorf("more than %d series and days: choose one with --stream", maxSizeCells)
	}
	return nil
}

// alone is what the records of one series would take as a body of their own.
func (z *sizer) alone(recs []record.Record) float64 {
	body, _, _, err := z.enc.Encode(z.body[:0], recs, record.CodecColumnsZ)
	if err == nil {
		z.body = body
		return float64(len(body))
	}
	n := 0 // too large alone: it nearly fills the body
	for i := range recs {
		n += recs[i].CanonicalLen()
	}
	return float64(n)
}

func (z *sizer) key(l *buffer.Log, id record.SeriesID) string {
	if id == 0 {
		return ""
	}
	k, ok := z.keys[id]
	if !ok {
		s, _ := l.Series(z.epoch, id)
		k = s.Key()
		z.keys[id] = k
	}
	return k
}

func (z *sizer) day(l *buffer.Log, r *record.Record) string {
	t, ok := l.Time(z.epoch, record.Stamp{Time: r.Time, Clock: r.Clock})
	if !ok {
		return ""
	}
	return time.Unix(0, t.UTC).In(z.zone).Format(time.DateOnly)
}

func (z *sizer) report(r *SizeReport) {
	type key struct{ stream, series string }
	bySeries, byDay := map[key]*SeriesSize{}, map[string]amount{}
	sums := map[key]float64{}
	for c, a := range z.cells {
		k := key{c.stream, c.series}
		s := bySeries[k]
		if s == nil {
			s = &SeriesSize{Stream: c.stream, Series: c.series}
			bySeries[k] = s
		}
		s.Records += a.records
		sums[k] += a.bytes
		s.Days = append(s.Days, DaySize{c.day, round(a.bytes), a.records})
		t := byDay[c.day]
		t.bytes, t.records = t.bytes+a.bytes, t.records+a.records
		byDay[c.day] = t
	}
	latest := func(a, b DaySize) int { return cmp.Compare(b.Day, a.Day) }
	for k, s := range bySeries {
		s.Bytes = round(sums[k])
		s.PerDay = s.Bytes / int64(len(s.Days))
		slices.SortFunc(s.Days, latest)
		r.Series = append(r.Series, *s)
	}
	slices.SortFunc(r.Series, func(a, b SeriesSize) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Series, b.Series))
	})
	for day, a := range byDay {
		r.Days = append(r.Days, DaySize{day, round(a.bytes), a.records})
	}
	slices.SortFunc(r.Days, latest)
	for i := range r.Streams {
		for _, s := range r.Series {
			if s.Stream == r.Streams[i].Stream && s.Series != "" {
				r.Streams[i].Series++
			}
		}
	}
}

func round(f float64) int64 { return int64(f + 0.5) }
