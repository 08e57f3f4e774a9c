package buffer

import (
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/buffer/segment"
)

// encoded is one batch on its way to the disk. It is kept until it is durable.
type encoded struct {
	blk    segment.Block
	body   []byte
	series []record.SeriesID // used in it, each once
}

// encoder turns chunks into batches. It belongs to the writer.
type encoder struct {
	enc  record.Encoder
	buf  []byte
	mark []uint32 // by series: the generation of the batch that last used it
	gen  uint32
}

// encode appends the batches of one chunk to dst; chain is chain(c.base).
func (e *encoder) encode(dst []encoded, c *chunk, chain uint64) ([]encoded, error) {
	return e.split(dst, c.base, c.recs, c.spans, chain)
}

// split encodes the records as one batch, or as two halves if one body cannot hold them. No border falls into the
// message of a producer.
func (e *encoder) split(dst []encoded, base record.Offset, recs []record.Record, spans []record.ProducerSpan, chain uint64) ([]encoded, error) {
	one, err := e.batch(base, recs, spans, chain)
	if err == nil {
		return append(dst, one), nil
	}
	if !errors.Is(err, record.ErrBodyTooLarge) {
		return dst, err
	}
	at := border(base, len(recs), spans)
	if at <= 0 || at >= len(recs) {
		return dst, fmt.Errorf("encode %d records at %d: %w", len(recs), base, err)
	}
	k := 0
	for k < len(spans) && spans[k].To <= base+record.Offset(at) {
		k++
	}
	dst, err = e.split(dst, base, recs[:at], spans[:k], chain)
	if err != nil {
		return dst, err
	}
	return e.split(dst, base+record.Offset(at), recs[at:], spans[k:], dst[len(dst)-1].blk.ChainEnd)
}

// border is the place nearest to the middle of n records that is not inside a producer's message; 0 or n if there is
// none.
func border(base record.Offset, n int, spans []record.ProducerSpan) int {
	mid := base + record.Offset(n/2)
	for _, s := range spans {
		if s.From < mid && mid < s.To {
			if s.From > base {
				return int(s.From - base)
			}
			return int(s.To - base)
		}
	}
	return n / 2
}

func (e *encoder) batch(base record.Offset, recs []record.Record, spans []record.ProducerSpan, chain uint64) (encoded, error) {
	body, used, raw, err := e.enc.Encode(e.buf[:0], recs, record.CodecColumnsZ)
	if errors.Is(err, record.ErrBodyTooLarge) && border(base, len(recs), spans) == len(recs) {
		// One message that cannot be cut: its canonical bytes always fit.
		body, used, raw, err = e.enc.Encode(e.buf[:0], recs, record.CodecPlain)
	}
	if err != nil {
		return encoded{}, err
	}
	e.buf = body
	out := encoded{body: append([]byte(nil), body...)}
	out.blk = segment.Block{Codec: used, Count: uint32(len(recs)), Base: base, ChainBase: chain,
		ChainEnd: record.FoldChain(chain, recs), RawLen: uint32(raw)}
	out.blk.Ext.Spans = append([]record.ProducerSpan(nil), spans...)
	e.scan(&out, recs)
	return out, nil
}

// scan notes times, series and marks.
func (e *encoder) scan(out *encoded, recs []record.Record) {
	e.gen++
	var anchors segment.State
	x := &out.blk.Ext
	for i := range recs {
		r := &recs[i]
		if r.Clock == record.ClockBoot {
			x.Boot.Add(r.Time)
		} else {
			x.UTC.Add(r.Time)
		}
		if r.Kind != record.KindObservation {
			if a, ok := record.AnchorOf(r); ok && len(a.Boot) <= segment.MaxBootBytes && len(a.Source) <= segment.MaxBootBytes && len(a.State) <= segment.MaxBootBytes {
				anchors.AddAnchor(a)
			}
			continue
		}
		for int(r.Series) >= len(e.mark) {
			e.mark = append(e.mark, make([]uint32, max(len(e.mark), 256))...)
		}
		if e.mark[r.Series] != e.gen {
			e.mark[r.Series] = e.gen
			out.series = append(out.series, r.Series)
		}
	}
	x.Anchors = anchors.Anchors[:min(len(anchors.Anchors), maxBatchAnchors)]
}
