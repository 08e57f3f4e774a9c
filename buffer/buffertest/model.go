package buffertest

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"

	"github.com/edgelog/edgelog/buffer"
	"github.com/edgelog/edgelog/buffer/record"
)

// place is where a record was seen.
type place struct {
	epoch  record.Epoch
	offset record.Offset
}

// Model knows what a log has promised. Every record of a workload bears a number of its own, in the order of the
// appends.
type Model struct {
	Keys buffer.Keys // that open everything the log may hold; with none the log is not encrypted

	next    int64           // number of the next record
	acked   map[int64]place // acknowledged: its Wait returned nil
	pending map[int64]place // appended, not acknowledged
	shown   map[place]int64 // shown by a reader: the number, -1 for a mark
	forgive map[record.Reason]bool
	cursor  record.Offset                  // highest committed
	sent    map[uint64][]int64             // numbers of each producer message, by sequence
	movedAt map[record.Epoch]record.Offset // where epochs were to be closed: what stood above is looked for by number
	seen    map[int64]bool                 // by the last Check
	inMoved map[int64]bool                 // acknowledged, in a gap that was moved to a new epoch
	sure    uint64                         // highest sequence that was acknowledged
}

// NewModel is the model of an empty log. Gaps of the reasons in allowed may take the place of acknowledged records.
func NewModel(allowed ...record.Reason) *Model {
	m := &Model{next: 1, acked: map[int64]place{}, pending: map[int64]place{}, shown: map[place]int64{}, forgive: map[record.Reason]bool{}, sent: map[uint64][]int64{}, inMoved: map[int64]bool{}, movedAt: map[record.Epoch]record.Offset{}}
	for _, r := range allowed {
		m.forgive[r] = true
	}
	return m
}

// number is the number that a record bears, -1 for marks.
func number(r *record.Record) int64 {
	if r.Kind != record.KindObservation {
		return -1
	}
	if r.Type == record.TypeString {
		word, _, _ := bytes.Cut(r.Data.Value, []byte(" "))
		n, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil {
			return -2
		}
		return n
	}
	return r.Num
}

// Check compares a log with the model: every acknowledged record is there once, in order, or in a gap that is
// allowed; what was shown is the same at the same offset, or in a gap; nothing is there that was not appended. What
// it sees counts as shown from now on.
func (m *Model) Check(l *buffer.Log) error {
	seen, at, err := m.compare(l)
	if err != nil {
		return err
	}
	for p, n := range at {
		m.shown[p] = n
		if n > 0 {
			delete(m.pending, n)
			m.acked[n] = p // what a reader was shown is as good as acknowledged
		}
	}
	m.seen = seen
	return nil
}

// Glance is Check that notes nothing: the model may be shared.
func (m *Model) Glance(l *buffer.Log) error {
	_, _, err := m.compare(l)
	return err
}

// compare also returns which numbers were seen, and what stands where.
func (m *Model) compare(l *buffer.Log) (map[int64]bool, map[place]int64, error) {
	all, err := VerifyAll(l)
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[int64]bool, len(all))
	at := make(map[place]int64, len(all))
	last := int64(0)
	var gaps []record.Gap
	for i := range all {
		e := &all[i]
		if e.Gap != nil {
			gaps = append(gaps, *e.Gap)
			if !m.forgive[e.Gap.Reason] {
				return nil, nil, fmt.Errorf("gap [%d, %d) %s", e.Gap.From, e.Gap.To, e.Gap.Reason)
			}
			continue
		}
		n := number(&e.Record)
		at[place{e.Epoch, e.Offset}] = n
		if n == -1 {
			continue
		}
		if n <= last || n >= m.next {
			return nil, nil, fmt.Errorf("record %d at %d follows record %d; %d were appended", n, e.Offset, last, m.next-1)
		}
		last = n
		seen[n] = true
	}
	inGap := func(p place) bool {
		for _, g := range gaps {
			if g.Contains(p.offset) && (g.Epoch == p.epoch || m.wasMoved(p)) { // a moved gap has its offsets, and the new epoch
				return true
			}
		}
		return false
	}
	for n, p := range m.acked {
		if !seen[n] && !inGap(p) {
			return nil, nil, fmt.Errorf("acknowledged record %d at %d of epoch %s is gone", n, p.offset, p.epoch)
		}
	}
	for p, n := range m.shown {
		if m.wasMoved(p) {
			continue
		}
		now, ok := at[p]
		if ok && now != n || !ok && !inGap(p) && !seen[n] {
			return nil, nil, fmt.Errorf("offset %d of epoch %s was shown as record %d, is %d (%v)", p.offset, p.epoch, n, now, ok)
		}
	}
	return seen, at, m.checkProducer(seen, inGap)
}

// wasMoved: what stood there may stand in another epoch now.
func (m *Model) wasMoved(p place) bool {
	from, ok := m.movedAt[p.epoch]
	return ok && p.offset >= from
}

// checkProducer: what the log knows of the producer is what is in it, message by message whole.
func (m *Model) checkProducer(seen map[int64]bool, inGap func(place) bool) error {
	for seq, nums := range m.sent {
		some, all := false, true
		for _, n := range nums {
			ok := seen[n] || m.inMoved[n] || m.acked[n] != place{} && inGap(m.acked[n])
			some, all = some || ok, all && ok
		}
		if some && !all {
			return fmt.Errorf("producer message %d is there in part", seq)
		}
		if seq <= m.sure && !all {
			return fmt.Errorf("producer message %d was acknowledged and is gone", seq)
		}
	}
	return nil
}

// moved forgets where records were, because an epoch is being closed at the offset: they are looked for by number.
// Check has just run.
func (m *Model) moved(e record.Epoch, at record.Offset) {
	if from, ok := m.movedAt[e]; !ok || at < from {
		m.movedAt[e] = at
	}
	for p := range m.shown {
		if p.epoch == e && p.offset >= at {
			delete(m.shown, p)
		}
	}
	for n, p := range m.acked {
		if p.epoch == e && p.offset >= at && !m.seen[n] {
			delete(m.acked, n)
			m.inMoved[n] = true
		}
	}
}

// Crashed forgets what was appended and neither acknowledged nor found.
func (m *Model) Crashed() { clear(m.pending) }

// Clone is a copy that shares nothing that changes.
func (m *Model) Clone() *Model {
	c := *m
	c.acked, c.pending, c.shown = maps.Clone(m.acked), maps.Clone(m.pending), maps.Clone(m.shown)
	c.movedAt = maps.Clone(m.movedAt)
	c.sent, c.inMoved = maps.Clone(m.sent), maps.Clone(m.inMoved)
	return &c
}
