package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// benchIngest is records to durable on one core: sweeps of 100 series, a commit a second (or a megabyte).
func benchIngest(ctx context.Context, e *env) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var rates, cpu []float64
	for range min(e.rounds, 3) {
		before := cpuSeconds()
		start := time.Now()
		r, err := e.ingest(ctx, 3*time.Second)
		if err != nil {
			return err
		}
		rates = append(rates, r)
		cpu = append(cpu, r*time.Since(start).Seconds()/(cpuSeconds()-before))
	}
	show("ingest_msamples_per_s", median(rates), "M/s")
	show("ingest_msamples_per_cpu_s", median(cpu), "M/s") // what a core does that others leave to us
	return nil
}

// cpuSeconds is the processor time that this process has taken, the kernel's work for it included.
func cpuSeconds() float64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// ingest appends for so long, waits until all is durable, and returns millions a second.
func (e *env) ingest(ctx context.Context, long time.Duration) (rate float64, err error) {
	dir, err := e.fresh("ingest")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, l, err := openLog(ctx, dir, buffer.StreamOptions{CommitInterval: time.Second, MaxBytes: 256 << 20})
	if err != nil {
		return 0, err
	}
	stop := running(s)
	defer func() { err = errors.Join(err, stop(), s.Close()) }()
	t := newThermometers(walk)
	prepared := make([][]record.Record, 512) // what the sensors say is not the log's work
	for i := range prepared {
		prepared[i] = append([]record.Record(nil), t.next()...)
	}
	var last buffer.Ticket
	start, n := time.Now(), 0
	for time.Since(start) < long {
		sweep := prepared[n%len(prepared)]
		for i := range sweep {
			sweep[i].Time = int64(n) * 1e9
		}
		if last, err = l.Append(ctx, record.Draft{Records: sweep}); err != nil {
			return 0, err
		}
		n++
	}
	if err := l.Sync(ctx); err != nil {
		return 0, err
	}
	if _, err := last.Wait(ctx); err != nil {
		return 0, err
	}
	return float64(n*series) / time.Since(start).Seconds() / 1e6, nil
}

// blob is a record of n random bytes.
func blob(id record.SeriesID, at int64, n int, seed uint64) record.Record {
	b := make([]byte, (n+7)/8*8)
	rng := rand.New(rand.NewPCG(seed, uint64(at)))
	for i := 0; i < len(b); i += 8 {
		v := rng.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return record.Record{Kind: record.KindObservation, Series: id, Time: at * 1e9, Clock: record.ClockBoot, Type: record.TypeBytes,
		Data: &record.Data{Value: b[:n]}}
}
