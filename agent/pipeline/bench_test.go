package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/pipeline"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// fleet is an input as a busy box has it: 400 series, one reading of each a second.
const benchSeries, benchSweeps = 400, 2500

func benchInput(tb testing.TB) *machine {
	m := open(tb, vfs.NewMem(), 0, buffer.StreamOptions{Name: "telemetry", MaxBytes: 1 << 30, SegmentBytes: 16 << 20, CommitInterval: time.Second},
		buffer.StreamOptions{Name: "rollups", MaxBytes: 1 << 30, SegmentBytes: 16 << 20, CommitInterval: time.Second})
	r := rand.New(rand.NewPCG(1, 1))
	var ids []record.SeriesID
	for i := range benchSeries {
		id, err := m.in.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4), Labels: []record.Label{{Key: "rom", Value: fmt.Sprintf("28-%012x", i)}}})
		if err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, id)
	}
	value := make([]int64, benchSeries)
	recs := make([]record.Record, benchSeries)
	for range benchSweeps {
		m.now += second
		for i := range recs {
			value[i] += int64(r.IntN(5)-2) * 625
			recs[i] = record.Record{Kind: record.KindObservation, Series: ids[i], Time: m.now, Clock: record.ClockBoot, Type: record.Decimal(4), Num: 200000 + value[i]}
		}
		if _, err := m.in.Append(context.Background(), record.Draft{Records: recs}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := m.in.Sync(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return m
}

// readOnly reads and decodes the whole input, and returns how many records it has.
func readOnly(tb testing.TB, in *buffer.Log) (n int) {
	var dec record.Decoder
	var recs []record.Record
	r := in.Read(0)
	defer r.Close()
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return n
		}
		if err != nil {
			tb.Fatal(err)
		}
		b := &it.Batch
		if recs, err = dec.Decode(recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
			tb.Fatal(err)
		}
		n += len(recs)
	}
}

// BenchmarkPipeline is a pipeline that catches up with a million records, 1-minute windows of five results, against
// reading the same records alone, in turns. make bench-pipeline prints its lines.
func BenchmarkPipeline(b *testing.B) {
	m := benchInput(b)
	defer m.close()
	d := windows()
	d.Window = &pipeline.Window{Size: time.Minute, Every: time.Minute, Late: 10 * time.Second,
		Compute: []pipeline.Compute{pipeline.Mean, pipeline.Min, pipeline.Max, pipeline.Last, pipeline.Count}}
	readOnly(b, m.in)
	var read, worked time.Duration
	n := 0
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		n = readOnly(b, m.in)
		read += time.Since(start)
		d.Name = fmt.Sprint("w", i)
		start = time.Now()
		_, s := m.work(d, time.Hour)
		worked += time.Since(start)
		if s.Results < benchSeries*(benchSweeps/60-1)*5 {
			b.Fatalf("%+v", s)
		}
	}
	records := float64(n) * float64(b.N)
	b.ReportMetric(records/worked.Seconds(), "records/s")
	fmt.Printf("bench pipeline_records_per_s %.0f /s\n", records/worked.Seconds())
	fmt.Printf("bench pipeline_vs_read %.3f ratio\n", read.Seconds()/worked.Seconds())
	fmt.Printf("bench pipeline_allocations_per_record %.4f allocations\n", allocations(b, m, d))
}

// allocations per record of the core on its own, results included.
func allocations(tb testing.TB, m *machine, d pipeline.Definition) float64 {
	var dec record.Decoder
	var batches [][]record.Record
	in := m.in.Read(0)
	defer in.Close()
	n, epoch := 0, record.Epoch(0)
	for it, err := in.Next(); !errors.Is(err, buffer.ErrEnd); it, err = in.Next() {
		if err != nil {
			tb.Fatal(err)
		}
		recs, err := dec.Decode(nil, it.Batch.Codec, it.Batch.RawLen, it.Batch.Count, it.Batch.Body)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range recs {
			recs[i].Data = nil // the decoder's memory; no reading has any
		}
		if n == 0 {
			recs[0] = boot("boot-1", 0, t0, record.SourceNTP)
		}
		batches, n, epoch = append(batches, recs), n+len(recs), it.Header.Epoch
	}
	c := pipeline.NewCore(d, m.in.Series)
	c.Enter(epoch)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, recs := range batches {
		for i := range recs {
			c.Record(&recs[i])
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// TestReadingsTakeNoMemory: a reading that closes nothing allocates nothing.
func TestReadingsTakeNoMemory(t *testing.T) {
	limit := 1e9
	for _, d := range []pipeline.Definition{windows(), {Name: "a", Alarm: &pipeline.Alarm{Above: &limit}}} {
		c := pipeline.NewCore(d, rooms.resolve)
		run(c, boot("b", 0, t0, record.SourceNTP), at(1, 100, 1), at(2, 100, 1), at(3, 100, 1), at(5, 100, 1))
		recs := []record.Record{at(1, 101, 5), at(2, 101, 6), at(3, 101, 7), at(5, 101, 8), bad(1, 101, record.QualityCRC)}
		if n := testing.AllocsPerRun(1000, func() {
			for i := range recs {
				c.Record(&recs[i])
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
