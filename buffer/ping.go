package buffer

import (
	"context"
	"fmt"
)

// Ping waits until the stream's committer has turned: Set.Run runs, and the committer is neither stuck in the disk nor
// waits for a lock. It touches no disk itself, and a full or failing one does not keep it. ErrStopped: the stream has
// no committer (open for delivery only, or read-only).
func (l *Log) Ping(ctx context.Context) error {
	if l.set.readOnly || l.opt.Name == "" {
		return fmt.Errorf("%w: %s is open for delivery only", ErrStopped, l.name)
	}
	answer := make(chan struct{})
	select {
	case l.pings <- answer:
	case <-ctx.Done():
		return fmt.Errorf("committer of %s: %w", l.name, ctx.Err())
	}
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("committer of %s: %w", l.name, ctx.Err())
	}
}

// Ping pings the committers of all streams that have one, one after the other.
func (s *Set) Ping(ctx context.Context) error {
	for _, l := range s.logs {
		if s.readOnly || l.opt.Name == "" {
			continue
		}
		if err := l.Ping(ctx); err != nil {
			return err
		}
	}
	return nil
}
