package buffer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// errLowDisk: the file system has less than MinFree left and nothing may be dropped.
var errLowDisk = errors.New("the disk has less free space than is to be left")

// noRoom: intake has stopped because of a limit of ours, not because of the disk.
func noRoom(err error) bool { return errors.Is(err, errNoRoom) || errors.Is(err, errLowDisk) }

// space is what a set knows of the file system that it lies on.
type space struct {
	dir  string
	free atomic.Int64 // bytes as last seen; -1 unknown

	mu      sync.Mutex               // one Retain at a time; taken before any writer.mu
	written map[string]record.Offset // durable of each stream at the last Retain
}

// Retain applies the limits of age and of free space now; Run does it every few seconds. The limit of bytes is applied
// at every commit. Delivered segments go first, those of the lowest priority before others; undelivered ones go only
// from streams whose policy is DropOldest, and to make room never from a stream above all those that have written since
// the last call: alarms are not dropped for telemetry.
func (s *Set) Retain(ctx context.Context) error {
	if s.readOnly {
		return ErrReadOnly
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	var errs []error
	if s.opt.UTC != nil {
		if now, ok := s.opt.UTC(); ok {
			for _, l := range s.logs {
				errs = append(errs, l.retainAge(ctx, now))
			}
		}
	}
	return errors.Join(append(errs, s.makeSpace(ctx))...)
}

// keepSpace is Retain again and again until ctx ends. Its errors are told by events and tried again.
func (s *Set) keepSpace(ctx context.Context) {
	tick := time.NewTicker(retainInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Retain(ctx); ctx.Err() == nil {
				s.opt.Events.cleanupFailed("", err)
			}
		}
	}
}

// retainAge drops segments of which every record is known to be older than MaxAge.
func (l *Log) retainAge(ctx context.Context, now int64) error {
	if l.opt.Name == "" || l.opt.MaxAge <= 0 {
		return nil
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	for !l.w.closed && ctx.Err() == nil {
		l.mu.Lock()
		victim := l.victim(l.opt.Full == DropOldest)
		if victim != nil {
			if hi, ok := l.newest(victim); !ok || hi >= now-int64(l.opt.MaxAge) {
				victim = nil
			}
		}
		l.mu.Unlock()
		if victim == nil {
			return nil
		}
		if err := l.drop(victim); err != nil {
			l.failedAttempt(err)
			return fmt.Errorf("drop old segment of %s: %w", l.name, err)
		}
	}
	return nil
}

// newest is the UTC, ns, of the last record in a segment; false if the time of any of them is not known. mu is held.
func (l *Log) newest(s *seg) (int64, bool) {
	_, hi, ok := l.segTimes(s)
	if !ok || !s.boot.Has {
		return hi, ok
	}
	boot := ""
	if i := l.epochIndex(s.epoch); i >= 0 {
		boot = l.epochs[i].Boot
	}
	none := s.utc
	none.Has = false
	_, _, known := l.utc(boot, s.boot, none)
	return hi, known
}

// makeSpace drops segments until the file system has MinFree bytes left.
func (s *Set) makeSpace(ctx context.Context) error {
	u, err := s.fs.Usage(s.space.dir)
	if err != nil {
		s.space.free.Store(-1)
		return fmt.Errorf("free space of log directory: %w", err)
	}
	free := int64(min(u.Free, 1<<62))
	s.space.free.Store(free)
	order := s.byPriority()
	top := s.topWriter(order)
	need := s.opt.MinFree - free
	for _, undelivered := range []bool{false, true} {
		for _, l := range order {
			if undelivered && (l.opt.Full != DropOldest || l.opt.Priority > top) {
				continue
			}
			for need > 0 && ctx.Err() == nil {
				n, err := l.giveUp(undelivered)
				if err != nil {
					return err
				}
				if n == 0 {
					break
				}
				// What a reader still has open is freed later: count it, so that not everything is dropped meanwhile.
				need -= n
			}
		}
	}
	for _, l := range order {
		l.setLow(need > 0 && l.opt.Full == Block)
	}
	return nil
}

// byPriority are the streams that take appends, the least important first.
func (s *Set) byPriority() []*Log {
	order := slices.DeleteFunc(slices.Clone(s.logs), func(l *Log) bool { return l.opt.Name == "" })
	slices.SortStableFunc(order, func(a, b *Log) int { return cmp.Compare(a.opt.Priority, b.opt.Priority) })
	return order
}

// topWriter is the highest priority of a stream that was written to since the last call, -1 if there is none.
func (s *Set) topWriter(logs []*Log) int {
	top := -1
	for _, l := range logs {
		l.mu.Lock()
		n := l.durable
		l.mu.Unlock()
		if n > s.space.written[l.name] {
			top = max(top, l.opt.Priority)
		}
		s.space.written[l.name] = n
	}
	return top
}

// giveUp drops the oldest segment and returns its bytes, 0 if there is none that may go or that would make room.
func (l *Log) giveUp(undelivered bool) (int64, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.mu.Lock()
	victim := l.victim(undelivered)
	l.mu.Unlock()
	if l.w.closed || victim == nil {
		return 0, nil
	}
	if l.w.seg == nil { // the gap needs a segment of this opening
		if victim.bytes < 4*minSlack {
			return 0, nil
		}
		if err := l.begin(minSlack); err != nil {
			l.failedAttempt(err)
			return 0, fmt.Errorf("begin segment of %s: %w", l.name, err)
		}
	}
	if err := l.drop(victim); err != nil {
		l.failedAttempt(err)
		return 0, fmt.Errorf("drop segment of %s: %w", l.name, err)
	}
	return victim.bytes, nil
}

// setLow stops intake of a stream that must not drop anything while there is too little free space.
func (l *Log) setLow(low bool) {
	l.mu.Lock()
	changed := l.lowDisk != low
	l.lowDisk = low
	l.mu.Unlock()
	if changed {
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		if !l.w.closed {
			l.applyRoom(l.retain())
		}
	}
}

// applyRoom sets the state that retention found. writer.mu is held.
func (l *Log) applyRoom(err error) {
	if noRoom(err) {
		l.setStatus(StateFull, err)
		l.w.tried = time.Now()
	}
}

// roomLeft is how many bytes can still be written before an undelivered record is dropped or refused. mu is held.
func (l *Log) roomLeft() (undelivered, room int64) {
	delivered := int64(0)
	for _, s := range l.segs {
		switch {
		case s.held != nil:
		case s.end > l.state.Delivered:
			undelivered += s.bytes
		default:
			delivered += s.bytes
		}
	}
	room = l.opt.MaxBytes - undelivered
	if free := l.set.space.free.Load(); free >= 0 {
		room = min(room, free-l.set.opt.MinFree+delivered)
	}
	return undelivered, max(room, 0)
}
