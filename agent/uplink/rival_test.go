package uplink_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/agent/uplink/uplinktest"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// seat is a broker that lets in the latest client of a name: taking it ends the connection of the one before.
type seat struct {
	mu    sync.Mutex // guards what follows
	end   func()
	turns []turn
	last  string // whose will stands
	dead  error  // what connecting says instead
}

type turn struct {
	who   string
	since time.Time
}

type seatLink struct {
	ended chan struct{}
	taken bool
}

func (l *seatLink) Send(context.Context, wire.Message) error { return nil }
func (l *seatLink) Close() error                             { return nil }
func (l *seatLink) Taken() bool                              { return l.taken }
func (l *seatLink) Recv(ctx context.Context) (wire.Message, error) {
	select {
	case <-l.ended:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cut ends the present connection; set, if there is one, changes the seat before.
func (s *seat) cut(set func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set != nil {
		set()
	}
	s.end()
}

// alive lets clients in again.
func (s *seat) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = nil
}

// log is who took the seat, in order.
func (s *seat) log() []turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.turns)
}

func (s *seat) take(who string) (wire.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return nil, s.dead
	}
	if s.end != nil {
		s.end()
	}
	l := &seatLink{ended: make(chan struct{}), taken: s.last != who}
	s.last = who
	done := false
	s.end = func() {
		if !done {
			done = true
			close(l.ended)
		}
	}
	s.turns = append(s.turns, turn{who, time.Now()})
	return l, nil
}

// client is a loop that always takes the seat; stop ends it, there says whether it sees a rival.
func client(s *seat, who string, there *atomic.Bool) (stop func()) {
	l := uplink.NewLoop(uplink.LoopOptions{Sender: uplink.Options{Random: rand.Uint64},
		Sources: []uplink.Source{uplinktest.NewLog("telemetry", 1, func() record.Epoch { return 1 })},
		Dial:    func(context.Context) (wire.Link, error) { return s.take(who) },
		Rival:   there.Store})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		<-done
	}
}

// TestRival: two boxes of one name at one broker both notice, and take turns of minutes instead of seconds; when one is
// gone the other says so.
func TestRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seat{}
		var aSees, bSees atomic.Bool
		stopA, stopB := client(s, "a", &aSees), client(s, "b", &bSees)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !aSees.Load() || !bSees.Load() {
			t.Errorf("after two minutes a rival is seen by a: %v, by b: %v", aSees.Load(), bSees.Load())
		}
		from := len(s.log())
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		turns := s.log()[from:]
		n := len(turns)
		if n > 200 || n < 20 {
			t.Errorf("%d turns in four hours", n)
		}
		held := map[string]time.Duration{}
		for i := 0; i+1 < n; i++ {
			held[turns[i].who] += turns[i+1].since.Sub(turns[i].since)
		}
		if held["a"] < time.Hour/2 || held["b"] < time.Hour/2 {
			t.Errorf("the turns are %v", held)
		}
		if !aSees.Load() || !bSees.Load() {
			t.Errorf("the fault went although the rival did not: a %v, b %v", aSees.Load(), bSees.Load())
		}
		stopB()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if aSees.Load() {
			t.Error("the rival is gone and still named")
		}
		stopA()
	})
}

// TestNoRival: a bad link, a broker that restarts or one that is gone is nobody else.
func TestNoRival(t *testing.T) {
	for name, play := range map[string]func(s *seat){
		"broker restarts": func(s *seat) {
			for range 30 {
				time.Sleep(20 * time.Second)
				s.cut(func() { s.dead = errors.New("connection refused") })
				time.Sleep(10 * time.Second)
				s.alive()
				time.Sleep(time.Minute)
			}
		},
		"a broker that ends connections": func(s *seat) {
			for range 60 {
				time.Sleep(20 * time.Second)
				s.cut(nil)
			}
		},
		"a stranger, once": func(s *seat) {
			s.cut(func() { s.last = "b" })
			time.Sleep(time.Hour)
		},
		"long connections": func(s *seat) {
			for range 30 {
				time.Sleep(5 * time.Minute)
				s.cut(nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &seat{}
				var sees atomic.Bool
				stop := client(s, "a", &sees)
				time.Sleep(time.Second)
				play(s)
				synctest.Wait()
				if sees.Load() {
					t.Error("a rival is named")
				}
				stop()
			})
		})
	}
}

// TestEarlierLifeIsNoRival: before the first connection of a run the box's own earlier run may have had the name. With one
// stranger beside it nothing is proved; the second one is a rival.
func TestEarlierLifeIsNoRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seat{last: "a, before it was restarted"}
		var sees atomic.Bool
		stop := client(s, "a", &sees)
		for i, want := range []bool{false, false, true} { // whose connections end: the first, and two that follow a stranger's
			time.Sleep(time.Minute)
			synctest.Wait()
			s.cut(func() { s.last = "b" })
			synctest.Wait()
			if sees.Load() != want || len(s.log()) != i+1 {
				t.Errorf("after connection %d of %d a rival is seen: %v", i+1, len(s.log()), !want)
			}
		}
		stop()
	})
}
