package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reader reads one partition from its beginning, committed records only unless it is dirty.
type reader struct {
	topic     string
	partition int32
	next      int64 // of the next record to read; −1: nothing was read yet
	leader    int32 // −1: to be asked for
	epoch     int32 // of the leader
	id        [16]byte
	dirty     bool          // reads what is not committed as well
	limit     time.Duration // that a barrier waits for transactions to end
	// stuck is asked about once a second while a barrier waits: what for. It may put it right. nil: nobody is asked.
	stuck func(ctx context.Context, topic string, partition int32) (string, error)
}

// newReader makes a reader that waits for ever and asks nobody.
func newReader(topic string, partition int32) *reader {
	return &reader{topic: topic, partition: partition, next: -1, leader: -1, limit: math.MaxInt64}
}

// ErrOpenTransaction: what was written before a read has neither been committed nor given up in due time.
var ErrOpenTransaction = errors.New("a transaction holds back what comes after it")

// barrier reads everything that was written to the partition before the call and is committed: it waits until each
// transaction that was open then has ended, for the reader's limit. f gets the records in order.
//
// How far that is is asked for, not taken from what a fetch says: a leader that was a follower a moment ago may not know yet
// that what it holds is committed, and would let a fetch end before records that were acknowledged (KIP-207).
func (r *reader) barrier(ctx context.Context, c *kgo.Client, f func(*kgo.Record) error) (bytes int, err error) {
	target := int64(-1)
	wait := time.Duration(0)
	began, asked, what := time.Now(), time.Now(), ""
	for failures := 0; ; {
		var fp kgo.FetchPartition
		if target < 0 {
			target, err = r.end(ctx, c)
		}
		if err == nil && r.next >= target {
			return bytes, nil
		}
		if err == nil {
			fp, err = r.fetch(ctx, c, wait)
		}
		if err != nil {
			if ctx.Err() != nil || failures >= 50 || !retriable(err) {
				return bytes, fmt.Errorf("read %s/%d at %d: %w", r.topic, r.partition, r.next, err)
			}
			r.leader, err = -1, nil
			failures++
			sleep(ctx, min(time.Duration(failures)*20*time.Millisecond, time.Second))
			continue
		}
		for _, rec := range fp.Records {
			bytes += len(rec.Key) + len(rec.Value)
			if err := f(rec); err != nil {
				return bytes, fmt.Errorf("%s/%d at %d: %w", r.topic, r.partition, rec.Offset, err)
			}
		}
		if r.next >= target {
			return bytes, nil
		}
		if len(fp.Records) == 0 && (r.dirty || fp.LastStableOffset >= target) {
			r.next = target // what lay between was compacted away
			return bytes, nil
		}
		wait = fetchWait
		if len(fp.Records) > 0 {
			continue
		}
		if r.stuck != nil && time.Since(asked) >= stuckAfter {
			if what, err = r.stuck(ctx, r.topic, r.partition); err != nil && (errors.Is(err, ErrHanging) || ctx.Err() != nil || !retriable(err)) {
				return bytes, fmt.Errorf("read %s/%d: readable to %d of %d: %w", r.topic, r.partition, fp.LastStableOffset, target, err)
			}
			asked, err = time.Now(), nil
		}
		if time.Since(began) >= r.limit {
			return bytes, fmt.Errorf("read %s/%d: %w: readable to %d of %d for %v: %s", r.topic, r.partition, ErrOpenTransaction, fp.LastStableOffset, target,
				time.Since(began).Round(time.Second), what)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func retriable(err error) bool {
	return kerr.IsRetriable(err) || !isKafka(err)
}

// locate asks who leads the partition, and where it begins.
func (r *reader) locate(ctx context.Context, c *kgo.Client) error {
	m, err := kadm.NewClient(c).Metadata(ctx, r.topic)
	if err != nil {
		return err
	}
	t, ok := m.Topics[r.topic]
	if !ok {
		return kerr.UnknownTopicOrPartition
	}
	if t.Err != nil {
		return t.Err
	}
	p, ok := t.Partitions[r.partition]
	switch {
	case !ok:
		return kerr.UnknownTopicOrPartition
	case p.Err != nil:
		return p.Err
	case p.Leader < 0:
		return kerr.LeaderNotAvailable
	}
	r.leader, r.epoch, r.id = p.Leader, p.LeaderEpoch, t.ID
	return nil
}

// end is where the partition ends: everything below is on all replicas that count. A leader that does not know it yet says
// OFFSET_NOT_AVAILABLE.
func (r *reader) end(ctx context.Context, c *kgo.Client) (int64, error) {
	if r.leader < 0 {
		if err := r.locate(ctx, c); err != nil {
			return -1, err
		}
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = r.partition, r.epoch, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = r.topic, []kmsg.ListOffsetsRequestTopicPartition{p}
	req.Topics = []kmsg.ListOffsetsRequestTopic{t}
	kresp, err := c.Broker(int(r.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return -1, err
	}
	resp := kresp.(*kmsg.ListOffsetsResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return -1, kerr.UnknownServerError
	}
	got := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return -1, err
	}
	return got.Offset, nil
}

func (r *reader) fetch(ctx context.Context, c *kgo.Client, wait time.Duration) (kgo.FetchPartition, error) {
	if r.leader < 0 {
		if err := r.locate(ctx, c); err != nil {
			return kgo.FetchPartition{}, err
		}
	}
	if r.next < 0 {
		r.next = 0
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = int32(wait.Milliseconds()), 1, fetchBytes, 1
	isolation := kgo.ReadCommitted()
	if r.dirty {
		req.IsolationLevel, isolation = 0, kgo.ReadUncommitted()
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = r.partition, r.next, fetchBytes, r.epoch
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = r.topic, r.id, []kmsg.FetchRequestTopicPartition{p}
	req.Topics = []kmsg.FetchRequestTopic{t}
	kresp, err := c.Broker(int(r.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return kgo.FetchPartition{}, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return kgo.FetchPartition{}, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return kgo.FetchPartition{}, kerr.UnknownServerError
	}
	rp := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
		if err == kerr.OffsetOutOfRange && r.next < rp.LogStartOffset {
			r.next = rp.LogStartOffset // its beginning was deleted
		}
		return kgo.FetchPartition{}, err
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: r.next, IsolationLevel: isolation,
		Topic: r.topic, Partition: r.partition}, rp, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		return fp, fp.Err
	}
	r.next = max(r.next, next)
	return fp, nil
}
