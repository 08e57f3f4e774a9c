package logquery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/api"
	"github.com/edgelog/edgelog/internal/logquery"
)

// fake is a stream in memory: one record a second of two series, in plain batches of ten, with a gap.
type fake struct {
	name    string
	items   []buffer.Item
	changed chan struct{}
	end     record.Offset
}

const epoch = record.Epoch(7)

var t0 = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func body(recs []record.Record) []byte {
	var b []byte
	for i := range recs {
		b = recs[i].AppendCanonical(b)
	}
	return b
}

func (f *fake) batch(n int) {
	var recs []record.Record
	for i := range n {
		o := int64(f.end) + int64(i)
		recs = append(recs, record.Record{Kind: record.KindObservation, Series: record.SeriesID(1 + o%2), Type: record.Decimal(4),
			Num: o * 1000, Clock: record.ClockBoot, Time: o * int64(time.Second)})
	}
	b := body(recs)
	f.items = append(f.items, buffer.Item{Batch: record.Batch{Epoch: epoch, Base: f.end, Count: uint32(n), Codec: record.CodecPlain, RawLen: uint32(len(b)), Body: b}})
	f.end += record.Offset(n)
}

func (f *fake) gap(n int) {
	f.items = append(f.items, buffer.Item{Gap: &record.Gap{Epoch: epoch, Range: record.Range{From: f.end, To: f.end + record.Offset(n)}, Reason: record.ReasonCorrupt}})
	f.end += record.Offset(n)
}

func (f *fake) Name() string      { return f.name }
func (f *fake) Info() buffer.Info { return buffer.Info{Durable: f.end, End: f.end} }
func (f *fake) SeekTime(utc int64) record.Offset {
	return record.Offset(max(utc-t0.UnixNano(), 0)/1e9) / 10 * 10
}
func (f *fake) Changed() <-chan struct{} { return f.changed }
func (f *fake) Time(_ record.Epoch, s record.Stamp) (record.Time, bool) {
	return record.Time{UTC: t0.UnixNano() + s.Time}, true
}
func (f *fake) Series(_ record.Epoch, id record.SeriesID) (record.Series, bool) {
	return record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4),
		Labels: []record.Label{{Key: "name", Value: fmt.Sprintf("room %d", id)}}}, id > 0
}

type items struct {
	f *fake
	i int
}

func (x *items) Close() error { return nil }
func (x *items) Next() (buffer.Item, error) {
	if x.i >= len(x.f.items) {
		return buffer.Item{}, buffer.ErrEnd
	}
	x.i++
	return x.f.items[x.i-1], nil
}

func reader(fs ...*fake) *logquery.Reader {
	return &logquery.Reader{Sources: func() []logquery.Source {
		var out []logquery.Source
		for _, f := range fs {
			out = append(out, logquery.Source{Log: f, Open: func(from record.Offset) logquery.Items {
				x := &items{f: f}
				for x.i < len(f.items) && f.items[x.i].Range().To <= from {
					x.i++
				}
				return x
			}})
		}
		return out
	}}
}

func sample() *fake {
	f := &fake{name: "telemetry", changed: make(chan struct{})}
	f.batch(10)
	f.gap(5)
	f.batch(10)
	return f
}

func collect(t *testing.T, r *logquery.Reader, q api.Query) (string, bool) {
	t.Helper()
	var out []string
	cut, err := r.Query(context.Background(), q, nil, func(rec *api.Record) error {
		if rec.Gap != nil {
			out = append(out, fmt.Sprintf("gap%d-%d", rec.Offset, rec.Gap.To))
		} else {
			out = append(out, fmt.Sprint(rec.Offset))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " "), cut
}

func TestQuery(t *testing.T) {
	r := reader(sample())
	cases := []struct {
		q    api.Query
		want string
		cut  bool
	}{
		{api.Query{}, "0 1 2 3 4 5 6 7 8 9 gap10-15 15 16 17 18 19 20 21 22 23 24", false},
		{api.Query{Limit: 3}, "0 1 2", true},
		{api.Query{Limit: 21}, "0 1 2 3 4 5 6 7 8 9 gap10-15 15 16 17 18 19 20 21 22 23 24", false},
		{api.Query{Since: t0.Add(17 * time.Second), Until: t0.Add(20 * time.Second)}, "gap10-15 17 18 19", false},
		{api.Query{Until: t0.Add(3 * time.Second)}, "0 1 2 gap10-15", false},
		{api.Query{Series: `name="room 2"`, Until: t0.Add(8 * time.Second)}, "1 3 5 7 gap10-15", false},
		{api.Query{Series: "humidity"}, "gap10-15", false},
	}
	for _, c := range cases {
		if got, cut := collect(t, r, c.q); got != c.want || cut != c.cut {
			t.Errorf("%+v\n got %s %v\nwant %s %v", c.q, got, cut, c.want, c.cut)
		}
	}
	if _, err := r.Query(context.Background(), api.Query{Stream: "x"}, nil, nil); !errors.Is(err, buffer.ErrNoStream) {
		t.Error(err)
	}
}

func TestRecordAsJSON(t *testing.T) {
	var line []byte
	_, err := reader(sample()).Query(context.Background(), api.Query{Limit: 1}, nil, func(r *api.Record) (err error) {
		r.Offset = 3
		line, err = json.Marshal(r)
		return err
	})
	want := `{"stream":"telemetry","epoch":"0000000000000007","offset":3,"kind":"observation","time":"2026-11-23T02:00:00Z","name":"temperature","labels":{"name":"room 1"},"series":"temperature{name=\"room 1\"}","unit":"Cel","value":0.0000,"type":"decimal4","quality":"good"}`
	if err != nil || string(line) != want {
		t.Errorf("got  %s, %v\nwant %s", line, err, want)
	}
}

func TestValue(t *testing.T) {
	cases := []struct {
		r    record.Record
		want string
	}{
		{record.Record{Type: record.TypeInt, Num: -5}, "-5"},
		{record.Record{Type: record.Decimal(4), Num: 210625}, "21.0625"},
		{record.Record{Type: record.TypeBool, Num: 1}, "true"},
		{record.Record{Type: record.TypeFloat, Num: int64(math.Float64bits(0.1))}, "0.1"},
		{record.Record{Type: record.TypeFloat, Num: int64(math.Float64bits(math.Inf(1)))}, `"+Inf"`},
		{record.Record{Type: record.TypeString, Data: &record.Data{Value: []byte("a<\"\xff")}}, `"a<\"` + "\\ufffd" + `"`},
		{record.Record{Type: record.TypeJSON, Data: &record.Data{Value: []byte(`{"a":1}`)}}, `{"a":1}`},
		{record.Record{Type: record.TypeJSON, Data: &record.Data{Value: []byte(`{`)}}, `"{"`},
		{record.Record{Type: record.TypeBytes, Data: &record.Data{Value: []byte{1, 255}}}, `"01ff"`},
		{record.Record{}, "null"},
	}
	for _, c := range cases {
		got := logquery.Value(&c.r)
		if string(got) != c.want || !json.Valid(got) {
			t.Errorf("%v: got %s, want %s", c.r.Type, got, c.want)
		}
	}
}

func TestTail(t *testing.T) {
	f := sample()
	var got []uint64
	err := reader(f).Tail(context.Background(), "", 3, false, func(r *api.Record) error { got = append(got, r.Offset); return nil }, nil)
	if err != nil || fmt.Sprint(got) != "[22 23 24]" {
		t.Errorf("got %v, %v", got, err)
	}
	// Followed: what comes later is given too, and the end of ctx is no error.
	ctx, cancel := context.WithCancel(context.Background())
	got = nil
	grown := false
	err = reader(f).Tail(ctx, "telemetry", 1, true, func(r *api.Record) error { got = append(got, r.Offset); return nil }, func() error {
		if grown {
			cancel()
			return nil
		}
		grown = true
		f.batch(2)
		close(f.changed)
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[24 25 26]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAccount(t *testing.T) {
	gap := func(e record.Epoch, from, to record.Offset, why record.Reason) record.Gap {
		return record.Gap{Epoch: e, Range: record.Range{From: from, To: to}, Reason: why}
	}
	epochs := []buffer.EpochInfo{{Epoch: 1, First: 0, Low: 40, End: 100}, {Epoch: 2, First: 100, Low: 100, End: 200, Current: true}}
	info := buffer.Info{Low: 40, Durable: 200, End: 200, Delivered: 120,
		Gaps: []record.Gap{gap(1, 50, 60, record.ReasonCorrupt), gap(2, 150, 170, record.ReasonRetention)}}
	a := logquery.Account("telemetry", info, epochs, 140, func(e record.Epoch) map[string]uint64 {
		if e == 1 {
			return map[string]uint64{"dead-letter": 3}
		}
		return nil
	})
	e1, e2 := a.Epochs[0], a.Epochs[1]
	if e1.Delivered != 87 || e1.Dropped["corrupt"] != 10 || e1.Buffered != 0 || e1.Remainder != 0 {
		t.Errorf("epoch 1: %+v", e1)
	}
	if e2.Delivered != 20 || e2.InFlight != 20 || e2.Buffered != 40 || e2.Dropped["retention"] != 20 || e2.Remainder != 0 {
		t.Errorf("epoch 2: %+v", e2)
	}
	s := logquery.Current(a, info)
	if !s.Balanced || s.Dropped != 30 || s.InFlight != 20 || s.Buffered != 40 {
		t.Errorf("stream: %+v", s)
	}
	// Records above the delivered position that the log does not hold and no gap names are a remainder.
	info.Low, epochs[1].Low = 130, 130
	a = logquery.Account("telemetry", info, epochs, 0, nil)
	if a.Epochs[1].Remainder != 10 || logquery.Current(a, info).Balanced {
		t.Errorf("got %+v", a.Epochs[1])
	}
}

// TestPauseIsCalledWhereNothingIsFound: after each batch and gap; its error ends the query.
func TestPauseIsCalledWhereNothingIsFound(t *testing.T) {
	pauses, enough := 0, errors.New("enough")
	q := api.Query{Series: "none of these", Since: t0.Add(-time.Hour), Until: t0.Add(time.Hour)}
	none := func(r *api.Record) error {
		if r.Gap == nil {
			t.Errorf("got %+v", r)
		}
		return nil
	}
	if _, err := reader(sample()).Query(context.Background(), q, func() error { pauses++; return nil }, none); err != nil || pauses != 3 {
		t.Errorf("%d pauses, %v", pauses, err)
	}
	if _, err := reader(sample()).Query(context.Background(), q, func() error { return enough }, none); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}
