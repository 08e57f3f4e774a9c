package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// benchIngest is records to durable on one core: sweeps of 100 series, a commit a second (or a megabyte).
func benchIngest(ctx context.Context, e *env) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var rates []float64
	for range min(e.rounds, 3) {
		r, err := e.ingest(ctx, 3*time.Second)
		if err != nil {
			return err
		}
		rates = append(rates, r)
	}
	show("ingest_msamples_per_s", median(rates), "M/s")
	return nil
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

// benchGroup is how much 64 concurrent appenders gain from sharing commits.
func benchGroup(ctx context.Context, e *env) error {
	var gain, rates []float64
	for range e.rounds {
		one, err := e.appenders(ctx, 1, time.Second/2)
		if err != nil {
			return err
		}
		many, err := e.appenders(ctx, 64, time.Second/2)
		if err != nil {
			return err
		}
		gain, rates = append(gain, many/one), append(rates, many)
	}
	show("group_commit_gain", median(gain), "ratio")
	show("group_commit_appends_per_s", median(rates), "1/s")
	return nil
}

// appenders lets n of them append 200 B and wait, again and again, and returns appends a second.
func (e *env) appenders(ctx context.Context, n int, long time.Duration) (rate float64, err error) {
	dir, err := e.fresh("group")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, l, err := openLog(ctx, dir, buffer.StreamOptions{})
	if err != nil {
		return 0, err
	}
	id, err := l.Define(record.Series{Name: "blob", Type: record.TypeBytes})
	if err != nil {
		return 0, errors.Join(err, s.Close())
	}
	stop := running(s)
	defer func() { err = errors.Join(err, stop(), s.Close()) }()
	var g errgroup.Group
	var total atomic.Int64
	start := time.Now()
	for a := range n {
		g.Go(func() error {
			d := record.Draft{Records: []record.Record{blob(id, 0, 200, uint64(a))}}
			for ; time.Since(start) < long; d.Records[0].Time++ {
				t, err := l.Append(ctx, d)
				if err != nil {
					return err
				}
				if _, err := t.Wait(ctx); err != nil {
					return err
				}
				total.Add(1)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return float64(total.Load()) / time.Since(start).Seconds(), nil
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
