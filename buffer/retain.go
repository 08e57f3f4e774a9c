package buffer

import (
	"errors"
	"fmt"
)

// errNoRoom: MaxBytes is full of undelivered data that must not be dropped.
var errNoRoom = errors.New("undelivered data fills the stream's share of the disk")

// retain drops whole oldest segments while there is more than MaxBytes: delivered ones, undelivered ones only if the
// policy says so. It returns errNoRoom if that is not enough, errLowDisk while the disk is too full. writer.mu is held.
func (l *Log) retain() error {
	for {
		l.mu.Lock()
		if l.lowDisk {
			l.mu.Unlock()
			return fmt.Errorf("%w: %d bytes", errLowDisk, l.set.opt.MinFree)
		}
		over := l.bytes() > l.opt.MaxBytes || len(l.epochs) > maxEpochs
		var victim *seg
		if over {
			victim = l.victim(l.opt.Full == DropOldest)
		}
		stopped := l.status == StateFull
		l.mu.Unlock()
		switch {
		case !over:
			if stopped {
				l.setStatus(StateOK, nil)
				l.set.spare.keep()
			}
			return nil
		case victim == nil && l.opt.Full == DropOldest:
			return nil // only the active segment and held ones are left
		case victim == nil:
			return fmt.Errorf("%w: %d bytes", errNoRoom, l.opt.MaxBytes)
		}
		if err := l.drop(victim); err != nil {
			return err
		}
	}
}

// freeDelivered drops the oldest segment if it is delivered, and says whether it did. For a full disk: if there is no
// segment to write the gap to, one is begun in the spare space.
func (l *Log) freeDelivered() bool {
	l.mu.Lock()
	victim := l.victim(false)
	l.mu.Unlock()
	if victim == nil {
		return false
	}
	if l.w.seg == nil {
		l.set.spare.spend()
		if err := l.begin(minSlack); err != nil {
			return false
		}
	}
	return l.drop(victim) == nil
}

// bytes of all segments that can be dropped or are active. mu is held.
func (l *Log) bytes() int64 {
	var n int64
	for _, s := range l.segs {
		if s.held == nil {
			n += s.bytes
		}
	}
	return n
}

// victim is the oldest segment that may be dropped, nil if none. mu is held.
func (l *Log) victim(undelivered bool) *seg {
	for _, s := range l.segs {
		if s.held != nil {
			continue
		}
		if s.active || !undelivered && s.end > l.state.Delivered {
			return nil
		}
		return s
	}
	return nil
}

// drop removes one segment: first the gap is durable, then the file goes.
func (l *Log) drop(s *seg) error {
	parts := l.partsOf(s)
	l.mu.Lock()
	gaps := l.gaps
	for _, g := range parts {
		gaps = gaps.with(g)
	}
	gaps = gaps.bounded()
	l.mu.Unlock()
	if err := l.writeState(gaps); err != nil {
		return err
	}
	l.mu.Lock()
	old := l.gaps
	l.gaps = gaps
	l.dropSeg(s)
	l.forget()
	l.broadcast()
	l.mu.Unlock()
	l.tellGaps(old, gaps)
	l.removeFiles([]string{s.path})
	if e := l.set.opt.Events.SegmentGone; e != nil {
		e(l.name, s.path, s.bytes)
	}
	return nil
}

// forget takes epochs off the table of which neither a record nor a gap is left. mu is held.
func (l *Log) forget() {
	out := l.epochs[:0:0]
	for i := range l.epochs {
		if l.holds(i) || l.isCurrent(l.epochs[i].Epoch) {
			out = append(out, l.epochs[i])
		}
	}
	l.epochs = out
}

func (l *Log) tellGaps(old, now gapTable) {
	for _, g := range now {
		o, ok := old.at(g.From)
		if !ok || o.Range != g.Range || o.Reason != g.Reason {
			l.set.opt.Events.gapMade(l.name, g)
		}
	}
}
