// Package collect schedules sensors and turns what they sense into records: the only bridge from drivers to the log.
//
// Every source has its own worker, so that a slow or dead bus never delays another. A sweep starts on a multiple of
// the source's interval ("every 10 s on the second"), has one stamp, and becomes one draft. What happens to each
// reading is counted: taken means that the log made it durable, missed(reason) that it never got there, and the
// quality counts say what the readings were worth. Waiting for the disk never slows the schedule.
package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Log is one stream of the durable log, as collect needs it. All methods may be called concurrently.
type Log interface {
	// Define gives a series its id; it is idempotent, and the id holds as long as the log is open.
	Define(s record.Series) (record.SeriesID, error)
	// Append copies the draft. It may block while the log is full, until ctx ends.
	Append(ctx context.Context, d record.Draft) (Ticket, error)
}

// Ticket is an append under way: Wait returns nil once the records are durable.
type Ticket interface {
	Wait(ctx context.Context) (record.Range, error)
}

// Errors that a Log wraps so that a missed reading gets the right reason; anything else is missed(refused).
var (
	ErrFull        = errors.New("log is full")
	ErrStopped     = errors.New("log is stopped")
	ErrTooLarge    = errors.New("draft is too large")
	ErrRepeated    = errors.New("message is taken already") // its ticket is valid
	ErrSeriesLimit = errors.New("too many series")          // of Define: the readings go to the overflow series
)

// ErrPlan is wrapped by every refusal of a plan.
var ErrPlan = errors.New("bad plan of sources")

// errNotRunning is returned by Reconfigure before Run and after it.
var errNotRunning = errors.New("collector is not running")

// Options wire a Collector. Log and Stamp are required.
type Options struct {
	Log        func(stream string) (Log, error)
	Stamp      func() record.Stamp // now; called once per sweep, when it starts
	Resolution time.Duration       // stamps are multiples of it; default 1 ms
	Events     Events
}

// Events are told when something changes for the worse or the better; all are optional. They are called by the
// workers, concurrently, and must return at once.
type Events struct {
	// SourceDead: three sweeps in a row failed, or a read hangs, since the stamp. Again when the reason changes.
	SourceDead func(source string, since record.Stamp, err error)
	SourceBack func(source string)
	// SourceSays: a program behind a door wrote to its log. Levels are error, warn, info and debug.
	SourceSays func(source, level, text string)
	// SeriesBad: three bad readings in a row. Again when the quality changes.
	SeriesBad  func(source string, s record.Series, q record.Quality, since record.Stamp)
	SeriesGood func(source string, s record.Series)
	// SeriesLimit: a source makes more new series than it may; this is the first one refused in this hour.
	SeriesLimit func(source string, first record.Series)
	// LogRefused: the log does not take readings; LogBack: it does again.
	LogRefused func(source, stream string, err error)
	LogBack    func(source, stream string)
}

// Collector runs the sources of a plan. Its methods may be called concurrently.
type Collector struct {
	o        Options
	initial  []job
	requests chan request
	started  chan struct{}
	stopped  chan struct{}

	mu      sync.Mutex
	workers []*worker // in the order of the plan
}

// job is a source with the streams that it writes to, its own first.
type job struct {
	source  Source
	outlets []outlet
}

type outlet struct {
	stream string
	log    Log
}

type request struct {
	jobs []job
	done chan error
}

// New checks the plan and resolves its streams; Run starts it.
func New(o Options, p Plan) (*Collector, error) {
	if o.Resolution <= 0 {
		o.Resolution = time.Millisecond
	}
	c := &Collector{o: o, requests: make(chan request), started: make(chan struct{}), stopped: make(chan struct{})}
	var err error
	c.initial, err = c.check(p)
	return c, err
}

// check validates a plan as a whole; nothing is changed.
func (c *Collector) check(p Plan) ([]job, error) {
	p, err := p.checked()
	if err != nil {
		return nil, err
	}
	jobs := make([]job, len(p.Sources))
	for i, s := range p.Sources {
		jobs[i].source = s
		for _, stream := range s.streams() {
			log, err := c.o.Log(stream)
			if err != nil {
				return nil, fmt.Errorf("%w: source %s: %w", ErrPlan, s.Name, err)
			}
			jobs[i].outlets = append(jobs[i].outlets, outlet{stream, log})
		}
	}
	return jobs, nil
}

// Run collects until ctx ends, then stops reading, waits for what was appended to become durable (at most 10 s) and
// closes the sensors. It must be called once. The log must be kept running until it has returned. Its error names
// the sources whose reads hang and were left behind.
func (c *Collector) Run(ctx context.Context) error {
	close(c.started)
	defer close(c.stopped)
	errs := []error{c.apply(ctx, c.initial)}
	for {
		select {
		case r := <-c.requests:
			r.done <- c.apply(ctx, r.jobs)
		case <-ctx.Done():
			errs = append(errs, stopAll(c.list()))
			closeAll(c.list()) // they stay listed: Snapshot then tells the final account
			return errors.Join(errs...)
		}
	}
}

// Reconfigure replaces the plan. A plan that is refused changes nothing. Sources that are the same in both go on
// undisturbed; a source of which only schedule or treatment changed keeps its sensor; the others are closed after
// their current sweep and opened again. It returns when the new plan runs; an error that does not wrap ErrPlan then
// names old sources whose reads hang and were left behind. Faults of series and sources that are no more are told
// to Events as good and back.
func (c *Collector) Reconfigure(ctx context.Context, p Plan) error {
	jobs, err := c.check(p)
	if err != nil {
		return err
	}
	select {
	case <-c.started:
	default:
		return errNotRunning
	}
	r := request{jobs, make(chan error, 1)}
	select {
	case c.requests <- r:
	case <-c.stopped:
		return errNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-r.done // Run answers every request that it took, within stopPatience and drainPatience
}

// apply stops what is gone or changed, all at once, then starts what is new or changed.
func (c *Collector) apply(ctx context.Context, jobs []job) error {
	old := map[string]*worker{}
	for _, w := range c.list() {
		old[w.source.Name] = w
	}
	next := make([]*worker, len(jobs))
	var fresh []int
	for i, j := range jobs {
		if w := old[j.source.Name]; w != nil && w.source.same(j.source) {
			next[i] = w
			delete(old, j.source.Name)
		} else {
			fresh = append(fresh, i)
		}
	}
	err := stopAll(slices.Collect(maps.Values(old)))
	for _, i := range fresh {
		next[i] = newWorker(c.o, jobs[i], old[jobs[i].source.Name])
	}
	closeAll(slices.Collect(maps.Values(old))) // what no successor took
	for name, w := range old {
		i := slices.IndexFunc(next, func(n *worker) bool { return n.source.Name == name })
		w.retire(i >= 0, i >= 0 && next[i].table == w.table)
	}
	c.mu.Lock()
	c.workers = next
	c.mu.Unlock()
	for _, i := range fresh {
		next[i].start(ctx)
	}
	return err
}

// stopAll stops workers side by side and waits for all of them.
func stopAll(ws []*worker) error {
	var wg sync.WaitGroup
	errs := make([]error, len(ws))
	for i, w := range ws {
		wg.Go(func() { errs[i] = w.stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func closeAll(ws []*worker) {
	for _, w := range ws {
		w.closeSensor()
	}
}

func (c *Collector) list() []*worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*worker(nil), c.workers...)
}
