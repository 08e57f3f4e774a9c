// Package fetch decides which chunks of a file to ask for, and when: a state machine without clock, network or disk.
// Lost chunks are asked for again one by one; what is under way is bounded by a window that grows with what arrives and
// halves with what is lost; a rate limits what is asked for. Each chunk is held against the signed index before it is
// handed on, so that a hostile server can waste a window at most.
package fetch

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/edgelog/edgelog/internal/release"
)

// Bounds.
const (
	MinWindow      = 1
	MaxWindow      = 64 // chunks under way
	MaxSpan        = 64 // chunks that one request can name
	MaxBad         = 3  // wrong contents of one chunk before the source counts as bad
	MaxWindowBytes = 4 << 20
	YieldWindow    = 2   // chunks under way while something else needs the link
	budgetPercent  = 200 // of the file's size, in bytes asked for
	minTimeout     = 2 * time.Second
	maxTimeout     = 2 * time.Minute
	maxBackoff     = 16
	firstRoundTrip = time.Second
	// A chunk may wait so long behind others before the window stops growing: what else is on the link, such as the
	// hub's acknowledgements, waits as long.
	targetDelay = 400 * time.Millisecond
)

// Errors that end a fetch from this source.
var (
	ErrBadSource = errors.New("the source sends wrong content")
	ErrBudget    = errors.New("twice the file's size has been asked for, and it is not complete")
)

// Ask is a request to send: chunks First+i for each set bit i.
type Ask struct {
	ID    uint64
	First int
	Bits  uint64
}

// Fetch is one file on its way. Times are monotonic.
type Fetch struct {
	index *release.Index
	have  []bool
	left  int // chunks that are not there
	from  int // no chunk below is missing

	out     map[int]flight // chunks under way
	given   map[int]uint64 // chunks that were given up, by the request that had asked for them: they may still come
	bad     map[int]int    // wrong contents by chunk
	window  float64
	most    float64       // bound of the window
	yield   bool          // something else needs the link
	halved  time.Duration // when the window was last halved
	rest    time.Duration // nothing is asked for before
	rtt     time.Duration
	least   time.Duration // the shortest round trip so far, 0 before the first
	backoff time.Duration // factor of the time-out, doubled while nothing comes
	whole   bool          // there are no hashes of chunks: only lengths are checked
	steady  bool          // the source loses nothing
	asked   int64         // bytes asked for, of the present source
	ids     uint64
	rate    float64 // bytes a second; 0: no limit
	tokens  float64
	filled  time.Duration
	stopped error

	Stats Stats
}

type flight struct {
	id   uint64
	sent time.Duration
}

// Stats count for people and tests.
type Stats struct {
	Asked       int64 // bytes of chunks asked for
	Taken       int64 // bytes of chunks that were right and new
	Lost        int   // chunks that did not come in time
	Late        int   // chunks that came after they had been given up, and were still of use
	Bad         int   // chunks of wrong content
	Unsolicited int   // chunks that were not under way: duplicates, late ones, or never asked for
	Requests    int
}

// New fetches what have lacks of the file, at most rate bytes a second (0: as fast as it comes). seed begins the ids of
// requests, so that answers to an earlier life are not taken for answers to this one.
func New(index *release.Index, have []bool, rate int64, seed uint64, now time.Duration) *Fetch {
	f := &Fetch{index: index, have: make([]bool, len(index.Hashes)), out: map[int]flight{}, given: map[int]uint64{}, bad: map[int]int{},
		window: 4, most: float64(max(MinWindow, min(MaxWindow, MaxWindowBytes>>index.Bits))), backoff: 1,
		halved: -time.Hour, rtt: firstRoundTrip, ids: seed, rate: float64(rate), filled: now}
	copy(f.have, have)
	for _, ok := range f.have {
		if !ok {
			f.left++
		}
	}
	f.tokens = f.burst()
	return f
}

// NewWhole fetches a file of which only the whole has a hash. Its chunks are not verified: the caller verifies the file.
func NewWhole(size int64, rate int64, seed uint64, now time.Duration) *Fetch {
	n := (size + 1<<release.DefaultChunkBits - 1) >> release.DefaultChunkBits
	f := New(&release.Index{Bits: release.DefaultChunkBits, Size: size, Hashes: make([][32]byte, n)}, nil, rate, seed, now)
	f.whole = true
	return f
}

// Yield makes way for something that needs the link more, as long as it is on.
func (f *Fetch) Yield(on bool) { f.yield = on }

// burst is how much may be asked for at once under a rate: a fifth of a second, but a chunk at least.
func (f *Fetch) burst() float64 { return max(f.rate/5, float64(int64(1)<<f.index.Bits)) }

// Done tells whether every chunk is there.
func (f *Fetch) Done() bool { return f.left == 0 }

// Err is why the source is given up, nil while it is not.
func (f *Fetch) Err() error { return f.stopped }

// Progress is the bytes that are there.
func (f *Fetch) Progress() (done, total int64) {
	missing := int64(f.left) << f.index.Bits
	if n := len(f.have); n > 0 && !f.have[n-1] {
		_, last := f.index.Chunk(n - 1)
		missing -= int64(1)<<f.index.Bits - int64(last)
	}
	return f.index.Size - missing, f.index.Size
}

// Timeout is how long a chunk may take.
func (f *Fetch) Timeout() time.Duration { return min(max(3*f.rtt, minTimeout)*f.backoff, maxTimeout) }

// Next composes the next request; ok is false where nothing is to be asked for now. wait is then how long until that
// may change by itself, 0 if only an arrival changes it.
func (f *Fetch) Next(now time.Duration) (a Ask, ok bool, wait time.Duration) {
	f.expire(now)
	if now < f.rest {
		return Ask{}, false, f.rest - now
	}
	room := int(f.window) - len(f.out)
	if f.yield {
		room = min(int(f.window), YieldWindow) - len(f.out)
	}
	if f.stopped != nil || f.left == 0 || room <= 0 {
		return Ask{}, false, f.nextExpiry(now)
	}
	f.refill(now)
	size := int64(1) << f.index.Bits
	first := -1
	for i := f.from; i < len(f.have) && room > 0 && (first < 0 || i < first+MaxSpan); i++ {
		if f.have[i] {
			if i == f.from {
				f.from++
			}
			continue
		}
		if _, flying := f.out[i]; flying {
			continue
		}
		if f.rate > 0 && f.tokens < float64(size) {
			break
		}
		if f.asked+size > f.index.Size*budgetPercent/100+MaxWindow*size {
			f.stopped = ErrBudget
			break
		}
		if first < 0 {
			first = i
			f.ids++
		}
		f.tokens -= float64(size)
		f.out[i] = flight{f.ids, now}
		a.Bits |= 1 << (i - first)
		f.Stats.Asked, f.asked = f.Stats.Asked+size, f.asked+size
		room--
	}
	if first < 0 {
		wait = f.nextExpiry(now)
		if f.rate > 0 && f.tokens < float64(size) {
			wait = min(wait, time.Duration((float64(size)-f.tokens)/f.rate*float64(time.Second))+time.Millisecond)
		}
		return Ask{}, false, wait
	}
	f.Stats.Requests++
	a.ID, a.First = f.ids, first
	return a, true, 0
}

func (f *Fetch) refill(now time.Duration) {
	f.tokens = min(f.tokens+f.rate*(now-f.filled).Seconds(), f.burst())
	f.filled = now
}

// nextExpiry is how long until the oldest chunk under way counts as lost.
func (f *Fetch) nextExpiry(now time.Duration) time.Duration {
	if f.steady {
		return maxTimeout
	}
	wait := f.Timeout()
	for _, fl := range f.out {
		wait = min(wait, max(fl.sent+f.Timeout()-now, time.Millisecond))
	}
	return wait
}

// expire gives up chunks that did not come in time.
func (f *Fetch) expire(now time.Duration) {
	if f.steady {
		return
	}
	limit, lost := f.Timeout(), 0
	for i, fl := range f.out {
		if now-fl.sent >= limit {
			f.giveUp(i, fl)
			lost++
		}
	}
	if lost == 0 {
		return
	}
	f.Stats.Lost += lost
	if len(f.out) == 0 { // nothing at all came for so long: the way may be slower than it was
		f.backoff = min(2*f.backoff, maxBackoff)
	}
	f.shrink(now)
}

// giveUp asks for a chunk again, and takes it all the same if the first answer comes after all.
func (f *Fetch) giveUp(i int, fl flight) {
	delete(f.out, i)
	f.given[i] = fl.id
}

// shrink halves the window, once a round trip: what was lost together was lost for one reason.
func (f *Fetch) shrink(now time.Duration) {
	if now-f.halved >= f.rtt {
		f.window, f.halved = max(f.window/2, MinWindow), now
	}
}

// Arrived takes a chunk as an answer to request id. ok says that it is right and new: it is to be written.
func (f *Fetch) Arrived(id uint64, i int, data []byte, now time.Duration) (ok bool) {
	fl, flying := f.out[i]
	switch {
	case flying && fl.id == id:
		delete(f.out, i)
	case f.given[i] == id && id != 0 && i >= 0 && i < len(f.have) && !f.have[i] && f.right(i, data):
		f.Stats.Late++
		delete(f.out, i)
		f.take(i, data)
		return true
	default:
		f.Stats.Unsolicited++
		return false
	}
	if !f.right(i, data) {
		f.Stats.Bad++
		if f.bad[i]++; f.bad[i] >= MaxBad {
			f.stopped = fmt.Errorf("chunk %d, %d times: %w", i, f.bad[i], ErrBadSource)
		}
		return false
	}
	f.take(i, data)
	f.backoff = 1
	trip := now - fl.sent
	if f.rtt = (7*f.rtt + trip) / 8; f.least == 0 || trip < f.least {
		f.least = trip
	}
	// Growth stops where a chunk waits longer behind others than the link itself takes.
	if trip-f.least <= max(targetDelay, f.least) {
		f.window = min(f.window+1/f.window, f.most)
	} else {
		f.window = max(f.window-1/f.window, MinWindow)
	}
	f.gapBefore(id, i, now)
	return true
}

func (f *Fetch) take(i int, data []byte) {
	f.have[i] = true
	f.left--
	f.Stats.Taken += int64(len(data))
	delete(f.given, i)
}

func (f *Fetch) right(i int, data []byte) bool {
	if f.whole {
		_, n := f.index.Chunk(i)
		return n == len(data)
	}
	return f.index.Check(i, data)
}

// gapBefore notices loss early: chunks of one request come in order, so that one which was skipped by three later ones
// is lost.
func (f *Fetch) gapBefore(id uint64, i int, now time.Duration) {
	const late = 3
	for j := max(i-MaxSpan, 0); j <= i-late; j++ {
		if fl, flying := f.out[j]; flying && fl.id == id {
			f.giveUp(j, fl)
			f.Stats.Lost++
			f.shrink(now)
		}
	}
}

// Disconnected gives up all that is under way: the connection that would have brought it is gone.
func (f *Fetch) Disconnected() {
	f.Stats.Lost += len(f.out)
	clear(f.out)
	clear(f.given)
	f.window = max(f.window/2, MinWindow)
}

// Turn goes on from another source, of which nothing is known yet; what is under way is given up. A steady source, as a
// stream, loses no chunk: it brings each one, or breaks, which Disconnected tells.
func (f *Fetch) Turn(steady bool) {
	f.Disconnected()
	clear(f.bad)
	f.steady, f.stopped, f.asked, f.rest = steady, nil, 0, 0
	f.window, f.backoff, f.rtt, f.least, f.halved = 4, 1, firstRoundTrip, 0, -time.Hour
}

// Busy is a refusal that will pass: nothing is asked for until then.
func (f *Fetch) Busy(id uint64, now, wait time.Duration) {
	for i, fl := range f.out {
		if fl.id == id {
			delete(f.out, i)
			f.Stats.Asked -= int64(1) << f.index.Bits // it was not sent
			f.asked -= int64(1) << f.index.Bits
		}
	}
	f.window, f.halved = MinWindow, now
	f.rest = now + max(wait, minTimeout)
}

// Asked tells whether chunks of a request are under way.
func (f *Fetch) Asked(id uint64) bool {
	for _, fl := range f.out {
		if fl.id == id {
			return true
		}
	}
	return false
}

// Chunks lists the chunks that an Ask names.
func (a Ask) Chunks() []int {
	out := make([]int, 0, bits.OnesCount64(a.Bits))
	for b := a.Bits; b != 0; b &= b - 1 {
		out = append(out, a.First+bits.TrailingZeros64(b))
	}
	return out
}
