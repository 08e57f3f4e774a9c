package sim_test

import (
	"container/heap"
	cryptorand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/edgelog/edgelog/hub/store/memory"
)

// world is one run. Its methods belong to the goroutine that runs it; hubs have goroutines of their own, which work
// only while that one sleeps or waits for them. So that only one goroutine ever runs, and a seed replays exactly.
type world struct {
	seed   uint64
	rng    *rand.Rand
	cfg    config
	rule   *brokenRule // nil: none is broken
	begin  time.Time
	events events
	count  int // events scheduled

	boxes   []*box
	hubs    []*hub // those that hear
	allHubs []*hub
	hubIDs  int
	store   *memory.Store
	save    *memory.Store
	broker  int // generation: what was sent to an earlier one is lost
	boots   int
	calm    atomic.Bool // no faults from now on

	mu sync.Mutex // guards what follows: hubs use it too
	*ledger
	inbox  []reply
	kick   chan struct{}
	faults map[string]int
	hash   uint64
	lines  []string // transcript, if wanted
	boxIDs int
	crypto *randomSource
	trace  bool
	done   time.Duration // virtual
}

// config is what a seed decides before it begins.
type config struct {
	streams                                             []string
	tight, lying, rot, snapshot, replace, clone, revert bool
	hubs                                                int
	noise                                               int // of the network: 0 none, 4 most messages
	trouble                                             int // of the store: one call in so many, times 9
	credit, window                                      int
	commit, produce                                     time.Duration
	between                                             time.Duration // two faults of machines, disks, hubs and broker, about
	length                                              time.Duration
	longest                                             int  // bytes of a text, about
	natural                                             bool // nothing hastens the hello after the faults
}

type event struct {
	at time.Time
	n  int
	do func()
}

type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(*event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// newWorld must be called in a synctest bubble.
func newWorld(seed uint64, rule *brokenRule, trace bool) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), rule: rule, begin: time.Now(), kick: make(chan struct{}, 1),
		ledger: newLedger(), faults: map[string]int{}, trace: trace}
	w.cfg = w.draw()
	w.store = memory.New(nil)
	w.save = w.store.Backup()
	return w
}

func (w *world) draw() config {
	r := w.rng
	one := func(n int) bool { return r.IntN(n) == 0 }
	some := func(n, harsh int) bool { // one of n; with -harsh one of so many, or, below 0, all but one
		switch {
		case !*harshly:
			return one(n)
		case harsh < 0:
			return !one(-harsh)
		}
		return one(harsh)
	}
	c := config{streams: []string{"telemetry", "alarms"}[:1+r.IntN(2)], tight: some(3, -3), lying: some(5, -3), rot: some(6, 3),
		snapshot: some(6, -3), replace: one(6), clone: some(5, 2), revert: one(3), hubs: 1 + r.IntN(2), noise: min(r.IntN(6), 4), trouble: []int{40, 80, 150}[r.IntN(3)], between: betweenFaults << r.IntN(3),
		credit: 1 << 20 << r.IntN(5), window: 64 << 10 << r.IntN(4), commit: time.Duration(50+r.IntN(900)) * time.Millisecond,
		produce: time.Duration(200+r.IntN(1500)) * time.Millisecond, natural: one(10), longest: []int{10, 10, 300, 1200}[r.IntN(4)]}
	c.length = shortest + time.Duration(r.Int64N(int64(longest-shortest)))
	return c
}

// random is used for crypto/rand while a machine works: epochs and salts come from its own seed.
type randomSource struct{ src *rand.ChaCha8 }

func (r *randomSource) Read(p []byte) (int, error) { return r.src.Read(p) }

// withRandom replaces crypto/rand for the time of f.
func withRandom(seed uint64, f func(r *randomSource)) {
	old := cryptorand.Reader
	defer func() { cryptorand.Reader = old }()
	r := &randomSource{src: rand.NewChaCha8(seed32(seed, 0))}
	cryptorand.Reader = r
	f(r)
}

func seed32(a, b uint64) (s [32]byte) {
	r := rand.New(rand.NewPCG(a, b))
	for i := range s {
		s[i] = byte(r.Uint32())
	}
	return s
}

func (w *world) after(d time.Duration, do func()) { w.schedule(time.Now().Add(d), do) }

func (w *world) schedule(at time.Time, do func()) {
	w.count++
	heap.Push(&w.events, &event{at: at, n: w.count, do: do})
}

// step runs what is due next: an event, or what a hub has said.
func (w *world) step() {
	w.handOver()
	if len(w.events) > 0 {
		if d := time.Until(w.events[0].at); d > 0 {
			t := time.NewTimer(d)
			select {
			case <-t.C:
			case <-w.kick:
				t.Stop()
			}
		}
	} else {
		<-w.kick
	}
	w.wait()
	w.drain()
	for len(w.events) > 0 && !w.events[0].at.After(time.Now()) {
		heap.Pop(&w.events).(*event).do()
		w.wait()
		w.drain()
	}
	for _, b := range w.boxes {
		b.pump()
	}
}

// wait lets the hubs work until all of them sleep or have nothing to do.
func (w *world) wait() {
	w.handOver()
	synctest.Wait()
}

// handOver tells the race detector what is so anyhow: the goroutines take turns. It stands before every point where
// another one may go on.
func (w *world) handOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// run is the faulty part, the quiet part, and the checks.
func (w *world) run(r *randomSource) {
	w.crypto = r
	for range w.cfg.hubs {
		w.startHub()
	}
	b := w.newBox(nil)
	b.start()
	w.after(w.next(w.cfg.between), w.fault)
	end := w.begin.Add(w.cfg.length)
	for time.Now().Before(end) && len(w.bad) == 0 {
		w.step()
	}
	if len(w.bad) == 0 {
		w.settle()
		w.agree()
	}
	if len(w.bad) == 0 {
		w.check()
	}
	w.done = time.Since(w.begin)
	for _, h := range w.allHubs {
		h.end()
	}
}

// next is an exponentially distributed time.
func (w *world) next(mean time.Duration) time.Duration {
	return time.Duration(w.rng.ExpFloat64()*float64(mean)) + time.Millisecond
}

func (w *world) one(n int) bool { return w.rng.IntN(n) == 0 }

// settle ends all faults and runs until everything is delivered.
func (w *world) settle() {
	w.note("---- faults end")
	w.calm.Store(true)
	for _, b := range w.boxes {
		b.heal()
	}
	w.replaceKilled()
	if len(w.hubs) == 0 {
		w.startHub()
	}
	if !w.cfg.natural {
		for _, b := range w.boxes {
			b.cut("the broker is restarted in good order")
		}
	}
	w.untilQuiet()
}

// untilQuiet runs until every box has heard an answer once more and everything is delivered.
func (w *world) untilQuiet() {
	for _, b := range w.boxes {
		b.hellosThen = b.hellos
	}
	end := time.Now().Add(settleWithin)
	for time.Now().Before(end) && len(w.bad) == 0 {
		w.step()
		if w.quiet() {
			return
		}
	}
	if len(w.bad) == 0 {
		why := ""
		for _, b := range w.boxes {
			why += "; " + b.describe()
		}
		w.violation("progress: not quiet %s after the faults ended%s", settleWithin, why)
	}
}

func (w *world) quiet() bool {
	for _, b := range w.boxes {
		if !b.quiet() {
			return false
		}
	}
	return true
}

// note writes a line of the transcript. That it happened, and when, is in the hash, whether a transcript is kept or not.
func (w *world) note(format string, args ...any) {
	w.mix(uint64(time.Since(w.begin)), uint64(len(format)))
	if w.trace {
		w.lines = append(w.lines, fmt.Sprintf("%10.3f  ", time.Since(w.begin).Seconds())+fmt.Sprintf(format, args...))
	}
}

// mix puts numbers into the hash of the run.
func (w *world) mix(values ...uint64) {
	for _, v := range values {
		w.hash = (w.hash ^ v) * 0x100000001b3
		w.hash ^= w.hash >> 29
	}
}

// hit notes a fault that happened.
func (w *world) hit(kind, format string, args ...any) {
	w.faults[kind]++
	w.note("FAULT "+kind+": "+format, args...)
}
