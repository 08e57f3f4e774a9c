package buffer

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// Ticket waits for one append.
type Ticket struct {
	l       *Log
	r       record.Range
	changed <-chan struct{} // of the log, as of the append; nil: ask it
}

// Range is what the append was given; it may still move while it is not durable.
func (t Ticket) Range() record.Range { return t.r }

// Wait returns nil once the records are fsynced. An error that wraps ErrStopped means that intake has stopped: the
// records are kept in memory and may still become durable. It needs Set.Run, or Sync by somebody.
func (t Ticket) Wait(ctx context.Context) (record.Range, error) {
	if t.l == nil {
		return record.Range{}, fmt.Errorf("%w: empty ticket", ErrInvalid)
	}
	for ch := t.changed; ; ch = nil {
		if record.Offset(t.l.acked.Load()) >= t.r.To {
			return t.r, nil
		}
		if ch == nil {
			t.l.mu.Lock()
			durable, err := t.l.durable, t.l.stopped()
			ch = t.l.changed
			t.l.mu.Unlock()
			switch {
			case durable >= t.r.To:
				return t.r, nil
			case err != nil:
				return record.Range{}, err
			}
		}
		t.l.waiting.Add(1)
		select {
		case <-ch:
			t.l.waiting.Add(-1)
		case <-ctx.Done():
			t.l.waiting.Add(-1)
			return record.Range{}, ctx.Err()
		}
	}
}

// gather lets those whom the last commit woke append again before the next one begins: it would take only the first of
// them, and the others would wait for two. It ends when all are back, or when none has come for a while.
func (l *Log) gather() {
	for last, have, start := time.Now(), record.Offset(0), time.Now(); ; {
		l.mu.Lock()
		back, end := l.back >= l.woken, l.end
		l.mu.Unlock()
		now := time.Now()
		if end != have {
			last, have = now, end
		}
		if back || now.Sub(last) > gatherIdle || now.Sub(start) > gatherFor {
			return
		}
		runtime.Gosched()
	}
}
