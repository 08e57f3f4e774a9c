package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/edgelog/edgelog/hub/store"
)

// Apache Kafka 4.2.0 to 4.3.1 at least (KAFKA-20734) takes a transaction for ended without having written its end to
// partitions that had no leader at that moment: all of a lone broker's while it starts after a crash, all of a cluster's
// after a power cut. The transaction's records stay unread and hold back every reader of committed records for ever, and
// the next transaction of the same producer that ends there decides about them as well: an abort would take back what was
// acknowledged. So:
//
//   - whoever claims a transactional id first looks for what its earlier transactions have left open, before it writes;
//   - a producer whose connection broke claims its id anew, since the broker may have started again;
//   - whoever waits for an open transaction looks whether the cluster still knows of it;
//
// and what is found is ended the way the coordinator had decided, which its log says, or else it itself. What nobody can
// tell is left alone and named.

// ErrHanging: a transaction that the cluster has ended holds back readers, and this hub cannot put it right.
var ErrHanging = errors.New("a transaction that Kafka takes for ended was never ended in every partition (KAFKA-20734)")

// openTxn is a transaction that holds back readers of one partition.
type openTxn struct {
	topic            string
	partition        int32
	producer         int64
	epoch            int16
	start            int64 // offset of its first record
	coordinatorEpoch int32 // of who ended the producer's transaction before it
}

func (o openTxn) String() string {
	return fmt.Sprintf("producer %d epoch %d since offset %d of %s/%d", o.producer, o.epoch, o.start, o.topic, o.partition)
}

// openOn lists the open transactions of partitions.
func (s *Store) openOn(ctx context.Context, set kadm.TopicsSet) ([]openTxn, error) {
	all, err := s.adm.DescribeProducers(ctx, set)
	if err != nil {
		return nil, fmt.Errorf("look for open transactions: %w", lacking(err, "Read on every topic of the hub's"))
	}
	var out []openTxn
	for _, p := range all.SortedPartitions() {
		if p.Err != nil {
			return nil, fmt.Errorf("look for open transactions of %s/%d: %w", p.Topic, p.Partition, lacking(p.Err, "Read on the topic "+p.Topic))
		}
		for _, a := range p.ActiveProducers {
			if a.CurrentTxnStartOffset >= 0 {
				out = append(out, openTxn{p.Topic, p.Partition, a.ProducerID, int16(a.ProducerEpoch), a.CurrentTxnStartOffset, a.CoordinatorEpoch})
			}
		}
	}
	return out, nil
}

// refused reports whether the cluster does not let the hub's user do what was asked.
func refused(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) || errors.Is(err, kerr.TransactionalIDAuthorizationFailed)
}

// lacking names the right without which the cluster refuses something; other errors stay as they are.
func lacking(err error, right string) error {
	if !refused(err) {
		return err
	}
	return fmt.Errorf("the hub's user lacks the right %s (docs/stores.md lists all): %w", right, err)
}

// ours is every partition of the prefix, as the cluster knows them now: a topic that another hub has just made counts, so
// what the client remembers does not do.
func (s *Store) ours(ctx context.Context) (kadm.TopicsSet, error) {
	req := kmsg.NewPtrMetadataRequest()
	resp, err := req.RequestWith(ctx, s.c)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	set := kadm.TopicsSet{}
	for _, t := range resp.Topics {
		if t.Topic == nil || !s.o.owns(*t.Topic) {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("look up topic %s: %w", *t.Topic, err)
		}
		for _, p := range t.Partitions {
			set.Add(*t.Topic, p.Partition)
		}
	}
	return set, nil
}

// transaction is what the coordinator says of a transactional id; false: it does not know it.
func (s *Store) transaction(ctx context.Context, id string) (kadm.DescribedTransaction, bool, error) {
	all, err := s.adm.DescribeTransactions(ctx, id)
	t := all[id]
	if err == nil {
		err = t.Err
	}
	if errors.Is(err, kerr.TransactionalIDNotFound) {
		return t, false, nil
	}
	if err != nil {
		return t, false, fmt.Errorf("look up transaction %s: %w", id, lacking(err, "Write on the transactional id"))
	}
	return t, true, nil
}

// settled waits until the coordinator is not in the middle of ending the id's transaction, and returns what it says then.
func (s *Store) settled(ctx context.Context, id string) (t kadm.DescribedTransaction, err error) {
	for failures := 0; ; {
		var known bool
		t, known, err = s.transaction(ctx, id)
		switch {
		case err == nil && !(known && ending(t)):
			return t, nil
		case err == nil:
			err = fmt.Errorf("%s is being ended (%s) and is not yet in %v", id, t.State, t.Topics.IntoList())
		case !retriable(err) || failures >= maxLooks:
			return t, err
		default:
			failures++
		}
		if sleep(ctx, fetchWait); ctx.Err() != nil {
			return t, err
		}
	}
}

func ending(t kadm.DescribedTransaction) bool { return strings.HasPrefix(t.State, "Prepare") }

// mendAll mends what a producer has left open anywhere.
func (s *Store) mendAll(ctx context.Context, t kadm.DescribedTransaction, left func(openTxn) bool) error {
	set, err := s.ours(ctx)
	if err != nil {
		return err
	}
	open, err := s.openOn(ctx, set)
	for tries := 1; err != nil && retriable(err) && ctx.Err() == nil && tries < maxLooks; tries++ { // leaders move
		sleep(ctx, fetchWait)
		open, err = s.openOn(ctx, set)
	}
	if err != nil {
		return err
	}
	return s.mend(ctx, t, slices.DeleteFunc(open, func(o openTxn) bool { return !left(o) }))
}

// mend ends open transactions of one transactional id of which the cluster takes none for open any more. t is what the
// coordinator said before the id was claimed.
func (s *Store) mend(ctx context.Context, t kadm.DescribedTransaction, open []openTxn) error {
	id := t.TxnID
	for _, o := range open {
		commit, known, err := s.logged(ctx, id, o)
		if !known {
			commit, known = verdictOf(t, o)
		}
		if !known {
			if err == nil {
				err = errors.New("the cluster does not tell any more whether it was committed. Compare the records with what their boxes hold, then end it with kafka-transactions.sh")
			}
			return fmt.Errorf("%w: %v, of %s: %w", ErrHanging, o, id, lacking(err, "Read on the topic "+stateTopic))
		}
		if err := s.finish(ctx, o, commit); err != nil {
			return fmt.Errorf("%w: %v, of %s, was to be ended (commit: %v): %w", ErrHanging, o, id, commit, lacking(err, "ClusterAction, or Alter, on the cluster"))
		}
		s.health.Count(func(h *store.Health) { h.Mended++ })
	}
	return nil
}

// verdictOf is how the id's latest transaction ended, if o is that one: from Kafka 4.0 on the epoch of an ended
// transaction is one more than that of its records.
func verdictOf(t kadm.DescribedTransaction, o openTxn) (commit, known bool) {
	if t.ProducerID != o.producer || t.ProducerEpoch != o.epoch+1 {
		return false, false
	}
	return t.State == "CompleteCommit", t.State == "CompleteCommit" || t.State == "CompleteAbort"
}

// finish writes the end of a transaction to the one partition that lacks it.
func (s *Store) finish(ctx context.Context, o openTxn, commit bool) error {
	set := kadm.TopicsSet{}
	set.Add(o.topic, o.partition)
	resp, err := s.adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: o.producer, ProducerEpoch: o.epoch, Commit: commit,
		CoordinatorEpoch: max(o.coordinatorEpoch, 0), Topics: set})
	if err == nil {
		resp.EachPartition(func(p kadm.TxnMarkersPartitionResponse) { err = errors.Join(err, p.Err) })
	}
	if errors.Is(err, kerr.InvalidProducerEpoch) {
		return nil // somebody has ended it meanwhile, and its producer has gone on
	}
	return err
}

const stateTopic = "__transaction_state"

// logged reads the coordinator's log for how a transaction ended: what followed the last record that has it under way in
// the partition.
func (s *Store) logged(ctx context.Context, id string, o openTxn) (commit, known bool, err error) {
	m, err := s.adm.Metadata(ctx, stateTopic)
	if err != nil {
		return false, false, err
	}
	n := len(m.Topics[stateTopic].Partitions)
	if n == 0 {
		return false, false, fmt.Errorf("look up %s: %w", stateTopic, errors.Join(kerr.UnknownTopicOrPartition, m.Topics[stateTopic].Err))
	}
	r := newReader(stateTopic, javaHash(id)&0x7fffffff%int32(n))
	r.dirty, r.limit = true, s.o.TransactionTimeout+barrierMargin
	underway := false
	_, err = r.barrier(ctx, s.c, func(rec *kgo.Record) error {
		var k kmsg.TxnMetadataKey
		if len(rec.Value) == 0 || k.ReadFrom(rec.Key) != nil || k.TransactionalID != id {
			return nil
		}
		var v kmsg.TxnMetadataValue
		if err := v.ReadFrom(rec.Value); err != nil {
			return err
		}
		switch v.State {
		case kmsg.TransactionStateOngoing:
			if underway = v.ProducerID == o.producer && v.ProducerEpoch == o.epoch && names(v.Topics, o); underway {
				known = false
			}
		case kmsg.TransactionStatePrepareCommit, kmsg.TransactionStateCompleteCommit, kmsg.TransactionStatePrepareAbort, kmsg.TransactionStateCompleteAbort:
			if underway {
				known, commit = true, v.State == kmsg.TransactionStatePrepareCommit || v.State == kmsg.TransactionStateCompleteCommit
			}
			underway = false
		}
		return nil
	})
	if err != nil {
		return false, false, fmt.Errorf("whether it was committed stands in %s: %w", stateTopic, err)
	}
	return commit, known, nil
}

func names(topics []kmsg.TxnMetadataValueTopic, o openTxn) bool {
	for _, t := range topics {
		for _, p := range t.Partitions {
			if t.Topic == o.topic && p == o.partition {
				return true
			}
		}
	}
	return false
}

// javaHash is String.hashCode of Java, by which transactional ids are spread over the partitions of __transaction_state.
func javaHash(s string) (h int32) {
	for _, u := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(u)
	}
	return h
}

// stuck looks what the readers of a partition wait for and mends what can be mended. It says what it found.
func (s *Store) stuck(ctx context.Context, topic string, partition int32) (string, error) {
	set := kadm.TopicsSet{}
	set.Add(topic, partition)
	open, err := s.openOn(ctx, set)
	if err != nil {
		return "", err
	}
	var what []string
	for _, o := range open {
		t, err := s.owner(ctx, o)
		if err != nil {
			return "", err
		}
		if t.TxnID == "" {
			what = append(what, fmt.Sprintf("%v, of a transactional id that the cluster does not know any more", o))
			continue
		}
		what = append(what, fmt.Sprintf("%v, of %s (%s, epoch %d)", o, t.TxnID, t.State, t.ProducerEpoch))
		// The coordinator counts on with each transaction (Kafka 4.0 and newer): an older one is not open for it any more.
		if s.o.ReadOnly || !strings.HasPrefix(t.TxnID, s.o.Prefix+"/") || ending(t) || t.ProducerEpoch <= o.epoch {
			continue
		}
		if err := s.mendAll(ctx, t, func(x openTxn) bool { return x.producer == o.producer && x.epoch < t.ProducerEpoch }); err != nil {
			return "", err
		}
	}
	return strings.Join(what, "; "), nil
}

// owner is the transactional id that an open transaction belongs to; without a name if there is none.
func (s *Store) owner(ctx context.Context, o openTxn) (kadm.DescribedTransaction, error) {
	list, err := s.adm.ListTransactions(ctx, []int64{o.producer}, nil)
	if err != nil {
		return kadm.DescribedTransaction{}, fmt.Errorf("look up who producer %d is: %w", o.producer, err)
	}
	for _, l := range list.Sorted() {
		t, known, err := s.transaction(ctx, l.TxnID)
		if err != nil {
			return t, err
		}
		if known && t.ProducerID == o.producer {
			return t, nil
		}
	}
	return kadm.DescribedTransaction{}, nil
}
