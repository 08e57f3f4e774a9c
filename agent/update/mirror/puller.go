package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Ask names chunks of a target: First+i for each set bit i. A chunk has 1<<ChunkBits bytes, the last one what remains.
type Ask struct {
	ID        uint64
	Target    string
	Size      int64
	ChunkBits uint8
	First     int
	Bits      uint64
}

// Piece is one chunk of an ask, or why no more of it, nor of those that waited behind it, will come.
type Piece struct {
	From  *Puller
	Ask   uint64
	Chunk int
	Data  []byte // belongs to the receiver
	Err   error
}

// Puller carries asks to one mirror, one after another. Run runs it; Ask and Drop may be called concurrently.
type Puller struct {
	m    Mirror
	out  chan<- Piece
	wake chan struct{}

	mu     sync.Mutex // guards what follows
	queue  []Ask
	drops  int                     // how often all was dropped
	cancel context.CancelCauseFunc // of the stream, nil: there is none
}

// NewPuller gives what comes to out.
func NewPuller(m Mirror, out chan<- Piece) *Puller {
	return &Puller{m: m, out: out, wake: make(chan struct{}, 1)}
}

// Name is that of the mirror.
func (p *Puller) Name() string { return p.m.Name() }

// Ask hands over an ask; false: too many wait.
func (p *Puller) Ask(a Ask) bool {
	p.mu.Lock()
	fits := len(p.queue) < maxQueued
	if fits {
		p.queue = append(p.queue, a)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return fits
}

// Drop forgets all that was asked for. Pieces that are under way may still come.
func (p *Puller) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = nil
	p.drops++
	if p.cancel != nil {
		p.cancel(context.Canceled)
	}
}

func (p *Puller) next() (a Ask, drops int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return Ask{}, p.drops, false
	}
	a = p.queue[0]
	p.queue = p.queue[1:]
	return a, p.drops, true
}

// stream is an opened target; it belongs to Run.
type stream struct {
	target string
	pos    int64
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (p *Puller) close(s *stream) {
	if s.body != nil {
		_ = s.body.Close() // it was only read
	}
	if s.cancel != nil {
		s.cancel(context.Canceled)
	}
	*s = stream{}
	p.mu.Lock()
	p.cancel = nil
	p.mu.Unlock()
}

// Run serves asks until ctx ends.
func (p *Puller) Run(ctx context.Context) {
	var s stream
	defer func() {
		p.close(&s)
		_ = p.m.Close()
	}()
	for {
		a, drops, ok := p.next()
		if !ok {
			var idle <-chan time.Time
			if s.body != nil {
				idle = time.After(idleLimit)
			}
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			case <-idle:
				p.close(&s)
			}
			continue
		}
		err := p.serve(ctx, &s, a, drops)
		if err == nil {
			continue
		}
		p.close(&s)
		if ctx.Err() != nil {
			return
		}
		if p.dropped(drops) {
			continue
		}
		p.mu.Lock()
		p.queue = nil
		p.mu.Unlock()
		if !p.give(ctx, Piece{From: p, Ask: a.ID, Err: err}) {
			return
		}
	}
}

func (p *Puller) dropped(drops int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drops != drops
}

func (p *Puller) give(ctx context.Context, x Piece) bool {
	select {
	case p.out <- x:
		return true
	case <-ctx.Done():
		return false
	}
}

// serve reads the chunks of one ask.
func (p *Puller) serve(ctx context.Context, s *stream, a Ask, drops int) error {
	for i := 0; a.Bits>>i != 0; i++ {
		if a.Bits>>i&1 == 0 {
			continue
		}
		off := int64(a.First+i) << a.ChunkBits
		n := min(int64(1)<<a.ChunkBits, a.Size-off)
		if off < 0 || n <= 0 {
			return fmt.Errorf("read %s: %w: no chunk %d", a.Target, ErrOther, a.First+i)
		}
		if p.dropped(drops) {
			return context.Canceled
		}
		data, err := p.chunk(ctx, s, a, off, n)
		if err != nil {
			return err
		}
		if !p.give(ctx, Piece{From: p, Ask: a.ID, Chunk: a.First + i, Data: data}) {
			return ctx.Err()
		}
	}
	return nil
}

// chunk reads n bytes at off, on the stream that is open or on a new one.
func (p *Puller) chunk(ctx context.Context, s *stream, a Ask, off, n int64) ([]byte, error) {
	if s.body == nil || s.target != a.Target || off < s.pos || off-s.pos > maxSkip || s.ctx.Err() != nil {
		p.close(s)
		s.ctx, s.cancel = context.WithCancelCause(ctx)
		p.mu.Lock()
		p.cancel = s.cancel
		p.mu.Unlock()
	}
	sctx, cancel := s.ctx, s.cancel // a stream that has ended forgets them
	patience := time.AfterFunc(chunkPatience, func() { cancel(ErrStalled) })
	defer patience.Stop()
	data, err := p.read(s, a, off, n)
	if err != nil {
		if errors.Is(context.Cause(sctx), ErrStalled) {
			err = fmt.Errorf("read %s: %w: not %d bytes within %v", a.Target, ErrStalled, n, chunkPatience)
		}
		return nil, err
	}
	return data, nil
}

func (p *Puller) read(s *stream, a Ask, off, n int64) (_ []byte, err error) {
	if s.body == nil {
		if s.body, err = p.m.Open(s.ctx, a.Target, a.Size, off); err != nil {
			s.body = nil
			return nil, err
		}
		s.target, s.pos = a.Target, off
	}
	if _, err := io.CopyN(io.Discard, s.body, off-s.pos); err != nil {
		return nil, fmt.Errorf("read %s: %w", a.Target, err)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(s.body, data); err != nil {
		return nil, fmt.Errorf("read %s at byte %d: %w", a.Target, off, err)
	}
	if s.pos = off + n; s.pos == a.Size {
		p.close(s)
	}
	return data, nil
}
