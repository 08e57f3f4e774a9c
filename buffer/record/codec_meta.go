package record

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The meta word of a record is the low half of its first canonical word: kind, quality, type, clock | 0x80 if it has
// data. The section holds the distinct words in the order of their first appearance; where there is more than one,
// the word that each local begins with, and the records whose word differs from the last one of their series:
//
//	uvarint M | M words | if M > 1: column of S first words, uvarint E, column of E distances, column of E words
//
// A word is u8 kind | clock<<3 | data<<6, u8 type, u8 quality where kind and clock are below 8; else u8 0x80, and 4 bytes.
const wideWord = 0x80

func (r *Record) metaWord() uint32 {
	w := uint32(r.Kind) | uint32(r.Quality)<<8 | uint32(r.Type)<<16 | uint32(r.Clock)<<24
	if r.hasData() {
		w |= canonicalData << 24
	}
	return w
}

func wordHasData(w uint32) bool { return w>>24&canonicalData != 0 }
func wordType(w uint32) Type    { return Type(w >> 16) }

func appendWord(dst []byte, w uint32) []byte {
	kind, clock := byte(w), byte(w>>24)
	if kind < 8 && clock&0x7f < 8 {
		return append(dst, kind|clock&0x7f<<3|clock>>7<<6, byte(w>>16), byte(w>>8))
	}
	dst = append(dst, wideWord)
	return binary.LittleEndian.AppendUint32(dst, w)
}

func (r *bodyReader) word() uint32 {
	b := r.byte()
	if b == wideWord {
		if w := r.take(4); w != nil {
			return binary.LittleEndian.Uint32(w)
		}
		return 0
	}
	if b > wideWord {
		r.fail(errRange)
	}
	t, q := uint32(r.byte()), uint32(r.byte())
	return uint32(b&7) | q<<8 | t<<16 | uint32(b>>3&7)<<24 | uint32(b>>6&1)<<31
}

// wordIndex finds or adds a word of the dictionary.
func (e *Encoder) wordIndex(w uint32) uint16 {
	for i, x := range e.words {
		if x == w {
			return uint16(i)
		}
	}
	e.words = append(e.words, w)
	return uint16(len(e.words) - 1)
}

// scan looks once at each record: it finds meta words, runs of equal stamps and values, and checks the records.
func (e *Encoder) scan(recs []Record) error {
	e.words, e.exAt, e.exWord = e.words[:0], e.exAt[:0], e.exWord[:0]
	e.times, e.runs = e.times[:0], e.runs[:0]
	e.meta = grow(e.meta, len(e.ids))
	const unseen = math.MaxUint16
	for i := range e.meta {
		e.meta[i] = unseen
	}
	e.first = grow(e.first, len(e.ids))
	e.count = grow(e.count, len(e.ids))
	clear(e.count)
	e.index = grow(e.index, len(recs))
	last, lastIndex, isNum := ^uint32(0), uint16(0), false
	begin, exception := 0, 0
	for i := range recs {
		r := &recs[i]
		w := uint32(r.Kind) | uint32(r.Quality)<<8 | uint32(r.Type)<<16 | uint32(r.Clock)<<24
		if r.Data != nil || w != last {
			if err := r.wellFormed(); err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
			if w = r.metaWord(); w != last {
				last, lastIndex, isNum = w, e.wordIndex(w), numeric(r.Type)
			}
		} else if b := r.Type.Base(); b != TypeInt && b != TypeDecimal {
			if err := r.wellFormed(); err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
		}
		l := e.loc[i]
		e.index[i] = lastIndex
		if m := e.meta[l]; m != lastIndex {
			if m == unseen {
				e.first[l] = int64(lastIndex)
			} else {
				e.exAt = append(e.exAt, int64(i-exception))
				e.exWord = append(e.exWord, int64(lastIndex))
				exception = i
			}
			e.meta[l] = lastIndex
		}
		if isNum {
			e.count[l]++
		}
		if i == 0 || r.Time != recs[i-1].Time {
			if i > 0 {
				e.runs = append(e.runs, int64(i-begin))
			}
			begin = i
			e.times = append(e.times, r.Time)
		}
	}
	return nil
}

func (e *Encoder) appendMeta(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.words)))
	for _, w := range e.words {
		dst = appendWord(dst, w)
	}
	if len(e.words) == 1 {
		return dst
	}
	dst = e.appendInts(dst, e.first)
	dst = binary.AppendUvarint(dst, uint64(len(e.exAt)))
	dst = e.appendInts(dst, e.exAt)
	return e.appendInts(dst, e.exWord)
}

// readMeta fills d.words, d.index where there are several, and makes d.count the number of numeric values of each
// local.
func (d *Decoder) readMeta(r *bodyReader, count int) {
	d.words = grow(d.words, r.upTo(1, count))
	for i := range d.words {
		d.words[i] = r.word()
		if r.err == nil && !wordType(d.words[i]).Valid() || wordType(d.words[i]).InData() && !wordHasData(d.words[i]) {
			r.fail(errRange)
		}
	}
	if r.err != nil {
		return
	}
	d.index = d.index[:0]
	if len(d.words) == 1 {
		if !numeric(wordType(d.words[0])) {
			clear(d.count)
		}
		return
	}
	d.readIndex(r, count)
	if r.err != nil {
		return
	}
	clear(d.count)
	for i, m := range d.index {
		if numeric(wordType(d.words[m])) {
			d.count[d.loc[i]]++
		}
	}
}

// readIndex fills d.index with the word of each record.
func (d *Decoder) readIndex(r *bodyReader, count int) {
	top := int64(len(d.words) - 1)
	d.col = grow(d.col, len(d.ids))
	d.intsWithin(r, d.col, 0, top)
	n := r.upTo(0, count)
	d.exAt, d.exWord = grow(d.exAt, n), grow(d.exWord, n)
	d.intsWithin(r, d.exAt, 0, int64(count-1))
	d.intsWithin(r, d.exWord, 0, top)
	if r.err != nil {
		return
	}
	d.index = grow(d.index, count)
	i, at := 0, 0
	for k := range n {
		at += int(d.exAt[k])
		if at >= count || at < i {
			r.fail(errRange)
			return
		}
		for ; i < at; i++ {
			d.index[i] = uint16(d.col[d.loc[i]])
		}
		d.col[d.loc[at]] = d.exWord[k]
	}
	for ; i < count; i++ {
		d.index[i] = uint16(d.col[d.loc[i]])
	}
}
