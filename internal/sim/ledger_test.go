package sim_test

import (
	"fmt"
	"slices"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/hub/receive"
)

// ledger is the truth: what became of every record that was ever made.
type ledger struct {
	entries  []*entry
	links    map[receive.Key][]link                 // by the boxes that hold the epoch
	reached  map[receive.Key]record.Offset          // highest position that the store ever had
	had      map[receive.Key]map[record.Offset]bool // rows that the store ever had; false: skipped there, at some time
	filled   map[receive.Key]bool                   // a frame has filled a gap of it
	lineages []*lineage
	notices  map[string]int
	killed   []*hub // by themselves, to be replaced
	bad      []string

	named, unwitnessed int // acknowledged records that are not in the store
}

// entry is one record; its number is its place in the ledger.
type entry struct {
	stream  string
	node    bool
	acked   bool // its source was told that it is durable
	durable bool // it is in a log, durable
	stored  bool // it was in the store, at some time
	places  []place
	on      []*lineage // disks that hold it
	left    []leaving
}

// leaving says that a box has moved a record away from a place, because another history stands there (A9).
type leaving struct {
	place
	by *lineage
}

// place is where a record stands.
type place struct {
	stream string
	epoch  record.Epoch
	offset record.Offset
}

// lineage is the history of one disk; a clone begins a new one.
type lineage struct {
	id       int
	gone     bool // replaced, or rolled back
	lied     bool // it confirmed what it had not written, and lost it
	rotten   bool // bits have changed on it
	retained bool // something was removed to make room
	lying    int
	full     bool
}

// excused says that the disk may have lost what it had confirmed.
func (l *lineage) excused() bool { return l.gone || l.lied || l.rotten }

// intact says that nothing has happened to the disk that makes offsets of it mean something else.
func (l *lineage) intact() bool { return !l.lied && !l.rotten }

type link struct {
	parent record.Epoch
	end    record.Offset
	by     *lineage
}

func newLedger() *ledger {
	return &ledger{links: map[receive.Key][]link{}, reached: map[receive.Key]record.Offset{}, had: map[receive.Key]map[record.Offset]bool{},
		filled: map[receive.Key]bool{}, notices: map[string]int{}}
}

func (l *ledger) newLineage() *lineage {
	n := &lineage{id: len(l.lineages)}
	l.lineages = append(l.lineages, n)
	return n
}

// fork is the lineage of a copy of a disk.
func (l *ledger) fork(old *lineage) *lineage {
	n := l.newLineage()
	n.lied, n.rotten, n.retained = old.lied, old.rotten, old.retained
	for _, e := range l.entries {
		for _, o := range e.on {
			if o == old {
				e.on = append(e.on, n)
				break
			}
		}
		for _, x := range e.left { // what had moved before has moved on the copy, too
			if x.by == old {
				e.left = append(e.left, leaving{x.place, n})
			}
		}
	}
	return n
}

// mint makes numbers of new records.
func (l *ledger) mint(stream string, n int, node bool, _ *lineage) []int64 {
	var out []int64
	for range n {
		out = append(out, int64(len(l.entries)))
		l.entries = append(l.entries, &entry{stream: stream, node: node})
	}
	return out
}

// found notes that a record is durable at a place.
func (l *ledger) found(n int64, p place, on *lineage) *entry {
	if n >= int64(len(l.entries)) {
		l.violation("record %d was never made", n)
		return &entry{}
	}
	e := l.entries[n]
	e.durable = true
	e.hold(on)
	for _, q := range e.places {
		if q == p {
			return e
		}
	}
	e.places = append(e.places, p)
	return e
}

// renamed notes that the records of a gap stand under another epoch now: what was delivered under the old name still is.
func (l *ledger) renamed(stream string, from record.Epoch, g *record.Gap, on *lineage) {
	now := receive.Key{Stream: stream, Epoch: g.Epoch}
	for o, row := range l.had[receive.Key{Stream: stream, Epoch: from}] {
		if !g.Contains(o) {
			continue
		}
		if l.had[now] == nil {
			l.had[now] = map[record.Offset]bool{}
		}
		l.had[now][o] = l.had[now][o] || row
	}
	for n, e := range l.entries {
		for _, p := range e.places {
			if p.stream == stream && p.epoch == from && g.Contains(p.offset) && e.isOn(on) {
				l.found(int64(n), place{stream, g.Epoch, p.offset}, on)
				break
			}
		}
	}
}

// leave notes that the box has moved away what it had in an epoch from an offset on.
func (l *ledger) leave(stream string, epoch record.Epoch, from record.Offset, by *lineage) {
	for _, e := range l.entries {
		for _, p := range e.places {
			if p.stream == stream && p.epoch == epoch && p.offset >= from && e.isOn(by) {
				e.left = append(e.left, leaving{p, by})
			}
		}
	}
}

// isLeft says that no box has the record at that place any more: what a hub says of the place is about another one.
func (e *entry) isLeft(p place) bool {
	for _, l := range e.on {
		if !l.gone && !slices.Contains(e.left, leaving{p, l}) {
			return false
		}
	}
	return true
}

func (e *entry) isOn(l *lineage) bool {
	for _, o := range e.on {
		if o == l {
			return true
		}
	}
	return false
}

func (e *entry) hold(on *lineage) {
	for _, o := range e.on {
		if o == on {
			return
		}
	}
	e.on = append(e.on, on)
}

func (l *ledger) acknowledged(n int64, p place, on *lineage) { l.found(n, p, on).acked = true }

// acknowledgedAnywhere is of a record whose place is known already, or will be with the next scan.
func (l *ledger) acknowledgedAnywhere(n int64, on *lineage) {
	e := l.entries[n]
	e.acked, e.durable = true, true
	e.hold(on)
}

func (l *ledger) stored(n int64) {
	if n >= int64(len(l.entries)) {
		l.violation("the store takes record %d, which was never made", n)
		return
	}
	e := l.entries[n]
	if !e.durable {
		l.violation("A1: the store takes record %d, which no log has made durable", n)
	}
	e.stored = true
}

func (l *ledger) link(stream string, e buffer.EpochInfo, by *lineage) {
	k := receive.Key{Stream: stream, Epoch: e.Epoch}
	for i := range l.links[k] {
		if o := &l.links[k][i]; o.by == by && o.parent == e.Parent && o.end == e.ParentEnd {
			return
		}
	} // a move links a child to what was moved (A9); a frame that was sent before may still arrive, with the link of then
	l.links[k] = append(l.links[k], link{e.Parent, e.ParentEnd, by})
}

func (l *ledger) violation(format string, args ...any) {
	if len(l.bad) < 8 {
		l.bad = append(l.bad, fmt.Sprintf(format, args...))
	}
}

func short(e record.Epoch) string {
	if e == 0 {
		return "-"
	}
	return e.String()[:4]
}

// heldBySeveral says that more than one disk has held the epoch, at any time.
func (l *ledger) heldBySeveral(k receive.Key) bool {
	for _, x := range l.links[k] {
		if x.by != l.links[k][0].by {
			return true
		}
	}
	return false
}

// holds says whether the box of that disk, if it is on, still holds the epoch.
func (w *world) holds(l *lineage, k receive.Key) bool {
	for _, b := range w.boxes {
		if b.lineage != l || b.m == nil {
			continue
		}
		for _, st := range b.m.streams {
			if st.name != k.Stream {
				continue
			}
			for _, e := range st.log.Epochs() {
				if e.Epoch == k.Epoch {
					return true
				}
			}
		}
	}
	return false
}
