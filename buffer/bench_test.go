package buffer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// BenchmarkAppend is records to durable on the real disk: sweeps of 100 numeric series, commits in the background.
func BenchmarkAppend(b *testing.B) {
	s, err := buffer.Open(context.Background(), vfs.OS{}, b.TempDir()+"/log", buffer.Options{
		Streams: []buffer.StreamOptions{{Name: "telemetry", CommitInterval: time.Second, MaxBytes: 256 << 20}}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := s.Log("telemetry")
	if err != nil {
		b.Fatal(err)
	}
	sweep := make([]record.Record, 100)
	for i := range sweep {
		id, err := l.Define(record.Series{Name: fmt.Sprintf("temperature.t%d", i), Unit: "Cel", Type: record.Decimal(4)})
		if err != nil {
			b.Fatal(err)
		}
		sweep[i] = value(id, 0, 210000+int64(i)*625)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.ReportAllocs()
	b.ResetTimer()
	var last buffer.Ticket
	n := 0
	for b.Loop() {
		for i := range sweep {
			sweep[i].Time = int64(n) * 1e9
			sweep[i].Num += int64((n*7+i*3)%3-1) * 625
		}
		if last, err = l.Append(ctx, record.Draft{Records: sweep}); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if err := l.Sync(ctx); err != nil {
		b.Fatal(err)
	}
	if _, err := last.Wait(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(n)*100/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(l.Info().WrittenBytes)/float64(n)/100, "B/sample")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCommit is one small record to durable.
func BenchmarkCommit(b *testing.B) {
	s, err := buffer.Open(context.Background(), vfs.OS{}, b.TempDir()+"/log", buffer.Options{Streams: []buffer.StreamOptions{{Name: "alarms"}}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := s.Log("alarms")
	if err != nil {
		b.Fatal(err)
	}
	id, err := l.Define(record.Series{Name: "alarm", Type: record.Decimal(4)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Append(context.Background(), record.Draft{Records: []record.Record{value(id, 1, 1)}}); err != nil {
			b.Fatal(err)
		}
		if err := l.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
