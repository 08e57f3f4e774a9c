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
	MaxWindow      = 64  // chunks under way
	MaxSpan        = 64  // chunks that one request can name
	MaxBad         = 3   // wrong contents of one chunk before the source counts as bad
	budgetPercent  = 200 // of the file's size, in bytes asked for
	minTimeout     = 2 * time.Second
	maxTimeout     = time.Minute
	firstRoundTrip = time.Second
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
	bad     map[int]int    // wrong contents by chunk
	window  float64
	halved  time.Duration // when the window was last halved
	rtt     time.Duration
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
	Bad         int   // chunks of wrong content
	Unsolicited int   // chunks that were not under way: duplicates, late ones, or never asked for
	Requests    int
}

// New fetches what have lacks of the file, at most rate bytes a second (0: as fast as it comes). seed begins the ids of
// requests, so that answers to an earlier life are not taken for answers to this one.
func New(index *release.Index, have []bool, rate int64, seed uint64, now time.Duration) *Fetch {
	f := &Fetch{index: index, have: make([]bool, len(index.Hashes)), out: map[int]flight{}, bad: map[int]int{}, window: 4,
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
func (f *Fetch) Timeout() time.Duration { return min(max(3*f.rtt, minTimeout), maxTimeout) }

// Next composes the next request; ok is false where nothing is to be asked for now. wait is then how long until that
// may change by itself, 0 if only an arrival changes it.
func (f *Fetch) Next(now time.Duration) (a Ask, ok bool, wait time.Duration) {
	f.expire(now)
	room := int(f.window) - len(f.out)
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
		if f.Stats.Asked+size > f.index.Size*budgetPercent/100+MaxWindow*size {
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
		f.Stats.Asked += size
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
	wait := f.Timeout()
	for _, fl := range f.out {
		wait = min(wait, max(fl.sent+f.Timeout()-now, time.Millisecond))
	}
	return wait
}

// expire gives up chunks that did not come in time.
func (f *Fetch) expire(now time.Duration) {
	limit, lost := f.Timeout(), 0
	for i, fl := range f.out {
		if now-fl.sent >= limit {
			delete(f.out, i)
			lost++
		}
	}
	if lost == 0 {
		return
	}
	f.Stats.Lost += lost
	f.shrink(now)
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
	if !flying || fl.id != id {
		f.Stats.Unsolicited++
		return false
	}
	delete(f.out, i)
	if !f.index.Check(i, data) {
		f.Stats.Bad++
		if f.bad[i]++; f.bad[i] >= MaxBad {
			f.stopped = fmt.Errorf("chunk %d, %d times: %w", i, f.bad[i], ErrBadSource)
		}
		return false
	}
	f.have[i] = true
	f.left--
	f.Stats.Taken += int64(len(data))
	f.window = min(f.window+1/f.window, MaxWindow)
	f.rtt = (7*f.rtt + (now - fl.sent)) / 8
	f.gapBefore(id, i, now)
	return true
}

// gapBefore notices loss early: chunks of one request come in order, so that one which was skipped by three later ones
// is lost.
func (f *Fetch) gapBefore(id uint64, i int, now time.Duration) {
	const late = 3
	for j := max(i-MaxSpan, 0); j <= i-late; j++ {
		if fl, flying := f.out[j]; flying && fl.id == id {
			delete(f.out, j)
			f.Stats.Lost++
			f.shrink(now)
		}
	}
}

// Disconnected gives up all that is under way: the connection that would have brought it is gone.
func (f *Fetch) Disconnected() {
	f.Stats.Lost += len(f.out)
	clear(f.out)
	f.window = max(f.window/2, MinWindow)
}

// Busy is a refusal that will pass.
func (f *Fetch) Busy(id uint64, now time.Duration) {
	for i, fl := range f.out {
		if fl.id == id {
			delete(f.out, i)
		}
	}
	f.window, f.halved = MinWindow, now
}

// Chunks lists the chunks that an Ask names.
func (a Ask) Chunks() []int {
	out := make([]int, 0, bits.OnesCount64(a.Bits))
	for b := a.Bits; b != 0; b &= b - 1 {
		out = append(out, a.First+bits.TrailingZeros64(b))
	}
	return out
}
