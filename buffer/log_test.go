package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(o buffer.StreamOptions) buffer.Options {
	if o.Name == "" {
		o.Name = "telemetry"
	}
	return buffer.Options{Streams: []buffer.StreamOptions{o}, Opening: func(string) []record.Record {
		r, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot}, record.BootMark{
			Anchor: record.Anchor{Boot: "boot-1", BootTime: 1, UTC: 1_700_000_000_000_000_000, Source: record.SourceNTP, State: "synchronised"}, Resolution: 1_000_000})
		if err != nil {
			panic(err)
		}
		return []record.Record{r}
	}}
}

func open(t *testing.T, fs vfs.FS, o buffer.StreamOptions) (*buffer.Set, *buffer.Log) {
	t.Helper()
	s, err := buffer.Open(context.Background(), fs, "log", options(o))
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log("telemetry")
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func value(id record.SeriesID, at, v int64) record.Record {
	return record.Record{Kind: record.KindObservation, Series: id, Time: at, Clock: record.ClockBoot, Type: record.Decimal(4), Num: v}
}

// readAll reads values and gaps from o as text.
func readAll(t *testing.T, l *buffer.Log, o record.Offset) []string {
	t.Helper()
	var out []string
	var dec record.Decoder
	r := l.Read(o)
	defer r.Close()
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if g := it.Gap; g != nil {
			out = append(out, fmt.Sprintf("gap [%d,%d) %s", g.From, g.To, g.Reason))
			continue
		}
		recs, err := dec.Decode(nil, it.Batch.Codec, it.Batch.RawLen, it.Batch.Count, it.Batch.Body)
		if err != nil {
			t.Fatal(err)
		}
		if c := record.FoldChain(it.Batch.ChainBase, recs); c != it.Batch.ChainEnd {
			t.Fatalf("chain of batch at %d: %x, folded %x", it.Batch.Base, it.Batch.ChainEnd, c)
		}
		for i := range recs {
			out = append(out, fmt.Sprintf("%d %s %d", it.Batch.Base+record.Offset(i), recs[i].Kind, recs[i].Num))
		}
	}
}

// A reload may give a series another unit, or another type by a calibration: it is another definition under the same key,
// as it would be after a restart.
func TestSeriesOfAnotherType(t *testing.T) {
	fs := vfs.NewMem()
	ctx := context.Background()
	s, l := open(t, fs, buffer.StreamOptions{})
	var ids []record.SeriesID
	for _, d := range []record.Series{{Name: "level", Type: record.TypeInt}, {Name: "level", Type: record.Decimal(3)},
		{Name: "level", Unit: "m", Type: record.Decimal(3)}, {Name: "level", Type: record.TypeInt}} {
		id, err := l.Define(d)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		if _, err := l.Append(ctx, record.Draft{Records: []record.Record{value(id, 1e9, 7)}}); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[3] || ids[0] == ids[1] || ids[1] == ids[2] || ids[0] == ids[2] {
		t.Errorf("ids %v", ids)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, l = open(t, fs, buffer.StreamOptions{})
	d := l.Definitions(l.Epochs()[0].Epoch)
	if len(d) != 3 || d[0].Series.Type != record.TypeInt || d[1].Series.Type != record.Decimal(3) || d[2].Series.Unit != "m" {
		t.Errorf("definitions %+v", d)
	}
}

func TestAppendReadReopen(t *testing.T) {
	fs := vfs.NewMem()
	ctx := context.Background()
	s, l := open(t, fs, buffer.StreamOptions{})
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(run) }()
	id, err := l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(5) {
		tk, err := l.Append(ctx, record.Draft{Records: []record.Record{value(id, i*1e9, 210000+i)}})
		if err != nil {
			t.Fatal(err)
		}
		wctx, stop := context.WithTimeout(ctx, 5*time.Second)
		r, err := tk.Wait(wctx)
		stop()
		if err != nil || r.From != record.Offset(i+1) {
			t.Fatal(r, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := readAll(t, l, 0)
	if len(want) != 6 {
		t.Fatal(want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, l = open(t, fs, buffer.StreamOptions{})
	if got := readAll(t, l, 0); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%v\n%v", got, want)
	}
	e := l.Epochs()
	if len(e) != 1 || e[0].Boot != "boot-1" || e[0].End != 6 || e[0].Current {
		t.Fatalf("%+v", e)
	}
	if d := l.Definitions(e[0].Epoch); len(d) != 1 || d[0].Series.Name != "temperature" {
		t.Fatalf("%+v", d)
	}
	id, _ = l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4)})
	if _, err := l.Append(ctx, record.Draft{Records: []record.Record{value(id, 9e9, 7)}}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if e = l.Epochs(); len(e) != 2 || e[1].Parent != e[0].Epoch || e[1].ParentEnd != 6 || !e[1].Current {
		t.Fatalf("%+v", e)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
