package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const sha256Size = sha256.Size

// An index file, little-endian:
//
//	0   "EIDX"
//	4   version 1
//	5   chunk bits: a chunk has 1<<bits bytes, the last one what remains
//	6   zero, zero
//	8   uint64 size of the file in bytes
//	16  SHA-256 of each chunk, 32 bytes each
const indexHeader = 16

const indexVersion = 1

var indexMagic = [4]byte{'E', 'I', 'D', 'X'}

// Index is the chunk table of one file.
type Index struct {
	Bits   uint8
	Size   int64
	Hashes [][sha256Size]byte
}

// ParseIndex reads an index for a file of the given size. Errors wrap ErrFormat or ErrSize.
func ParseIndex(data []byte, size int64) (*Index, error) {
	if len(data) < indexHeader || [4]byte(data) != indexMagic || data[6] != 0 || data[7] != 0 {
		return nil, fmt.Errorf("read index: %w", errors.Join(ErrFormat, errors.New("no index header")))
	}
	if data[4] != indexVersion {
		return nil, fmt.Errorf("read index: version %d needs a newer agent: %w", data[4], ErrFormat)
	}
	x := &Index{Bits: data[5]}
	if x.Bits < MinChunkBits || x.Bits > MaxChunkBits {
		return nil, fmt.Errorf("read index: chunks of 2^%d bytes: %w", x.Bits, ErrFormat)
	}
	if n := binary.LittleEndian.Uint64(data[8:]); n != uint64(size) || size <= 0 || size > MaxComponentBytes {
		return nil, fmt.Errorf("read index: it is for %d bytes, the file has %d: %w", n, size, ErrFormat)
	}
	x.Size = size
	n := chunks(size, x.Bits)
	if len(data) != indexHeader+n*sha256Size {
		return nil, fmt.Errorf("read index: %d bytes for %d chunks: %w", len(data), n, ErrFormat)
	}
	x.Hashes = make([][sha256Size]byte, n)
	for i := range x.Hashes {
		copy(x.Hashes[i][:], data[indexHeader+i*sha256Size:])
	}
	return x, nil
}

// Append appends the index file to dst.
func (x *Index) Append(dst []byte) []byte {
	dst = append(dst, indexMagic[:]...)
	dst = append(dst, indexVersion, x.Bits, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(x.Size))
	for i := range x.Hashes {
		dst = append(dst, x.Hashes[i][:]...)
	}
	return dst
}

// MakeIndex reads a file once and returns its index and the SHA-256 of the whole.
func MakeIndex(r io.Reader, bits uint8) (*Index, [sha256Size]byte, error) {
	x, whole := &Index{Bits: bits}, sha256.New()
	buf := make([]byte, 1<<bits)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			x.Size += int64(n)
			x.Hashes = append(x.Hashes, sha256.Sum256(buf[:n]))
			whole.Write(buf[:n])
		}
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return x, [sha256Size]byte(whole.Sum(nil)), nil
		}
		if err != nil {
			return nil, [sha256Size]byte{}, fmt.Errorf("make index: %w", err)
		}
	}
}

// Chunk is the range of chunk i: its offset and length in bytes.
func (x *Index) Chunk(i int) (offset int64, length int) {
	offset = int64(i) << x.Bits
	return offset, int(min(int64(1)<<x.Bits, x.Size-offset))
}

// Check tells whether data is chunk i.
func (x *Index) Check(i int, data []byte) bool {
	if i < 0 || i >= len(x.Hashes) {
		return false
	}
	if _, n := x.Chunk(i); n != len(data) {
		return false
	}
	sum := sha256.Sum256(data)
	return bytes.Equal(sum[:], x.Hashes[i][:])
}

func chunks(size int64, bits uint8) int {
	return int((size + int64(1)<<bits - 1) >> bits)
}
