package logquery_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew; review the difference")

const (
	roomOne = `temperature{name="room 1"}`
	roomTwo = `temperature{name="room 2"}`
)

// put appends a batch of given records.
func (f *fake) put(recs ...record.Record) {
	b := body(recs)
	f.items = append(f.items, buffer.Item{Batch: record.Batch{Epoch: epoch, Base: f.end, Count: uint32(len(recs)), Codec: record.CodecPlain, RawLen: uint32(len(b)), Body: b}})
	f.end += record.Offset(len(recs))
}

func reading(id record.SeriesID, at time.Duration, q record.Quality, x float64) record.Record {
	r := record.Record{Kind: record.KindObservation, Series: id, Clock: record.ClockBoot, Time: int64(at), Quality: q}
	if !q.Bad() {
		r.Float(x)
	}
	return r
}

func TestChartJSON(t *testing.T) {
	f := &fake{name: "telemetry"}
	f.put(reading(1, 2*time.Second, record.QualityGood, 21), reading(2, 3*time.Second, record.QualityGood, -5), reading(1, 59*time.Second, record.QualityGood, 22))
	f.put(reading(1, 61*time.Second, record.QualityCRC, 0), reading(1, 62*time.Second, record.QualityOutOfRange, 99.5))
	f.items = append(f.items, buffer.Item{Gap: &record.Gap{Epoch: epoch, Range: record.Range{From: f.end, To: f.end + 40}, Reason: record.ReasonCorrupt,
		TimeMin: t0.Add(70 * time.Second).UnixMicro(), TimeMax: t0.Add(110 * time.Second).UnixMicro()}})
	f.end += 40
	f.put(reading(1, 200*time.Second, record.QualityTimeout, 0))
	c, err := reader(f).Chart(context.Background(), api.ChartQuery{Stream: "telemetry", Series: []string{roomOne, `humidity`}, Since: t0, Until: t0.Add(4 * time.Minute), Points: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "chart.json")
	if *rewrite {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, append(got, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != string(got)+"\n" {
		t.Errorf("the chart changed (%v); if that is meant, run with -rewrite and review the difference. Now:\n%s", err, got)
	}
}

// naive sums up what lies in a part, in the plainest way.
func naive(all []record.Record, id record.SeriesID, from, to time.Duration) (p api.ChartPoint, sum float64) {
	var xs []float64
	for i := range all {
		r := &all[i]
		if r.Series != id || r.Time < int64(from) || r.Time >= int64(to) {
			continue
		}
		p.Readings++
		switch {
		case r.Quality.Bad():
			p.Bad++
			continue
		case !r.Quality.Good():
			p.Uncertain++
		}
		if x, ok := r.Float64(); ok && !math.IsInf(x, 0) {
			xs = append(xs, x)
			sum += x
		}
	}
	if len(xs) > 0 {
		lo, hi := slices.Min(xs), slices.Max(xs)
		mean := sum / float64(len(xs))
		p.Min, p.Max, p.Mean = &lo, &hi, &mean
	}
	return p, sum
}

// TestChartAgainstNaive: every reading is in exactly one point, and no point is left out or made up, for random series,
// qualities, values, gaps and spans.
func TestChartAgainstNaive(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	qualities := []record.Quality{record.QualityGood, record.QualityGood, record.QualityGood, record.QualityStuck, record.QualityCRC, record.QualityPowerOn}
	for round := range 300 {
		f := &fake{name: "telemetry"}
		var all []record.Record
		at := time.Duration(0)
		for range rnd.IntN(20) {
			if rnd.IntN(5) == 0 {
				f.gap(1 + rnd.IntN(10))
			}
			var recs []record.Record
			for range 1 + rnd.IntN(30) {
				at += time.Duration(rnd.Int64N(int64(20 * time.Second)))
				r := reading(record.SeriesID(1+rnd.IntN(3)), at, qualities[rnd.IntN(len(qualities))], rnd.NormFloat64()*math.Pow(10, float64(rnd.IntN(12)-4)))
				if rnd.IntN(50) == 0 {
					r.Float(math.Inf(1))
				}
				recs = append(recs, r)
			}
			all = append(all, recs...)
			f.put(recs...)
		}
		// The fake seeks a record a second; here it has to begin at the beginning.
		src := reader(f)
		begin := time.Duration(rnd.Int64N(int64(at + time.Minute)))
		q := api.ChartQuery{Series: []string{roomTwo, roomOne}, Since: t0.Add(begin), Until: t0.Add(begin + time.Second + time.Duration(rnd.Int64N(int64(2*time.Hour)))),
			Points: 2 + rnd.IntN(200)}
		c, err := fromStart(src).Chart(context.Background(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		from, width, n := q.Parts()
		if n > q.Points || from > q.Since.UnixNano() || from+int64(n)*width < q.Until.UnixNano() {
			t.Fatalf("round %d: %d parts of %s for at most %d", round, n, time.Duration(width), q.Points)
		}
		for k, id := range []record.SeriesID{2, 1} {
			if why := differs(c.Series[k].Points, all, id, time.Duration(from-t0.UnixNano()), time.Duration(width), n); why != "" {
				t.Fatalf("round %d, series %d: %s", round, id, why)
			}
		}
	}
}

// fromStart lets every seek find the first record.
func fromStart(r *logquery.Reader) *logquery.Reader {
	return &logquery.Reader{Sources: func() []logquery.Source {
		out := r.Sources()
		for i := range out {
			out[i].Log = first{out[i].Log}
		}
		return out
	}}
}

type first struct{ logquery.Log }

func (first) SeekTime(int64) record.Offset { return 0 }

func differs(points []api.ChartPoint, all []record.Record, id record.SeriesID, from, width time.Duration, n int) string {
	next := 0
	for k := range n {
		begin := from + time.Duration(k)*width
		want, sum := naive(all, id, begin, begin+width)
		if want.Readings == 0 {
			continue
		}
		if next == len(points) {
			return fmt.Sprintf("part %d is left out", k)
		}
		got := points[next]
		next++
		if !got.Time.Equal(t0.Add(begin)) || got.Readings != want.Readings || got.Bad != want.Bad || got.Uncertain != want.Uncertain || (got.Mean == nil) != (want.Mean == nil) {
			return fmt.Sprintf("part %d: got %+v, want %+v", k, got, want)
		}
		if got.Mean == nil {
			continue
		}
		if *got.Min != *want.Min || *got.Max != *want.Max || *got.Mean < *got.Min || *got.Mean > *got.Max {
			return fmt.Sprintf("part %d: got %v %v %v, want %v %v", k, *got.Min, *got.Mean, *got.Max, *want.Min, *want.Max)
		}
		if scale := max(math.Abs(*want.Min), math.Abs(*want.Max), math.Abs(sum)); math.Abs(*got.Mean-*want.Mean) > 1e-9*scale {
			return fmt.Sprintf("part %d: mean %v, want %v", k, *got.Mean, *want.Mean)
		}
	}
	if next != len(points) {
		return fmt.Sprintf("%d points are made up", len(points)-next)
	}
	return ""
}

// TestChartOfTooMuch: a span of more records than one chart may read is sampled, says so, and every part has a point.
func TestChartOfTooMuch(t *testing.T) {
	f := &fake{name: "telemetry"}
	for f.end < 120_000 { // a record a second, of two series
		recs := make([]record.Record, 1000)
		for i := range recs {
			o := int64(f.end) + int64(i)
			recs[i] = reading(record.SeriesID(1+o%2), time.Duration(o)*time.Second, record.QualityGood, float64(o))
		}
		f.put(recs...)
	}
	q := api.ChartQuery{Series: []string{roomOne}, Since: t0, Until: t0.Add(time.Duration(f.end) * time.Second), Points: 300}
	pauses := 0
	few := reader(f)
	few.ChartRecords = 100_000
	c, err := few.Chart(context.Background(), q, func() error { pauses++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	_, _, n := q.Parts()
	if !c.Sampled || c.Truncated || c.Held != uint64(f.end) || len(c.Series[0].Points) != n || pauses == 0 {
		t.Errorf("sampled %v, truncated %v, held %d, %d points of %d parts", c.Sampled, c.Truncated, c.Held, len(c.Series[0].Points), n)
	}
	if c.Records > few.ChartRecords+uint64(n)*1000 {
		t.Errorf("%d records were read", c.Records)
	}
	for _, p := range c.Series[0].Points {
		begin := p.Time.Sub(t0).Seconds()
		if *p.Min < begin || *p.Max >= begin+c.PointSeconds {
			t.Fatalf("the point at %s has readings of %v to %v", p.Time, *p.Min, *p.Max)
		}
	}
	// Out of time: what was read is told, the newest first.
	pauses = 0
	c, err = few.Chart(context.Background(), q, func() error {
		if pauses++; pauses > 5 {
			return errors.New("over")
		}
		return nil
	})
	if err != nil || !c.Truncated || len(c.Series[0].Points) == 0 || !c.Series[0].Points[0].Time.After(t0.Add(time.Duration(f.end)*time.Second/2)) {
		t.Errorf("%+v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := reader(f).Chart(ctx, q, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
