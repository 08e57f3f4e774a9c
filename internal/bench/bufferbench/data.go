package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const series = 100

// weather says how thermometers move.
type weather int

const (
	walk    weather = iota // freely: after an hour a hundred of them are spread over 10 °C
	settled                // within half a degree of where they began, as in a room
	jitter                 // freely, and every record has a stamp of its own, off by up to 1 ms
)

// thermometers are 100 DS18B20: each moves by −1, 0 or 1 sixteenth of a degree from one sweep to the next.
type thermometers struct {
	kind  weather
	rng   *rand.Rand
	level [series]int64
	begun [series]int64
	at    int64
	sweep [series]record.Record
}

func newThermometers(kind weather) *thermometers {
	t := &thermometers{kind: kind, rng: rand.New(rand.NewPCG(1, 2)), at: 86_400_123_000_000}
	for i := range t.level {
		t.level[i] = 337 + t.rng.Int64N(64) - 32
		t.sweep[i] = record.Record{Series: record.SeriesID(i + 1), Kind: record.KindObservation, Type: record.Decimal(4), Clock: record.ClockBoot}
	}
	t.begun = t.level
	return t
}

// next is the sweep one second later, valid until the next call.
func (t *thermometers) next() []record.Record {
	for i := range t.level {
		r := &t.sweep[i]
		r.Time, r.Num = t.at, t.level[i]*625
		if t.kind == jitter {
			r.Time += (t.rng.Int64N(3) - 1) * 1e6
		}
		t.level[i] += t.rng.Int64N(3) - 1
		if t.kind == settled {
			t.level[i] = min(max(t.level[i], t.begun[i]-8), t.begun[i]+8)
		}
	}
	t.at += 1e9
	return t.sweep[:]
}

// sweeps is n of them, one after the other.
func sweeps(n int) []record.Record {
	t := newThermometers(walk)
	var out []record.Record
	for range n {
		out = append(out, t.next()...)
	}
	return out
}

// openLog is a log in dir with 100 thermometers defined.
func openLog(ctx context.Context, dir string, o buffer.StreamOptions) (*buffer.Set, *buffer.Log, error) {
	return openLogOn(ctx, vfs.OS{}, dir, o)
}

func openLogOn(ctx context.Context, fs vfs.FS, dir string, o buffer.StreamOptions) (*buffer.Set, *buffer.Log, error) {
	o.Name = "telemetry"
	s, err := buffer.Open(ctx, fs, dir, buffer.Options{Streams: []buffer.StreamOptions{o}})
	if err != nil {
		return nil, nil, err
	}
	l, err := s.Log(o.Name)
	if err == nil {
		err = defineThermometers(l)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, l, nil
}

func defineThermometers(l *buffer.Log) error {
	for i := range series {
		_, err := l.Define(record.Series{Name: "temperature", Unit: "Cel", Type: record.Decimal(4),
			Labels: []record.Label{{Key: "rom", Value: fmt.Sprintf("28-%012x", 0x0316a2790100+i)}}})
		if err != nil {
			return err
		}
	}
	return nil
}

// running commits the set in the background until stop is called.
func running(s *buffer.Set) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return s.Run(ctx) })
	return func() error {
		cancel()
		return g.Wait()
	}
}

// segmentBytes is the length of the segment files of the log in dir, in bytes.
func segmentBytes(dir string) (int64, error) {
	list, err := vfs.OS{}.List(filepath.Join(dir, "telemetry"))
	sum := int64(0)
	for _, f := range list {
		sum += f.Size
	}
	return sum, err
}
