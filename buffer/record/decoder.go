package record

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Decoder turns bodies into records. The zero value is ready; it keeps its working memory (about 1 MiB after full
// batches) and is not safe for concurrent use. No input makes it panic or take more than that.
type Decoder struct {
	raw     []byte
	ids     []int64
	loc     []uint16
	count   []int32
	words   []uint32
	index   []uint16 // word of each record, empty where there is one word
	col     []int64
	exAt    []int64
	exWord  []int64
	times   []int64
	runs    []int64
	start   []int32
	owners  []int32
	members []int32
	dict    []int64
	classes []valueClass
	classOf []int64
	firsts  []int64
	slopes  []int64
	res     []int64
	vals    []int64
	wide    []uint64
	zz      [blockLen]uint64
	high    [blockLen]uint64

	positions [blockLen]byte
	data      []Data
	valRefs   []int64
	valLens   []int64
	valEnts   [][]byte
	detRefs   []int64
	detLens   []int64
	detEnts   [][]byte
	z         *zstd.Decoder
}

// Decode appends the count records of a body to dst, in arrival order and exactly as they were encoded. Their Data
// lies in memory of the decoder and is valid until its next call. rawLen is the length before general compression as
// segment or frame state it. The error wraps ErrBody.
func (d *Decoder) Decode(dst []Record, c Codec, rawLen, count uint32, body []byte) ([]Record, error) {
	if count == 0 || count > MaxBatchRecords || len(body) > MaxBodyBytes || rawLen > MaxRawBytes {
		return nil, fmt.Errorf("%w: %d records in %d bytes (%d uncompressed)", ErrBody, count, len(body), rawLen)
	}
	if err := d.load(c, int(rawLen), body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if c == CodecPlain {
		return d.decodePlain(dst, int(count), d.raw)
	}
	out, err := d.decodeColumns(dst, int(count))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	return out, nil
}

// DecodeChain is Decode that also folds the records into the chain: chain(base) in, chain(base+count) out.
func (d *Decoder) DecodeChain(dst []Record, chain uint64, c Codec, rawLen, count uint32, body []byte) ([]Record, uint64, error) {
	from := len(dst)
	dst, err := d.Decode(dst, c, rawLen, count, body)
	if err != nil {
		return nil, 0, err
	}
	return dst, FoldChain(chain, dst[from:]), nil
}

// load puts the uncompressed body into d.raw, with eight bytes of room behind it.
func (d *Decoder) load(c Codec, rawLen int, body []byte) error {
	switch c {
	case CodecPlain, CodecColumns:
		if rawLen != len(body) {
			return fmt.Errorf("length %d, stated as %d", len(body), rawLen)
		}
		d.raw = grow(d.raw, rawLen+8)
		copy(d.raw, body)
	case CodecColumnsZ:
		if err := d.decompress(rawLen, body); err != nil {
			return err
		}
	default:
		return fmt.Errorf("codec %d", c)
	}
	clear(d.raw[rawLen : rawLen+8])
	d.raw = d.raw[:rawLen]
	return nil
}

func (d *Decoder) decompress(rawLen int, body []byte) error {
	if d.z == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(MaxRawBytes), zstd.WithDecoderMaxWindow(MaxRawBytes))
		if err != nil {
			return fmt.Errorf("make zstd decoder: %w", err)
		}
		d.z = z
	}
	d.raw = grow(d.raw, rawLen+8)
	out, err := d.z.DecodeAll(body, d.raw[:0])
	if err != nil {
		return fmt.Errorf("zstd: %w", err)
	}
	if len(out) != rawLen {
		return fmt.Errorf("zstd: length %d, stated as %d", len(out), rawLen)
	}
	d.raw = grow(out, rawLen+8)
	return nil
}

func (d *Decoder) decodeColumns(dst []Record, count int) ([]Record, error) {
	r := &bodyReader{b: d.raw[:len(d.raw)+8], end: len(d.raw)}
	d.readSeries(r, count)
	if r.err == nil {
		d.readMeta(r, count)
	}
	if r.err == nil {
		d.readTimes(r, count)
	}
	if r.err == nil {
		d.readValues(r)
	}
	if r.err != nil {
		return nil, r.err
	}
	withData := d.countData(count)
	if withData > 0 {
		d.readData(r, withData)
	}
	if r.err == nil && r.off != r.end {
		r.fail(fmt.Errorf("%d bytes after the last section", r.end-r.off))
	}
	if r.err != nil {
		return nil, r.err
	}
	from := len(dst)
	dst = grow(dst, from+count)
	if len(d.words) == 1 && withData == 0 && numeric(wordType(d.words[0])) {
		return dst, d.assembleNumbers(dst[from:])
	}
	return dst, d.assemble(dst[from:])
}

func (d *Decoder) countData(count int) int {
	if len(d.words) == 1 {
		if wordHasData(d.words[0]) {
			return count
		}
		return 0
	}
	n := 0
	for _, m := range d.index {
		if wordHasData(d.words[m]) {
			n++
		}
	}
	return n
}

// assembleNumbers is the way of nearly all batches: numbers of one meta word.
func (d *Decoder) assembleNumbers(out []Record) error {
	w := d.words[0]
	kind, quality, typ, clock := Kind(w), Quality(w>>8), wordType(w), Clock(w>>24)
	next, loc := d.start, d.loc[:len(out)]
	i := 0
	for k, t := range d.times {
		for end := i + int(d.runs[k]); i < end; i++ {
			l := loc[i]
			p := next[l]
			next[l] = p + 1
			r := &out[i]
			r.Time, r.Num, r.Data, r.Series = t, d.vals[p], nil, SeriesID(d.ids[l])
			r.Kind, r.Quality, r.Type, r.Clock = kind, quality, typ, clock
		}
	}
	if typ == TypeInt || typ.Base() == TypeDecimal {
		return nil
	}
	for i := range out {
		if err := out[i].wellFormed(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) assemble(out []Record) error {
	i, data := 0, 0
	for k, t := range d.times {
		for end := i + int(d.runs[k]); i < end; i++ {
			l := d.loc[i]
			w := d.words[0]
			if len(d.index) > 0 {
				w = d.words[d.index[i]]
			}
			r := &out[i]
			*r = Record{Time: t, Series: SeriesID(d.ids[l]), Kind: Kind(w), Quality: Quality(w >> 8), Type: wordType(w),
				Clock: Clock(w >> 24 & 0x7f)}
			if numeric(r.Type) {
				r.Num = d.vals[d.start[l]]
				d.start[l]++
			}
			if wordHasData(w) {
				r.Data = &d.data[data]
				data++
				if !r.hasData() {
					return errNoData
				}
			}
			if err := r.wellFormed(); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNoData = fmt.Errorf("%w: data flag", ErrRecord)
