// Package delta is a file expressed as what differs from an older one: zstd frames whose dictionary is a piece of the old
// content, or whose bytes are differences to it, whichever is smaller. It is an optimisation and never an authority: the header, which is signed with the delta, names both contents
// by their SHA-256, what comes out is held against it, and whoever applies a delta falls back to the full file.
//
// The content is cut into segments, each with a piece of the old content of its own, so that memory is bounded by a
// segment, not by the file: about MaxBase + MaxResult + the compressed piece, and for differences three small windows.
package delta

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A delta file, little-endian:
//
//	0    "EDLT"
//	4    version 1, or 2 where a segment is of differences
//	5    form of base and result: 0 the files themselves, 1 trees (see Form)
//	6    zero, zero
//	8    uint64 size of the base in bytes
//	16   SHA-256 of the base
//	48   uint64 size of the result in bytes
//	56   SHA-256 of the result
//	88   SHA-256 of the old file as a manifest pins it
//	120  SHA-256 of the new file as a manifest pins it
//	152  segments until the result is complete:
//	       uint64 offset in the base, uint32 length there, uint32 length in the result, uint32 length of the frame,
//	       version 2: uint32 kind, 0 as in version 1, 1 differences
//	       one zstd frame with that piece of the base as raw dictionary (none if its length is 0); of kind 1 see
//	       differences.go
const (
	headerBytes  = 152
	segmentBytes = 20
	kindBytes    = 4
	version      = 2
	asDictionary = 0
	asDiffers    = 1
	dictionaryID = 1
)

var magic = [4]byte{'E', 'D', 'L', 'T'}

// Bounds.
const (
	MaxBase   = 32 << 20 // bytes of the old content that one segment refers to
	MaxResult = 32 << 20 // bytes of one segment
	MaxTotal  = 8 << 30  // bytes of base and of result
	MaxFrame  = MaxResult + 64<<10
	// pieces of what has no files of its own to be cut at
	pieceBytes  = 16 << 20
	pieceBefore = 8 << 20
)

// Form says what base and result are.
type Form uint8

// The forms.
const (
	// Files: the old and the new file as they are.
	Files Form = 0
	// Trees: the base is the content of the old archive's regular files, one after another in the order of their paths;
	// the result is the new archive, uncompressed.
	Trees Form = 1
)

// Errors. ErrFormat is no delta of this version, ErrBase is another base than it was made for, ErrResult is an outcome
// that is not what the header promises.
var (
	ErrFormat = errors.New("not a delta of this version")
	ErrBase   = errors.New("made for another old file")
	ErrResult = errors.New("the outcome is not what was signed")
)

// Header is what a delta says of itself.
type Header struct {
	Form                 Form
	BaseSize, ResultSize int64
	Base, Result         [sha256.Size]byte
	From, To             [sha256.Size]byte // of the files as pinned

	version byte
}

func (h *Header) append(dst []byte) []byte {
	dst = append(dst, magic[:]...)
	dst = append(dst, h.version, byte(h.Form), 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.BaseSize))
	dst = append(dst, h.Base[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.ResultSize))
	dst = append(dst, h.Result[:]...)
	dst = append(dst, h.From[:]...)
	return append(dst, h.To[:]...)
}

func parseHeader(b []byte) (h Header, err error) {
	if [4]byte(b) != magic || b[4] < 1 || b[4] > version || b[5] > byte(Trees) || b[6] != 0 || b[7] != 0 {
		return h, fmt.Errorf("read delta: %w", ErrFormat)
	}
	base, result := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[48:])
	if base > MaxTotal || result == 0 || result > MaxTotal {
		return h, fmt.Errorf("read delta: %d bytes from %d: %w", result, base, ErrFormat)
	}
	h.version, h.Form, h.BaseSize, h.ResultSize = b[4], Form(b[5]), int64(base), int64(result)
	copy(h.Base[:], b[16:])
	copy(h.Result[:], b[56:])
	copy(h.From[:], b[88:])
	copy(h.To[:], b[120:])
	return h, nil
}

// Reader yields the result of a delta. Its last Read returns io.EOF only if the whole was right.
type Reader struct {
	Header
	src  io.Reader
	base io.ReaderAt
	sum  hash.Hash
	left int64
	out  []byte // decoded, not yet read
	err  error
	// reused from segment to segment
	old, frame, result []byte
}

// NewReader reads the header of a delta and checks the base, of baseSize bytes, against it.
func NewReader(src io.Reader, base io.ReaderAt, baseSize int64) (*Reader, error) {
	var head [headerBytes]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, fmt.Errorf("read delta: %w: %w", ErrFormat, err)
	}
	h, err := parseHeader(head[:])
	if err != nil {
		return nil, err
	}
	if h.BaseSize != baseSize {
		return nil, fmt.Errorf("apply delta: %w: %d bytes, it was made for %d", ErrBase, baseSize, h.BaseSize)
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, io.NewSectionReader(base, 0, baseSize), make([]byte, 256<<10)); err != nil {
		return nil, fmt.Errorf("apply delta: read the old file: %w", err)
	}
	if !bytes.Equal(sum.Sum(nil), h.Base[:]) {
		return nil, fmt.Errorf("apply delta: %w: its content differs", ErrBase)
	}
	return &Reader{Header: h, src: src, base: base, sum: sha256.New(), left: h.ResultSize}, nil
}

func (r *Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		r.err = r.segment()
	}
	if len(r.out) == 0 {
		return 0, r.err
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// segment decodes the next one.
func (r *Reader) segment() error {
	if r.left == 0 {
		if n, err := io.ReadFull(r.src, make([]byte, 1)); n != 0 || err != io.EOF {
			return fmt.Errorf("apply delta: bytes behind its end: %w", errors.Join(ErrFormat, err))
		}
		if !bytes.Equal(r.sum.Sum(nil), r.Result[:]) {
			return fmt.Errorf("apply delta: %w: its sha256 differs", ErrResult)
		}
		return io.EOF
	}
	var buf [segmentBytes + kindBytes]byte
	head := buf[:segmentBytes]
	if r.version > 1 {
		head = buf[:]
	}
	if _, err := io.ReadFull(r.src, head); err != nil {
		return fmt.Errorf("apply delta: %d bytes are missing: %w: %w", r.left, ErrFormat, err)
	}
	at, kind := binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint32(buf[segmentBytes:])
	n, result, frame := binary.LittleEndian.Uint32(head[8:]), binary.LittleEndian.Uint32(head[12:]), binary.LittleEndian.Uint32(head[16:])
	if n > MaxBase || at > uint64(r.BaseSize) || at+uint64(n) > uint64(r.BaseSize) || result == 0 || result > MaxResult ||
		int64(result) > r.left || frame > MaxFrame || kind > asDiffers {
		return fmt.Errorf("apply delta: segment of %d bytes from %d+%d in %d: %w", result, at, n, frame, ErrFormat)
	}
	r.old, r.frame = grow(r.old, int(n)), grow(r.frame, int(frame))
	if _, err := io.ReadFull(r.src, r.frame); err != nil {
		return fmt.Errorf("apply delta: %w: %w", ErrFormat, err)
	}
	if n > 0 {
		if _, err := r.base.ReadAt(r.old, int64(at)); err != nil && err != io.EOF {
			return fmt.Errorf("apply delta: read the old file: %w", err)
		}
	}
	if kind == asDiffers {
		r.result = grow(r.result, int(result))
		if err := r.patch(); err != nil {
			return err
		}
	} else if err := r.decode(int(result)); err != nil {
		return err
	}
	r.sum.Write(r.result)
	r.left -= int64(result)
	r.out = r.result
	return nil
}

// decode decodes a frame whose dictionary is r.old.
func (r *Reader) decode(result int) error {
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxResult), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(2 * MaxBase)}
	if len(r.old) > 0 {
		options = append(options, zstd.WithDecoderDictRaw(dictionaryID, r.old))
	}
	d, err := zstd.NewReader(nil, options...)
	if err != nil {
		return fmt.Errorf("apply delta: %w", err)
	}
	defer d.Close()
	r.result, err = d.DecodeAll(r.frame, grow(r.result, result)[:0])
	if err != nil {
		return fmt.Errorf("apply delta: %w: %w", ErrFormat, err)
	}
	if len(r.result) != result {
		return fmt.Errorf("apply delta: a segment has %d bytes and not %d: %w", len(r.result), result, ErrResult)
	}
	return nil
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
