package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// BlockType says what a block holds.
type BlockType uint8

// The block types. The numbers stand in files and never change.
const (
	BlockHeaderCopy  BlockType = 1 // the header once more
	BlockDefinitions BlockType = 2 // series definitions, before the first batch that uses them
	BlockBatch       BlockType = 3 // one encoded body
	BlockState       BlockType = 4 // State, whole
	BlockIndex       BlockType = 5 // summary, index and State: the segment is sealed
)

// MaxBlockHead bounds the header of a block, ext not counted, in bytes; minBlockHead is its least length.
const (
	MaxBlockHead = blockFixed + 3 + 3 + 3 + 10 + 3 + 5
	minBlockHead = blockFixed + 6
	blockFixed   = 30
)

// Block is the header of one block, all numbers little-endian:
//
//	 0      4            8          12     13      14            22           30
//	+------+------------+----------+------+-------+-------------+------------+---------+-----+------+
//	| salt | header crc | body crc | type | codec | chain(base) | chain(end) | numbers | ext | body |
//	+------+------------+----------+------+-------+-------------+------------+---------+-----+------+
//
// numbers are uvarints: length of the ext, length of the body, count, base, raw length (0: that of the body without its
// tag), and how far the block stands behind the place up to which the file had been fsynced before it was written.
//
// header crc is CRC-32C over the position of the block in the file (u64), the salt, and everything from the body crc up
// to the body. body crc is the plain CRC-32C of the body as it stands in the file, of an unencrypted one the same that a
// frame carries; the header crc binds it to file and position.
type Block struct {
	Type      BlockType
	Codec     record.Codec
	BodyLen   uint32
	Count     uint32
	Base      record.Offset // of a block without records: the next offset
	ChainBase uint64
	ChainEnd  uint64
	RawLen    uint32
	Synced    uint32 // the file was fsynced up to this position before the block was written
	BodyCRC   uint32
	Ext       Ext
	Encrypted bool // BodyLen and BodyCRC are those of the encrypted body; a writer fills all three

	Pos  int64 // position in the file
	Size int64 // with header and ext
	salt uint32
}

// End is the offset behind the block's records.
func (b *Block) End() record.Offset { return b.Base + record.Offset(b.Count) }

// Times are the smallest and largest stamps of a batch, ns; Has is false if it has none of that kind.
type Times struct {
	Has      bool
	Min, Max int64
}

// Add widens the range by one stamp.
func (t *Times) Add(v int64) {
	if !t.Has {
		*t = Times{true, v, v}
		return
	}
	t.Min, t.Max = min(t.Min, v), max(t.Max, v)
}

// Join widens the range by another.
func (t *Times) Join(o Times) {
	if o.Has {
		t.Add(o.Min)
		t.Add(o.Max)
	}
}

// Ext is what a block carries beside its body.
type Ext struct {
	Boot         Times // stamps of ClockBoot
	UTC          Times // asserted stamps
	Spans        []record.ProducerSpan
	HasDelivered bool
	Delivered    record.Offset
	Owed         []record.Owed   // with Delivered
	Cursors      []CursorPos     // those that changed
	Anchors      []record.Anchor // of the marks in the batch
}

func appendExt(dst []byte, e *Ext, base record.Offset) []byte {
	if e.Boot.Has {
		dst = section(dst, secBootTimes, func(b []byte) []byte { return appendTimes(b, e.Boot) })
	}
	if e.UTC.Has {
		dst = section(dst, secUTCTimes, func(b []byte) []byte { return appendTimes(b, e.UTC) })
	}
	if len(e.Spans) > 0 {
		dst = section(dst, secSpans, func(b []byte) []byte { return appendSpans(b, e.Spans, base) })
	}
	if e.HasDelivered {
		dst = appendDelivered(dst, e.Delivered, e.Owed)
	}
	if len(e.Cursors) > 0 {
		dst = section(dst, secCursors, func(b []byte) []byte { return appendCursors(b, e.Cursors) })
	}
	if len(e.Anchors) > 0 {
		dst = section(dst, secAnchors, func(b []byte) []byte { return appendAnchors(b, e.Anchors) })
	}
	return dst
}

func appendTimes(b []byte, t Times) []byte {
	b = binary.AppendVarint(b, t.Min)
	return binary.AppendUvarint(b, uint64(t.Max)-uint64(t.Min))
}

func appendSpans(b []byte, spans []record.ProducerSpan, base record.Offset) []byte {
	for _, s := range spans {
		b = appendProducer(b, s.ProducerPosition)
		b = binary.AppendUvarint(b, uint64(s.From-base))
		b = binary.AppendUvarint(b, uint64(s.To-s.From))
	}
	return b
}

// OwedBytes bounds what one owed range takes in an ext.
const OwedBytes = 10 + 10 + 1

// SpanBytes bounds what one producer span takes in an ext.
func SpanBytes(s *record.ProducerSpan) int { return len(s.Name) + 2 + 8 + 10 + 5 + 5 }

func parseExt(b []byte, base record.Offset, count uint32) (Ext, error) {
	var e Ext
	times := func(c *cursor) Times {
		lo := c.varint()
		return Times{true, lo, int64(uint64(lo) + c.uvarint())}
	}
	err := sections(b, func(tag byte, c *cursor) {
		switch tag {
		case secBootTimes:
			e.Boot = times(c)
		case secUTCTimes:
			e.UTC = times(c)
		case secSpans:
			for len(c.b) > 0 {
				s := record.ProducerSpan{ProducerPosition: parseProducer(c)}
				s.From = base + c.offset()
				s.To = s.From + c.offset()
				if s.From < base || s.To < s.From || s.To > base+record.Offset(count) {
					c.fail("producer span")
				}
				e.Spans = append(e.Spans, s)
			}
		case secDelivered:
			e.HasDelivered, e.Delivered = true, c.offset()
		case secOwed:
			e.Owed = parseOwed(c)
		case secCursors:
			e.Cursors = parseCursors(c)
		case secAnchors:
			e.Anchors = parseAnchors(c)
		}
	})
	return e, err
}

// appendBlock appends a whole block that will stand at pos; it fills BodyLen, BodyCRC, Pos and Size of b.
// With a key the bodies of batches and definitions are encrypted.
func appendBlock(dst []byte, salt uint32, pos int64, b *Block, body []byte, key *DataKey) ([]byte, error) {
	n, codec, raw := len(body), byte(b.Codec), b.RawLen
	if b.Encrypted = key != nil && (b.Type == BlockBatch || b.Type == BlockDefinitions); b.Encrypted {
		n, codec = n+TagBytes, codec|codecEncrypted
	}
	if raw == uint32(len(body)) {
		raw = 0
	}
	var room [256]byte
	ext := appendExt(room[:0], &b.Ext, b.Base)
	if len(ext) > MaxExtBytes || len(body) > maxBody(b.Type) {
		return dst, fmt.Errorf("%w: ext %d, body %d bytes", ErrTooBig, len(ext), len(body))
	}
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, salt)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, byte(b.Type), codec) // the checksums are filled in below
	dst = binary.LittleEndian.AppendUint64(dst, b.ChainBase)
	dst = binary.LittleEndian.AppendUint64(dst, b.ChainEnd)
	for _, v := range [...]uint64{uint64(len(ext)), uint64(n), uint64(b.Count), uint64(b.Base), uint64(raw), uint64(pos - int64(b.Synced))} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = append(dst, ext...)
	start := len(dst)
	dst = append(dst, body...)
	b.BodyLen, b.Pos, b.salt = uint32(n), pos, salt
	b.Size = int64(start - at + n)
	if b.Encrypted {
		dst = key.seal(dst, at, start, pos)
	}
	b.BodyCRC = Checksum(dst[start:])
	binary.LittleEndian.PutUint32(dst[at+8:], b.BodyCRC)
	binary.LittleEndian.PutUint32(dst[at+4:], headChecksum(pos, dst[at:start]))
	return dst, nil
}

// headChecksum is the checksum of a block's header, of which h is all up to the body.
func headChecksum(pos int64, h []byte) uint32 { return saltedChecksum(pos, h[:4], h[8:]) }

// codecEncrypted is set in the codec byte of a block whose body is encrypted.
const codecEncrypted = 0x80

func maxBody(t BlockType) int {
	switch t {
	case BlockBatch:
		return record.MaxBodyBytes
	case BlockDefinitions:
		return maxDefBlock
	}
	return MaxStateBytes
}

// blockHead is a block's header before its checksum was compared.
type blockHead struct {
	k   Block // Ext not parsed
	ext int   // position of the ext in the block
	n   int   // length of header and ext: position of the body
}

// parseHead reads the header that may stand at the beginning of b; ok is false if nothing there can be one. Lengths are
// within bounds.
func parseHead(b []byte, pos int64) (h blockHead, ok bool) {
	if len(b) < minBlockHead {
		return h, false
	}
	k := &h.k
	k.Type, k.Codec, k.Encrypted = BlockType(b[12]), record.Codec(b[13]&^codecEncrypted), b[13]&codecEncrypted != 0
	if k.Type < BlockHeaderCopy || k.Type > BlockIndex {
		return h, false
	}
	c := cursor{b: b[blockFixed:]}
	ext, body, count, base, raw, back := c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint()
	limit, tag := uint64(maxBody(k.Type)), uint64(0)
	if k.Encrypted {
		tag = TagBytes
	}
	if c.err != nil || ext > MaxExtBytes || body > limit+tag || body < tag || count > record.MaxBatchRecords || raw > record.MaxRawBytes ||
		back > uint64(pos) || k.Type != BlockBatch && count != 0 {
		return h, false
	}
	if raw == 0 {
		raw = body - tag
	}
	h.ext = len(b) - len(c.b)
	h.n = h.ext + int(ext)
	k.BodyLen, k.Count, k.Base, k.RawLen = uint32(body), uint32(count), record.Offset(base), uint32(raw)
	k.ChainBase, k.ChainEnd = binary.LittleEndian.Uint64(b[14:]), binary.LittleEndian.Uint64(b[22:])
	k.Synced, k.BodyCRC = uint32(uint64(pos)-back), binary.LittleEndian.Uint32(b[8:])
	k.Pos, k.Size, k.salt = pos, int64(h.n)+int64(body), binary.LittleEndian.Uint32(b)
	return h, true
}

// parse compares the checksum and reads the ext; b is at least the whole header. The body is not looked at.
func (h *blockHead) parse(b []byte) (Block, error) {
	if headChecksum(h.k.Pos, b[:h.n]) != binary.LittleEndian.Uint32(b[4:]) {
		return Block{}, ErrDamaged
	}
	var err error
	h.k.Ext, err = parseExt(b[h.ext:h.n], h.k.Base, h.k.Count)
	return h.k, err
}
