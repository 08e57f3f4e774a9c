package postgres

import (
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// health counts what a running hub shows.
type health struct {
	mu    sync.Mutex // guards what follows
	h     store.Health
	times []float64 // seconds, a ring
	at    int
}

func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.h.Error = ""
		return
	}
	h.h.Error = err.Error()
	h.h.Aborted++
}

func (h *health) reconnected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Reconnects++
}

func (h *health) conflicted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Aborted++
}

func (h *health) fenced() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.LeaseFences++
}

func (h *health) committed(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Transactions++
	h.h.LastSeconds = d.Seconds()
	if len(h.times) < keptLatencies {
		h.times = append(h.times, d.Seconds())
		return
	}
	h.times[h.at] = d.Seconds()
	h.at = (h.at + 1) % keptLatencies
}

// Health implements store.Teller.
func (s *Store) Health() store.Health {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.h
	if n := len(h.times); n > 0 {
		sorted := slices.Sorted(slices.Values(h.times))
		out.P99Seconds = sorted[(n*99)/100]
	}
	return out
}
