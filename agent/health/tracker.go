package health

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// Fault is one line: one declared fault of one thing, from its beginning until a person has acknowledged its end.
type Fault struct {
	ID      uint64 // what a person types after `faults ack`
	Code    Code
	Key     string // what has it, for programs: a sensor's id, a stream; with Code the identity
	Subject string // what has it, for people: "28-0416a1b2c3ff (cold room 2)"
	Text    string // what happened in this case, one sentence
	Since   time.Time
	Until   time.Time // zero while it lasts
	Count   uint64    // how often it began
	Acked   time.Time // zero if nobody acknowledged it
	AckedBy string
}

// Active reports whether it lasts.
func (f Fault) Active() bool { return f.Until.IsZero() }

// Severity is the severity of its code while it counts, else Notice: a fault that lasts counts, and one that lost
// records counts until it is acknowledged.
func (f Fault) Severity() Severity {
	d, ok := Lookup(f.Code)
	if !ok {
		return Degraded
	}
	if f.Active() || d.Lossy && f.Acked.IsZero() {
		return d.Severity
	}
	return Notice
}

// ErrNoFault is returned for an id that no line has.
var ErrNoFault = errors.New("no such fault")

// Tracker keeps the faults of a box. The zero Tracker is ready. All methods may be called concurrently.
type Tracker struct {
	mu      sync.Mutex
	lines   map[faultKey]*Fault
	last    uint64
	refused uint64
}

type faultKey struct {
	code Code
	key  string
}

// Raise says that the fault lasts at now. The first call begins a line; later calls only renew its text; a call
// after its end continues the same line, unless that was acknowledged. It reports whether the fault began.
func (t *Tracker) Raise(now time.Time, code Code, key, subject, text string) (began bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.line(now, code, key)
	if f == nil {
		return false
	}
	began = !f.Active() || f.Count == 0
	if began {
		f.Count++
		f.Until = time.Time{}
		f.Acked, f.AckedBy = time.Time{}, ""
	}
	f.Subject, f.Text = cut(subject), cut(text)
	return began
}

// Note records something that has happened and does not last, such as a gap: a line that is over at once.
// since and until are the span that it concerns.
func (t *Tracker) Note(since, until time.Time, code Code, key, subject, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.line(since, code, key)
	if f == nil {
		return
	}
	f.Count++
	if since.Before(f.Since) {
		f.Since = since
	}
	if !until.Before(f.Until) {
		f.Until = until
	}
	f.Acked, f.AckedBy = time.Time{}, ""
	f.Subject, f.Text = cut(subject), cut(text)
}

// line finds or begins the line; nil if there is no room.
func (t *Tracker) line(now time.Time, code Code, key string) *Fault {
	k := faultKey{code, key}
	if f := t.lines[k]; f != nil {
		return f
	}
	if t.lines == nil {
		t.lines = map[faultKey]*Fault{}
	}
	if len(t.lines) >= MaxFaults && !t.evict() {
		t.refused++
		return nil
	}
	t.last++
	f := &Fault{ID: t.last, Code: code, Key: key, Since: now}
	t.lines[k] = f
	return f
}

// evict drops the line that ended first; a line that lost records only if there is no other.
func (t *Tracker) evict() bool {
	var drop faultKey
	var worst *Fault
	for k, f := range t.lines {
		if f.Active() {
			continue
		}
		if worst == nil || f.Severity() < worst.Severity() ||
			f.Severity() == worst.Severity() && f.Until.Before(worst.Until) {
			drop, worst = k, f
		}
	}
	delete(t.lines, drop)
	return worst != nil
}

// Clear says that the fault is over at now. An acknowledged one disappears, another stays as a line with its span.
// It reports whether it lasted before.
func (t *Tracker) Clear(now time.Time, code Code, key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := faultKey{code, key}
	f := t.lines[k]
	if f == nil || !f.Active() {
		return false
	}
	f.Until = now
	if !f.Acked.IsZero() {
		delete(t.lines, k)
	}
	return true
}

// ClearExcept ends all faults of the code whose key is not listed, for checks that find the whole set each time.
func (t *Tracker) ClearExcept(now time.Time, code Code, keys map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, f := range t.lines {
		if k.code == code && f.Active() && !keys[k.key] {
			f.Until = now
			if !f.Acked.IsZero() {
				delete(t.lines, k)
			}
		}
	}
}

// Ack notes that a person knows of the line. One that is over disappears; one that lasts stays, marked.
func (t *Tracker) Ack(now time.Time, id uint64, by string) (Fault, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, f := range t.lines {
		if f.ID != id {
			continue
		}
		f.Acked, f.AckedBy = now, cut(by)
		if !f.Active() {
			delete(t.lines, k)
		}
		return *f, nil
	}
	return Fault{}, fmt.Errorf("%w: %d", ErrNoFault, id)
}

// List is every line, worst first, then those that last, then the latest.
func (t *Tracker) List() []Fault {
	t.mu.Lock()
	out := make([]Fault, 0, len(t.lines))
	for _, f := range t.lines {
		out = append(out, *f)
	}
	t.mu.Unlock()
	worstFirst(out)
	return out
}

// worstFirst orders faults for people: worst first, then those that last, then the latest.
func worstFirst(faults []Fault) {
	sort.Slice(faults, func(i, j int) bool {
		a, b := faults[i], faults[j]
		switch {
		case a.Severity() != b.Severity():
			return a.Severity() > b.Severity()
		case a.Active() != b.Active():
			return a.Active()
		case !a.Since.Equal(b.Since):
			return a.Since.After(b.Since)
		}
		return a.ID < b.ID
	})
}

// Refused counts faults that found no room.
func (t *Tracker) Refused() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// Restore puts back lines that an earlier run of the agent saved with List. What lasted then is over at now: this run
// has to find it again, and then continues the line. Lines of codes that are not declared any more are left out.
func (t *Tracker) Restore(now time.Time, saved []Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = map[faultKey]*Fault{}
	}
	for _, f := range saved {
		k := faultKey{f.Code, f.Key}
		if _, ok := Lookup(f.Code); !ok || t.lines[k] != nil || len(t.lines) >= MaxFaults {
			continue
		}
		t.last = max(t.last, f.ID)
		if f.Active() {
			f.Until = now
		}
		if f.Acked.IsZero() {
			t.lines[k] = &f
		}
	}
}

// Worst is the greatest severity of the faults that count, 0 if there are none.
func Worst(faults []Fault) Severity {
	var worst Severity
	for _, f := range faults {
		if f.Active() || f.Severity() > Notice {
			worst = max(worst, f.Severity())
		}
	}
	return worst
}

func cut(s string) string {
	if len(s) <= MaxTextBytes {
		return s
	}
	end := MaxTextBytes
	for end > 0 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end]
}
