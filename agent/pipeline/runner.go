package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

// Options of a Runner.
type Options struct {
	Definition Definition
	In, Out    *buffer.Log // Definition.From and Definition.To
	FS         vfs.FS
	Dir        string        // of the checkpoint; it exists
	Random     func() uint64 // for incarnations
	Every      time.Duration // between two checkpoints; 0: CheckpointEvery
	Events     Events
}

// Events tell what happens to a pipeline. Every func may be nil; none may block.
type Events struct {
	Began   func(how Beginning, why string)   // Run knows where to go on
	Gap     func(r record.Range)              // records of the input were gone before they were read
	Blocked func(err error)                   // the output takes nothing; nil: it does again
	Failed  func(err error)                   // the input cannot be read, or the checkpoint not be written; nil: over
	Refused func(series string, err error)    // its results are left out; "": a part of the input, which cannot be understood
	Counted func(late, untimed, left uint64)  // one of these has grown since it was last told
	Alarm   func(raised bool, message Result) // it is in the output
}

// Beginning says what a pipeline went on from.
type Beginning int

// The beginnings.
const (
	BeganFirst   Beginning = iota // there was nothing, and nothing was expected
	BeganResumed                  // the checkpoint
	BeganChanged                  // its definition is another one
	BeganBehind                   // behind its last result: the checkpoint was lost
	BeganAnew                     // the checkpoint is lost or does not fit the log
)

// Status is a snapshot of a runner.
type Status struct {
	Stats
	Beginning Beginning
	Next      record.Offset // of the input, not read yet
	Lag       uint64        // durable records that are not read
	Now       int64         // the stream's time, UTC in ns; 0: not known yet
	Repeated  uint64        // messages that were in the output already, since the start
	Blocked   string        // why the output takes nothing
	Failed    string
	Saved     record.Offset // of the last checkpoint
	Series    int           // followed
	Raised    int           // alarms now
	Standing  []Standing    // some of them
}

const maxStanding = 16 // raised alarms in a Status

// Runner drives a pipeline over two logs. Run is called once; Status may be called concurrently.
type Runner struct {
	o           Options
	core        *Core
	incarnation uint64
	before      uint64 // that of the newest result when this one began
	last        uint64 // sequence of the newest message in the output when Run began; 0: none
	chain       uint64
	chained     bool
	ids         map[*record.Series]record.SeriesID
	ticket      buffer.Ticket
	waits       bool // ticket is of a message that may not be durable
	partial     bool // a message of the record in hand could not be written: the state is ahead of the output
	file        string
	bytes       []byte
	saved       time.Time     // the last checkpoint
	tried       time.Time     // the last attempt at one
	savedAt     record.Offset // of the input
	failed      [2]error      // why it cannot read, and why it cannot save
	told        [3]uint64
	dec         record.Decoder
	recs        []record.Record
	draft       []record.Record

	mu     sync.Mutex // guards status
	status Status
}

// NewRunner makes a runner; it touches nothing before Run.
func NewRunner(o Options) *Runner {
	if o.Every == 0 {
		o.Every = CheckpointEvery
	}
	r := &Runner{o: o, ids: map[*record.Series]record.SeriesID{}, file: path.Join(o.Dir, o.Definition.Name+".state")}
	return r
}

// Status is how far it has come.
func (r *Runner) Status() Status {
	durable := r.o.In.Info().Durable
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	if durable > s.Next {
		s.Lag = uint64(durable - s.Next)
	}
	return s
}

// Run computes until ctx ends, then saves its state. It waits while the output is full or a disk fails, and loses nothing
// by it. The error is that of a log that has been closed, or of a disk that does not let it begin.
func (r *Runner) Run(ctx context.Context) error {
	r.untilDone(ctx, func() error { return r.begin(ctx) })
	if ctx.Err() != nil {
		return nil
	}
	in := r.o.In.Read(r.core.Next())
	err := r.follow(ctx, in)
	if err := r.ended(ctx, err); err != nil {
		return errors.Join(err, in.Close())
	}
	if !r.partial {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if err := r.save(last, true); err != nil { // the one before it is good, too
			r.fail(saving, err)
		}
	}
	return in.Close()
}

// untilDone does what must be done before anything else can, again and again until it works or ctx ends.
func (r *Runner) untilDone(ctx context.Context, f func() error) {
	for ctx.Err() == nil {
		err := f()
		if ctx.Err() == nil {
			r.fail(reading, err)
		}
		if err == nil {
			return
		}
		sleep(ctx, retryRead)
	}
}

// ended is nil if it was ctx that ended the work.
func (r *Runner) ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("pipeline %s: %w", r.o.Definition.Name, err)
}

func (r *Runner) follow(ctx context.Context, in *buffer.Reader) error {
	for ctx.Err() == nil {
		changed := r.o.In.Changed() // before reading, so that no advance is missed
		it, err := in.Next()
		switch {
		case errors.Is(err, buffer.ErrEnd):
			r.idle(ctx, changed)
		case err != nil:
			r.fail(reading, err)
			sleep(ctx, retryRead)
		default:
			if err := r.item(ctx, &it); err != nil {
				return err
			}
			r.fail(reading, nil)
		}
		if r.core.Next() != r.savedAt && r.due() <= 0 {
			r.tried = time.Now()
			if err := r.save(ctx, false); err != nil && ctx.Err() == nil {
				r.fail(saving, err)
			}
		}
	}
	return nil
}

// due is how long until the next checkpoint is, or until it is tried again.
func (r *Runner) due() time.Duration {
	return max(r.o.Every-time.Since(r.saved), min(r.o.Every, retryRead)-time.Since(r.tried))
}

// idle waits for more input, or until the next checkpoint is due.
func (r *Runner) idle(ctx context.Context, changed <-chan struct{}) {
	r.publish()
	wait := r.o.Every
	if r.core.Next() != r.savedAt {
		wait = max(r.due(), time.Millisecond)
	}
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-due.C:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// item takes in a batch or a gap.
func (r *Runner) item(ctx context.Context, it *buffer.Item) error {
	span := it.Range()
	if span.To <= r.core.Next() {
		return nil
	}
	if from := r.core.Next(); span.From > from { // nothing is held there, not even a gap
		r.gone(ctx, record.Range{From: from, To: span.From})
		r.chained = false
	}
	if it.Gap != nil && ctx.Err() == nil {
		r.gone(ctx, record.Range{From: r.core.Next(), To: span.To})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if it.Gap != nil {
		r.core.Enter(it.Header.Epoch)
		r.chain, r.chained = it.Gap.ChainTo, true
		return nil
	}
	b := &it.Batch
	var err error
	if r.recs, err = r.dec.Decode(r.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		r.refused(nil, fmt.Errorf("read records at %d: %w", b.Base, err)) // its checksum was right: another program wrote it
		r.gone(ctx, record.Range{From: r.core.Next(), To: span.To})
		r.chained = false
		return ctx.Err()
	}
	if r.core.Next() == b.Base {
		r.chain, r.chained = b.ChainBase, true
	}
	r.enter(ctx, it, &r.recs[r.core.Next()-b.Base])
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := int(r.core.Next() - b.Base); i < len(r.recs); i++ {
		r.core.Record(&r.recs[i])
		for _, m := range r.core.Messages() {
			if err := r.write(ctx, &m); err != nil {
				r.partial = true
				return err
			}
		}
	}
	r.chain, r.chained = b.ChainEnd, true
	r.count()
	return nil
}

// enter takes the core into the epoch of an item. Where its first record, which names the boot, is not to be had, the log
// tells how its stamps are to be read; that is saved before it is used, as the log may know better next time.
func (r *Runner) enter(ctx context.Context, it *buffer.Item, first *record.Record) {
	h := &it.Header
	r.core.Enter(h.Epoch)
	if first.Kind == record.KindBoot || r.core.knows(h.Boot) {
		return
	}
	if a, ok := anchorOf(r.o.In, h); ok {
		r.core.Anchor(a)
		r.untilDone(ctx, func() error { return r.save(ctx, false) })
	}
}

// anchorOf is how the log reads the stamps of an epoch now.
func anchorOf(in *buffer.Log, h *buffer.EpochInfo) (record.Anchor, bool) {
	at, ok := in.Time(h.Epoch, record.Stamp{Clock: record.ClockBoot})
	a := record.Anchor{Boot: h.Boot, UTC: at.UTC, Source: record.SourceSystem}
	if at.Error == 0 {
		a.Source = record.SourceHub // a good one; which, does not matter
	}
	return a, ok
}

// gone lets the core know that records are not there any more. If results of them, or of later ones, are in the output,
// the core cannot know which: it learns them.
func (r *Runner) gone(ctx context.Context, span record.Range) {
	if ev := r.o.Events.Gap; ev != nil {
		ev(span)
	}
	if r.last != 0 && span.From <= offsetOf(r.last) {
		r.untilDone(ctx, r.learn)
		if ctx.Err() != nil {
			return
		}
	}
	r.core.Gap(span.To)
}

// write appends a message. It waits while the output takes nothing.
func (r *Runner) write(ctx context.Context, m *Message) error {
	r.draft = r.draft[:0]
	for i := range m.Results {
		x := &m.Results[i]
		id, err := r.id(x.Series)
		if err != nil {
			r.refused(x.Series, err)
			continue
		}
		x.Record.Series = id
		r.draft = append(r.draft, x.Record)
	}
	if len(r.draft) == 0 {
		return nil
	}
	d := record.Draft{Records: r.draft, Producer: &record.ProducerPosition{Name: r.o.Definition.Producer(), Incarnation: r.incarnation, Sequence: m.Sequence}}
	for {
		t, err := r.o.Out.Append(ctx, d)
		repeated := errors.Is(err, buffer.ErrRepeated)
		switch {
		case err == nil, repeated:
			r.ticket, r.waits = t, true
			r.wrote(m, repeated)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, buffer.ErrStopped) && r.o.Out.Info().State == buffer.StateClosed:
			return err
		}
		r.blocked(err)
		sleep(ctx, retryFull)
	}
}

func (r *Runner) id(s *record.Series) (record.SeriesID, error) {
	if id, ok := r.ids[s]; ok {
		return id, nil
	}
	id, err := r.o.Out.Define(*s)
	if err == nil {
		r.ids[s] = id
	}
	return id, err
}

func (r *Runner) wrote(m *Message, repeated bool) {
	r.blocked(nil)
	r.mu.Lock()
	if repeated {
		r.status.Repeated++
	}
	r.mu.Unlock()
	if ev := r.o.Events.Alarm; ev != nil && r.o.Definition.Alarm != nil && !repeated {
		for _, x := range m.Results {
			raised, _ := alarmOf(&x.Record)
			ev(raised, x)
		}
	}
}

func (r *Runner) refused(s *record.Series, err error) {
	name := ""
	if s != nil {
		name = s.Key()
	}
	if ev := r.o.Events.Refused; ev != nil {
		ev(name, err)
	}
}

// blocked keeps why the output takes nothing, and tells it once.
func (r *Runner) blocked(err error) {
	r.tell(&r.status.Blocked, errorText(err), r.o.Events.Blocked, err)
}

// What fail is about.
const (
	reading = iota
	saving
)

// fail keeps why the input cannot be read or the state not be saved, and tells it once; nil: that is over.
func (r *Runner) fail(what int, err error) {
	r.failed[what] = err
	now := cmp.Or(r.failed[reading], r.failed[saving])
	r.tell(&r.status.Failed, errorText(now), r.o.Events.Failed, now)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (r *Runner) tell(at *string, text string, event func(error), err error) {
	r.mu.Lock()
	was := *at
	*at = text
	r.mu.Unlock()
	if was != text && event != nil {
		event(err)
	}
}

// count publishes the status, and tells what has grown that a person should know.
func (r *Runner) count() {
	r.publish()
	s := &r.core.stats
	now := [3]uint64{s.Late, s.Untimed, s.Left}
	if now != r.told && r.o.Events.Counted != nil {
		r.o.Events.Counted(now[0]-r.told[0], now[1]-r.told[1], now[2]-r.told[2])
	}
	r.told = now
}

func (r *Runner) publish() {
	list, n := r.core.standings(maxStanding)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.status
	s.Stats, s.Next, s.Series, s.Standing, s.Raised = r.core.stats, r.core.next, len(r.core.series), list, n
	if r.core.now != never {
		s.Now = r.core.now
	}
}

// save writes a checkpoint: first the results of everything below it become durable, then it. last commits the output
// itself, as nobody may wait for its next commit any more.
func (r *Runner) save(ctx context.Context, last bool) error {
	if r.waits {
		if last {
			if err := r.o.Out.Sync(ctx); err != nil {
				return fmt.Errorf("commit results: %w", err)
			}
		}
		if _, err := r.ticket.Wait(ctx); err != nil {
			return fmt.Errorf("wait for results: %w", err)
		}
		r.waits = false
	}
	k := checkpoint{incarnation: r.incarnation, before: r.before, chain: r.chain, chained: r.chained, core: r.core}
	r.bytes = k.encode(r.bytes[:0])
	if err := vfs.WriteFileAtomic(r.o.FS, r.file, r.bytes); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	r.saved, r.savedAt = time.Now(), r.core.next
	r.fail(saving, nil)
	r.mu.Lock()
	r.status.Saved = r.core.next
	r.mu.Unlock()
	r.publish()
	return nil
}

// learn reads this pipeline's results out of the output. Only those of this very definition tell which windows are done.
func (r *Runner) learn() (err error) {
	out := r.o.Out
	in := out.Read(out.Info().Low)
	defer func() { err = errors.Join(err, in.Close()) }()
	series := map[record.SeriesID]*record.Series{}
	epoch := record.Epoch(0)
	name, id := r.o.Definition.Producer(), r.o.Definition.id()
	for {
		it, err := in.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read results back: %w", err)
		}
		if it.Gap != nil {
			continue
		}
		if it.Header.Epoch != epoch {
			epoch = it.Header.Epoch
			clear(series)
		}
		var recs []record.Record
		for _, span := range it.Batch.Producers {
			if span.Name != name {
				continue
			}
			b := &it.Batch
			if recs == nil {
				if recs, err = r.dec.Decode(nil, b.Codec, b.RawLen, b.Count, b.Body); err != nil {
					return fmt.Errorf("read results back: %w", err)
				}
			}
			for i := span.From; i < span.To; i++ {
				rec := &recs[i-b.Base]
				if series[rec.Series] == nil {
					s, _ := out.Series(epoch, rec.Series)
					series[rec.Series] = &s
				}
				r.core.Learn(series[rec.Series], rec, uint32(span.Incarnation>>32) == id)
			}
		}
	}
}
