package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
)

// sender commits one record after another, as a hub does: after an error it reads where things stand.
type sender struct {
	t     *testing.T
	s     *kafka.Store
	next  record.Offset
	chain uint64
	acked record.Offset
	fails int
}

func (x *sender) change() store.Change {
	r := record.Record{Kind: record.KindObservation, Clock: record.ClockApp, Series: 1, Type: record.TypeInt, Num: int64(x.next), Time: int64(x.next)}
	return store.Change{Device: "box", Stream: "telemetry", Epoch: 7, Create: x.next == 0, From: x.next, FromChain: x.chain, RowBase: x.next,
		To: x.next + 1, ToChain: record.Mix(x.chain, r.Digest()), Rows: []record.Record{r},
		Definitions: []record.Definition{{ID: 1, Series: record.Series{Name: "n", Type: record.TypeInt}}}}
}

// one commits one more record, whatever it takes.
func (x *sender) one() {
	x.t.Helper()
	for end := time.Now().Add(40 * time.Second); ; {
		c := x.change()
		res, err := x.s.Commit(context.Background(), []store.Change{c})
		if err == nil && res[0].Applied {
			x.next, x.chain, x.acked = c.To, c.ToChain, c.To
			return
		}
		x.fails++
		if !errors.Is(err, store.ErrUnavailable) && err != nil {
			x.t.Fatalf("commit %d: %v", x.next, err)
		}
		if time.Now().After(end) {
			x.t.Fatalf("commit %d does not get through: %v", x.next, err)
		}
		st, err := x.s.Positions(context.Background(), "box")
		if err != nil {
			continue
		}
		if len(st.Positions) == 0 {
			continue
		}
		p := st.Positions[0]
		if p.Next < x.acked || p.Next > c.To {
			x.t.Fatalf("the store is at %d; %d was acknowledged, %d sent", p.Next, x.acked, c.To)
		}
		if x.next, x.chain = p.Next, p.ChainNext; p.Next == c.To {
			x.acked = p.Next
			return // it had taken effect
		}
	}
}

// rows reads the topic as a consumer of committed records does: until it has want records, and then until nothing more comes.
func rows(t *testing.T, c *kfake.Cluster, topic string, want int) (out []string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	end := time.Now().Add(time.Minute)
	for quiet := 0; quiet < 5 || (len(out) < want && time.Now().Before(end)); quiet++ {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		f := cl.PollFetches(ctx)
		cancel()
		f.EachRecord(func(r *kgo.Record) {
			quiet = 0
			for _, h := range r.Headers {
				if h.Key == "offset" {
					out = append(out, string(h.Value))
				}
			}
		})
	}
	return out
}

func (x *sender) check(c *kfake.Cluster) {
	x.t.Helper()
	got := rows(x.t, c, "edge.telemetry", int(x.next))
	for i, o := range got {
		if o != fmt.Sprint(i) {
			x.t.Fatalf("record %d of the topic has offset %s: %v", i, o, got)
		}
	}
	if len(got) != int(x.next) {
		x.t.Errorf("the topic has %d records, the position is %d", len(got), x.next)
	}
}

// TestFaults puts each fault below the client into the middle of commits: nothing is lost, doubled or out of order.
func TestFaults(t *testing.T) {
	count := func(key kmsg.Key, err *kerr.Error, n int) kfake.Fault {
		return kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: n}
	}
	for name, faults := range map[string][]kfake.Fault{
		"answer lost after a produce was applied": {count(kmsg.Produce, kerr.RequestTimedOut, 2)},
		"not enough replicas after append":        {count(kmsg.Produce, kerr.NotEnoughReplicasAfterAppend, 3)},
		"not enough replicas":                     {count(kmsg.Produce, kerr.NotEnoughReplicas, 3)},
		"leader moves":                            {count(kmsg.Produce, kerr.NotLeaderForPartition, 2)},
		"coordinator moves at the end":            {count(kmsg.EndTxn, kerr.NotCoordinator, 2)},
		"coordinator loads":                       {count(kmsg.InitProducerID, kerr.CoordinatorLoadInProgress, 3)},
		"another transaction still ends":          {count(kmsg.InitProducerID, kerr.ConcurrentTransactions, 3)},
		"end fails for an unknown reason":         {count(kmsg.EndTxn, kerr.UnknownServerError, 1)},
		"fenced at the end":                       {count(kmsg.EndTxn, kerr.ProducerFenced, 1)},
		"transactional id expired":                {count(kmsg.EndTxn, kerr.InvalidProducerIDMapping, 1)},
		"producer forgotten":                      {count(kmsg.Produce, kerr.UnknownProducerID, 1)},
		"fenced in the middle":                    {count(kmsg.Produce, kerr.InvalidProducerEpoch, 1)},
		"abortable":                               {count(kmsg.Produce, kerr.TransactionAbortable, 1)},
		"reading positions fails":                 {count(kmsg.Fetch, kerr.NotLeaderForPartition, 3)},
		"disk error of a broker":                  {count(kmsg.Produce, kerr.KafkaStorageError, 2)},
		"lost answers and a moving coordinator":   {count(kmsg.Produce, kerr.RequestTimedOut, 1), count(kmsg.EndTxn, kerr.CoordinatorNotAvailable, 1), count(kmsg.Fetch, kerr.UnknownServerError, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			x := &sender{t: t, s: open(t, kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second})}
			defer x.s.Close()
			x.one()
			x.one()
			h := c.Fault(faults...)
			if faults[0].Keys[0] == kmsg.InitProducerID {
				x.s.Close()
				x.s = open(t, kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second})
			}
			if faults[0].Keys[0] == kmsg.Fetch {
				if st, err := x.s.Positions(t.Context(), "box"); err != nil || st.Positions[0].Next != x.next {
					t.Errorf("positions under the fault: %+v, %v", st, err)
				}
			}
			for range 6 {
				x.one()
			}
			if h.Hits() == 0 {
				t.Error("the fault never happened")
			}
			h.Remove()
			x.one()
			x.check(c)
			t.Logf("%d commits had to be repeated; %+v", x.fails, x.s.Health())
		})
	}
}

// TestConnectionCut ends every connection right after the end of a transaction was applied, without an answer.
func TestConnectionCut(t *testing.T) {
	c := cluster(t)
	x := &sender{t: t, s: open(t, kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second})}
	defer x.s.Close()
	x.one()
	cuts := 0
	c.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if cuts++; cuts%2 == 1 {
			return nil, errors.New("cut"), true // the connection is closed without an answer
		}
		return nil, nil, false
	})
	for range 8 {
		x.one()
	}
	if cuts < 8 {
		t.Errorf("%d cuts", cuts)
	}
	x.check(c)
}

// TestHungTransaction leaves a transaction of another hub open: what it wrote is never seen, and whoever claims the same
// id ends it at once.
func TestHungTransaction(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second}
	x := &sender{t: t, s: open(t, o)}
	x.one()
	x.s.Close()
	dead, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID("edge/hub/"), kgo.DefaultProduceTopic("edge.telemetry"))
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	if err := dead.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := dead.ProduceSync(t.Context(), kgo.StringRecord("half")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	x.s = open(t, o)
	defer x.s.Close()
	x.one()
	x.check(c)
}

// TestTwoAlone: two hubs that both believe to be alone fence each other; what they write stays exact.
func TestTwoAlone(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second}
	a, b := open(t, o), open(t, o)
	defer a.Close()
	defer b.Close()
	x := &sender{t: t, s: a}
	for i := range 10 {
		x.s = []*kafka.Store{a, b}[i%2]
		x.one()
	}
	x.check(c)
	if n := a.Health().Fences + b.Health().Fences; n == 0 {
		t.Error("nobody was fenced")
	}
}

// TestTopics: what is there and would lose data is refused.
func TestTopics(t *testing.T) {
	c := cluster(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	policy := "delete"
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 4, 1, map[string]*string{"cleanup.policy": &policy}, "bad-offsets"); err != nil {
		t.Fatal(err)
	}
	if _, err := kafka.Open(t.Context(), kafka.Options{Brokers: c.ListenAddrs(), Prefix: "bad"}); !errors.Is(err, kafka.ErrTopic) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a topic that forgets positions: %v", err)
	}
	if _, err := kafka.Open(t.Context(), kafka.Options{Brokers: c.ListenAddrs(), Prefix: "ro", ReadOnly: true}); !errors.Is(err, kafka.ErrTopic) {
		t.Errorf("a reader makes topics: %v", err)
	}
}

// TestLeaseLostWhileResolving: a hub whose transaction failed claims its id anew, in the moment in which another one has
// taken the lease. Its claim is the later one, so the cluster would take its writes: it must look at the lease again.
func TestLeaseLostWhileResolving(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second}
	a, b := open(t, o), open(t, o)
	defer a.Close()
	defer b.Close()
	var none store.Lease
	mine := none.TakenBy("shard/0", "hub-a", "", time.Minute)
	if _, ok, err := a.SwapLease(t.Context(), none, mine); err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	x := &sender{t: t, s: a}
	first := x.change()
	first.Fence = mine.Fence()
	if res, err := a.Commit(t.Context(), []store.Change{first}); err != nil || !res[0].Applied {
		t.Fatalf("%+v, %v", res, err)
	}
	x.next, x.chain = first.To, first.ToChain
	c.ControlKey(int16(kmsg.EndTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.EndTxnResponse) // the end is never applied
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	taken := false
	c.ControlKey(int16(kmsg.InitProducerID), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if taken {
			return nil, nil, false
		}
		taken = true
		c.SleepControl(func() {
			if _, ok, err := b.SwapLease(t.Context(), mine, mine.TakenBy("shard/0", "hub-b", "", time.Minute)); err != nil || !ok {
				t.Errorf("hub-b takes the lease: %v, %v", ok, err)
			}
		})
		return nil, nil, false
	})
	second := x.change()
	second.Fence = mine.Fence()
	res, err := a.Commit(t.Context(), []store.Change{second})
	if !taken {
		t.Fatal("nobody claimed")
	}
	if err != nil || !res[0].Fenced || res[0].Applied {
		t.Errorf("the hub that has lost the lease: %+v, %v; want it fenced", res, err)
	}
	st, err := b.Positions(t.Context(), "box")
	if err != nil || st.Positions[0].Next != first.To {
		t.Errorf("the store is at %+v, %v; want %d", st.Positions, err, first.To)
	}
}

// TestYoungLeader: a broker that has become leader a moment ago does not know yet what is committed of what it holds. It
// says so when it is asked where the partition ends, and nothing at all when it is read from: positions that it would not
// show yet must be waited for, or what was acknowledged would be taken a second time.
func TestYoungLeader(t *testing.T) {
	c := cluster(t)
	o := kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 4 * time.Second}
	x := &sender{t: t, s: open(t, o)}
	for range 3 {
		x.one()
	}
	x.s.Close()
	var young atomic.Int64
	young.Store(6)
	c.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if young.Add(-1) < 0 {
			return nil, nil, false
		}
		req := r.(*kmsg.ListOffsetsRequest)
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.OffsetNotAvailable.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if young.Add(-1) < 0 {
			return nil, nil, false
		}
		req := r.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition = p.Partition // its high watermark is 0
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	x.s = open(t, o)
	defer x.s.Close()
	st, err := x.s.Positions(t.Context(), "box")
	if err != nil || len(st.Positions) != 1 || st.Positions[0].Next != 3 {
		t.Fatalf("the store is at %+v (%v), want 3", st.Positions, err)
	}
	if young.Load() >= 0 {
		t.Error("the leader was never asked while it was young")
	}
	x.one()
	x.check(c)
}
