package record

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ClockSource says where a correspondence of boot time and UTC came from.
type ClockSource string

// The clock sources, from the best to the weakest.
const (
	SourceGPS      ClockSource = "gps"
	SourceNTP      ClockSource = "ntp"
	SourceHub      ClockSource = "hub"      // the hub's time in an answer that echoed our nonce; error is half the round trip
	SourceOperator ClockSource = "operator" // somebody set it
	SourceSystem   ClockSource = "system"   // the system clock, not known to be synchronised: a guess, never used to correct
)

// Anchor ties a boot's CLOCK_BOOTTIME to UTC. An anchor of SourceSystem is a guess and counts only where a boot
// never had another one.
type Anchor struct {
	Boot     string      `json:"boot"`         // kernel boot id
	BootTime int64       `json:"boot_time_ns"` // ns of CLOCK_BOOTTIME
	UTC      int64       `json:"utc_ns"`       // ns since 1970 UTC at that boot time
	Error    int64       `json:"error_ns"`     // bound of the error, ns
	Source   ClockSource `json:"source"`
	State    string      `json:"state"` // "synchronised", "unsynchronised", "stepped"
}

// Good reports whether the anchor is more than a guess.
func (a Anchor) Good() bool { return a.Source != "" && a.Source != SourceSystem }

// BootMark is the first record of an epoch: the boot that its boot-time stamps count from, how exact stamps are,
// and the best anchor known when the epoch began (SourceSystem if there was none).
type BootMark struct {
	Anchor
	Resolution int64  `json:"resolution_ns"` // stamps of this epoch are multiples of it
	Agent      string `json:"agent"`         // version of the program that opened the log
}

// MarkRecord makes the record of a boot mark, an anchor or a configuration change; at is its stamp.
func MarkRecord(kind Kind, at Stamp, v any) (Record, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Record{}, fmt.Errorf("encode %s mark: %w", kind, err)
	}
	return Record{Kind: kind, Time: at.Time, Clock: at.Clock, Type: TypeJSON, Data: &Data{Value: b}}, nil
}

// AnchorOf reads the anchor from a boot or anchor mark; ok is false for other records and for damaged marks, which are
// those, too, whose boot is not an id, or whose words are not.
func AnchorOf(r *Record) (a Anchor, ok bool) {
	if r.Kind != KindBoot && r.Kind != KindAnchor {
		return Anchor{}, false
	}
	var m BootMark
	if json.Unmarshal(r.Value(), &m) != nil || m.Boot == "" || !word(m.Boot) || !word(string(m.Source)) || !word(m.State) {
		return Anchor{}, false
	}
	return m.Anchor, true
}

// word reports whether s is short and of printable ASCII without blanks. Every store of a hub can hold it, and index it.
func word(s string) bool {
	return len(s) <= MaxMarkWord && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Time is a UTC with what is not known about it.
type Time struct {
	UTC   int64 // ns since 1970; the lower bound if Error > 0
	Error int64 // width of the interval, ns; 0 when the boot is anchored or the stamp was asserted
}

// Timeline computes UTC from boot time: the best anchor of its boot, earlier or later. A boot that never had a good
// anchor is placed by the guess of the system clock and bounded by its neighbours. Box and hub use this one
// function on the same marks. It is not safe for concurrent use.
type Timeline struct {
	boots map[string]*bootTime
	order []string // boots in the order in which they were first seen
}

type bootTime struct {
	best  Anchor // the good anchor with the smallest error, the first of equals
	guess Anchor // the latest guess
	last  int64  // greatest boot time seen
}

// Add takes an anchor and reports whether the UTC of that boot changed, and by how much (ns, new minus old;
// 0 if it was not placed before).
func (t *Timeline) Add(a Anchor) (shift int64, changed bool) {
	if t.boots == nil {
		t.boots = map[string]*bootTime{}
	}
	b := t.boots[a.Boot]
	fresh := b == nil
	if fresh {
		b = &bootTime{}
		t.boots[a.Boot] = b
		t.order = append(t.order, a.Boot)
	}
	b.last = max(b.last, a.BootTime)
	old, had := b.base()
	switch {
	case !a.Good():
		b.guess = a
	case !b.best.Good() || a.Error < b.best.Error:
		b.best = a
	default:
		return 0, false
	}
	now, _ := b.base()
	if fresh || !had {
		return 0, true
	}
	return now - old, now != old
}

// base is the UTC of boot time 0.
func (b *bootTime) base() (int64, bool) {
	if b.best.Good() {
		return b.best.UTC - b.best.BootTime, true
	}
	if b.guess.Boot != "" {
		return b.guess.UTC - b.guess.BootTime, true
	}
	return 0, false
}

// Anchored reports whether the boot has a good anchor, and the best one.
func (t *Timeline) Anchored(boot string) (Anchor, bool) {
	b := t.boots[boot]
	if b == nil || !b.best.Good() {
		return Anchor{}, false
	}
	return b.best, true
}

// UnknownError is the width stated for a boot that has nothing but the guess of a free-running clock and no
// neighbour that bounds it: ten years.
const UnknownError = int64(10 * 365 * 24 * 3600 * 1e9)

// At is the UTC of a stamp taken in boot; ok is false if nothing at all is known of that boot.
func (t *Timeline) At(boot string, s Stamp) (Time, bool) {
	if s.Clock.Asserted() {
		return Time{UTC: s.Time}, true
	}
	b := t.boots[boot]
	if b == nil {
		return Time{}, false
	}
	base, ok := b.base()
	if !ok {
		return Time{}, false
	}
	if b.best.Good() {
		return Time{UTC: base + s.Time}, true
	}
	lo, hi := t.bounds(boot)
	switch {
	case lo == 0 && hi == 0:
		return Time{UTC: base + s.Time, Error: UnknownError}, true
	case hi == 0:
		return Time{UTC: max(lo+s.Time, base+s.Time), Error: UnknownError}, true
	default:
		return Time{UTC: max(lo, 0) + s.Time, Error: max(hi-b.last-lo, 1)}, true
	}
}

// bounds are the end of the nearest anchored boot before and the start of the nearest anchored boot after, ns UTC;
// 0 where there is none.
func (t *Timeline) bounds(boot string) (lo, hi int64) {
	seen := false
	for _, id := range t.order {
		b := t.boots[id]
		switch {
		case id == boot:
			seen = true
		case !b.best.Good():
		case !seen:
			lo = b.best.UTC - b.best.BootTime + b.last
		case hi == 0:
			hi = b.best.UTC - b.best.BootTime
		}
	}
	return lo, hi
}
