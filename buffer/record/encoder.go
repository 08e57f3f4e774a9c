package record

import (
	"fmt"
	"hash/maphash"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// zstd is tried where a body holds at least minGeneral bytes of text, and kept where it saves a tenth.
const minGeneral = 96

// Encoder turns records into bodies. The zero value is ready; it keeps its working memory (up to about 1 MiB after
// full batches) and is not safe for concurrent use.
type Encoder struct {
	series  table
	ids     []int64 // of locals
	last    []int32 // last position of each local
	loc     []uint16
	tokens  []byte
	words   []uint32 // distinct meta words
	meta    []uint16 // last word of each local
	first   []int64  // first word of each local
	index   []uint16 // word of each record
	exAt    []int64
	exWord  []int64
	times   []int64
	runs    []int64
	diff    []int64
	count   []int32 // numbers of each local
	start   []int32
	next    []int32
	typ     []Type
	forms   []int8
	vals    []int64
	short   [256]uint64
	classes []valueClass
	classOf []int64
	owners  []int32
	firsts  []int64
	slopes  []int64
	stream  []int64
	res     []int64
	wide    []uint64
	zz      [blockLen]uint64
	high    [blockLen]uint64
	values  blobs
	details blobs
	seed    maphash.Seed
	seeded  bool
	body    []byte
	z       *zstd.Encoder
	zbuf    []byte
}

// Encode appends one body with all records, 1 to MaxBatchRecords, to dst. With CodecPlain the body is plain; with
// CodecColumns or CodecColumnsZ it is columns, and zstd where that pays: used says which. rawLen is the length
// before zstd. The error is ErrBodyTooLarge where the records do not fit (see EncodePrefix), or wraps ErrRecord.
func (e *Encoder) Encode(dst []byte, recs []Record, c Codec) (body []byte, used Codec, rawLen int, err error) {
	body, used, rawLen, _, err = e.encode(dst, recs, c)
	return body, used, rawLen, err
}

// encode also tells by which factor a body is too long, 0 if that is not known.
func (e *Encoder) encode(dst []byte, recs []Record, c Codec) (body []byte, used Codec, rawLen int, over float64, err error) {
	if len(recs) == 0 || len(recs) > MaxBatchRecords {
		return nil, 0, 0, 0, fmt.Errorf("%w: %d records", ErrBodyTooLarge, len(recs))
	}
	if c == CodecPlain {
		body, err = appendPlain(dst, recs)
		return body, CodecPlain, len(body) - len(dst), 0, err
	}
	var text int
	if e.body, text, err = e.appendColumns(e.body[:0], recs); err != nil {
		return nil, 0, 0, 0, err
	}
	raw := len(e.body)
	least := raw
	if text >= minGeneral && text > raw/2 && raw > MaxRawBytes {
		return nil, 0, 0, float64(raw) / MaxRawBytes, ErrBodyTooLarge
	}
	if text >= minGeneral && raw <= MaxRawBytes {
		z, err := e.compress(e.body)
		if err != nil {
			return nil, 0, 0, 0, err
		}
		if len(z) < raw-raw/10 && len(z) <= MaxBodyBytes {
			return append(dst, z...), CodecColumnsZ, raw, 0, nil
		}
		least = min(least, len(z))
	}
	if raw > MaxBodyBytes {
		return nil, 0, 0, float64(least) / MaxBodyBytes, ErrBodyTooLarge
	}
	return append(dst, e.body...), CodecColumns, raw, 0, nil
}

func (e *Encoder) appendColumns(dst []byte, recs []Record) ([]byte, int, error) {
	dst = e.appendSeries(dst, recs)
	if err := e.scan(recs); err != nil {
		return nil, 0, err
	}
	dst = e.appendMeta(dst)
	dst = e.appendTimes(dst, len(recs))
	dst = e.appendValues(dst, recs)
	return e.appendData(dst, recs)
}

// compress makes its encoder at first use: most streams hold numbers only and never need one. The fastest level needs
// a quarter of the memory of the default and is as small on bodies of this size.
func (e *Encoder) compress(body []byte) ([]byte, error) {
	if e.z == nil {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(1<<17), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
		if err != nil {
			return nil, fmt.Errorf("make zstd encoder: %w", err)
		}
		e.z = z
	}
	e.zbuf = e.z.EncodeAll(body, e.zbuf[:0])
	return e.zbuf, nil
}

// EncodePrefix encodes the longest prefix that it finds to fit, n records of recs; the caller goes on with recs[n:].
// A prefix ends at one of the borders, ascending positions in recs (ends of producer messages); with none given it
// may end anywhere. len(recs) is a border. A single unit that does not fit in columns is encoded plain.
func (e *Encoder) EncodePrefix(dst []byte, recs []Record, c Codec, borders []int) (body []byte, used Codec, rawLen, n int, err error) {
	n = len(recs)
	if n > MaxBatchRecords {
		n = borderBelow(borders, MaxBatchRecords)
	}
	for {
		var over float64
		body, used, rawLen, over, err = e.encode(dst, recs[:n], c)
		if err != ErrBodyTooLarge { //nolint:errorlint // our own sentinel, unwrapped
			return body, used, rawLen, n, err
		}
		want := n / 2
		if over > 0 {
			want = min(n-1, int(float64(n)*0.94/over)) // a little less: shorter columns predict worse
		}
		less := borderBelow(borders, want)
		if less >= n || want == 0 {
			if c == CodecPlain {
				return nil, 0, 0, 0, err
			}
			c = CodecPlain
			continue
		}
		n = less
	}
}

// borderBelow is the greatest border ≤ n, the first one if there is none so small, n where every place is a border.
func borderBelow(borders []int, n int) int {
	if len(borders) == 0 {
		return n
	}
	if i := sort.SearchInts(borders, n+1); i > 0 {
		return borders[i-1]
	}
	return borders[0]
}
