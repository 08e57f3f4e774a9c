package receive

import (
	"github.com/edgelog/edgelog/buffer/record"
	"github.com/edgelog/edgelog/internal/wire"
)

// bodies decodes into memory that one round keeps: a decoder's own memory lasts only until its next call.
type bodies struct {
	dec    record.Decoder
	chunks [][]record.Record // empty ones; the one in use is the first
	used   [][]record.Record
	data   []record.Data
	bytes  []byte
}

// Records of one chunk, the first and the largest.
const (
	firstChunk = 512
	bodyChunk  = 2 * record.MaxBatchRecords
)

// reset frees everything that was decoded.
func (b *bodies) reset() {
	for _, c := range b.used {
		if len(b.chunks) < maxChunks {
			b.chunks = append(b.chunks, c[:0])
		}
	}
	b.used = b.used[:0]
	b.data, b.bytes = b.data[:0], b.bytes[:0]
}

// Decode implements Decoder.
func (b *bodies) Decode(d *wire.Data) ([]record.Record, error) {
	n := int(d.Count)
	var c []record.Record
	if k := len(b.used); k > 0 && cap(b.used[k-1])-len(b.used[k-1]) >= n {
		c = b.used[k-1]
	} else {
		c = b.chunk(n)
		b.used = append(b.used, c)
	}
	from := len(c)
	out, err := b.dec.Decode(c, d.Codec, d.RawLen, d.Count, d.Body)
	if err != nil {
		return nil, err
	}
	if len(out) > cap(c) { // more than the frame's count: a decoder that is wrong
		return nil, record.ErrBody
	}
	b.used[len(b.used)-1] = out
	recs := out[from:len(out):len(out)]
	for i := range recs {
		if recs[i].Data != nil {
			recs[i].Data = b.keep(recs[i].Data)
		}
	}
	return recs, nil
}

// chunk is an empty one for n records: a kept one, or a new one, the larger the more are in use. Those of a hub that
// hears little stay small.
func (b *bodies) chunk(n int) []record.Record {
	for k := len(b.chunks); k > 0; k = len(b.chunks) {
		c := b.chunks[k-1]
		b.chunks = b.chunks[:k-1]
		if cap(c) >= n {
			return c
		}
	}
	size := firstChunk
	if k := len(b.used); k > 0 {
		size = 4 * cap(b.used[k-1])
	}
	return make([]record.Record, 0, max(n, min(size, bodyChunk)))
}

// keep copies what a record refers to. Growing the buffers leaves earlier copies where they are.
func (b *bodies) keep(d *record.Data) *record.Data {
	if len(b.data) == cap(b.data) {
		b.data = make([]record.Data, 0, max(256, min(2*cap(b.data), maxKept)))
	}
	if need := len(d.Value) + len(d.Detail); cap(b.bytes)-len(b.bytes) < need {
		b.bytes = make([]byte, 0, max(64<<10, need, min(2*cap(b.bytes), maxKept)))
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, d.Value...)
	mid := len(b.bytes)
	b.bytes = append(b.bytes, d.Detail...)
	k := record.Data{Value: b.bytes[at:mid:mid], Detail: b.bytes[mid:len(b.bytes):len(b.bytes)]}
	b.data = append(b.data, k)
	return &b.data[len(b.data)-1]
}
