package uplink_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a loop in a bubble of virtual time, with a hub behind a pipe.
type bench struct {
	mu   sync.Mutex // guards what follows
	hub  *uplinktest.Hub
	pipe *uplinktest.Pipe
	lose func(wire.Message) bool
	down int // dials that fail
	errs []error
	ups  int

	live *uplinktest.Live
	loop *uplink.Loop
	wg   sync.WaitGroup
}

// Handle lets the bench stand between the pipe and the hub.
func (b *bench) Handle(m wire.Message) *wire.Ack {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hub.Handle(m)
}

func newBench() *bench {
	id := record.Epoch(0)
	b := &bench{hub: uplinktest.NewHub()}
	b.hub.HubTime = time.Date(2026, 5, 5, 5, 5, 5, 0, time.UTC).UnixNano()
	b.live = uplinktest.NewLive(uplinktest.NewLog("telemetry", 10, func() record.Epoch { id++; return id }))
	return b
}

func (b *bench) start(ctx context.Context, change func(*uplink.LoopOptions)) {
	rng := rand.New(rand.NewPCG(1, 2))
	o := uplink.LoopOptions{Sender: uplink.Options{FrameCost: 1, Codec: uplinktest.Codec{}, Random: rng.Uint64}, Sources: []uplink.Source{b.live}, Dial: b.dial,
		Down: func(err error) { b.errs = append(b.errs, err) }, Up: func() { b.ups++ }}
	if change != nil {
		change(&o)
	}
	b.loop = uplink.NewLoop(o)
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		_ = b.loop.Run(ctx)
	}()
}

func (b *bench) dial(context.Context) (wire.Link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down > 0 {
		b.down--
		return nil, errors.New("no route")
	}
	p := uplinktest.NewPipe(4)
	p.Lose = b.lose
	b.pipe = p
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		p.Serve(b)
	}()
	return p, nil
}

func (b *bench) rows() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range b.hub.Epochs() {
		n += len(b.hub.Epoch(id).Rows)
	}
	return n
}

func (b *bench) cut() {
	b.mu.Lock()
	p := b.pipe
	b.mu.Unlock()
	p.Close()
}

func nums(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

func TestLoopDeliversLiveAndThroughCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench()
		b.down = 3
		b.start(ctx, nil)
		for range 200 {
			b.live.Do(func(l *uplinktest.Log) { l.Append(nums(25)...) })
			time.Sleep(time.Second)
			if rand.IntN(20) == 0 && b.loop.Status().Phase == uplink.PhaseStreaming {
				b.cut()
			}
		}
		time.Sleep(10 * time.Minute)
		if n := b.rows(); n != 5000 {
			t.Errorf("%d rows, want 5000", n)
		}
		for _, a := range b.loop.Accounts() {
			if !a.Balanced || a.Delivered != 5000 {
				t.Errorf("account %+v", a)
			}
		}
		cancel()
		b.wg.Wait()
		if len(b.errs) < 3 || b.ups == 0 {
			t.Errorf("%d reports of failure, %d of success", len(b.errs), b.ups)
		}
	})
}

// Review 9: the hub is restored while the agent is idle; nothing but the regular hello can notice.
func TestLoopNoticesRestoredHubWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench()
		b.start(ctx, nil)
		b.live.Do(func(l *uplinktest.Log) { l.Append(nums(100)...) })
		time.Sleep(time.Minute)
		b.mu.Lock()
		b.hub.Restore(uplinktest.NewHub())
		b.mu.Unlock()
		time.Sleep(uplink.HelloEvery * 6 / 5)
		if n := b.rows(); n != 100 {
			t.Errorf("%d rows, want 100", n)
		}
		cancel()
		b.wg.Wait()
	})
}

// Everything that the hub says is lost for a while: time-outs double, nothing spins, and it goes on by itself.
func TestLoopBacksOffFromASilentHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench()
		mute := time.Now().Add(2 * time.Hour)
		b.lose = func(m wire.Message) bool {
			_, ack := m.(*wire.Ack)
			return ack && time.Now().Before(mute)
		}
		b.start(ctx, nil)
		b.live.Do(func(l *uplinktest.Log) { l.Append(nums(100)...) })
		time.Sleep(2 * time.Hour)
		if n := b.loop.Status().Hellos; n < 10 || n > 100 {
			t.Errorf("%d hellos in two hours", n)
		}
		time.Sleep(10 * time.Minute)
		if n := b.rows(); n != 100 {
			t.Errorf("%d rows, want 100", n)
		}
		cancel()
		b.wg.Wait()
	})
}

// A connection on which nothing ever comes back, while another one would work, as behind a broker that has lost what was
// subscribed: it is left after some ten minutes, not with the first hello that is lost, and says why.
func TestLoopLeavesASilentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench()
		b.lose = func(m wire.Message) bool {
			_, ack := m.(*wire.Ack)
			return ack
		}
		b.start(ctx, nil)
		b.live.Do(func(l *uplinktest.Log) { l.Append(nums(100)...) })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		b.mu.Lock()
		first := b.pipe
		b.lose = nil
		b.mu.Unlock()
		if s := b.loop.Status(); s.Phase != uplink.PhaseWaiting || s.Hellos < 3 {
			t.Errorf("after five minutes: %+v", s)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		b.mu.Lock()
		again := b.pipe != first
		b.mu.Unlock()
		if n := b.rows(); !again || n != 100 {
			t.Errorf("connected anew: %v; %d rows, want 100", again, n)
		}
		cancel()
		b.wg.Wait()
		if b.ups != 2 || len(b.errs) != 1 || !errors.Is(b.errs[0], uplink.ErrSilent) {
			t.Errorf("%d connections, ended by %v", b.ups, b.errs)
		}
	})
}

func TestLoopTellsHubTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBench()
		start := time.Now()
		var boot, utc, bound int64
		b.start(ctx, func(o *uplink.LoopOptions) {
			o.BootTime = func() int64 { return int64(time.Since(start)) + 1000 }
			o.HubTime = func(bt, u, e int64, synced bool) { boot, utc, bound = bt, u, e }
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if boot != 1000 || utc != b.hub.HubTime || bound != 0 {
			t.Errorf("boot time %d, utc %d, error %d", boot, utc, bound)
		}
		cancel()
		b.wg.Wait()
	})
}

func TestPipeIsALink(t *testing.T) {
	uplinktest.TestLink(t, func(*testing.T) (wire.Link, uplinktest.Far) {
		p := uplinktest.NewPipe(64)
		return p, uplinktest.Far{Recv: func(*testing.T) wire.Message { return <-p.Up }, Ack: func(_ *testing.T, a *wire.Ack) { p.Down <- a }}
	})
}
