package mqtt

import (
	"errors"
	"sync"
	"time"
)

// ErrHeld refuses latest values that seem to be too large for the broker.
var ErrHeld = errors.New("held back: connections have ended after latest values of that size")

const (
	valuesSettle   = 10 * time.Second // a connection that stands so long after latest values has borne them
	valuesSuspect  = 2                // connections in a row that ended before that
	minValuesLimit = 1 << 10          // bytes: smaller ones are never held back
	valuesAgain    = time.Hour        // then all are tried again
)

// values keeps latest values, a view, from ending one connection after the other where the broker takes only small packets
// and ends the connection at others: after two in a row smaller ones only, for an hour. It outlives connections.
type values struct {
	mu    sync.Mutex // guards what follows
	link  *Link      // the connection that carried some last
	since time.Time  // when it did first
	size  int        // bytes, the most on it
	lost  int
	limit int       // bytes; 0: all
	until time.Time // of the limit
	short uint64    // how often the limit was learnt, or refused a message
}

// may reports whether latest values of so many bytes may be sent over the link.
func (v *values) may(l *Link, size int, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.limit > 0 && !now.Before(v.until) {
		v.limit = 0
	}
	if v.limit > 0 && size > v.limit {
		v.short++
		return false
	}
	if v.link != l {
		v.link, v.since, v.size = l, now, 0
	}
	v.size = max(v.size, size)
	return true
}

// ended notes that the broker, or the network, has ended the connection.
func (v *values) ended(l *Link, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link != l {
		return
	}
	v.link = nil
	if now.Sub(v.since) >= valuesSettle || v.size <= minValuesLimit {
		v.lost = 0
		return
	}
	if v.lost++; v.lost >= valuesSuspect {
		v.lost, v.limit, v.until = 0, max(v.size/2, minValuesLimit), now.Add(valuesAgain)
		v.short++
	}
}

// ShortValues is how many times latest values had to become shorter, or were held back, for the broker, so far.
func (s *Stats) ShortValues() uint64 {
	s.values.mu.Lock()
	defer s.values.mu.Unlock()
	return s.values.short
}

// ValuesLimit is how many bytes of latest values the broker seems to take.
func (s *Stats) ValuesLimit() int {
	s.values.mu.Lock()
	defer s.values.mu.Unlock()
	if s.values.limit > 0 {
		return s.values.limit
	}
	return MaxValuesBytes
}
