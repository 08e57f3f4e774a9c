package uplink

import (
	"fmt"
	"time"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// scratch is reused from frame to frame.
type scratch struct {
	recs []record.Record
	body []byte
	def  []byte
}

// frame makes the next frame of a stream, if there is one and room for it.
func (s *Sender) frame(st *stream, now time.Time) (wire.Frame, bool) {
	if now.Before(st.retryAt) || now.Before(st.pausedUntil) {
		return nil, false
	}
	if st.dirty {
		st.refresh()
	}
	if end := st.end(); end != st.ages.end {
		st.ages.seen(end, now)
	}
	e, from, to, filling := st.toSend()
	if e == nil {
		return nil, false
	}
	old := st.backlog(from, now)
	if old && !s.mayBacklog(now) {
		return nil, false
	}
	room := s.window.roomFor(st.rank == rankPlain, len(st.flight) == 0, s.o.FrameCost)
	if room == 0 {
		s.window.blocked = true
		return nil, false
	}
	st.at = from
	item, err := st.item(e, from)
	if err == nil && item.Gap == nil && (item.Batch.Base > from || item.Batch.Range().To <= from) {
		err = fmt.Errorf("offset %d of epoch %s: the log yields a batch of %d to %d", from, e.Epoch.Epoch, item.Batch.Base, item.Batch.Range().To)
	}
	if err != nil {
		s.failed(st, now, err)
		return nil, false
	}
	var f wire.Frame
	var sent flight
	limit := st.small.bound(now)
	switch {
	case item.Gap != nil && filling: // nothing more to fill with
		st.endFill(e, from)
		s.timer.hastenHello(now)
		return nil, false
	case item.Gap != nil:
		f, sent = gapFrame(st, e, item.Gap)
	default:
		var d *wire.Data
		if !filling && item.Batch.Base == from {
			item.Batch = s.gather(st, e, item.Batch, to, limit)
		}
		if d, sent.defs, err = s.dataFrame(st, e, &item.Batch, record.Range{From: from, To: min(to, item.Batch.Range().To)}, filling, room, limit); err != nil {
			s.failed(st, now, err)
			return nil, false
		}
		if d == nil {
			s.window.blocked = true
			return nil, false
		}
		sent.Range, sent.chain = record.Range{From: d.Base, To: d.Base + record.Offset(d.Count)}, d.ChainEnd
		sent.bytes = s.bytes(d)
		sent.whole = border(d.Producers, d.Base, d.Base+1) >= sent.To
		sent.size = max(sent.bytes, s.o.FrameCost)
		f = d
	}
	if sent.old = old; old {
		s.pacer.sent(max(sent.bytes, frameOverhead), now)
	}
	s.depart(st, e, sent, filling, f, now)
	return f, true
}

// mayBacklog reports whether a frame of backlog may be sent now: at its rate, and, where it has one, only into its share of
// the window, so that what is live finds room at any time.
func (s *Sender) mayBacklog(now time.Time) bool {
	if s.pacer.rate == 0 {
		return true
	}
	if !s.pacer.may(now) {
		s.held.paced = true
		return false
	}
	old := 0
	for _, st := range s.streams {
		for i := range st.flight {
			if st.flight[i].old {
				old += st.flight[i].size
			}
		}
	}
	return old == 0 || old < s.window.limit()/backlogShare
}

// depart books a frame as in flight.
func (s *Sender) depart(st *stream, e *epoch, sent flight, filling bool, f wire.Frame, now time.Time) {
	st.retryAt, st.retryIn = time.Time{}, 0
	sent.e, sent.fill = e, filling
	*f.Header() = wire.FrameHeader{Stream: st.name, Epoch: e.Epoch.Epoch, Parent: e.Parent, ParentEnd: e.ParentEnd, First: min(e.First, sent.From), Nonce: s.nonce}
	for _, id := range sent.defs {
		e.sent.add(id)
	}
	if s.window.flight == 0 {
		s.timer.ack = now.Add(s.timer.progress)
	}
	if len(st.flight) == 0 {
		st.since = now
	}
	s.window.add(sent.size)
	st.flight = append(st.flight, sent)
	if !filling {
		e.next = sent.To
		return
	}
	for i := range st.fills {
		if fl := &st.fills[i]; fl.e == e && fl.Contains(fl.at) && sent.From <= fl.at && fl.at < sent.To {
			fl.at = sent.To
		}
	}
}

// toSend is what comes next of a stream: fills, then the oldest epoch with something to send. to bounds a fill.
func (st *stream) toSend() (e *epoch, from, to record.Offset, filling bool) {
	if f, busy := st.nextFill(); busy {
		return nil, 0, 0, false
	} else if f != nil {
		return f.e, f.at, f.To, true
	}
	for _, e := range st.epochs {
		if !e.conflict && e.next < e.End {
			return e, e.next, e.End, false
		}
	}
	return nil, 0, 0, false
}

func (st *stream) endFill(e *epoch, at record.Offset) {
	for i := range st.fills {
		if f := &st.fills[i]; f.e == e && f.at == at {
			f.at = f.To
		}
	}
}

// gapFrame sends a gap as the log has it (A6). It may begin below the position: the hub takes the part above.
func gapFrame(st *stream, e *epoch, g *record.Gap) (wire.Frame, flight) {
	f := &wire.Gap{Range: g.Range, Reason: g.Reason, ChainFrom: g.ChainFrom, ChainTo: g.ChainTo, TimeMin: g.TimeMin, TimeMax: g.TimeMax}
	return f, flight{Range: g.Range, chain: g.ChainTo, gap: true, size: frameOverhead}
}

// dataFrame makes a frame of the part r of a batch: the stored body as it is where the whole batch is wanted and fits, else
// a body encoded anew. nil without an error: there is no room for it now. limit bounds its bytes where it can be divided; 0: no
// bound.
func (s *Sender) dataFrame(st *stream, e *epoch, b *record.Batch, r record.Range, filling bool, room, limit int) (*wire.Data, []record.SeriesID, error) {
	whole := b.Range()
	codec := b.Codec
	if h := &st.hard; h.e == e && h.at == r.From && !filling {
		if uint64(h.limit) < r.Len() {
			r.To = border(b.Producers, r.From, r.From+record.Offset(h.limit))
		}
		if h.plain {
			codec = record.CodecPlain
		}
	}
	decoded := false
	decode := func() error {
		if decoded {
			return nil
		}
		var err error
		if s.scratch.recs, err = s.o.Codec.Decode(s.scratch.recs[:0], b.Codec, b.RawLen, b.Count, b.Body); err != nil {
			return fmt.Errorf("decode batch at %d: %w", b.Base, err)
		}
		decoded = true
		return nil
	}
	var ids []record.SeriesID
	var defs []record.Definition
	if e.search || st.src.Defined(e.Epoch.Epoch) > e.sent.n {
		if err := decode(); err != nil {
			return nil, nil, err
		}
		ids, defs, r.To = s.definitions(st, e, b, r)
	}
	for {
		d := &wire.Data{Base: r.From, Count: uint32(r.Len()), Definitions: defs}
		if r == whole && codec == b.Codec {
			d.ChainBase, d.ChainEnd, d.Codec, d.RawLen, d.CRC, d.Body, d.Producers = b.ChainBase, b.ChainEnd, b.Codec, b.RawLen, b.CRC, b.Body, b.Producers
		} else {
			if err := decode(); err != nil {
				return nil, nil, err
			}
			if err := s.recode(d, b, r, codec); err != nil {
				if r.Len() <= recodeFloor {
					return nil, nil, err
				}
				r.To = border(b.Producers, r.From, r.From+record.Offset(r.Len()/2)) // too large in this form
				continue
			}
		}
		size := s.bytes(d)
		if limit > 0 && size > limit {
			if to := smaller(b.Producers, r, size, limit); to < r.To {
				if r.To = to; len(defs) > 0 { // fewer records need fewer definitions
					if err := decode(); err != nil {
						return nil, nil, err
					}
					ids, defs, r.To = s.definitions(st, e, b, r)
				}
				continue
			}
		}
		// A credit lets one frame go in any case: one record may be larger than what the hub gives each of thousands.
		if size <= room || r.Len() <= recodeFloor && s.window.flight == 0 {
			return d, ids, nil
		}
		if s.window.flight > 0 {
			return nil, nil, nil
		}
		// Nothing is in flight and the credit is smaller than the frame: a smaller one.
		to := border(b.Producers, r.From, r.From+record.Offset(max(uint64(room)*r.Len()/uint64(2*size), recodeFloor)))
		if to >= r.To { // one producer's message, which no border may cut
			return d, ids, nil
		}
		r.To = to
	}
}

// bytes is how large a frame is on the wire, about.
func (s *Sender) bytes(d *wire.Data) int {
	return len(d.Body) + definitionBytes(&s.scratch, d.Definitions) + producerBytes(d.Producers) + frameOverhead
}

// recode fills in the body of d with the records r of the decoded batch.
func (s *Sender) recode(d *wire.Data, b *record.Batch, r record.Range, codec record.Codec) error {
	recs := s.scratch.recs[r.From-b.Base : r.To-b.Base]
	body, used, raw, err := s.o.Codec.Encode(s.scratch.body[:0], recs, codec)
	if err != nil {
		return fmt.Errorf("encode %d records at %d: %w", len(recs), r.From, err)
	}
	s.scratch.body = body
	d.Codec, d.RawLen, d.Body, d.CRC = used, uint32(raw), body, wire.Checksum(body)
	d.ChainBase = record.FoldChain(b.ChainBase, s.scratch.recs[:r.From-b.Base])
	d.ChainEnd = record.FoldChain(d.ChainBase, recs)
	for _, p := range b.Producers {
		p.From, p.To = max(p.From, r.From), min(p.To, r.To)
		if p.From < p.To {
			d.Producers = append(d.Producers, p)
		}
	}
	return nil
}

// definitions are those of the series used in r that were not sent since the last rewind under this nonce (A7).
// Where they would take more than a frame may carry, r is cut before the record that needs the next one.
func (s *Sender) definitions(st *stream, e *epoch, b *record.Batch, r record.Range) (ids []record.SeriesID, defs []record.Definition, to record.Offset) {
	var fresh idSet
	size := 0
	for i, rec := range s.scratch.recs[r.From-b.Base : r.To-b.Base] {
		if rec.Series == 0 || e.sent.has(rec.Series) || fresh.has(rec.Series) {
			continue
		}
		series, ok := st.src.Series(e.Epoch.Epoch, rec.Series)
		if !ok {
			continue // the hub says so, and a person hears of it there: nothing better is known here
		}
		d := record.Definition{ID: rec.Series, Series: series}
		s.scratch.def = record.AppendDefinition(s.scratch.def[:0], d)
		if size += len(s.scratch.def); size > wire.MaxDefinitionsBytes && i > 0 {
			at := r.From + record.Offset(i)
			if cut := border(b.Producers, r.From, at); cut <= at {
				return ids, defs, cut
			}
		}
		fresh.add(rec.Series)
		ids, defs = append(ids, rec.Series), append(defs, d)
	}
	return ids, defs, r.To
}

func definitionBytes(s *scratch, defs []record.Definition) (n int) {
	for _, d := range defs {
		s.def = record.AppendDefinition(s.def[:0], d)
		n += len(s.def)
	}
	return n
}

// border is the end of a frame that begins at from and wants to end at to: no border falls inside a producer's
// message (A10). It lies at or below to, unless one message fills everything from from on.
func border(spans []record.ProducerSpan, from, to record.Offset) record.Offset {
	for _, p := range spans {
		if p.From < to && to < p.To {
			if p.From > from {
				return p.From
			}
			return p.To
		}
	}
	return to
}
