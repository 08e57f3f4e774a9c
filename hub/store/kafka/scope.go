package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/hub/store"
)

// scope is the right to write under one transactional id. A hub alone has one scope; of several each has one for each
// lease.
type scope struct {
	name string // of the lease, "" for a hub alone
	id   string // transactional id

	mu      sync.Mutex  // held while a transaction is under way; guards what follows
	c       *kgo.Client // nil: others may have written since
	cut     *cut        // of c
	claimed bool        // once before
}

// cut tells that a connection of a producer has ended: the broker may have started again, and may have left open what
// the producer takes for committed. It is a hook of the client.
type cut struct {
	mu       sync.Mutex // guards what follows
	happened bool
	tell     func() // nil: nobody waits for it
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect.
func (c *cut) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	c.mu.Lock()
	tell := c.tell
	c.happened, c.tell = true, nil
	c.mu.Unlock()
	if tell != nil {
		tell()
	}
}

func (c *cut) yet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.happened
}

// watch has f called once when it happens; nil ends that.
func (c *cut) watch(f func()) {
	c.mu.Lock()
	happened := c.happened
	c.tell = f
	c.mu.Unlock()
	if happened && f != nil {
		f()
	}
}

// errCut: nothing of the transaction was committed, and nothing will be.
var errCut = errors.New("a broker closed the connection in the middle of a transaction")

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
		if !sc.cut.yet() {
			return false, nil
		}
		sc.drop()
	}
	if s.o.ReadOnly {
		return false, ErrReadOnly
	}
	opts, err := s.o.producer(sc.id)
	if err != nil {
		return false, err
	}
	broken := &cut{}
	c, err := kgo.NewClient(append(opts, kgo.WithHooks(broken))...)
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", sc.id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.begin(ctx, sc.id, c); err != nil {
		c.Close()
		return false, fmt.Errorf("claim %s: %w", sc.id, err)
	}
	sc.c, sc.cut = c, broken
	s.health.Count(func(h *store.Health) {
		if sc.claimed {
			h.Reconnects++
		}
	})
	sc.claimed = true
	return true, nil
}

// begin makes a client the producer of a transactional id, and ends whatever earlier producers of it have left open.
func (s *Store) begin(ctx context.Context, id string, c *kgo.Client) error {
	before, err := s.settled(ctx, id)
	if err != nil {
		return err
	}
	if before.TxnID != "" { // while the coordinator knows how the latest one ended: a claim makes it forget
		if err := s.mendAll(ctx, before, func(o openTxn) bool { return o.producer == before.ProducerID && o.epoch < before.ProducerEpoch }); err != nil {
			return err
		}
	}
	producer, epoch, err := c.ProducerID(ctx)
	if err != nil {
		return err
	}
	if before.TxnID == "" { // the id is new to the cluster, or forgotten
		before.TxnID, before.ProducerID, before.ProducerEpoch = id, producer, -1
	}
	// The cluster has ended what was under way before this one, so whatever is still open was left open.
	return s.mendAll(ctx, before, func(o openTxn) bool {
		return o.producer == producer && o.epoch < epoch || o.producer == before.ProducerID && o.producer != producer
	})
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
			s.health.Count(func(h *store.Health) {
				if h.Aborted++; fenced(err) {
					h.Fences++
				}
			})
			return
		}
		s.health.Committed(time.Since(began))
	}()
	if err := sc.c.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction %s: %w", sc.id, err)
	}
	// A transaction is not given up halfway because a caller hurries: its length is bounded by the cluster's time-out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.TransactionTimeout)
	defer cancel()
	writing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	sc.cut.watch(func() { stop(errCut) })
	defer sc.cut.watch(nil)
	var mu sync.Mutex
	var first error
	for i := range records {
		sc.c.Produce(writing, &records[i], func(r *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				if first == nil {
					first = lacking(err, "Write on the topic "+r.Topic)
				}
				mu.Unlock()
			}
		})
	}
	if err := sc.c.Flush(writing); err != nil {
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
		switch {
		case sc.cut.yet(): // an abort could take back what an earlier transaction has left open
			err = errors.Join(errCut, err)
		case !fenced(err):
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
