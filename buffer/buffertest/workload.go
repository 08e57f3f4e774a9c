package buffertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	stream      = "telemetry"
	incarnation = 77
)

// Workload is random work on one stream, the same for the same seed as long as the disk behaves the same.
type Workload struct {
	FS    vfs.FS
	Model *Model
	Moves bool // closes epochs, too
	Big   bool // long values: many rolls
	Wide  bool // large segments, and commits that are written in several pieces
	Full  buffer.FullPolicy

	Trace func(string) // told what is done, if not nil

	rnd  *rand.Rand
	set  *buffer.Set
	log  *buffer.Log
	ids  [3]record.SeriesID
	seq  uint64 // of the last producer message appended
	boot int
}

// NewWorkload is work on fs from a seed.
func NewWorkload(fs vfs.FS, m *Model, seed uint64) *Workload {
	return &Workload{FS: fs, Model: m, rnd: rand.New(rand.NewPCG(seed, 1))}
}

// Options are those of the workload's set.
func (w *Workload) Options() buffer.Options {
	o := buffer.StreamOptions{Name: stream, MaxBytes: 64 << 10, SegmentBytes: 16 << 10, Full: w.Full}
	if w.Model.Keys.Current != nil { // key slots take two pages of each segment
		o.MaxBytes, o.SegmentBytes = 128<<10, 32<<10
	}
	if w.Wide {
		o.MaxBytes, o.SegmentBytes = 1<<20, 256<<10
	}
	return buffer.Options{
		Keys:    w.Model.Keys,
		Streams: []buffer.StreamOptions{o},
		Opening: func(string) []record.Record {
			w.boot++
			m, err := record.MarkRecord(record.KindBoot, record.Stamp{Time: 1, Clock: record.ClockBoot},
				record.BootMark{Anchor: record.Anchor{Boot: fmt.Sprint("boot-", w.boot), UTC: 1e18, Source: record.SourceNTP}})
			if err != nil {
				return nil
			}
			return []record.Record{m}
		}}
}

// Open opens the set and defines the series.
func (w *Workload) Open() error {
	var err error
	if w.set, err = buffer.Open(context.Background(), w.FS, "log", w.Options()); err != nil {
		return err
	}
	if w.log, err = w.set.Log(stream); err != nil {
		return err
	}
	for i := range w.ids {
		s := record.Series{Name: fmt.Sprint("series.s", i), Type: record.TypeInt}
		if i == 2 {
			s.Type = record.TypeString
		}
		if w.ids[i], err = w.log.Define(s); err != nil {
			return err
		}
	}
	if p, ok := w.set.Producer("node", incarnation); ok {
		w.seq = max(p.Sequence, w.Model.sure)
	} else {
		w.seq = w.Model.sure
	}
	return nil
}

// Log is the open log.
func (w *Workload) Log() *buffer.Log { return w.log }

// Close closes the set.
func (w *Workload) Close() error { return w.set.Close() }

// Step does one random thing. Errors of the disk are returned; a broken promise is a *Violation.
func (w *Workload) Step() error {
	n := w.rnd.IntN(100)
	if w.Trace != nil {
		w.Trace(fmt.Sprintf("step %d: %+v", n, w.log.Info()))
	}
	switch {
	case n < 3 && w.Wide:
		return w.burst()
	case n < 35:
		return w.append()
	case n < 45:
		return w.produce()
	case n < 70:
		return w.sync()
	case n < 78:
		return w.deliver()
	case n < 84:
		return w.cursor()
	case n < 90:
		return w.Look()
	case n < 93:
		return w.declare()
	case n < 96 && w.Moves:
		return w.move()
	case n < 98:
		return w.reopen()
	}
	return w.sync()
}

// Violation is a broken promise, not a failing disk.
type Violation struct{ Err error }

func (v *Violation) Error() string { return "violation: " + v.Err.Error() }
func (v *Violation) Unwrap() error { return v.Err }

func (w *Workload) draft(n int) ([]record.Record, []int64) {
	var recs []record.Record
	var nums []int64
	for range n {
		k := w.Model.next
		w.Model.next++
		r := record.Record{Kind: record.KindObservation, Series: w.ids[w.rnd.IntN(2)], Time: k * 1e6, Clock: record.ClockBoot, Type: record.TypeInt, Num: k}
		if w.rnd.IntN(3) == 0 {
			var b strings.Builder
			fmt.Fprintf(&b, "%d ", k)
			size := 200
			if w.Big {
				size = 1500
			}
			for range w.rnd.IntN(size) {
				b.WriteByte(byte('!' + w.rnd.IntN(90)))
			}
			r.Series, r.Type, r.Num, r.Data = w.ids[2], record.TypeString, 0, &record.Data{Value: []byte(b.String())}
		}
		recs, nums = append(recs, r), append(nums, k)
	}
	return recs, nums
}

func (w *Workload) append() error {
	recs, nums := w.draft(1 + w.rnd.IntN(12))
	t, err := w.log.Append(context.Background(), record.Draft{Records: recs})
	return w.appended(t, nums, err)
}

// burst appends about 165 kB that do not compress well: more than is written at once.
func (w *Workload) burst() error {
	for range 12 {
		recs, nums := w.draft(1)
		text := make([]byte, 13<<10+w.rnd.IntN(2<<10))
		for i := range text {
			text[i] = byte('!' + w.rnd.IntN(90))
		}
		recs[0].Series, recs[0].Type, recs[0].Num = w.ids[2], record.TypeString, 0
		recs[0].Data = &record.Data{Value: fmt.Appendf(nil, "%d %s", nums[0], text)}
		t, err := w.log.Append(context.Background(), record.Draft{Records: recs})
		if err := w.appended(t, nums, err); err != nil {
			return err
		}
	}
	return w.sync()
}

// appended notes where an append went. A refused one does not count.
func (w *Workload) appended(t buffer.Ticket, nums []int64, err error) error {
	if err != nil {
		if errors.Is(err, buffer.ErrFull) || errors.Is(err, buffer.ErrStopped) {
			return w.log.Sync(context.Background())
		}
		return &Violation{err}
	}
	for i, n := range nums {
		w.Model.pending[n] = place{w.log.Info().Epoch, t.Range().From + record.Offset(i)}
	}
	return nil
}

// produce appends the producer's next message, or repeats an old one.
func (w *Workload) produce() error {
	if w.seq > 0 && w.rnd.IntN(3) == 0 {
		recs := []record.Record{{Kind: record.KindObservation, Series: w.ids[0], Clock: record.ClockBoot, Type: record.TypeInt, Num: -5}}
		_, err := w.log.Append(context.Background(), record.Draft{Records: recs, Producer: &record.ProducerPosition{Name: "node", Incarnation: incarnation, Sequence: w.seq}})
		if !errors.Is(err, buffer.ErrRepeated) && !errors.Is(err, buffer.ErrFull) && !errors.Is(err, buffer.ErrStopped) {
			return &Violation{fmt.Errorf("repeated message %d: %w", w.seq, err)}
		}
		return nil
	}
	recs, nums := w.draft(1 + w.rnd.IntN(6))
	t, err := w.log.Append(context.Background(), record.Draft{Records: recs, Producer: &record.ProducerPosition{Name: "node", Incarnation: incarnation, Sequence: w.seq + 1}})
	if err == nil {
		w.seq++
		w.Model.sent[w.seq] = nums
	}
	return w.appended(t, nums, err)
}

func (w *Workload) sync() error {
	if err := w.log.Sync(context.Background()); err != nil {
		return err
	}
	for n, p := range w.Model.pending {
		w.Model.acked[n] = p
		delete(w.Model.pending, n)
	}
	w.Model.sure = w.seq
	return nil
}

func (w *Workload) deliver() error {
	in := w.log.Info()
	if in.Durable > in.Low {
		w.log.SetDelivered(in.Low + record.Offset(w.rnd.Uint64N(uint64(in.Durable-in.Low)+1)))
	}
	return nil
}

func (w *Workload) cursor() error {
	c, err := w.log.Cursor("follower")
	if err != nil {
		return &Violation{err}
	}
	before, in := c.Position(), w.log.Info()
	if before > w.Model.cursor && before > in.Low {
		return &Violation{fmt.Errorf("cursor stands at %d, committed was %d", before, w.Model.cursor)}
	}
	if err := c.Commit(in.Durable); err != nil {
		return &Violation{err}
	}
	w.Model.cursor = max(w.Model.cursor, in.Durable)
	return nil
}

// Look reads everything and compares.
func (w *Workload) Look() error {
	if err := w.Model.Check(w.log); err != nil {
		return w.classify(err)
	}
	return nil
}

// Glance is Look that notes nothing in the model.
func (w *Workload) Glance() error {
	if err := w.Model.Glance(w.log); err != nil {
		return w.classify(err)
	}
	return nil
}

// classify tells a broken promise from a disk that cannot be read.
func (w *Workload) classify(err error) error {
	if errors.Is(err, vfs.ErrStopped) {
		return err
	}
	return &Violation{err}
}

func (w *Workload) declare() error {
	if !w.Model.forgive[record.ReasonUnsendable] {
		return nil
	}
	es := w.log.Epochs()
	if len(es) == 0 {
		return nil
	}
	e := es[w.rnd.IntN(len(es))]
	if e.Low+2 >= e.End {
		return nil
	}
	from := e.Low + record.Offset(w.rnd.Uint64N(uint64(e.End-e.Low)))
	to := min(from+1+record.Offset(w.rnd.IntN(5)), e.End)
	err := w.log.DeclareGap(context.Background(), record.Range{From: from, To: to}, record.ReasonUnsendable)
	if errors.Is(err, buffer.ErrRange) {
		return nil // retention was faster, or a border lies in a gap
	}
	if err == nil {
		for n, p := range w.Model.pending {
			w.Model.acked[n] = p
			delete(w.Model.pending, n)
		}
		w.Model.sure = w.seq
	}
	return err
}

func (w *Workload) move() error {
	if err := w.sync(); err != nil {
		return err
	}
	if err := w.Look(); err != nil {
		return err
	}
	in := w.log.Info()
	es := w.log.Epochs()
	if len(es) == 0 {
		return nil
	}
	e := es[w.rnd.IntN(len(es))]
	if w.rnd.IntN(2) == 0 {
		e = es[len(es)-1]
	}
	at := e.First + record.Offset(w.rnd.Uint64N(uint64(e.End-e.First)+1))
	from := at
	for _, g := range in.Gaps { // one that would be divided moves whole
		if g.Epoch == e.Epoch && g.Contains(at) && at < e.End {
			from = g.From
		}
	}
	w.Model.moved(e.Epoch, from)
	err := w.log.CloseEpoch(context.Background(), e.Epoch, at)
	if errors.Is(err, buffer.ErrRange) {
		return &Violation{err}
	}
	if err != nil {
		return err
	}
	if now := w.log.Info(); e.Current && now.Epoch == in.Epoch {
		return &Violation{fmt.Errorf("epoch %s is still the current one", now.Epoch)}
	}
	return w.Look()
}

func (w *Workload) reopen() error {
	if err := w.set.Close(); err != nil {
		return err
	}
	for n, p := range w.Model.pending {
		w.Model.acked[n] = p
		delete(w.Model.pending, n)
	}
	w.Model.sure = w.seq
	rotate := w.Model.Keys.Current != nil && w.rnd.IntN(2) == 0
	if rotate {
		w.Model.Keys = rotated(w.Model.Keys, w.rnd)
	}
	if err := w.Open(); err != nil {
		return err
	}
	if rotate {
		if _, err := w.set.Rewrap(context.Background()); err != nil {
			return err
		}
		w.Model.Keys.Older = nil // they are not needed any more, whatever happens from here on
	}
	return w.Look()
}

// NewKeys are keys with a current one from a seed, for tests.
func NewKeys(seed uint64) buffer.Keys { return rotated(buffer.Keys{}, rand.New(rand.NewPCG(seed, 2))) }

func rotated(k buffer.Keys, r *rand.Rand) buffer.Keys {
	var now buffer.Key
	for i := range now {
		now[i] = byte(r.Uint32())
	}
	out := buffer.Keys{Current: &now, Older: append([]buffer.Key(nil), k.Older...)}
	if k.Current != nil {
		out.Older = append(out.Older, *k.Current)
	}
	return out
}
