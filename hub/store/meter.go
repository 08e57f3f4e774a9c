package store

import (
	"slices"
	"sync"
	"time"
)

// keptLatencies is how many transactions the P99 of a Meter looks back.
const keptLatencies = 1000

// Meter counts what an engine says as a Teller. The zero value is ready; all methods may be called concurrently.
type Meter struct {
	mu      sync.Mutex // guards what follows
	h       Health
	times   []float64 // seconds, a ring
	at      int
	waiting time.Time // since when the commit under way waits for the engine; zero: none does
}

// Count lets f add to the counters.
func (m *Meter) Count(f func(*Health)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.h)
}

// Failed notes the latest failure; nil: it works again.
func (m *Meter) Failed(err error) {
	m.Count(func(h *Health) {
		if h.Error = ""; err != nil {
			h.Error = err.Error()
		}
	})
}

// Begin notes that a commit waits for the engine, End that it does not any more.
func (m *Meter) Begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = time.Now()
}

// End is described at Begin.
func (m *Meter) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = time.Time{}
}

// Committed counts a transaction that took d.
func (m *Meter) Committed(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.h.Transactions++
	m.h.LastSeconds = d.Seconds()
	if len(m.times) < keptLatencies {
		m.times = append(m.times, d.Seconds())
		return
	}
	m.times[m.at] = d.Seconds()
	m.at = (m.at + 1) % keptLatencies
}

// Health implements Teller.
func (m *Meter) Health() Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.h
	if n := len(m.times); n > 0 {
		out.P99Seconds = slices.Sorted(slices.Values(m.times))[n*99/100]
	}
	if !m.waiting.IsZero() {
		out.LagSeconds = time.Since(m.waiting).Seconds()
	}
	return out
}
