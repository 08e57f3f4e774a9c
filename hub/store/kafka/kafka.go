// Package kafka is the hub's store in Apache Kafka. Each commit is a transaction of each lease that its changes stand
// under (of one for a hub alone): rows, gaps, dead letters and time corrections go to their topics, and what decides
// about the next frame to the compacted topic PREFIX-offsets, together or not at all. Consumers that read committed
// records see every row exactly once, in order per device.
//
// The transactional id of a lease fences: whoever takes a lease first ends and closes off what its former owner has
// under way, then reads positions to the end. What became of a transaction whose answer was lost is never guessed: it is
// read. Nothing depends on what the cluster remembers of producers, which it forgets after a day, or of transactional
// ids, which it forgets after a week.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/ledger"
)

// Store is the topics of one prefix in one cluster. It implements store.Store and store.Leases; all methods may be
// called concurrently.
type Store struct {
	o      Options
	c      *kgo.Client // reads, and makes topics
	adm    *kadm.Client
	health store.Meter

	work   chan struct{} // holds one element while nobody decides
	closed chan struct{}
	once   sync.Once

	// What follows belongs to who holds work.
	parts  []*part
	topics map[string]bool // known to be there
	inits  uint64
	enc    record.Encoder

	mu     sync.Mutex // guards scopes
	scopes map[string]*scope

	leases leases
}

var (
	_ store.Store      = (*Store)(nil)
	_ store.Leases     = (*Store)(nil)
	_ store.Accountant = (*Store)(nil)
	_ store.Teller     = (*Store)(nil)
)

// Errors.
var (
	ErrClosed   = errors.New("hub store is closed")
	ErrReadOnly = errors.New("hub store is open for reading only")
	// ErrFenced: another hub has taken over. Its error also says store.ErrUnavailable: a hub alone takes over again when
	// it is asked again.
	ErrFenced = errors.New("another hub writes to the same topics under the same name")
)

// Open connects, and makes or checks the topics that every store has. Those of streams are made when a stream first
// comes.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	opts, err := o.client()
	if err != nil {
		return nil, err
	}
	c, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("open hub store: %w", err)
	}
	s := &Store{o: o, c: c, adm: kadm.NewClient(c), work: make(chan struct{}, 1), closed: make(chan struct{}),
		topics: map[string]bool{}, scopes: map[string]*scope{}}
	s.work <- struct{}{}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	parts, err := o.ensure(ctx, s.adm, o.offsetsTopic(), o.leasesTopic())
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("open hub store %s: %w", s.Path(), unavailable(err))
	}
	for i := range parts[o.offsetsTopic()] {
		s.parts = append(s.parts, &part{reader: s.reader(o.offsetsTopic(), int32(i))})
	}
	if n := parts[o.leasesTopic()]; n != 1 {
		c.Close()
		return nil, fmt.Errorf("%w: %s has %d partitions, want 1", ErrTopic, o.leasesTopic(), n)
	}
	s.leases.reader = s.reader(o.leasesTopic(), 0)
	s.leases.byName = map[string]store.Lease{}
	return s, nil
}

// reader makes a reader that does not wait for longer than a transaction may last, and looks for what it waits for.
func (s *Store) reader(topic string, partition int32) *reader {
	r := newReader(topic, partition)
	r.limit, r.stuck = s.o.TransactionTimeout+barrierMargin, s.stuck
	return r
}

// Path is where the topics are, for people.
func (s *Store) Path() string {
	return "kafka://" + strings.Join(s.o.Brokers, ",") + "/" + s.o.Prefix
}

// lock waits for the right to decide.
func (s *Store) lock(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	select {
	case <-s.work:
		return nil
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
}

func (s *Store) unlock() { s.work <- struct{}{} }

// Close waits for what is under way. It is idempotent.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closed)
		<-s.work
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, sc := range s.scopes {
			sc.mu.Lock()
			sc.drop()
			sc.mu.Unlock()
		}
		s.c.Close()
	})
	return nil
}

// Positions implements store.Store: what is committed when it is called, read from the cluster.
func (s *Store) Positions(ctx context.Context, device string) (store.DeviceState, error) {
	if err := s.lock(ctx); err != nil {
		return store.DeviceState{}, err
	}
	defer s.unlock()
	p := s.part(device)
	if err := s.refresh(ctx, p); err != nil {
		s.health.Failed(err)
		return store.DeviceState{}, err
	}
	if d := p.devices[device]; d != nil {
		return d.State(), nil
	}
	return store.DeviceState{}, nil
}

func (s *Store) part(device string) *part { return s.parts[shardOf(device, len(s.parts))] }

// refresh brings a partition to what is committed now.
func (s *Store) refresh(ctx context.Context, p *part) error {
	if p.devices == nil || p.reader.next < 0 {
		p.devices, p.holes, p.reader.next = map[string]*ledger.Device{}, nil, -1
	}
	inits := s.inits
	if p.inits != inits {
		p.reader.leader = -1 // a claim: who leads is asked anew, a broker that stood still may not know that it does not any more
	}
	n, err := p.reader.barrier(ctx, s.c, p.replay)
	s.health.Count(func(h *store.Health) { h.ReplayedBytes += uint64(n) })
	if err != nil {
		p.reader.next, p.devices = -1, nil // half of a transaction may have been read
		return unavailable(err)
	}
	p.inits = inits
	return nil
}

// Health implements store.Teller.
func (s *Store) Health() store.Health { return s.health.Health() }

// isKafka reports whether an error is the cluster's own word.
func isKafka(err error) bool {
	var k *kerr.Error
	return errors.As(err, &k)
}

// fenced reports whether another producer has the transactional id now.
func fenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidProducerIDMapping) ||
		errors.Is(err, kerr.UnknownProducerID) || errors.Is(err, ErrFenced)
}

// unavailable wraps what passes with store.ErrUnavailable: everything but a mistake in the configuration or a refusal
// of rights. What holds back readers passes when somebody ends it, or gives the hub the right to.
func unavailable(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	var n net.Error
	passes := errors.As(err, &n) || errors.Is(err, ErrHanging) || !isKafka(err) && !errors.Is(err, ErrTopic) && !errors.Is(err, ErrOptions) || kerr.IsRetriable(err) || fenced(err)
	for _, k := range []*kerr.Error{kerr.TransactionAbortable, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
		kerr.RequestTimedOut, kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.UnknownServerError, kerr.InvalidTxnState, kerr.OutOfOrderSequenceNumber} {
		passes = passes || errors.Is(err, k)
	}
	if !passes {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
