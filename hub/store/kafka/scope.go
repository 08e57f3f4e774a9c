package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// scope is the right to write under one transactional id. A hub alone has one scope; of several each has one for each
// lease.
type scope struct {
	name string // of the lease, "" for a hub alone
	id   string // transactional id

	mu sync.Mutex  // held while a transaction is under way; guards c
	c  *kgo.Client // nil: others may have written since
}

func (s *Store) scope(lease string) *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.scopes[lease]
	if sc == nil {
		who := "hub"
		if s.o.ID != "" {
			who = s.o.ID
		}
		sc = &scope{name: lease, id: s.o.Prefix + "/" + who + "/" + lease}
		s.scopes[lease] = sc
	}
	return sc
}

// drop forgets the right: whatever comes next begins by fencing anew.
func (sc *scope) drop() {
	if sc.c != nil {
		sc.c.Close()
		sc.c = nil
	}
}

// claim makes this store the one that writes under the scope: the cluster ends whatever another producer of the same
// transactional id has under way, and refuses it from now on. It reports whether anything was done.
func (s *Store) claim(ctx context.Context, sc *scope) (bool, error) {
	if sc.c != nil {
		return false, nil
	}
	if s.o.ReadOnly {
		return false, ErrReadOnly
	}
	opts, err := s.o.producer(sc.id)
	if err != nil {
		return false, err
	}
	c, err := kgo.NewClient(opts...)
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", sc.id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if _, _, err := c.ProducerID(ctx); err != nil {
		c.Close()
		return false, fmt.Errorf("claim %s: %w", sc.id, err)
	}
	sc.c = c
	s.health.claimed()
	return true, nil
}

// lostError is a transaction of which it must be learnt whether it was committed.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// run writes records in one transaction. On a nil error they are committed; on a *lostError they may be; on every other
// they are not and never will be. After an error the right is gone and must be claimed anew.
func (s *Store) run(ctx context.Context, sc *scope, records []kgo.Record) (err error) {
	began := time.Now()
	defer func() {
		if err != nil {
			sc.drop()
			s.health.aborted(err)
			return
		}
		s.health.committed(time.Since(began))
	}()
	if err := sc.c.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction %s: %w", sc.id, err)
	}
	// A transaction is not given up halfway because a caller hurries: its length is bounded by the cluster's time-out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.TransactionTimeout)
	defer cancel()
	var mu sync.Mutex
	var first error
	for i := range records {
		sc.c.Produce(ctx, &records[i], func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	if err := sc.c.Flush(ctx); err != nil {
		mu.Lock()
		if first == nil {
			first = err
		}
		mu.Unlock()
	}
	mu.Lock()
	err = first
	mu.Unlock()
	if err != nil {
		// Nothing will ever commit it: the next claim, or the cluster's time-out, ends it. Ending it here frees readers now.
		sc.c.UnsafeAbortBufferedRecords()
		if !fenced(err) {
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), s.o.TransactionTimeout/3)
			defer stop()
			err = errors.Join(err, sc.c.EndTransaction(end, kgo.TryAbort))
		}
		return fmt.Errorf("write %d records in transaction %s: %w", len(records), sc.id, err)
	}
	if err := sc.c.EndTransaction(ctx, kgo.TryCommit); err != nil {
		err = fmt.Errorf("commit transaction %s: %w", sc.id, err)
		if errors.Is(err, kerr.OperationNotAttempted) || errors.Is(err, kerr.TransactionAbortable) {
			return err
		}
		return &lostError{err}
	}
	return nil
}
