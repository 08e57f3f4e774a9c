package uplink

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// A broker may take only packets below some size: it drops those above (and acknowledges them, as MQTT 3.1.1 makes it) or
// ends the connection, and announces nothing. So the limit is learnt, stream by stream: where the hub has answered hello, and
// the oldest frame in flight has come to nothing twice in a row, frames become half as large as it was, and again half with
// each further time, down to one record or one producer's message. A hub that cannot store, or a bad link, looks the same;
// therefore this never gives a record up, and from time to time tries frames of twice the size, which grow on as long as
// they arrive.
type small struct {
	limit   int           // bytes of a frame; 0: only the protocol's
	epoch   record.Epoch  // where the oldest frame in flight began …
	at      record.Offset // … when it came to nothing last
	misses  int           // in a row, there
	probing bool          // limit is twice what was learnt: not known to pass
	probe   time.Time     // when that is tried next
	wait    time.Duration
}

// missed notes a frame that came to nothing and may be divided.
func (m *small) missed(f *flight, now time.Time) {
	if m.epoch != f.e.Epoch.Epoch || m.at != f.From {
		m.epoch, m.at, m.misses = f.e.Epoch.Epoch, f.From, 0
	}
	m.misses = min(m.misses+1, missesToDivide)
	switch {
	case m.probing:
		m.probing, m.limit, m.wait = false, m.limit/2, min(2*m.wait, maxProbeWait)
	case m.misses >= missesToDivide:
		m.limit, m.wait = max(f.bytes/2, minFrameLimit), minProbeWait
	case m.limit > 0: // with what was learnt to pass: size may not be the cause
		m.wait = minProbeWait
	default:
		return
	}
	m.probe = now.Add(m.wait)
}

// landed notes a frame that the hub has.
func (m *small) landed(bytes int) {
	if !m.probing || bytes <= m.limit/2 {
		return
	}
	if m.limit *= 2; m.limit >= wire.MaxPacketBytes {
		*m = small{}
	}
}

// bound is how many bytes a frame may have now; 0: no bound.
func (m *small) bound(now time.Time) int {
	if m.limit > 0 && !m.probing && !now.Before(m.probe) {
		m.probing, m.limit = true, 2*m.limit
	}
	return m.limit
}

// stuck is what people are told of a frame that came to nothing; it decides nothing.
type stuck struct {
	epoch  record.Epoch
	at     record.Offset
	bytes  int
	whole  bool
	misses int
}

func (k *stuck) missed(f *flight) {
	if k.epoch != f.e.Epoch.Epoch || k.at != f.From {
		*k = stuck{epoch: f.e.Epoch.Epoch, at: f.From}
	}
	k.bytes, k.whole = f.bytes, f.whole
	k.misses++
}

// missed notes that what is in flight came to nothing, for all that is known.
func (s *Sender) missed(now time.Time) {
	for _, st := range s.streams {
		if len(st.flight) == 0 || st.flight[0].gap {
			continue
		}
		f := &st.flight[0]
		st.stuck.missed(f)
		if !f.whole && (f.bytes > minFrameLimit || st.small.limit > 0) {
			st.small.missed(f, now)
		}
	}
}

// stalled reports whether something has been in flight for long in one stream, while others go on.
func (s *Sender) stalled(now time.Time) bool {
	for _, st := range s.streams {
		if len(st.flight) > 0 && now.Sub(st.since) >= stallLimit {
			return true
		}
	}
	return false
}

// smaller is the end of a frame that begins at r.From and is too large with all of r; r.To where it cannot be divided.
func smaller(spans []record.ProducerSpan, r record.Range, size, limit int) record.Offset {
	n := max(uint64(limit)*r.Len()*7/8/uint64(size), recodeFloor)
	return min(border(spans, r.From, r.From+record.Offset(n)), r.To)
}

// producerBytes is what the list of producers takes of a frame, about.
func producerBytes(spans []record.ProducerSpan) (n int) {
	for i := range spans {
		n += len(spans[i].Name) + producerOverhead
	}
	return n
}

// Stuck is a frame that came to nothing several times while hellos were answered.
type Stuck struct {
	Stream string
	Bytes  int  // of the frame
	Whole  bool // it is one record, or one producer's message, and cannot be divided
	Misses int  // in a row; 0: there is none
}

// stuckFrame is that of the first stream that has one.
func (s *Sender) stuckFrame() Stuck {
	for _, st := range s.streams {
		k := &st.stuck
		if e := st.find(k.epoch); k.misses >= missesToDivide && e != nil && e.acked == k.at {
			return Stuck{st.name, k.bytes, k.whole, k.misses}
		}
	}
	return Stuck{}
}
