package kafka_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/hub/store/storetest"
)

var prefixes atomic.Int64

func cluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t testing.TB, o kafka.Options) *kafka.Store {
	t.Helper()
	if o.Shards == 0 {
		o.Shards, o.Partitions = 4, 4
	}
	s, err := kafka.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	c := cluster(t)
	fresh := func() kafka.Options {
		return kafka.Options{Brokers: c.ListenAddrs(), Prefix: fmt.Sprint("t", prefixes.Add(1))}
	}
	for _, f := range []kafka.Format{kafka.FormatJSON, kafka.FormatProtobuf, kafka.FormatRaw} {
		t.Run(string(f), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				o := fresh()
				o.Format = f
				return open(t, o)
			})
		})
	}
	storetest.RunLeases(t, func(t *testing.T) (a, b store.Store) {
		o := fresh()
		return open(t, o), open(t, o)
	})
}
