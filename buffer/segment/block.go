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

// BlockFixed is the length of a block's fixed header in bytes.
const BlockFixed = 56

// Block is the header of one block, all numbers little-endian:
//
//	 0      4      5       6         8          12      16     24           32          40
//	+------+------+-------+---------+----------+-------+------+------------+-----------+
//	| salt | type | codec | ext len | body len | count | base | chain(base)| chain(end)|
//	+------+------+-------+---------+----------+-------+------+------------+-----------+
//	 40        44       48         52           56
//	+---------+--------+----------+------------+------------+--------+
//	| raw len | synced | body crc | header crc | ext        | body   |
//	+---------+--------+----------+------------+------------+--------+
//
// header crc is CRC-32C over the position of the block in the file (u64), bytes 0–51 and the ext. body crc is the
// plain CRC-32C of the body as it stands in the file, of an unencrypted one the same that a frame carries; the header crc binds it to file and position.
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
	Encrypted bool // BodyLen and BodyCRC are those of the encrypted body

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
		dst = section(dst, secDelivered, func(b []byte) []byte { return binary.AppendUvarint(b, uint64(e.Delivered)) })
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
		case secCursors:
			e.Cursors = parseCursors(c)
		case secAnchors:
			e.Anchors = parseAnchors(c)
		}
	})
	return e, err
}

// appendBlock appends a whole block that will stand at pos; it fills BodyLen, Pos and Size of b.
// With a key the bodies of batches and definitions are encrypted; b.BodyCRC stays that of the plain body.
func appendBlock(dst []byte, salt uint32, pos int64, b *Block, body []byte, key *DataKey) ([]byte, error) {
	at := len(dst)
	var fixed [BlockFixed]byte
	dst = append(dst, fixed[:]...)
	dst = appendExt(dst, &b.Ext, b.Base)
	ext := dst[at+BlockFixed:]
	if len(ext) > MaxExtBytes || len(body) > maxBody(b.Type) {
		return dst[:at], fmt.Errorf("%w: ext %d, body %d bytes", ErrTooBig, len(ext), len(body))
	}
	n, codec, crc, start := len(body), byte(b.Codec), b.BodyCRC, len(dst)
	b.Encrypted = key != nil && (b.Type == BlockBatch || b.Type == BlockDefinitions)
	if b.Encrypted {
		n, codec = n+TagBytes, codec|codecEncrypted
	}
	b.BodyLen, b.Pos, b.salt = uint32(n), pos, salt
	b.Size = int64(BlockFixed + len(ext) + n)
	dst = append(dst, body...)
	h := dst[at : at+BlockFixed]
	binary.LittleEndian.PutUint32(h[0:], salt)
	h[4], h[5] = byte(b.Type), codec
	binary.LittleEndian.PutUint16(h[6:], uint16(len(ext)))
	binary.LittleEndian.PutUint32(h[8:], b.BodyLen)
	binary.LittleEndian.PutUint32(h[12:], b.Count)
	binary.LittleEndian.PutUint64(h[16:], uint64(b.Base))
	binary.LittleEndian.PutUint64(h[24:], b.ChainBase)
	binary.LittleEndian.PutUint64(h[32:], b.ChainEnd)
	binary.LittleEndian.PutUint32(h[40:], b.RawLen)
	binary.LittleEndian.PutUint32(h[44:], b.Synced)
	if b.Encrypted {
		dst = key.seal(dst, at, start, pos)
		h, crc = dst[at:at+BlockFixed], Checksum(dst[start:])
	}
	binary.LittleEndian.PutUint32(h[48:], crc)
	binary.LittleEndian.PutUint32(h[52:], saltedChecksum(pos, h[:52], dst[at+BlockFixed:start]))
	return dst, nil
}

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

// blockLen checks the lengths in a fixed header and returns those of ext and body.
func blockLen(h []byte) (ext, body int, ok bool) {
	ext = int(binary.LittleEndian.Uint16(h[6:]))
	n := binary.LittleEndian.Uint32(h[8:])
	t := BlockType(h[4])
	if t < BlockHeaderCopy || t > BlockIndex || ext > MaxExtBytes || uint64(n) > uint64(maxBody(t))+TagBytes {
		return 0, 0, false
	}
	return ext, int(n), true
}

// parseBlock reads the header and ext of a block that stands at pos. The body is not looked at.
func parseBlock(b []byte, pos int64) (Block, error) {
	if len(b) < BlockFixed {
		return Block{}, ErrDamaged
	}
	ext, body, ok := blockLen(b)
	if !ok || len(b) < BlockFixed+ext {
		return Block{}, ErrDamaged
	}
	e := b[BlockFixed : BlockFixed+ext]
	if saltedChecksum(pos, b[:52], e) != binary.LittleEndian.Uint32(b[52:]) {
		return Block{}, ErrDamaged
	}
	k := Block{
		Type: BlockType(b[4]), Codec: record.Codec(b[5] &^ codecEncrypted), Encrypted: b[5]&codecEncrypted != 0, BodyLen: uint32(body),
		Count:     binary.LittleEndian.Uint32(b[12:]),
		Base:      record.Offset(binary.LittleEndian.Uint64(b[16:])),
		ChainBase: binary.LittleEndian.Uint64(b[24:]), ChainEnd: binary.LittleEndian.Uint64(b[32:]),
		RawLen: binary.LittleEndian.Uint32(b[40:]), Synced: binary.LittleEndian.Uint32(b[44:]),
		BodyCRC: binary.LittleEndian.Uint32(b[48:]),
		Pos:     pos, Size: int64(BlockFixed + ext + body), salt: binary.LittleEndian.Uint32(b),
	}
	if limit := maxBody(k.Type); k.Encrypted && body < TagBytes || !k.Encrypted && body > limit {
		return Block{}, ErrDamaged
	}
	if k.Count > record.MaxBatchRecords || k.RawLen > record.MaxRawBytes || k.Type != BlockBatch && k.Count != 0 {
		return Block{}, ErrDamaged
	}
	var err error
	k.Ext, err = parseExt(e, k.Base, k.Count)
	if err != nil {
		return Block{}, err
	}
	return k, nil
}
