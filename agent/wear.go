package agent

import "time"

const (
	wearMarks   = 24            // what is kept to say what a day costs
	wearEvery   = time.Hour     // between two of them
	wearAtLeast = time.Hour     // shorter says little of a day
	wearJudge   = 3 * time.Hour // a fault is declared on no less
)

// wear is how many bytes a day the disk is told to write, at the rate of the last 24 hours, or since the start.
type wear struct {
	marks [wearMarks]wearMark // a ring
	n     int                 // marks ever made
	last  wearMark
}

// wearMark is a counter that only grows, at one time. A monotonic clock is needed: time.Time of time.Now has one.
type wearMark struct {
	at    time.Time
	bytes uint64
}

// add notes the counter. One that goes back is another disk, or counted anew: what was known is forgotten.
func (w *wear) add(now time.Time, bytes uint64) {
	if w.n > 0 && bytes < w.last.bytes {
		*w = wear{}
	}
	w.last = wearMark{now, bytes}
	if w.n == 0 || now.Sub(w.marks[(w.n-1)%wearMarks].at) >= wearEvery {
		w.marks[w.n%wearMarks] = w.last
		w.n++
	}
}

// perDay is bytes a day, and the time it was taken over; 0, 0 as long as it is not known.
func (w *wear) perDay() (bytes float64, over time.Duration) {
	if w.n == 0 {
		return 0, 0
	}
	oldest := w.marks[0]
	if w.n > wearMarks {
		oldest = w.marks[w.n%wearMarks]
	}
	over = w.last.at.Sub(oldest.at)
	if over < wearAtLeast {
		return 0, 0
	}
	return float64(w.last.bytes-oldest.bytes) / over.Hours() * 24, over
}
