package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
)

// Blocks reads the blocks of one file through a window. It belongs to one goroutine; the file may be read by others
// and appended to beyond the limit at the same time.
type Blocks struct {
	r     io.ReaderAt
	path  string
	salt  uint32
	any   bool  // the salt is not known: blocks of any salt are taken
	limit int64 // bytes at and behind it are not looked at

	win   []byte // what stands at winAt
	winAt int64

	key   *DataKey // nil: encrypted bodies cannot be read
	plain []byte   // a body decrypted
}

// NewBlocks reads the file r of that salt up to limit.
func NewBlocks(r io.ReaderAt, path string, salt uint32, limit int64) *Blocks {
	return &Blocks{r: r, path: path, salt: salt, limit: limit}
}

// SetKey lets encrypted bodies be read.
func (b *Blocks) SetKey(k *DataKey) { b.key = k }

// SetLimit moves the limit, when more of the file has become durable.
func (b *Blocks) SetLimit(limit int64) { b.limit = limit }

// at returns n bytes at pos, fewer at the limit; they are valid until the next call.
func (b *Blocks) at(pos int64, n int, ahead int) ([]byte, error) {
	if pos >= b.limit {
		return nil, io.EOF
	}
	n = int(min(int64(n), b.limit-pos))
	if pos >= b.winAt && pos+int64(n) <= b.winAt+int64(len(b.win)) {
		return b.win[pos-b.winAt:][:n], nil
	}
	want := int(min(int64(max(n, ahead)), b.limit-pos))
	if cap(b.win) < want {
		b.win = make([]byte, want)
	}
	b.win = b.win[:want]
	got, err := b.r.ReadAt(b.win, pos)
	if unreadable(err) {
		got, err = b.salvage(pos)
	}
	b.win, b.winAt = b.win[:got], pos
	if got >= n {
		return b.win[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return b.win, nil // the file is shorter than it was: the caller sees a short block
	}
	return nil, fmt.Errorf("read %s: %w", b.path, err)
}

// salvage reads the window page by page: an unreadable page counts as zeros, which no checksum accepts, so that a bad
// sector damages the blocks in it and no others. If no page can be read, the disk is gone, not damaged.
func (b *Blocks) salvage(pos int64) (int, error) {
	var failed error
	good, n := 0, 0
	for n < len(b.win) {
		p := b.win[n:min(n+4096, len(b.win))]
		got, err := b.r.ReadAt(p, pos+int64(n))
		switch {
		case errors.Is(err, syscall.EIO):
			failed = err
			clear(p)
		case got < len(p):
			return n + got, io.EOF
		default:
			good++
		}
		n += len(p)
	}
	if good == 0 {
		return 0, failed
	}
	return n, nil
}

const smallWindow = 32 << 10

// Header reads the header and ext of the block at pos: io.EOF at the limit, *CorruptionError if there is none.
func (b *Blocks) Header(pos int64) (Block, error) {
	p, err := b.at(pos, MaxBlockHead, smallWindow)
	if err != nil {
		return Block{}, err
	}
	bad := &CorruptionError{b.path, pos, ErrDamaged}
	h, ok := parseHead(p, pos)
	if !ok || !b.any && h.k.salt != b.salt || pos+h.k.Size > b.limit {
		return Block{}, bad
	}
	if p, err = b.at(pos, h.n, smallWindow); err != nil {
		return Block{}, err
	}
	if len(p) < h.n {
		return Block{}, bad
	}
	k, err := h.parse(p)
	if err != nil {
		return Block{}, bad
	}
	return k, nil
}

// Body reads, checks and decrypts the body of a block; it is valid until the next call. An error that wraps ErrKey: it
// is undamaged as far as its checksum tells, but encrypted, and the key is not at hand.
func (b *Blocks) Body(k *Block) ([]byte, error) {
	if k.BodyLen == 0 {
		return nil, nil
	}
	p, err := b.check(k)
	if err != nil || !k.Encrypted {
		return p, err
	}
	if b.key == nil {
		return nil, fmt.Errorf("%w: block at %d of %s", ErrKey, k.Pos, b.path)
	}
	all, err := b.at(k.Pos, int(k.Size), int(k.Size))
	if err != nil {
		return nil, err
	}
	if len(all) == int(k.Size) {
		p, err = b.key.open(b.plain[:0], all, int(k.Size)-int(k.BodyLen), k.Pos)
		if err == nil {
			b.plain = p
			return p, nil
		}
	}
	return nil, &CorruptionError{b.path, k.Pos, fmt.Errorf("%w: body of %d records was not written here with this key", ErrDamaged, k.Count)}
}

// check reads the body of a block as it is and compares its checksum. Of an encrypted one the whole block is read.
func (b *Blocks) check(k *Block) ([]byte, error) {
	at, skip := k.Pos+k.Size-int64(k.BodyLen), 0
	if k.Encrypted {
		skip = int(at - k.Pos)
	}
	n := skip + int(k.BodyLen)
	// The header of the block behind it is read along, so that reading on costs one read a block.
	p, err := b.at(at-int64(skip), n, n+1024)
	if err != nil {
		return nil, err
	}
	if len(p) < n || Checksum(p[skip:]) != k.BodyCRC {
		return nil, &CorruptionError{b.path, at, fmt.Errorf("%w: body of %d records", ErrDamaged, k.Count)}
	}
	return p[skip:], nil
}

// checked is Body as far as the key at hand allows: without it the body of an encrypted block is nil.
func (b *Blocks) checked(k *Block) ([]byte, error) {
	if !k.Encrypted || b.key != nil {
		return b.Body(k)
	}
	_, err := b.check(k)
	return nil, err
}

func unreadable(err error) bool { return errors.Is(err, syscall.EIO) }

// Resync finds the first block header at or behind pos.
func (b *Blocks) Resync(pos int64) (Block, bool, error) {
	var salt [4]byte
	binary.LittleEndian.PutUint32(salt[:], b.salt)
	for pos < b.limit {
		p, err := b.at(pos, readWindow, readWindow)
		if errors.Is(err, io.EOF) || err == nil && len(p) < minBlockHead {
			return Block{}, false, nil
		}
		if err != nil {
			return Block{}, false, err
		}
		i := b.candidate(p, salt[:])
		if i < 0 {
			pos += int64(max(len(p)-MaxBlockHead, 1)) // a header may begin in the last bytes of the window
			continue
		}
		pos += int64(i)
		k, err := b.Header(pos)
		if err == nil {
			return k, true, nil
		}
		var c *CorruptionError
		if !errors.As(err, &c) && !errors.Is(err, io.EOF) {
			return Block{}, false, err
		}
		pos++
	}
	return Block{}, false, nil
}

// candidate is the first place in p where a block may begin, -1 if none.
func (b *Blocks) candidate(p, salt []byte) int {
	if !b.any {
		return bytes.Index(p, salt)
	}
	for i := 0; i+minBlockHead <= len(p); i++ {
		if _, ok := parseHead(p[i:min(i+MaxBlockHead, len(p))], math.MaxUint32); ok {
			return i
		}
	}
	return -1
}
