package buffertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/vfs"
)

const (
	killProducers = 4
	killMaxSweep  = 40 // records of one message
)

func killOptions() buffer.Options {
	return buffer.Options{Streams: []buffer.StreamOptions{{Name: stream, CommitInterval: 2 * time.Millisecond, SegmentBytes: 32 << 10, MaxBytes: 512 << 10,
		Full: buffer.Block}}}
}

// KillWriter works on the real directory dir until ctx ends or somebody kills the process: four producers append and
// wait, a reader reads along, what it has read counts as delivered. Everything that it was promised is said on out, a
// line at a time, after it happened:
//
//	acked PRODUCER SEQUENCE FROM TO    a message is durable
//	seen EPOCH END CHAIN               a reader was shown everything below END
//	deliver OFFSET                     the delivered position is going to be moved there
func KillWriter(ctx context.Context, dir string, out io.Writer, seed uint64) error {
	s, err := buffer.Open(ctx, vfs.OS{}, dir, killOptions())
	if err != nil {
		return err
	}
	l, err := s.Log(stream)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	id, err := l.Define(record.Series{Name: "series.killed", Type: record.TypeInt})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	var committer errgroup.Group
	committer.Go(func() error { return s.Run(run) })
	g, work := errgroup.WithContext(ctx)
	for p := range uint64(killProducers) {
		g.Go(func() error { return killProduce(work, s, l, id, p, seed, out) })
	}
	g.Go(func() error { return killRead(work, l, out) })
	err = g.Wait()
	stop()
	return errors.Join(err, committer.Wait(), s.Close())
}

func killProducer(p uint64) string { return fmt.Sprint("node-", p) }

// killValue is the value of the i-th record of a message: anybody can tell what it must be.
func killValue(p, seq uint64, i int) int64 {
	return int64(rand.New(rand.NewPCG(p<<32|seq, uint64(i))).Uint64() >> 20)
}

func killLen(p, seq uint64) int { return 1 + int(rand.New(rand.NewPCG(seq, p)).Uint64()%killMaxSweep) }

func killProduce(ctx context.Context, s *buffer.Set, l *buffer.Log, id record.SeriesID, p, seed uint64, out io.Writer) error {
	rng := rand.New(rand.NewPCG(seed, p))
	seq := uint64(0)
	if at, ok := s.Producer(killProducer(p), incarnation); ok {
		seq = at.Sequence
	}
	for ctx.Err() == nil {
		seq++
		d := record.Draft{Producer: &record.ProducerPosition{Name: killProducer(p), Incarnation: incarnation, Sequence: seq}}
		for i := range killLen(p, seq) {
			d.Records = append(d.Records, record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: id,
				Time: int64(seq), Type: record.TypeInt, Num: killValue(p, seq, i)})
		}
		t, err := l.Append(ctx, d)
		if err != nil {
			return ended(ctx, err)
		}
		if rng.IntN(4) > 0 {
			continue // the next one's answer counts for this one, too
		}
		r, err := t.Wait(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if _, err := fmt.Fprintf(out, "acked %d %d %d %d\n", p, seq, r.From, r.To); err != nil {
			return err
		}
	}
	return nil
}

// killRead reads along; half of what it has seen it calls delivered.
func killRead(ctx context.Context, l *buffer.Log, out io.Writer) error {
	r := l.Read(0)
	for n := 0; ctx.Err() == nil; n++ {
		changed := l.Changed()
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if it.Gap != nil {
			continue
		}
		end := it.Batch.Range().To
		text := fmt.Sprintf("seen %s %d %016x\n", it.Batch.Epoch, end, it.Batch.ChainEnd)
		if n%2 == 0 {
			text += fmt.Sprintf("deliver %d\n", end)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return errors.Join(err, r.Close())
		}
		if n%2 == 0 {
			l.SetDelivered(end)
		}
	}
	return r.Close()
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Witness is what killed writers had said.
type Witness struct {
	Acked     int // messages
	acked     map[[2]uint64]record.Range
	last      [killProducers]uint64
	seen      map[shown]uint64
	delivered record.Offset
}

type shown struct {
	epoch record.Epoch
	end   record.Offset
}

// Listen takes in what a writer says until it is dead. A last line that was cut off was not said.
func (w *Witness) Listen(r io.Reader, first func()) error {
	if w.acked == nil {
		w.acked, w.seen = map[[2]uint64]record.Range{}, map[shown]uint64{}
	}
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.hear(strings.TrimSpace(line)); err != nil {
			return err
		}
		if first != nil {
			first()
			first = nil
		}
	}
}

func (w *Witness) hear(line string) error {
	var p, seq, chain uint64
	var rng record.Range
	var epoch string
	var o record.Offset
	if n, _ := fmt.Sscanf(line, "acked %d %d %d %d", &p, &seq, &rng.From, &rng.To); n == 4 && p < killProducers {
		w.Acked++
		w.acked[[2]uint64{p, seq}] = rng
		w.last[p] = max(w.last[p], seq)
		return nil
	}
	if n, _ := fmt.Sscanf(line, "seen %s %d %x", &epoch, &o, &chain); n == 3 {
		e, err := record.ParseEpoch(epoch)
		w.seen[shown{e, o}] = chain
		return err
	}
	if n, _ := fmt.Sscanf(line, "deliver %d", &o); n == 1 {
		w.delivered = max(w.delivered, o)
		return nil
	}
	return fmt.Errorf("the writer said %q", line)
}

// Check opens the directory of a dead writer and looks for all that was promised: acknowledged messages stand where
// they were said to, whole and unchanged, unless they were delivered and made room; each message stands there at most
// once, in order, and never in part; a reader is shown what one was shown before.
func (w *Witness) Check(dir string) error {
	s, err := buffer.Open(context.Background(), vfs.OS{}, dir, killOptions())
	if err != nil {
		return fmt.Errorf("open after the kill: %w", err)
	}
	l, err := s.Log(stream)
	if err == nil {
		err = w.check(s, l)
	}
	if err == nil {
		err = Verify(l)
	}
	return errors.Join(err, s.Close())
}

func (w *Witness) check(s *buffer.Set, l *buffer.Log) error {
	for p, seq := range w.last {
		if at, ok := s.Producer(killProducer(uint64(p)), incarnation); seq > 0 && (!ok || at.Sequence < seq) {
			return fmt.Errorf("message %d of producer %d was acknowledged, the log knows of %d", seq, p, at.Sequence)
		}
	}
	f := found{w: w, messages: map[[2]uint64]record.Range{}}
	r := l.Read(0)
	for {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			break
		}
		if err == nil {
			err = f.item(&it)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	low := max(l.Info().Low, f.low)
	for m, want := range w.acked {
		if got, ok := f.messages[m]; ok && got != want {
			return fmt.Errorf("message %d of producer %d was acknowledged at [%d, %d), it stands at [%d, %d)", m[1], m[0], want.From, want.To, got.From, got.To)
		} else if !ok && (want.To > w.delivered || want.From >= low) {
			return fmt.Errorf("message %d of producer %d, acknowledged at [%d, %d), is gone; delivered %d, low %d", m[1], m[0], want.From, want.To, w.delivered, low)
		} else if !ok {
			delete(w.acked, m)
		}
	}
	for at := range w.seen {
		if at.end <= low {
			delete(w.seen, at)
		} else if !f.passed[at] {
			return fmt.Errorf("a reader was shown epoch %s up to %d, which is gone; low %d", at.epoch, at.end, low)
		}
	}
	return r.Close()
}

// found is what a reader finds after the kill.
type found struct {
	w        *Witness
	messages map[[2]uint64]record.Range
	last     [killProducers]uint64
	low      record.Offset // records below it were delivered and removed
	passed   map[shown]bool
	dec      record.Decoder
	recs     []record.Record
}

func (f *found) item(it *buffer.Item) error {
	if it.Gap != nil && it.Gap.Reason == record.ReasonDelivered && it.Gap.To <= f.w.delivered {
		f.low = it.Gap.To // a kill made the delivered position fall behind what was removed
		return nil
	}
	if it.Gap != nil {
		return fmt.Errorf("a kill made the gap [%d, %d) %s", it.Gap.From, it.Gap.To, it.Gap.Reason)
	}
	b := &it.Batch
	var err error
	if f.recs, err = f.dec.Decode(f.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
		return err
	}
	if f.passed == nil {
		f.passed = map[shown]bool{}
	}
	chain := b.ChainBase
	for i := range f.recs {
		chain = record.FoldChain(chain, f.recs[i:i+1])
		at := shown{b.Epoch, b.Base + record.Offset(i) + 1}
		if want, ok := f.w.seen[at]; ok && want != chain {
			return fmt.Errorf("a reader was shown chain %x at %d of epoch %s, now it is %x", want, at.end, at.epoch, chain)
		}
		f.passed[at] = true
	}
	for _, p := range b.Producers {
		if err := f.message(b, &p); err != nil {
			return err
		}
	}
	return nil
}

func (f *found) message(b *record.Batch, p *record.ProducerSpan) error {
	var n uint64
	if _, err := fmt.Sscanf(p.Name, "node-%d", &n); err != nil || n >= killProducers || p.Incarnation != incarnation {
		return fmt.Errorf("producer %s, incarnation %d", p.Name, p.Incarnation)
	}
	if p.Sequence <= f.last[n] {
		return fmt.Errorf("message %d of producer %d stands behind %d", p.Sequence, n, f.last[n])
	}
	f.last[n] = p.Sequence
	f.messages[[2]uint64{n, p.Sequence}] = p.Range
	if int(p.Len()) != killLen(n, p.Sequence) {
		return fmt.Errorf("message %d of producer %d has %d records, %d were sent", p.Sequence, n, p.Len(), killLen(n, p.Sequence))
	}
	for i := range f.recs[p.From-b.Base : p.To-b.Base] {
		if r := &f.recs[int(p.From-b.Base)+i]; r.Num != killValue(n, p.Sequence, i) || r.Time != int64(p.Sequence) {
			return fmt.Errorf("record %d of message %d of producer %d is another one: %+v", i, p.Sequence, n, *r)
		}
	}
	return nil
}
