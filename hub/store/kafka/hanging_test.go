package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
)

// lostEnd makes a hub commit two records, and a third of which the cluster says that it is committed without writing its
// end anywhere (KAFKA-20734). The hub then stops. From now on the coordinator says state of the hub's transactional id.
func lostEnd(t *testing.T, state string) (*kfake.Cluster, *sender) {
	t.Helper()
	c := cluster(t)
	x := &sender{t: t, s: open(t, kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: time.Minute})}
	x.one()
	x.one()
	var producer int64
	var epoch int16
	c.ControlKey(int16(kmsg.EndTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.EndTxnRequest)
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		producer, epoch = req.ProducerID, req.ProducerEpoch+1
		resp.ProducerID, resp.ProducerEpoch = producer, epoch
		return resp, nil, true
	})
	before := x.acked
	x.one()
	if x.acked != before+1 || x.fails > 0 {
		t.Fatalf("the third record was not acknowledged at once: %+v", x)
	}
	x.s.Close()
	c.ControlKey(int16(kmsg.DescribeTransactions), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.DescribeTransactionsRequest)
		if state == "" {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID, s.State, s.ProducerID, s.ProducerEpoch = req.TransactionalIDs[0], state, producer, epoch
		resp.TransactionStates = append(resp.TransactionStates, s)
		return resp, nil, true
	})
	x.s = open(t, kafka.Options{Brokers: c.ListenAddrs(), TransactionTimeout: 3 * time.Second})
	t.Cleanup(func() { x.s.Close() })
	return c, x
}

// TestLostEnd: a transaction that the cluster has ended in its own books only is ended as it had decided.
func TestLostEnd(t *testing.T) {
	for state, next := range map[string]int{"CompleteCommit": 3, "CompleteAbort": 2} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			c, x := lostEnd(t, state)
			st, err := x.s.Positions(t.Context(), "box")
			if err != nil || int(st.Positions[0].Next) != next {
				t.Fatalf("the store is at %+v (%v), want %d", st.Positions, err, next)
			}
			if n := x.s.Health().Mended; n == 0 {
				t.Error("health does not tell that something was mended")
			}
			if got := rows(t, c, "edge.telemetry", next); len(got) != next {
				t.Errorf("a consumer sees %v, want %d records", got, next)
			}
		})
	}
}

// TestLostEndInLog: when the coordinator does not say any more how it ended, its log does.
func TestLostEndInLog(t *testing.T) {
	for name, states := range map[string][]kmsg.TransactionState{
		"committed": {kmsg.TransactionStateEmpty, kmsg.TransactionStateOngoing, kmsg.TransactionStatePrepareCommit, kmsg.TransactionStateEmpty},
		"aborted":   {kmsg.TransactionStateOngoing, kmsg.TransactionStatePrepareAbort, kmsg.TransactionStateCompleteAbort},
		"unknown":   {kmsg.TransactionStateCompleteCommit, kmsg.TransactionStateEmpty},
		"no log":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, x := lostEnd(t, "Empty")
			if states != nil {
				coordinatorLog(t, c, states)
			}
			st, err := x.s.Positions(t.Context(), "box")
			if name == "unknown" || name == "no log" {
				if !errors.Is(err, kafka.ErrHanging) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "edge/hub/") {
					t.Errorf("%v, want %v with the name of the transactional id", err, kafka.ErrHanging)
				}
				return
			}
			if want := map[string]int{"committed": 3, "aborted": 2}[name]; err != nil || int(st.Positions[0].Next) != want {
				t.Errorf("the store is at %+v (%v), want %d", st.Positions, err, want)
			}
		})
	}
}

// coordinatorLog writes what a coordinator would have, for the transaction that is open.
func coordinatorLog(t *testing.T, c *kfake.Cluster, states []kmsg.TransactionState) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("__transaction_state"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, "__transaction_state"); err != nil {
		t.Fatal(err)
	}
	all, err := adm.DescribeProducers(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	v := kmsg.NewTxnMetadataValue()
	v.Version = 1
	all.EachProducer(func(p kadm.DescribedProducer) {
		if p.CurrentTxnStartOffset >= 0 {
			v.ProducerID, v.ProducerEpoch = p.ProducerID, int16(p.ProducerEpoch)
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic, Partitions: []int32{p.Partition}})
		}
	})
	if len(v.Topics) < 2 {
		t.Fatalf("open transactions: %+v", v.Topics)
	}
	key := kmsg.TxnMetadataKey{TransactionalID: "edge/hub/"}
	for _, s := range states {
		r := v
		if r.State = s; s != kmsg.TransactionStateOngoing {
			r.ProducerEpoch++
		}
		if s != kmsg.TransactionStateOngoing && s != kmsg.TransactionStatePrepareCommit && s != kmsg.TransactionStatePrepareAbort {
			r.Topics = nil
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: key.AppendTo(nil), Value: r.AppendTo(nil)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenTransaction: a transaction that never ends is not waited for without end, and named.
func TestOpenTransaction(t *testing.T) {
	t.Parallel()
	_, x := lostEnd(t, "")
	began := time.Now()
	_, err := x.s.Positions(t.Context(), "box")
	if !errors.Is(err, kafka.ErrOpenTransaction) || !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("after %v: %v, want %v", time.Since(began), err, kafka.ErrOpenTransaction)
	}
	for _, want := range []string{"edge-offsets/", "producer ", "edge/hub/", "Ongoing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}
