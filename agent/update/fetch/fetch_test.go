package fetch_test

import (
	"bytes"
	"container/heap"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/edgelog/edgelog/agent/update/fetch"
	"github.com/edgelog/edgelog/internal/release"
)

// link is a virtual network between a fetch and a server: chunks take half a round trip each way and one after another
// the time that the rate allows.
type link struct {
	file   []byte
	index  *release.Index
	delay  time.Duration
	rate   float64 // bytes a second
	drop   func(n int) bool
	spoil  func(i int, data []byte) []byte
	double bool

	sent  int
	free  time.Duration
	queue arrivals
}

type arrival struct {
	at   time.Duration
	id   uint64
	i    int
	data []byte
}

type arrivals []arrival

func (q arrivals) Len() int           { return len(q) }
func (q arrivals) Less(a, b int) bool { return q[a].at < q[b].at }
func (q arrivals) Swap(a, b int)      { q[a], q[b] = q[b], q[a] }
func (q *arrivals) Push(x any)        { *q = append(*q, x.(arrival)) }
func (q *arrivals) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func newLink(t *testing.T, size int) *link {
	t.Helper()
	l := &link{file: make([]byte, size), delay: 100 * time.Millisecond, rate: 10e6 / 8}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range l.file {
		l.file[i] = byte(r.Uint32())
	}
	var err error
	if l.index, _, err = release.MakeIndex(bytes.NewReader(l.file), release.DefaultChunkBits); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *link) ask(a fetch.Ask, now time.Duration) {
	for _, i := range a.Chunks() {
		off, n := l.index.Chunk(i)
		l.free = max(l.free, now+l.delay/2) + time.Duration(float64(n)/l.rate*float64(time.Second))
		l.sent++
		if l.drop != nil && l.drop(l.sent) {
			continue
		}
		data := l.file[off : off+int64(n)]
		if l.spoil != nil {
			data = l.spoil(i, data)
		}
		heap.Push(&l.queue, arrival{l.free + l.delay/2, a.ID, i, data})
		if l.double {
			heap.Push(&l.queue, arrival{l.free + l.delay, a.ID, i, data})
		}
	}
}

// run fetches until it is done or given up and returns the time it took.
func (l *link) run(t *testing.T, f *fetch.Fetch) time.Duration {
	t.Helper()
	got := make([]byte, len(l.file))
	now := time.Duration(0)
	for !f.Done() && f.Err() == nil {
		a, ok, wait := f.Next(now)
		if ok {
			l.ask(a, now)
			continue
		}
		if len(l.queue) > 0 && l.queue[0].at <= now+wait {
			x := heap.Pop(&l.queue).(arrival)
			now = max(now, x.at)
			if f.Arrived(x.id, x.i, x.data, now) {
				off, _ := l.index.Chunk(x.i)
				copy(got[off:], x.data)
			}
			continue
		}
		if now += wait; now > 24*time.Hour {
			t.Fatal("it does not end")
		}
	}
	if f.Done() && !bytes.Equal(got, l.file) {
		t.Error("another file came out")
	}
	return now
}

func TestFillsTheLink(t *testing.T) {
	l := newLink(t, 40<<20)
	f := fetch.New(l.index, nil, 0, 7, 0)
	took := l.run(t, f)
	ideal := time.Duration(float64(len(l.file)) / l.rate * float64(time.Second))
	t.Logf("%v of the link's %v; %+v", took, ideal, f.Stats)
	if share := ideal.Seconds() / took.Seconds(); share < 0.95 {
		t.Errorf("%.2f of the link", share)
	}
	if f.Stats.Lost != 0 || f.Stats.Taken != int64(len(l.file)) {
		t.Errorf("%+v", f.Stats)
	}
	if done, total := f.Progress(); done != total {
		t.Errorf("%d of %d", done, total)
	}
}

// TestDropsEverySeventh: case 42. What is lost is asked for again, and little else.
func TestDropsEverySeventh(t *testing.T) {
	l := newLink(t, 20<<20+12345)
	drops := 0
	l.drop = func(n int) bool {
		if n%7 == 0 {
			drops++
			return true
		}
		return false
	}
	f := fetch.New(l.index, nil, 0, 7, 0)
	took := l.run(t, f)
	again := (f.Stats.Asked - int64(len(l.index.Hashes))<<l.index.Bits) >> l.index.Bits
	t.Logf("%v, %d drops, %d chunks asked for again", took, drops, again)
	if !f.Done() || again > int64(drops)*2 {
		t.Errorf("%d drops, %d chunks asked for again: %v", drops, again, f.Err())
	}
}

func TestRandomLoss(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(3, seed))
		l := newLink(t, 2<<20+int(seed)*1000)
		p := r.Float64() / 3
		l.drop = func(int) bool { return r.Float64() < p }
		l.double = seed%3 == 0
		f := fetch.New(l.index, nil, int64(seed%2)*500_000, seed, 0)
		l.run(t, f)
		if !f.Done() {
			t.Errorf("seed %d, loss %.2f: %v %+v", seed, p, f.Err(), f.Stats)
		}
	}
}

func TestRate(t *testing.T) {
	l := newLink(t, 4<<20)
	took := l.run(t, fetch.New(l.index, nil, 200_000, 7, 0))
	rate := float64(len(l.file)) / took.Seconds()
	if rate > 210_000 || rate < 150_000 {
		t.Errorf("%.0f bytes a second, limited to 200,000", rate)
	}
}

// TestResume: only what is missing is asked for.
func TestResume(t *testing.T) {
	l := newLink(t, 4<<20)
	have := make([]bool, len(l.index.Hashes))
	for i := range have {
		have[i] = i != 5 && i != 40
	}
	f := fetch.New(l.index, have, 0, 7, 0)
	asked := map[int]bool{}
	for now := time.Duration(0); !f.Done(); now += 50 * time.Millisecond {
		a, ok, _ := f.Next(now)
		if !ok {
			continue
		}
		for _, i := range a.Chunks() {
			asked[i] = true
			off, n := l.index.Chunk(i)
			f.Arrived(a.ID, i, l.file[off:off+int64(n)], now)
		}
	}
	if len(asked) != 2 || !asked[5] || !asked[40] {
		t.Errorf("asked for %v", asked)
	}
}

// TestHostile: cases 36 and 37.
func TestHostile(t *testing.T) {
	l := newLink(t, 1<<20)
	l.spoil = func(i int, data []byte) []byte {
		if i != 3 {
			return data
		}
		bad := bytes.Clone(data)
		bad[0] ^= 1
		return bad
	}
	f := fetch.New(l.index, nil, 0, 7, 0)
	l.run(t, f)
	if !errors.Is(f.Err(), fetch.ErrBadSource) || f.Stats.Bad != fetch.MaxBad {
		t.Errorf("%v %+v", f.Err(), f.Stats)
	}
	f = fetch.New(l.index, nil, 0, 7, 0)
	a, _, _ := f.Next(0)
	_, n := l.index.Chunk(0)
	for name, got := range map[string]bool{
		"other id":       f.Arrived(a.ID+1, a.First, l.file[:n], 1),
		"never asked":    f.Arrived(a.ID, 15, l.file[:n], 1),
		"beyond the end": f.Arrived(a.ID, 1<<30, l.file[:n], 1),
		"below 0":        f.Arrived(a.ID, -1, l.file[:n], 1),
		"swapped":        f.Arrived(a.ID, a.First+1, l.file[:n], 1),
	} {
		if got {
			t.Errorf("%s: taken", name)
		}
	}
	if !f.Arrived(a.ID, a.First, l.file[:n], 1) || f.Arrived(a.ID, a.First, l.file[:n], 1) {
		t.Error("the right one is not taken once")
	}
	// A server that never sends what is asked for is given up, not asked for ever.
	l.spoil, l.drop = nil, func(int) bool { return true }
	f = fetch.New(l.index, nil, 0, 7, 0)
	l.run(t, f)
	if !errors.Is(f.Err(), fetch.ErrBudget) {
		t.Error(f.Err())
	}
}

// TestDisconnect: case 42's other half: a lost connection costs one window.
func TestDisconnect(t *testing.T) {
	l := newLink(t, 8<<20)
	f := fetch.New(l.index, nil, 0, 7, 0)
	cuts, now := 0, time.Duration(0)
	for arrived := 0; !f.Done(); {
		a, ok, wait := f.Next(now)
		if ok {
			l.ask(a, now)
			continue
		}
		if len(l.queue) == 0 {
			now += wait
			continue
		}
		x := heap.Pop(&l.queue).(arrival)
		now = max(now, x.at)
		f.Arrived(x.id, x.i, x.data, now)
		if arrived++; arrived%7 == 0 {
			l.queue = nil
			f.Disconnected()
			cuts++
		}
	}
	again := (f.Stats.Asked - int64(len(l.file))) >> l.index.Bits
	if again > int64(cuts)*fetch.MaxWindow {
		t.Errorf("%d cuts, %d chunks again", cuts, again)
	}
	t.Logf("%d cuts, %d chunks again", cuts, again)
}
