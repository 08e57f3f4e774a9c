// Package buffertest tests the durable log: a check of everything that a log must be in any state (Verify), a model
// that knows what was acknowledged and shown, random work against both, and the matrices that stop the machine or fail
// the disk at every single operation of that work.
package buffertest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// Entry is one record or one gap as a reader saw it.
type Entry struct {
	Epoch  record.Epoch
	Offset record.Offset
	Record record.Record // of a record
	Gap    *record.Gap
}

// ReadAll reads a log from its beginning to durable and checks everything that a reader can see: items follow each
// other without hole or overlap and belong to the epochs that the log names, chains continue, bodies decode to as many
// records as stated, series are defined, producer messages lie in one batch. The records do not share memory.
func ReadAll(l *buffer.Log) ([]Entry, error) {
	epochs := map[record.Epoch]buffer.EpochInfo{}
	list := l.Epochs()
	for i, e := range list {
		epochs[e.Epoch] = e
		if i > 0 && e.Parent == list[i-1].Epoch && (e.First != e.ParentEnd || e.ParentEnd != list[i-1].End) {
			return nil, fmt.Errorf("epoch %s [%d, %d) does not follow its parent's end %d", e.Epoch, e.First, e.End, list[i-1].End)
		}
	}
	r := l.Read(0)
	out, err := readAll(l, r, epochs)
	if err == nil {
		n := record.Offset(0)
		if len(out) > 0 {
			n = out[len(out)-1].end()
		}
		if d := l.Info().Durable; len(out) > 0 && n != d {
			err = fmt.Errorf("reader ends at %d, durable is %d", n, d)
		}
	}
	return out, errors.Join(err, r.Close())
}

func (e *Entry) end() record.Offset {
	if e.Gap != nil {
		return e.Gap.To
	}
	return e.Offset + 1
}

func readAll(l *buffer.Log, r *buffer.Reader, epochs map[record.Epoch]buffer.EpochInfo) ([]Entry, error) {
	var out []Entry
	var dec record.Decoder
	var at record.Offset
	var chain uint64
	var epoch record.Epoch
	scratch := make([]record.Record, 0, 512)
	for first := true; ; first = false {
		it, err := r.Next()
		if errors.Is(err, buffer.ErrEnd) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("read at %d: %w", at, err)
		}
		rng, from, to := it.Range(), it.Batch.ChainBase, it.Batch.ChainEnd
		e := it.Batch.Epoch
		if it.Gap != nil {
			from, to, e = it.Gap.ChainFrom, it.Gap.ChainTo, it.Gap.Epoch
		}
		info, ok := epochs[e]
		if !ok || it.Header.Epoch != e || rng.From < info.First || rng.To > info.End || rng.Len() == 0 {
			return out, fmt.Errorf("item [%d, %d) of epoch %s: %+v", rng.From, rng.To, e, info)
		}
		if !first && rng.From != at {
			return out, fmt.Errorf("item [%d, %d) follows offset %d", rng.From, rng.To, at)
		}
		if e != epoch && rng.From == info.First && from != info.ChainFirst {
			return out, fmt.Errorf("chain %x at the beginning of epoch %s, want %x", from, e, info.ChainFirst)
		}
		if !first && from != chain && (e == epoch || info.Parent == epoch) {
			return out, fmt.Errorf("chain at %d is %x, was %x", at, from, chain)
		}
		at, chain, epoch = rng.To, to, e
		if it.Gap != nil {
			g := *it.Gap
			out = append(out, Entry{Epoch: e, Offset: g.From, Gap: &g})
			continue
		}
		if out, err = entries(l, &it, &dec, scratch, out); err != nil {
			return out, err
		}
	}
}

// entries decodes into scratch, which is empty, and appends copies.
func entries(l *buffer.Log, it *buffer.Item, dec *record.Decoder, scratch []record.Record, out []Entry) ([]Entry, error) {
	b := &it.Batch
	recs, err := dec.Decode(scratch, b.Codec, b.RawLen, b.Count, b.Body)
	if err != nil || len(recs) != int(b.Count) {
		return out, fmt.Errorf("decode batch at %d: %d records of %d: %w", b.Base, len(recs), b.Count, err)
	}
	if c := record.FoldChain(b.ChainBase, recs); c != b.ChainEnd {
		return out, fmt.Errorf("batch at %d folds to %x, states %x", b.Base, c, b.ChainEnd)
	}
	for _, p := range b.Producers {
		if p.From < b.Base || p.To > b.Range().To || p.Len() == 0 {
			return out, fmt.Errorf("producer span [%d, %d) in batch [%d, %d)", p.From, p.To, b.Base, b.Range().To)
		}
	}
	for i := range recs {
		r := recs[i]
		if r.Data != nil {
			r.Data = &record.Data{Value: append([]byte(nil), r.Data.Value...), Detail: append([]byte(nil), r.Data.Detail...)}
		}
		if r.Kind == record.KindObservation {
			if _, ok := l.Series(b.Epoch, r.Series); !ok {
				return out, fmt.Errorf("series %d of epoch %s is not defined", r.Series, b.Epoch)
			}
		}
		out = append(out, Entry{Epoch: b.Epoch, Offset: b.Base + record.Offset(i), Record: r})
	}
	return out, nil
}

// Verify checks what ReadAll checks, and that the log's own account agrees with it.
func Verify(l *buffer.Log) error {
	_, err := VerifyAll(l)
	return err
}

// VerifyAll is Verify, and returns what ReadAll returns.
func VerifyAll(l *buffer.Log) ([]Entry, error) {
	all, err := ReadAll(l)
	if err == nil {
		err = account(l, all)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", l.Name(), err)
	}
	return all, nil
}

// inside: o stands in a gap behind its beginning. It was read before the gap grew.
func inside(gaps []record.Gap, o record.Offset) bool {
	return slices.ContainsFunc(gaps, func(g record.Gap) bool { return g.From < o && o < g.To })
}

// account compares what was read with what the log says of itself.
func account(l *buffer.Log, all []Entry) error {
	var held, missing uint64
	for i := range all {
		if all[i].Gap != nil {
			missing += all[i].Gap.Len()
			continue
		}
		held++
	}
	var total uint64
	for _, e := range l.Epochs() {
		total += uint64(e.End - e.First)
	}
	if held+missing != total {
		return fmt.Errorf("%d records and %d in gaps, but epochs of %d", held, missing, total)
	}
	in := l.Info()
	if in.Low > in.Durable || in.Durable > in.End || in.Delivered > in.Durable {
		return fmt.Errorf("low %d, durable %d, end %d, delivered %d", in.Low, in.Durable, in.End, in.Delivered)
	}
	for i := range all {
		if all[i].Gap == nil || inside(in.Gaps, all[i].Offset) {
			continue
		}
		if c, ok := l.Chain(all[i].Offset); !ok || c != all[i].Gap.ChainFrom {
			return fmt.Errorf("chain(%d) = %x, gap says %x", all[i].Offset, c, all[i].Gap.ChainFrom)
		}
	}
	return nil
}
