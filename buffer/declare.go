package buffer

import (
	"context"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// DeclareGap puts a gap in the place of records of one epoch that are durable. nil: the gap is durable. Where older
// gaps lie in the range they stay. No border may fall where the chain is not known.
func (l *Log) DeclareGap(ctx context.Context, r record.Range, why record.Reason) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.set.readOnly {
		return ErrReadOnly
	}
	if why < record.ReasonRetention || why > record.ReasonSeveral {
		return fmt.Errorf("%w: %s", ErrInvalid, why)
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.closed || l.opt.Name == "" {
		return fmt.Errorf("%w: %s", ErrStopped, l.name)
	}
	if err := l.commitLocked(); err != nil {
		return err
	}
	l.mu.Lock()
	e, ok := l.epochAt(r.From)
	i := l.epochIndex(e.Epoch)
	if !ok || r.Len() == 0 || r.To > l.epochEnd(i) {
		l.mu.Unlock()
		return fmt.Errorf("%w: [%d, %d) is not in one epoch", ErrRange, r.From, r.To)
	}
	end := l.epochEnd(i)
	l.mu.Unlock()
	from, ok1 := l.Chain(r.From)
	to, ok2 := l.Chain(r.To)
	if r.To == end && i+1 < len(l.epochs) {
		to, ok2 = l.endChain(i)
	}
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: chain at [%d, %d) is not known", ErrRange, r.From, r.To)
	}
	l.mu.Lock()
	old := l.gaps
	gaps := l.gaps.with(record.Gap{Epoch: e.Epoch, Range: r, Reason: why, ChainFrom: from, ChainTo: to}).bounded()
	l.mu.Unlock()
	if err := l.writeState(gaps); err != nil {
		l.failedAttempt(err)
		return fmt.Errorf("write gap: %w", err)
	}
	l.mu.Lock()
	l.gaps = gaps
	l.broadcast()
	l.mu.Unlock()
	l.tellGaps(old, gaps)
	return nil
}

// endChain is the chain at the end of the i-th, closed epoch.
func (l *Log) endChain(i int) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		if s.epoch == l.epochs[i].Epoch && s.end == l.epochs[i].End && (s.held == nil || s.known) {
			return s.chainEnd, true
		}
	}
	for _, g := range l.gaps {
		if g.Epoch == l.epochs[i].Epoch && g.To == l.epochs[i].End {
			return g.ChainTo, true
		}
	}
	return 0, false
}
