package modbus

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// held is what every Line is built on: a port or connection that is opened at the first request, and again, at most once
// a second, after it failed; one request at a time on it; and a Close that ends the one under way.
type held[T interface {
	comparable
	io.Closer
}] struct {
	turn chan struct{} // holds one element while the line is free
	done chan struct{}

	mu     sync.Mutex // guards now and closed
	now    T          // zero: nothing is open
	closed bool

	// Owned by whose turn it is.
	failed  time.Time // when opening failed last
	failure error
}

func (h *held[T]) init() {
	h.turn, h.done = make(chan struct{}, 1), make(chan struct{})
	h.turn <- struct{}{}
}

// exchange waits for its turn and runs f in it. What f returns counts unless the line was closed meanwhile.
func (h *held[T]) exchange(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	select {
	case <-h.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.done:
		return nil, ErrClosed
	}
	defer func() { h.turn <- struct{}{} }()
	answer, err := f()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	return answer, err
}

// get returns what is open, used then, or opens it. It must be called in one's turn.
func (h *held[T]) get(ctx context.Context, open func(context.Context) (T, error)) (x T, used bool, err error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, false, err
	}
	h.mu.Lock()
	x, closed := h.now, h.closed
	h.mu.Unlock()
	switch {
	case closed:
		return none, false, ErrClosed
	case x != none:
		return x, true, nil
	case h.failure != nil && time.Since(h.failed) < reopenDelay:
		return none, false, h.failure
	}
	if x, err = open(ctx); err != nil {
		h.failed, h.failure = time.Now(), fmt.Errorf("%w: %w", ErrLine, err)
		return none, false, h.failure
	}
	h.failure = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		x.Close()
		return none, false, ErrClosed
	}
	h.now = x
	return x, false, nil
}

// drop closes what failed; the next get opens it again.
func (h *held[T]) drop(x T) {
	var none T
	h.mu.Lock()
	if h.now == x {
		h.now = none
	}
	h.mu.Unlock()
	x.Close()
}

// Close makes the exchange under way return ErrClosed and waits for it. It is idempotent.
func (h *held[T]) Close() error {
	var none T
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	close(h.done)
	x := h.now
	h.now = none
	h.mu.Unlock()
	var err error
	if x != none {
		err = x.Close()
	}
	<-h.turn // those that wait see done
	h.turn <- struct{}{}
	return err
}
