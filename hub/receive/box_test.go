package receive_test

import (
	"fmt"
	"testing"

	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// box is a device in tests: histories of epochs from which frames with right chains are cut.
type box struct {
	t      testing.TB
	epochs map[record.Epoch]*history
	enc    record.Encoder
}

type history struct {
	id, parent       record.Epoch
	stream           string
	parentEnd, first record.Offset
	chainFirst       uint64
	recs             []record.Record // from first
	producers        []record.ProducerSpan
}

func newBox(t testing.TB) *box { return &box{t: t, epochs: map[record.Epoch]*history{}} }

// epoch begins an epoch as an opening of the log would.
func (b *box) epoch(id record.Epoch, stream string, parent record.Epoch, parentEnd, first record.Offset) *history {
	h := &history{id: id, parent: parent, stream: stream, parentEnd: parentEnd, first: first}
	if p := b.epochs[parent]; parent != 0 && p != nil && parentEnd <= p.end() {
		h.chainFirst = p.chain(parentEnd)
	}
	b.epochs[id] = h
	return h
}

func (h *history) end() record.Offset { return h.first + record.Offset(len(h.recs)) }

// extend appends plain readings up to offset to.
func (h *history) extend(to record.Offset, variant int64) {
	for o := h.end(); o < to; o++ {
		h.recs = append(h.recs, reading(o, variant))
	}
}

func reading(o record.Offset, variant int64) record.Record {
	return record.Record{Kind: record.KindObservation, Clock: record.ClockBoot, Time: int64(o) * 1e9,
		Type: record.Decimal(4), Num: int64(o)*625 + variant, Series: record.SeriesID(o%3) + 1}
}

func (h *history) chain(o record.Offset) uint64 {
	return record.FoldChain(h.chainFirst, h.recs[:o-h.first])
}

func (h *history) header(nonce wire.Nonce) wire.FrameHeader {
	return wire.FrameHeader{Stream: h.stream, Epoch: h.id, Parent: h.parent, ParentEnd: h.parentEnd, First: h.first, Nonce: nonce}
}

// data cuts a data frame with the definitions of all series that it uses.
func (b *box) data(h *history, r record.Range, codec record.Codec, nonce wire.Nonce) *wire.Data {
	recs := h.recs[r.From-h.first : r.To-h.first]
	body, used, rawLen, err := b.enc.Encode(nil, recs, codec)
	if err != nil {
		b.t.Fatal(err)
	}
	d := &wire.Data{FrameHeader: h.header(nonce), Base: r.From, Count: uint32(len(recs)), ChainBase: h.chain(r.From),
		ChainEnd: h.chain(r.To), Codec: used, RawLen: uint32(rawLen), CRC: wire.Checksum(body), Body: body}
	seen := map[record.SeriesID]bool{}
	for _, x := range recs {
		if x.Series != 0 && !seen[x.Series] {
			seen[x.Series] = true
			d.Definitions = append(d.Definitions, define(x.Series))
		}
	}
	for _, s := range h.producers {
		if s.From >= r.From && s.To <= r.To {
			d.Producers = append(d.Producers, s)
		}
	}
	return d
}

func define(id record.SeriesID) record.Definition {
	return record.Definition{ID: id, Series: record.Series{Name: fmt.Sprintf("temperature%d", id), Unit: "Cel", Type: record.Decimal(4)}}
}

func (b *box) gap(h *history, r record.Range, why record.Reason, nonce wire.Nonce) *wire.Gap {
	return &wire.Gap{FrameHeader: h.header(nonce), Range: r, Reason: why, ChainFrom: h.chain(r.From), ChainTo: h.chain(r.To)}
}

// decoder decodes each body into fresh memory.
type decoder struct{}

func (decoder) Decode(d *wire.Data) ([]record.Record, error) {
	return new(record.Decoder).Decode(nil, d.Codec, d.RawLen, d.Count, d.Body)
}
