package w1

import (
	"context"
	"errors"
	"time"
)

var (
	errHung   = errors.New("an earlier read of this bus has not returned")
	errLate   = errors.New("no answer in time")
	errClosed = errors.New("sensor is closed")
)

// gate runs calls into the kernel that may never return, at most one at a time. Nothing can interrupt a read of a
// sysfs file: whoever waits too long leaves the call behind, and the gate stays shut until it returns. So a hung
// bus costs one goroutine, however long it hangs.
type gate struct {
	slot   chan struct{} // holds a token while a call runs
	closed chan struct{}
}

func newGate() gate {
	return gate{slot: make(chan struct{}, 1), closed: make(chan struct{})}
}

// call runs f and waits for it at most d (positive). What f writes may be read only if err is nil or f's own;
// after errHung, errLate, errClosed or the context's error it belongs to the call left behind.
func (g *gate) call(ctx context.Context, d time.Duration, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-g.closed:
		return errClosed
	default:
	}
	select {
	case g.slot <- struct{}{}:
	default:
		return errHung
	}
	done := make(chan error, 1)
	go func() { // joined below, or left behind in the kernel
		err := f()
		<-g.slot
		done <- err
	}()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errLate
	case <-g.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// left reports whether err means that the call may still run.
func left(err error) bool {
	return errors.Is(err, errHung) || errors.Is(err, errLate) || errors.Is(err, errClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
