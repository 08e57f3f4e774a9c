package kafka_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/kafka"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	store "github.com/edgelog/edgelog/hub/store/kafka"
	"github.com/edgelog/edgelog/internal/vfs"
	"github.com/edgelog/edgelog/internal/wire"
)

// far is a hub that a test plays.
type far struct {
	got   chan wire.Message
	reply func(*wire.Ack)
}

func (f *far) Handle(_ string, m wire.Message, reply func(*wire.Ack)) {
	f.reply = reply
	f.got <- m
}

func TestLink(t *testing.T) {
	uplinktest.TestLink(t, func(t *testing.T) (wire.Link, uplinktest.Far) {
		f := &far{got: make(chan wire.Message, 8)}
		return kafka.NewLink("box", f), uplinktest.Far{
			Recv: func(t *testing.T) wire.Message { return <-f.got },
			Ack:  func(t *testing.T, a *wire.Ack) { f.reply(a) },
		}
	})
}

// TestDelivers runs the agent's own log and loop over the link: everything arrives once, also after a restart.
func TestDelivers(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := kafka.Options{Device: "box-7", Store: store.Options{Brokers: c.ListenAddrs(), Shards: 2, Partitions: 2}}
	dir := t.TempDir()
	deliver := func(n int) {
		t.Helper()
		set, err := buffer.Open(t.Context(), vfs.OS{}, dir, buffer.Options{Streams: []buffer.StreamOptions{{Name: "telemetry"}}})
		if err != nil {
			t.Fatal(err)
		}
		log, err := set.Log("telemetry")
		if err != nil {
			t.Fatal(err)
		}
		source := uplink.NewLog(log)
		loop := uplink.NewLoop(uplink.LoopOptions{Sources: []uplink.Source{source}, Sender: uplink.Options{Random: rand.Uint64},
			Dial: func(ctx context.Context) (wire.Link, error) { return kafka.Dial(ctx, o) },
			Down: func(err error) { t.Logf("down: %v", err) }})
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
		defer stop()
		var parts sync.WaitGroup
		for _, f := range []func(context.Context) error{set.Run, loop.Run} {
			parts.Go(func() {
				if err := f(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		id, err := log.Define(record.Series{Name: "count", Type: record.TypeInt})
		if err != nil {
			t.Fatal(err)
		}
		end := record.Offset(0)
		for i := range n {
			ticket, err := log.Append(ctx, record.Draft{Records: []record.Record{{Kind: record.KindObservation, Clock: record.ClockApp, Series: id,
				Time: int64(i), Type: record.TypeInt, Num: int64(i)}}})
			if err != nil {
				t.Fatal(err)
			}
			if i == n-1 {
				r, err := ticket.Wait(ctx)
				if err != nil {
					t.Fatal(err)
				}
				end = r.To
			}
		}
		for ctx.Err() == nil && log.Delivered() < end {
			time.Sleep(10 * time.Millisecond)
		}
		if log.Delivered() < end {
			t.Errorf("delivered %d of %d", log.Delivered(), end)
		}
		stop()
		parts.Wait()
		if err := errors.Join(source.Close(), set.Close()); err != nil {
			t.Error(err)
		}
	}
	deliver(500)
	deliver(300) // a new opening: another epoch

	s, err := store.Open(t.Context(), store.Options{Brokers: c.ListenAddrs(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	accounts, err := s.Accounts(t.Context())
	if err != nil || len(accounts) != 2 || accounts[0].Rows != 500 || accounts[1].Rows != 300 || accounts[1].Parent != accounts[0].Epoch {
		t.Errorf("%+v, %v", accounts, err)
	}
}

func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := kafka.Dial(ctx, kafka.Options{Device: "box", Store: store.Options{Brokers: []string{"127.0.0.1:1"}}})
	if err == nil {
		t.Fatal("no error")
	}
	if _, err := kafka.Dial(ctx, kafka.Options{Device: "a/b", Store: store.Options{Brokers: []string{"127.0.0.1:1"}}}); err == nil {
		t.Error("a device with a slash was taken")
	}
	if err := (kafka.Options{Device: "box"}).Validate(); !errors.Is(err, store.ErrOptions) {
		t.Errorf("without brokers: %v", err)
	}
}
