// Package synthetic is a source of load: many series that walk at random, at almost no cost per sample. Benches
// drive the whole chain with it. All its series carry the label simulated="true".
package synthetic

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

// MaxSeries bounds one source.
const MaxSeries = 32768

// Options of a source. A rate is that of the schedule: N series read 100 times a second are 100·N samples/s.
type Options struct {
	Series int    // 1 to MaxSeries, default 100
	Seed   uint64 // same seed, same walk
	Group  string // label "group" of every series, to tell two sources apart; "" for none
}

// Source is a drivers.Sensor. Each Read gives one sample of every series: a decimal with four digits that moves by
// 1/16 up or down and stays within ±64.
type Source struct {
	quantity []drivers.Quantity
	value    []int64
	rng      uint64
	closed   atomic.Bool
}

const (
	step  = 625
	limit = 64 * 10000
	// checkEvery samples Read looks whether it should stop.
	checkEvery = 4096
)

// New makes the series; the error wraps drivers.ErrConfig.
func New(o Options) (*Source, error) {
	if o.Series == 0 {
		o.Series = 100
	}
	if o.Series < 0 || o.Series > MaxSeries {
		return nil, fmt.Errorf("%w: %d series, want 1 to %d", drivers.ErrConfig, o.Series, MaxSeries)
	}
	s := &Source{rng: o.Seed*0x9e3779b97f4a7c15 + 0x6a09e667f3bcc909, value: make([]int64, o.Series)}
	for i := range s.value {
		q := record.Series{Name: "synthetic.value", Type: record.Decimal(4)}
		if o.Group != "" {
			q.Labels = append(q.Labels, record.Label{Key: "group", Value: o.Group})
		}
		q.Labels = append(q.Labels, record.Label{Key: "n", Value: fmt.Sprintf("%05d", i)},
			record.Label{Key: "simulated", Value: "true"})
		if err := q.Normalize(); err != nil {
			return nil, fmt.Errorf("%w: group %q: %w", drivers.ErrConfig, o.Group, err)
		}
		s.quantity = append(s.quantity, drivers.Quantity{Series: q})
		s.value[i] = int64(s.next()%512) * step
	}
	return s, nil
}

// next is splitmix64.
func (s *Source) next() uint64 {
	s.rng += 0x9e3779b97f4a7c15
	z := s.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Quantities lists the series.
func (s *Source) Quantities() []drivers.Quantity { return s.quantity }

// Close makes a running Read return.
func (s *Source) Close() error {
	s.closed.Store(true)
	return nil
}

var errClosed = errors.New("sensor is closed")

// Read moves every series one step.
func (s *Source) Read(ctx context.Context, dst []drivers.Sample) ([]drivers.Sample, error) {
	var bits uint64
	for i := range s.value {
		if i%checkEvery == 0 {
			if s.closed.Load() {
				return dst, fmt.Errorf("read synthetic source: %w", errClosed)
			}
			if err := ctx.Err(); err != nil {
				return dst, fmt.Errorf("read synthetic source: %w", err)
			}
		}
		if i%64 == 0 {
			bits = s.next()
		}
		v := s.value[i] + (int64(bits&1)*2-1)*step
		bits >>= 1
		if v > limit || v < -limit {
			v = s.value[i]
		}
		s.value[i] = v
		dst = append(dst, drivers.Sample{Quantity: i, Type: record.Decimal(4), Num: v})
	}
	return dst, nil
}
