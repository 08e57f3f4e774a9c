package collect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/drivers"
)

var (
	errHangs    = errors.New("a read does not return; the driver or the bus below it hangs")
	errSilent   = errors.New("sensor was closed")
	errBacklog  = errors.New("too many readings wait for the disk")
	errNotQuiet = errors.New("its read hangs and was left behind")
)

// worker runs one source with three goroutines: one keeps the schedule, one reads and appends, one waits until what
// was appended is durable. None of them waits for the one after it.
type worker struct {
	o      Options
	source Source
	acc    *account
	table  *table

	outlets []outlet
	lossy   atomic.Bool // the log did not take something: what was thought reported may not be

	ticks     chan time.Duration // lateness; unbuffered: a sweep that cannot start at once is missed
	pending   chan pending
	quit      chan struct{} // no more sweeps
	idle      chan struct{} // the reader has ended
	done      chan struct{} // all have ended
	abandoned chan struct{} // the reader hangs and is left behind
	ctx       context.Context
	cancel    context.CancelFunc

	sensorMu sync.Mutex
	sensor   drivers.Sensor
	closing  bool // no sensor may be opened any more

	doorway // of a source that speaks up
	sweeper // the reader's own
}

type pending struct {
	ticket Ticket
	n      int
	stream string
}

// newWorker takes over from prev, which has stopped, what still fits; prev is nil for a new source.
func newWorker(o Options, j job, prev *worker) *worker {
	w := &worker{o: o, source: j.source, outlets: j.outlets, acc: new(account),
		ticks: make(chan time.Duration), pending: make(chan pending, j.source.outstanding()*len(j.outlets)),
		quit: make(chan struct{}), idle: make(chan struct{}), done: make(chan struct{}), abandoned: make(chan struct{}), doorway: doorway{turn: make(chan struct{}, 1)}}
	if prev != nil {
		w.acc = prev.acc
		if prev.quiet() && w.source.sameSensor(prev.source) {
			w.sensor = prev.takeSensor()
		}
		if prev.quiet() && w.source.sameSeries(prev.source) {
			w.table = prev.table
		}
	}
	if w.table == nil {
		w.table = &table{byKey: map[string]*series{}}
	}
	return w
}

func (w *worker) quiet() bool {
	select {
	case <-w.idle:
		return true
	default:
		return false
	}
}

// start begins to collect; stop joins everything that start began.
func (w *worker) start(ctx context.Context) {
	w.ctx, w.cancel = context.WithCancel(ctx)
	go w.run(w.ctx)
}

func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	ackCtx, cancelAck := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAck()
	var wg sync.WaitGroup
	if w.source.Door == nil {
		wg.Go(func() { w.schedule(ctx) })
	}
	wg.Go(func() { w.acknowledge(ackCtx) })
	if w.source.Door == nil {
		w.readLoop(ctx)
	} else {
		w.runDoor(ctx)
	}
	close(w.idle)
	close(w.pending)
	drain := time.AfterFunc(drainPatience, cancelAck)
	wg.Wait()
	drain.Stop()
}

// stop lets the sweep under way finish, unless the worker's context has ended, and waits until what it appended is
// durable. A read that hangs is left behind after a while, with an error.
func (w *worker) stop() error {
	close(w.quit)
	if !w.waitIdle(w.ctx.Done()) {
		w.cancel()
		w.closeSensor()
		if !w.waitIdle(nil) {
			close(w.abandoned)
			return fmt.Errorf("stop source %s: %w", w.source.Name, errNotQuiet)
		}
	}
	<-w.done // bounded by drainPatience
	w.cancel()
	return nil
}

// waitIdle gives up after stopPatience, or when sooner is closed.
func (w *worker) waitIdle(sooner <-chan struct{}) bool {
	t := time.NewTimer(stopPatience)
	defer t.Stop()
	select {
	case <-w.idle:
		return true
	case <-sooner:
		return false
	case <-t.C:
		return false
	}
}

// schedule ticks. The first sweep starts at once, so that a person sees soon whether the source works.
func (w *worker) schedule(ctx context.Context) {
	select {
	case w.ticks <- -1:
	case <-w.quit:
		return
	case <-ctx.Done():
		return
	}
	interval := w.source.Interval
	now := time.Now()
	target := now.Truncate(interval).Add(interval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		wanted := target.Sub(now)
		timer.Reset(wanted)
		select {
		case <-timer.C:
		case <-w.quit:
			return
		case <-ctx.Done():
			return
		}
		fired := time.Now()
		late, passed := lateness(fired.Sub(now), wanted, interval)
		select {
		case w.ticks <- late:
		default:
			passed++
		}
		if passed > 0 && w.acc.skipped(passed, w.source.Timeout+time.Second) {
			if tell, since := w.acc.hang(); tell && w.o.Events.SourceDead != nil {
				w.o.Events.SourceDead(w.source.Name, since, fmt.Errorf("%w: %w", drivers.ErrTimeout, errHangs))
			}
		}
		target = nextTick(fired, target, interval)
		now = fired
	}
}

// acknowledge waits for each draft in order and counts it as taken.
func (w *worker) acknowledge(ctx context.Context) {
	for {
		select {
		case p, ok := <-w.pending:
			if !ok {
				return
			}
			w.settle(ctx, p)
		case <-w.abandoned: // the reader will send no more, but cannot say so
			ctx, cancel := context.WithTimeout(ctx, drainPatience)
			defer cancel()
			for {
				select {
				case p, ok := <-w.pending:
					if !ok {
						return
					}
					w.settle(ctx, p)
				default:
					return
				}
			}
		}
	}
}

func (w *worker) settle(ctx context.Context, p pending) {
	if _, err := p.ticket.Wait(ctx); err != nil {
		w.lossy.Store(true)
		w.acc.countMissed(missedByLog(err), p.n)
		w.logOutcome(p.stream, err)
		return
	}
	w.acc.countTaken(p.n)
}

func (w *worker) logOutcome(stream string, err error) {
	if errors.Is(err, ErrStopped) || errors.Is(err, context.Canceled) {
		return // stopping is no fault
	}
	refused, back := w.acc.logOutcome(stream, err)
	if refused && w.o.Events.LogRefused != nil {
		w.o.Events.LogRefused(w.source.Name, stream, err)
	}
	if back && w.o.Events.LogBack != nil {
		w.o.Events.LogBack(w.source.Name, stream)
	}
}

func (w *worker) readLoop(ctx context.Context) {
	for {
		select {
		case <-w.quit:
			return
		case <-ctx.Done():
			return
		case late := <-w.ticks:
			if !w.sweep(ctx, late) {
				return
			}
		}
	}
}

// sweep reads the sensor once. It returns false if the worker was left behind meanwhile.
func (w *worker) sweep(ctx context.Context, late time.Duration) bool {
	at := w.stamp()
	w.acc.begin(at, late)
	samples, quantities, err := w.read(ctx)
	select {
	case <-w.abandoned:
		return false
	default:
	}
	if len(samples) > 0 {
		w.index(quantities)
		w.define()
		w.convert(samples, at)
		w.append(context.WithoutCancel(ctx)) // what was read is kept, even if the agent is being stopped
		w.tellSeries(w.faults)
	}
	dead, back, since := w.acc.end(len(samples), err, ctx.Err() != nil)
	if dead && w.o.Events.SourceDead != nil {
		w.o.Events.SourceDead(w.source.Name, since, err)
	}
	if back && w.o.Events.SourceBack != nil {
		w.o.Events.SourceBack(w.source.Name)
	}
	return true
}

// stamp is now at the resolution of stamps.
func (w *worker) stamp() record.Stamp {
	s := w.o.Stamp()
	s.Time -= s.Time % int64(w.o.Resolution)
	return s
}

func (w *worker) read(ctx context.Context) ([]drivers.Sample, []drivers.Quantity, error) {
	sensor, err := w.openSensor()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.source.Timeout)
	defer cancel()
	samples, err := sensor.Read(ctx, w.samples[:0])
	w.samples = samples
	return samples, sensor.Quantities(), err
}

func (w *worker) openSensor() (drivers.Sensor, error) {
	w.sensorMu.Lock()
	s, closing := w.sensor, w.closing
	w.sensorMu.Unlock()
	if s != nil {
		return s, nil
	}
	if closing {
		return nil, errSilent
	}
	s, err := w.source.Open()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", w.source.Driver, err)
	}
	w.sensorMu.Lock()
	closing = w.closing
	if !closing {
		w.sensor = s
	}
	w.sensorMu.Unlock()
	if closing {
		return nil, errors.Join(errSilent, s.Close())
	}
	return s, nil
}

func (w *worker) takeSensor() drivers.Sensor {
	w.sensorMu.Lock()
	defer w.sensorMu.Unlock()
	s := w.sensor
	w.sensor, w.closing = nil, true
	return s
}

// closeSensor makes a running read return.
func (w *worker) closeSensor() {
	if s := w.takeSensor(); s != nil {
		if err := s.Close(); err != nil {
			w.acc.note(fmt.Errorf("close %s: %w", w.source.Driver, err))
		}
	}
}

// retire withdraws what was told to Events of a stopped worker and nobody will tell any more: of its series unless
// a successor has its table, of the source unless there is a successor.
func (w *worker) retire(succeeded, tableKept bool) {
	if !tableKept {
		var over []fault // its own: a reader that was left behind may still use w.faults
		w.table.mu.Lock()
		for _, s := range w.table.order {
			if s.faulted.Bad() {
				over = append(over, fault{s, record.QualityGood})
			}
		}
		w.table.mu.Unlock()
		w.tellSeries(over)
	}
	if succeeded {
		return
	}
	dead, refused := w.acc.faults()
	if dead && w.o.Events.SourceBack != nil {
		w.o.Events.SourceBack(w.source.Name)
	}
	for _, stream := range refused {
		if w.o.Events.LogBack != nil {
			w.o.Events.LogBack(w.source.Name, stream)
		}
	}
}
