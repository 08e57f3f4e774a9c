package collect

import (
	"context"
	"time"
)

// The pure parts of the schedule, for tables of clock steps.
var (
	NextTick = nextTick
	Lateness = lateness
)

// Sweeper runs sweeps of one source by hand, without schedule, for allocation counts.
type Sweeper struct{ w *worker }

func NewSweeper(o Options, s Source, log Log) Sweeper {
	o.Resolution = time.Millisecond
	s = s.withDefaults()
	return Sweeper{newWorker(o, job{s, []outlet{{s.Stream, log}}}, nil)}
}

// Sweep reads once and waits for the draft.
func (s Sweeper) Sweep(ctx context.Context) {
	s.w.sweep(ctx, 0)
	for len(s.w.pending) > 0 {
		s.w.settle(ctx, <-s.w.pending)
	}
}
