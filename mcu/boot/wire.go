package boot

import (
	"context"
	"fmt"
	"time"
)

// wire reads and writes with deadlines on a Line.
type wire struct {
	Line
	wait time.Duration // read time-out that the line has now
}

func (w *wire) write(b []byte) error {
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write to the chip: %w", err)
	}
	return nil
}

// some reads what there is within d; 0 bytes without an error: nothing came.
func (w *wire) some(b []byte, d time.Duration) (int, error) {
	if d = max(d.Round(time.Millisecond), time.Millisecond); d != w.wait {
		if err := w.SetReadTimeout(d); err != nil {
			return 0, fmt.Errorf("set read time-out: %w", err)
		}
		w.wait = d
	}
	n, err := w.Read(b)
	if err != nil {
		return n, fmt.Errorf("read from the chip: %w", err)
	}
	return n, nil
}

// full fills b within limit; its error wraps ErrTimeout if that is over.
func (w *wire) full(ctx context.Context, b []byte, limit time.Duration) error {
	end := time.Now().Add(limit)
	for got := 0; got < len(b); {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("%w: %d of %d bytes came", ErrTimeout, got, len(b))
		}
		n, err := w.some(b[got:], min(left, slice))
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}

// quiet throws away what comes until nothing has come for d, or a second has passed.
func (w *wire) quiet(ctx context.Context, d time.Duration) error {
	var junk [256]byte
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := w.some(junk[:], d)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

// pause sleeps unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
