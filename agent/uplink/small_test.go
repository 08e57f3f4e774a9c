package uplink_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/uplink"
	"github.com/edgelog/edgelog/internal/wire"
)

// eachBroker runs a test with a broker that drops what is too large, and with one that ends the connection for it.
func eachBroker(t *testing.T, test func(t *testing.T, closes bool)) {
	for _, closes := range []bool{false, true} {
		t.Run(map[bool]string{false: "drops", true: "closes"}[closes], func(t *testing.T) { test(t, closes) })
	}
}

func (w *world) mustHold(t *testing.T) {
	t.Helper()
	for _, e := range w.check() {
		t.Error(e)
	}
	for _, e := range w.events {
		t.Error(e)
	}
	if n := w.s.Status().Unsendable; n > 0 {
		t.Errorf("%d records were given up", n)
	}
}

// TestSmallFrames: whatever the broker's limit, frames become small enough for it, and stay so: what is too large later is
// a look now and then.
func TestSmallFrames(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		for _, gather := range []bool{false, true} {
			for _, limit := range []int{1100, 2500, 20_000} {
				t.Run(fmt.Sprint(gather, limit), func(t *testing.T) {
					w := newWorld(3, 1000, "telemetry", "events")
					w.gather = gather
					w.start()
					w.broker(closes, limit)
					for range 4 {
						w.append(0, 1000)
						w.append(1, 40)
					}
					w.logs[0].Batch = 100
					for range 10 {
						w.append(0, 700)
					}
					w.settle(2 * time.Hour)
					w.mustHold(t)
					if w.refused == 0 || w.refused > 300 {
						t.Errorf("%d frames were too large", w.refused)
					}
				})
			}
		}
	})
}

// TestSmallFramesOfProducers: messages are not cut, however small frames must be.
func TestSmallFramesOfProducers(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		w := newWorld(3, 1<<20, "telemetry")
		w.gather = true
		w.start()
		w.broker(closes, 2000)
		for i := range 90 {
			w.message(0, 20, i == 0) // all in one batch
		}
		w.settle(2 * time.Hour)
		w.mustHold(t)
		if w.refused == 0 {
			t.Error("nothing was too large")
		}
	})
}

// TestOneMessageOverTheLimit: it stays where it is, is said, and loses nothing; once the broker takes it, all of it arrives.
func TestOneMessageOverTheLimit(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		w := newWorld(3, 100, "telemetry")
		w.append(0, 100)
		w.message(0, 500, true)
		w.append(0, 300)
		w.broker(closes, 3000)
		w.settle(2 * time.Hour)
		if at := w.logs[0].Position; at != 100 {
			t.Fatalf("delivered to %d, want all before the message that begins at 100", at)
		}
		k := w.s.Status().Stuck
		if k.Stream != "telemetry" || !k.Whole || k.Bytes < 3000 || k.Misses < 2 {
			t.Errorf("it says %+v", k)
		}
		w.broker(false, 0)
		w.settle(24 * time.Hour)
		w.mustHold(t)
		if k := w.s.Status().Stuck; k != (uplink.Stuck{}) {
			t.Errorf("all has arrived, and it says %+v", k)
		}
	})
}

// TestDefinitionsAreDivided: what makes a frame large may be the definitions.
func TestDefinitionsAreDivided(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		w := newWorld(3, 400, "telemetry")
		for i := range 400 { // each of a series of its own
			w.appendSeries(0, i+1, i == 0)
		}
		w.broker(closes, 2000)
		w.settle(2 * time.Hour)
		w.mustHold(t)
		if w.refused == 0 {
			t.Error("nothing was too large")
		}
	})
}

// TestFramesGrowBack: a hub that could not store for hours, or a broker whose limit is raised, leaves small frames behind for
// some minutes, not for ever.
func TestFramesGrowBack(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		w := newWorld(3, 1000, "telemetry")
		w.append(0, 1000)
		w.broker(closes, 200) // not one frame
		w.settle(2 * time.Hour)
		if w.logs[0].Position != 0 {
			t.Fatal("something was taken")
		}
		w.broker(closes, 0)
		w.settle(2 * time.Hour)
		w.mustHold(t)
		frames := uint64(0)
		for range 2 {
			frames = w.s.Status().Frames
			for range 40 {
				w.append(0, 1000)
			}
			w.now = w.now.Add(10 * time.Minute)
			w.settle(2 * time.Hour)
			w.mustHold(t)
		}
		if n := w.s.Status().Frames - frames; n > 60 {
			t.Errorf("40 large batches went in %d frames", n)
		}
	})
}

// TestLooksForMore: with a limit that stays, frames that are too large are tried seldom.
func TestLooksForMore(t *testing.T) {
	eachBroker(t, func(t *testing.T, closes bool) {
		w := newWorld(3, 200, "telemetry")
		w.broker(closes, 1500)
		for range 12 * 12 {
			w.append(0, 200)
			w.settle(5 * time.Minute)
			w.now = w.now.Add(5 * time.Minute)
			if w.connected {
				w.s.Tick(w.now)
			}
		}
		w.settle(time.Hour)
		w.mustHold(t)
		if w.refused > 60 {
			t.Errorf("%d frames in half a day were too large", w.refused)
		}
	})
}

// TestHelloOfManyEpochs: it is divided before it is large.
func TestHelloOfManyEpochs(t *testing.T) {
	w := newWorld(3, 4, "telemetry")
	for range 700 {
		w.append(0, 1)
		w.start()
	}
	w.connect()
	w.pump(1 << 20)
	if len(w.up) < 5 {
		t.Errorf("a hello of 700 epochs in %d parts", len(w.up))
	}
	for _, m := range w.up {
		if h, ok := m.(*wire.Hello); !ok || bytesOf(h) > 6<<10 {
			t.Errorf("%T of %d bytes", m, bytesOf(m))
		}
	}
	w.settle(time.Hour)
	w.mustHold(t)
}

// TestOneStreamIsDropped: acks of another stream put the time-out off; what the broker drops is found out all the same.
func TestOneStreamIsDropped(t *testing.T) {
	w := newWorld(3, 1000, "telemetry", "events")
	w.broker(false, 10_000)
	w.append(0, 1000)
	for range 150 {
		w.append(1, 1)
		w.now = w.now.Add(2 * time.Second)
		if w.connected {
			w.s.Tick(w.now)
		}
		w.exchange()
	}
	if w.logs[0].Position != 1000 {
		t.Errorf("delivered to %d after five minutes: %+v", w.logs[0].Position, w.s.Status())
	}
	w.settle(time.Hour)
	w.mustHold(t)
}

// exchange passes on what is there to be sent, and what comes back.
func (w *world) exchange() {
	if !w.connected {
		w.connect()
	}
	for w.pump(64) > 0 || len(w.up)+len(w.down) > 0 {
		for len(w.up) > 0 {
			w.hubTakes(take(&w.up, 0))
		}
		for len(w.down) > 0 {
			w.s.Received(take(&w.down, 0), w.now)
		}
	}
}
