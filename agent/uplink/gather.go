package uplink

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// gathering joins small stored batches that wait behind each other into one body: after an outage a stream of short
// commits costs a frame of some thousand records instead of one frame each. A batch that is alone is sent as it is.
type gathering struct {
	recs  []record.Record
	first []byte // copy of the first batch's body, in case it stays alone
	body  []byte
}

// gather returns b, or a batch of b and those that follow it in the epoch below to, of at most limit bytes unless that is 0. Errors of reading on are left to the
// next frame, which begins where they happened.
func (s *Sender) gather(st *stream, e *epoch, b record.Batch, to record.Offset, limit int) record.Batch {
	next := b.Range().To
	room := min(gatherBytes, s.window.room()-frameOverhead) // the smallest credit is one frame: there above all
	if limit > 0 {
		room = min(room, limit-frameOverhead)
	}
	if s.o.NoGather || len(b.Body) >= min(gatherBelow, room) || next >= to || st.hard.e == e {
		return b
	}
	g := &s.gathered
	g.first = append(g.first[:0], b.Body...)
	b.Body = g.first
	b.Producers = append([]record.ProducerSpan(nil), b.Producers...)
	all, bytes := b, len(b.Body)
	var ok bool
	if g.recs, ok = s.appendRecords(g.recs[:0], &b); !ok {
		return b
	}
	for next < to {
		item, err := st.src.At(e.Epoch.Epoch, next)
		n := &item.Batch
		if err != nil || item.Gap != nil || n.Base != next || n.Range().To > to ||
			bytes+len(n.Body) > room || len(g.recs)+int(n.Count) > gatherRecords {
			break
		}
		if g.recs, ok = s.appendRecords(g.recs, n); !ok {
			break
		}
		all.Count += n.Count
		all.ChainEnd = n.ChainEnd
		all.Producers = append(all.Producers, n.Producers...)
		bytes += len(n.Body)
		next = n.Range().To
	}
	if all.Count == b.Count {
		return b
	}
	body, used, raw, err := s.o.Codec.Encode(g.body[:0], g.recs[:all.Count], record.CodecColumns)
	if err != nil {
		return b
	}
	g.body = body
	all.Codec, all.RawLen, all.Body, all.CRC = used, uint32(raw), body, wire.Checksum(body)
	return all
}

// appendRecords decodes a batch and copies its records, because what a decoder yields is valid until its next call.
func (s *Sender) appendRecords(dst []record.Record, b *record.Batch) ([]record.Record, bool) {
	from := len(dst)
	recs, err := s.o.Codec.Decode(s.scratch.recs[:0], b.Codec, b.RawLen, b.Count, b.Body)
	if err != nil || len(recs) != int(b.Count) {
		return dst, false
	}
	s.scratch.recs = recs
	dst = append(dst, recs...)
	for i := from; i < len(dst); i++ {
		if d := dst[i].Data; d != nil {
			dst[i].Data = &record.Data{Value: append([]byte(nil), d.Value...), Detail: append([]byte(nil), d.Detail...)}
		}
	}
	return dst, true
}
