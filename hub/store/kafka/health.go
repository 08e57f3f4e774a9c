package kafka

import (
	"slices"
	"sync"
	"time"

	"github.com/edgelog/edgelog/hub/store"
)

// health counts what a running hub shows.
type health struct {
	mu      sync.Mutex // guards what follows
	h       store.Health
	claims  uint64
	times   []float64 // seconds, a ring
	at      int
	waiting time.Time // since when the commit under way waits for the cluster; zero: none does
}

func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.h.Error = ""
		return
	}
	h.h.Error = err.Error()
}

func (h *health) aborted(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Aborted++
	if fenced(err) {
		h.h.Fences++
	}
}

func (h *health) claimed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claims++
	h.h.Reconnects = h.claims - 1
}

func (h *health) mended() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Mended++
}

func (h *health) leaseFenced() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.LeaseFences++
}

func (h *health) replayed(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.ReplayedBytes += uint64(n)
}

// begin notes that a commit waits for the cluster, end that it does not any more.
func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = time.Now()
}

func (h *health) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = time.Time{}
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
		out.P99Seconds = slices.Sorted(slices.Values(h.times))[(n*99)/100]
	}
	if !h.waiting.IsZero() {
		out.LagSeconds = time.Since(h.waiting).Seconds()
	}
	return out
}
