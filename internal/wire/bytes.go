package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/edgelog/edgelog/buffer/record"
)

// The version of the messages, in the high four bits of each first byte.
const version = 1

// The types, in the low four bits of each first byte. They never change.
const (
	typeData  = 1
	typeGap   = 2
	typeHello = 3
	typeAck   = 4
	typeHubUp = 5
)

// ErrVersion is wrapped when a message is of a version that this program does not read. It also wraps ErrMessage.
var ErrVersion = errors.New("newer message version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C that bodies and headers carry.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMessage, what) }

func first(t byte) byte { return version<<4 | t }

// open checks the first byte and returns a reader behind it.
func open(b []byte, want byte) (*reader, error) {
	if len(b) == 0 {
		return nil, malformed("empty")
	}
	if len(b) > MaxPacketBytes {
		return nil, malformed("longer than a packet may be")
	}
	if b[0]>>4 != version {
		return nil, fmt.Errorf("%w: %w %d", ErrMessage, ErrVersion, b[0]>>4)
	}
	if b[0]&15 != want {
		return nil, malformed(fmt.Sprintf("type %d where %d belongs", b[0]&15, want))
	}
	return &reader{b: b[1:]}, nil
}

// seal appends the CRC-32C of what was appended since from, continuing crc.
func seal(dst []byte, from int, crc uint32) []byte {
	return binary.LittleEndian.AppendUint32(dst, crc32.Update(crc, castagnoli, dst[from:]))
}

// frameCRC is the checksum of a frame's header: of the stream's name, then of the bytes.
func frameCRC(stream string, b []byte) uint32 {
	return crc32.Update(Checksum([]byte(stream)), castagnoli, b)
}

// checkSealed checks the CRC of a message that is sealed as a whole and opens it without its CRC.
func checkSealed(b []byte, want byte) (*reader, error) {
	if _, err := open(b, want); err != nil {
		return nil, err
	}
	if len(b) < 5 {
		return nil, malformed("short")
	}
	n := len(b) - 4
	if binary.LittleEndian.Uint32(b[n:]) != Checksum(b[:n]) {
		return nil, malformed("checksum")
	}
	return open(b[:n], want)
}

// reader takes fields from the front of b. After the first failure every further field is zero and err says what
// was wrong, so that callers check once.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = malformed(what)
	}
	r.b = nil
}

func (r *reader) u8(what string) byte {
	if len(r.b) < 1 {
		r.fail(what)
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u32(what string) uint32 {
	if len(r.b) < 4 {
		r.fail(what)
		return 0
	}
	v := binary.LittleEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

func (r *reader) u64(what string) uint64 {
	if len(r.b) < 8 {
		r.fail(what)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) uvarint(what string) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(what)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) offset(what string) record.Offset {
	o := record.Offset(r.uvarint(what))
	if o > record.MaxOffset {
		r.fail(what)
		return 0
	}
	return o
}

func (r *reader) varint(what string) int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(what)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the number of things that follow, each of at least size bytes.
func (r *reader) count(limit, size int, what string) int {
	n := r.uvarint(what)
	if n > uint64(limit) || n > uint64(len(r.b)/size) {
		r.fail("too many " + what)
		return 0
	}
	return int(n)
}

func (r *reader) str(limit int, what string) string {
	n := r.uvarint(what)
	if n > uint64(limit) || n > uint64(len(r.b)) || !utf8.Valid(r.b[:n]) {
		r.fail(what)
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// end checks that nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("bytes after the end")
	}
	return r.err
}

// appendStr appends a text, shortened to limit bytes.
func appendStr(dst []byte, s string, limit int) []byte {
	s = shorten(s, limit)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// shorten cuts a text at limit bytes, on a rune's border; bytes that are no UTF-8 become U+FFFD.
func shorten(s string, limit int) string {
	if s = strings.ToValidUTF8(s, "\uFFFD"); len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
