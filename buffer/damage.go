package buffer

import (
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// examine reads a segment from end to end after damage was met in it, and makes gaps of what is lost.
func (l *Log) examine(s *seg, why *segment.CorruptionError) error {
	l.set.opt.Events.damaged(l.name, why)
	f, err := l.set.fs.Open(s.path)
	if err != nil {
		return fmt.Errorf("open damaged segment: %w", err)
	}
	l.mu.Lock()
	c := segment.Contents{Path: s.path, Start: s.start, Size: s.limit, Key: s.key}
	c.Header = segment.Header{Salt: s.salt, Base: s.base, ChainBase: s.chainBase}
	end, chainEnd := s.end, s.chainEnd
	l.mu.Unlock()
	err = c.Scan(f, end)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("examine damaged segment: %w", err)
	}
	var gaps []record.Gap
	for _, d := range c.Damage {
		if d.From >= end {
			continue // above what counts of this file
		}
		if d.To > end { // a batch that the end of what counts divides
			d.To, d.ChainTo = end, chainEnd
		}
		gaps = append(gaps, record.Gap{Epoch: s.epoch, Range: d.Range, Reason: record.ReasonCorrupt, ChainFrom: d.ChainFrom, ChainTo: d.ChainTo})
	}
	if c.Index.End < end {
		gaps = append(gaps, record.Gap{Epoch: s.epoch, Range: record.Range{From: c.Index.End, To: end},
			Reason: record.ReasonCorrupt, ChainFrom: c.Index.ChainEnd, ChainTo: chainEnd})
	}
	l.mu.Lock()
	s.examined = true
	if !s.active {
		s.index = &c.Index
	}
	l.mu.Unlock()
	l.found(gaps)
	return nil
}

// found takes in gaps for damage that is already there. They are known at once: should they be forgotten before the
// next commit writes them, the damage is found again.
func (l *Log) found(gaps []record.Gap) {
	if len(gaps) == 0 {
		return
	}
	l.mu.Lock()
	old := l.gaps
	for _, g := range gaps {
		l.gaps = l.gaps.with(g)
	}
	l.gaps = l.gaps.bounded()
	now := l.gaps
	l.dirty.gaps = true
	if l.dirty.since.IsZero() {
		l.dirty.since = time.Now()
	}
	l.broadcast()
	l.mu.Unlock()
	l.tellGaps(old, now)
}
