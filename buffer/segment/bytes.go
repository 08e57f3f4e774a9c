package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/edgelog/edgelog/buffer/record"
)

// Checksum is CRC-32C, the checksum of bodies in segments and on the wire.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// saltedChecksum binds bytes to their position in a file; the salt of the file is among the bytes.
func saltedChecksum(pos int64, parts ...[]byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], uint64(pos))
	c := crc32.Update(0, t, p[:])
	for _, b := range parts {
		c = crc32.Update(c, t, b)
	}
	return c
}

func appendStr(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// cursor reads fields one after the other; after the first error every read returns zero.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrFormat, what)
		c.b = nil
	}
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail("number")
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail("number")
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) u64() uint64 {
	if len(c.b) < 8 {
		c.fail("short")
		return 0
	}
	v := binary.LittleEndian.Uint64(c.b)
	c.b = c.b[8:]
	return v
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail("length")
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) str(limit int) string {
	n := c.uvarint()
	if n > uint64(limit) {
		c.fail("string length")
		return ""
	}
	return string(c.take(n))
}

func (c *cursor) count(limit int) int {
	n := c.uvarint()
	if n > uint64(limit) {
		c.fail("count")
		return 0
	}
	return int(n)
}

func (c *cursor) offset() record.Offset { return record.Offset(c.uvarint()) }
