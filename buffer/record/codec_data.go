package record

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// The data section stands last, where a record has data (meta word bit 31). n is the number of such records:
//
//	u8 flags (1: there are details) | blob column of n values | if flags & 1: blob column of n details
//	bytes of the values' entries | bytes of the details' entries
//
//	blob column: uvarint D, 1 ≤ D ≤ n | if D < n: column of n references (0: the next entry, k: entry k again, from 1)
//	             column of D lengths
const dataDetails = 1

// maxExpanded bounds the data bytes of all records of one body, repeated ones counted each time.
const maxExpanded = 4 << 20

// blobs is the dictionary of one blob column while it is built.
type blobs struct {
	table   table
	entries [][]byte
	refs    []int64
	lens    []int64
	bytes   int
}

func (b *blobs) reset() {
	b.table.reset()
	clear(b.entries) // let go of the caller's memory
	b.entries, b.refs, b.lens, b.bytes = b.entries[:0], b.refs[:0], b.lens[:0], 0
}

func (b *blobs) add(seed maphash.Seed, v []byte) {
	h := maphash.Bytes(seed, v)
	key := uint32(h ^ h>>32)
	for pos := b.table.home(key); ; pos++ {
		s, full := b.table.at(pos)
		if !full {
			b.table.put(s, key, uint32(len(b.entries)))
			b.entries = append(b.entries, v)
			b.refs = append(b.refs, 0)
			b.lens = append(b.lens, int64(len(v)))
			b.bytes += len(v)
			return
		}
		if s.key == key && bytes.Equal(b.entries[s.val], v) {
			b.refs = append(b.refs, int64(s.val)+1)
			return
		}
	}
}

func (e *Encoder) appendBlobColumn(dst []byte, b *blobs) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b.entries)))
	if len(b.entries) < len(b.refs) {
		dst = e.appendInts(dst, b.refs)
	}
	return e.appendInts(dst, b.lens)
}

// appendData writes the data section and returns how many bytes its entries have.
func (e *Encoder) appendData(dst []byte, recs []Record) ([]byte, int, error) {
	any := false
	for _, w := range e.words {
		any = any || wordHasData(w)
	}
	if !any {
		return dst, 0, nil
	}
	if !e.seeded {
		e.seed, e.seeded = maphash.MakeSeed(), true
	}
	e.values.reset()
	e.details.reset()
	expanded, details := 0, false
	for i := range recs {
		r := &recs[i]
		if !wordHasData(e.words[e.index[i]]) {
			continue
		}
		v, t := r.Value(), r.Detail()
		expanded += len(v) + len(t)
		details = details || len(t) > 0
		e.values.add(e.seed, v)
		e.details.add(e.seed, t)
	}
	if expanded > maxExpanded {
		return nil, 0, ErrBodyTooLarge
	}
	flags := byte(0)
	if details {
		flags = dataDetails
	}
	dst = append(dst, flags)
	dst = e.appendBlobColumn(dst, &e.values)
	n := e.values.bytes
	if details {
		dst = e.appendBlobColumn(dst, &e.details)
		n += e.details.bytes
	}
	for _, b := range e.values.entries {
		dst = append(dst, b...)
	}
	for _, b := range e.details.entries {
		dst = append(dst, b...)
	}
	return dst, n, nil
}

// readBlobs reads a blob column of n blobs; refs get the entry of each.
func (d *Decoder) readBlobs(r *bodyReader, n int, refs, lens []int64) ([]int64, []int64, int) {
	entries := r.upTo(1, n)
	refs, lens = grow(refs, n), grow(lens, entries)
	if entries < n {
		d.intsWithin(r, refs, 0, int64(entries))
	} else {
		clear(refs)
	}
	d.intsWithin(r, lens, 0, MaxRecordBytes)
	if r.err != nil {
		return refs, lens, 0
	}
	next := int64(0)
	for i, k := range refs {
		if k == 0 {
			refs[i] = next
			next++
		} else if refs[i] = k - 1; k > next {
			r.fail(errRange)
		}
	}
	total := 0
	for _, l := range lens {
		total += int(l)
	}
	if next != int64(entries) {
		r.fail(errRange)
	}
	return refs, lens, total
}

// readData fills d.data, one entry for each of the n records that have data.
func (d *Decoder) readData(r *bodyReader, n int) {
	d.data = grow(d.data, n)
	flags := r.byte()
	if flags&^dataDetails != 0 {
		r.fail(errRange)
	}
	values, details := 0, 0
	d.valRefs, d.valLens, values = d.readBlobs(r, n, d.valRefs, d.valLens)
	if flags&dataDetails != 0 && r.err == nil {
		d.detRefs, d.detLens, details = d.readBlobs(r, n, d.detRefs, d.detLens)
	}
	vb, db := r.take(values), r.take(details)
	if r.err != nil {
		return
	}
	d.valEnts = cutEntries(d.valEnts, vb, d.valLens)
	if flags&dataDetails != 0 {
		d.detEnts = cutEntries(d.detEnts, db, d.detLens)
	}
	expanded := 0
	for i := range d.data {
		d.data[i] = Data{Value: d.valEnts[d.valRefs[i]]}
		if flags&dataDetails != 0 {
			if t := d.detEnts[d.detRefs[i]]; len(t) > 0 {
				d.data[i].Detail = t
			}
		}
		expanded += len(d.data[i].Value) + len(d.data[i].Detail)
	}
	if expanded > maxExpanded {
		r.fail(errRange)
	}
}

func cutEntries(dst [][]byte, b []byte, lens []int64) [][]byte {
	dst = dst[:0]
	for _, l := range lens {
		dst = append(dst, b[:l:l])
		b = b[l:]
	}
	return dst
}
