package receive_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
	"github.com/edgelog/edgelog/hub/store"
	"github.com/edgelog/edgelog/hub/store/memory"
	"github.com/edgelog/edgelog/internal/wire"
)

// slowStore takes 5 ms for each frame.
type slowStore struct{ *memory.Store }

func (s slowStore) Commit(ctx context.Context, c []store.Change) ([]store.Result, error) {
	time.Sleep(time.Duration(len(c)) * 5 * time.Millisecond)
	return s.Store.Commit(ctx, c)
}

// TestSlowHub: 200 devices with a backlog of small batches at a hub that takes 200 frames a second. The credit must keep
// what is on its way below what the hub works off before an ack is overdue, or all of it is sent again and again.
func TestSlowHub(t *testing.T) {
	const devices, batches = 200, 200
	synctest.Test(t, func(t *testing.T) {
		r := receive.New(receive.Options{Store: slowStore{memory.New(nil)}})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		var mu sync.Mutex // guards inbox and sums
		var sent, needed int
		var wg sync.WaitGroup
		for i := range devices {
			wg.Add(1)
			go func() {
				defer wg.Done()
				d := newSlowDevice(fmt.Sprint("box", i), uint64(i), batches)
				all, once := d.run(t, r)
				mu.Lock()
				sent, needed = sent+all, needed+once
				mu.Unlock()
			}()
		}
		began := time.Now()
		wg.Wait()
		stop()
		<-done
		s := r.Stats()
		t.Logf("%d bytes sent, %d needed, %v, %+v", sent, needed, time.Since(began), s)
		if float64(sent) > 1.2*float64(needed) {
			t.Errorf("%d bytes were sent for %d: %.0f %% again, want at most 20", sent, needed, 100*float64(sent-needed)/float64(needed))
		}
		if s.Rows != devices*batches*10 || s.Dropped != 0 {
			t.Errorf("%d rows, %d messages dropped", s.Rows, s.Dropped)
		}
	})
}

type slowDevice struct {
	name string
	log  *realLog
	s    *uplink.Sender
	acks chan wire.Message
}

func newSlowDevice(name string, seed uint64, batches int) *slowDevice {
	rng := rand.New(rand.NewPCG(seed, 3))
	d := &slowDevice{name: name, acks: make(chan wire.Message, 1<<12)}
	d.log = &realLog{Log: uplinktest.NewLog("telemetry", 10, func() record.Epoch { return record.Epoch(seed + 1) })}
	for k := range batches {
		nums := make([]int64, 10)
		for i := range nums {
			nums[i] = int64(k*10 + i)
		}
		d.log.Append(nums...)
	}
	d.s = uplink.New(uplink.Options{Codec: &realCodec{}, Random: rng.Uint64, NoGather: true}, d.log)
	return d
}

// run delivers the backlog and returns the bytes of all frames and of those that were needed.
func (d *slowDevice) run(t *testing.T, r *receive.Receiver) (sent, needed int) {
	seen := map[record.Offset]bool{}
	d.s.Connected(time.Now())
	for d.log.Position != d.log.End() {
		for {
			m, ok := d.s.Next(time.Now())
			if !ok {
				break
			}
			m = throughBytes(t, m)
			if f, ok := m.(*wire.Data); ok {
				sent += len(f.Body) + 160
				if !seen[f.Base] {
					seen[f.Base] = true
					needed += len(f.Body) + 160
				}
			}
			r.Handle(d.name, m, func(a *wire.Ack) { d.acks <- a })
		}
		wake := time.NewTimer(time.Until(d.s.Wake()))
		select {
		case a := <-d.acks:
			d.s.Received(a, time.Now())
		case <-wake.C:
			d.s.Tick(time.Now())
		}
		wake.Stop()
	}
	return sent, needed
}
