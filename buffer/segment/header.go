package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// Version is the format that this package writes, and the newest that it reads.
const Version = 0

const magic = "edgeseg\n"

// Header is the first thing in a segment, fsynced together with the file's directory entry before anything in the
// segment counts. It is written twice: as the header, and again as the first block, because a segment is to be
// readable alone even if its first bytes are damaged.
//
//	 0               8         10       12       16          20     24    28
//	+---------------+---------+--------+--------+-----------+------+-----+
//	| "edgeseg\n"   | version | flags  | length | crc 0–15  | salt | seq |
//	+---------------+---------+--------+--------+-----------+------+-----+
//	 28       36      44       52           60      68     76            84           92
//	+--------+-------+--------+------------+-------+------+-------------+------------+
//	| opening| epoch | parent | parent end | first | base | chain(first)| chain(base)|
//	+--------+-------+--------+------------+-------+------+-------------+------------+
//	+-----------------------------------------------------------+---------+
//	| sections (tag u8, length uvarint, content) up to length−4 | crc u32 |
//	+-----------------------------------------------------------+---------+
type Header struct {
	Salt    uint32 // random; stands in every block of the file
	Seq     uint32 // number of this segment within its epoch
	Opening uint64 // number of the opening that wrote it: with Seq it orders the segments of a stream
	Stream  string
	Epoch   record.Epoch
	Parent  record.Epoch

	ParentEnd  record.Offset
	First      record.Offset // of the epoch
	Base       record.Offset // first offset of this segment
	ChainFirst uint64        // chain(First)
	ChainBase  uint64        // chain(Base)
	Boot       string
	Encrypted  bool  // bodies of batches and definitions; behind the header stand the key slots
	Moved      Moved // of a segment whose records were moved here from another epoch
	State      State // as of Base
}

// Moved says where the records of a segment stood before. Such a segment counts only if the newest state of the stream
// names its epoch, or if the records are no longer where they stood. Its own State never counts.
type Moved struct {
	From  record.Epoch  // epoch that they stood in; 0: not moved
	End   record.Offset // where that epoch ended; what continued it there continues this one
	Chain uint64        // chain(First) of that epoch
}

// The first 20 bytes are the same in every version of the format, so that a newer version is told from damage.
const (
	headerPreamble = 20
	headerFixed    = 92
	flagEncrypted  = 1
)

// AppendHeader appends the header's bytes.
func AppendHeader(dst []byte, h *Header) ([]byte, error) {
	at := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, Version)
	flags := uint16(0)
	if h.Encrypted {
		flags |= flagEncrypted
	}
	dst = binary.LittleEndian.AppendUint16(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, 0) // length and preamble checksum, filled in below
	dst = binary.LittleEndian.AppendUint32(dst, h.Salt)
	dst = binary.LittleEndian.AppendUint32(dst, h.Seq)
	for _, v := range [...]uint64{h.Opening, uint64(h.Epoch), uint64(h.Parent), uint64(h.ParentEnd), uint64(h.First),
		uint64(h.Base), h.ChainFirst, h.ChainBase} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = section(dst, secStream, func(b []byte) []byte { return append(b, h.Stream...) })
	dst = section(dst, secBoot, func(b []byte) []byte { return append(b, h.Boot...) })
	if m := h.Moved; m.From != 0 {
		dst = section(dst, secMoved, func(b []byte) []byte {
			b = binary.LittleEndian.AppendUint64(b, uint64(m.From))
			b = binary.AppendUvarint(b, uint64(m.End))
			return binary.LittleEndian.AppendUint64(b, m.Chain)
		})
	}
	dst = AppendState(dst, &h.State)
	n := len(dst) - at + 4
	if n > MaxHeaderBytes {
		return nil, fmt.Errorf("%w: header of %d bytes", ErrTooBig, n)
	}
	binary.LittleEndian.PutUint32(dst[at+12:], uint32(n))
	binary.LittleEndian.PutUint32(dst[at+16:], Checksum(dst[at:at+16]))
	return binary.LittleEndian.AppendUint32(dst, Checksum(dst[at:])), nil
}

// headerLen tells the length of a header from its first bytes. ErrNewer: a segment, but of a format that this
// program does not know.
func headerLen(b []byte) (int, error) {
	if len(b) < headerPreamble || string(b[:8]) != magic || Checksum(b[:16]) != binary.LittleEndian.Uint32(b[16:]) {
		return 0, fmt.Errorf("%w: no header", ErrFormat)
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v > Version {
		return 0, fmt.Errorf("%w: version %d, this program reads up to %d", ErrNewer, v, Version)
	}
	if f := binary.LittleEndian.Uint16(b[10:]); f&^flagEncrypted != 0 {
		return 0, fmt.Errorf("%w: flags %#x", ErrNewer, f)
	}
	n := int(binary.LittleEndian.Uint32(b[12:]))
	if n < headerFixed+4 || n > MaxHeaderBytes {
		return 0, fmt.Errorf("%w: header length %d", ErrFormat, n)
	}
	return n, nil
}

// ParseHeader reads a header from the beginning of b and returns its length in bytes.
func ParseHeader(b []byte) (Header, int, error) {
	var h Header
	n, err := headerLen(b)
	if err != nil {
		return h, 0, err
	}
	if n > len(b) {
		return h, 0, fmt.Errorf("%w: header cut off", ErrFormat)
	}
	if Checksum(b[:n-4]) != binary.LittleEndian.Uint32(b[n-4:]) {
		return h, 0, fmt.Errorf("%w: header checksum", ErrFormat)
	}
	h.Encrypted = binary.LittleEndian.Uint16(b[10:])&flagEncrypted != 0
	c := cursor{b: b[headerPreamble : n-4]}
	h.Salt = binary.LittleEndian.Uint32(c.take(4))
	h.Seq = binary.LittleEndian.Uint32(c.take(4))
	h.Opening = c.u64()
	h.Epoch, h.Parent = record.Epoch(c.u64()), record.Epoch(c.u64())
	h.ParentEnd, h.First, h.Base = record.Offset(c.u64()), record.Offset(c.u64()), record.Offset(c.u64())
	h.ChainFirst, h.ChainBase = c.u64(), c.u64()
	err = sections(c.b, func(tag byte, c *cursor) {
		switch tag {
		case secStream:
			h.Stream = string(c.b)
		case secBoot:
			h.Boot = string(c.b)
		case secMoved:
			h.Moved = Moved{record.Epoch(c.u64()), c.offset(), c.u64()}
		default:
			h.State.section(tag, c)
		}
	})
	return h, n, err
}
