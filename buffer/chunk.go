package buffer

import (
	"time"

	"github.com/edgelog/edgelog/buffer/record"
)

// chunk is a run of records on its way to the encoder.
type chunk struct {
	base  record.Offset
	recs  []record.Record
	data  []record.Data // of recs
	blob  []byte        // what data points to
	spans []record.ProducerSpan
	bytes int // canonical
}

// push copies the draft into the chunk that is being filled. mu is held.
func (l *Log) push(d *record.Draft) record.Range {
	n, size := len(d.Records), 0
	for i := range d.Records {
		size += d.Records[i].CanonicalLen()
	}
	c := l.chunk
	if c != nil && (len(c.recs)+n > chunkRecords || len(c.recs) > 0 && c.bytes+size > chunkBytes || len(c.spans) >= maxSpans) {
		l.chunks = append(l.chunks, c)
		c = nil
		l.kick()
	}
	if c == nil {
		c = l.takeSpare()
		c.base = l.end
		l.chunk = c
	}
	r := record.Range{From: l.end, To: l.end + record.Offset(n)}
	l.end = r.To
	l.back++
	for i := range d.Records {
		c.recs = append(c.recs, d.Records[i])
		if rec := &c.recs[len(c.recs)-1]; rec.Data != nil {
			c.data = append(c.data, record.Data{Value: c.copy(rec.Data.Value), Detail: c.copy(rec.Data.Detail)})
			rec.Data = &c.data[len(c.data)-1] // stays where it is when data grows elsewhere
		}
	}
	c.bytes += size
	if d.Producer != nil {
		c.spans = append(c.spans, record.ProducerSpan{ProducerPosition: *d.Producer, Range: r})
		l.producers[d.Producer.Name] = pendingProducer{*d.Producer, r}
	}
	if l.first.IsZero() {
		l.first = time.Now()
		l.kick()
	}
	return r
}

func (c *chunk) copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	at := len(c.blob)
	c.blob = append(c.blob, b...)
	return c.blob[at:len(c.blob):len(c.blob)]
}

func (l *Log) takeSpare() *chunk {
	if n := len(l.spare); n > 0 {
		c := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return c
	}
	return &chunk{}
}

// giveSpare keeps a chunk's memory for the next. mu is held.
func (l *Log) giveSpare(c *chunk) {
	if len(l.spare) < 2 && cap(c.blob) <= 2*chunkBytes {
		clear(c.recs)
		clear(c.data)
		*c = chunk{recs: c.recs[:0], data: c.data[:0], blob: c.blob[:0], spans: c.spans[:0]}
		l.spare = append(l.spare, c)
	}
}
