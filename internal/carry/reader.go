package carry

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/edgelog/edgelog/internal/wire"
)

// Reader reads one file from its beginning. It belongs to one goroutine.
type Reader struct {
	Header Header

	r       *bufio.Reader
	pos     int64
	index   uint64
	frames  uint64
	offsets uint64
	done    bool
	buf     []byte
}

// NewReader reads the header. ErrFormat: another kind of file; ErrNewer: made by a newer program.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{r: bufio.NewReaderSize(r, bufferBytes)}
	var m [len(magic)]byte
	if _, err := io.ReadFull(c.r, m[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, ErrFormat
		}
		return nil, fmt.Errorf("read portable file: %w", err)
	}
	if string(m[:]) != magic {
		return nil, ErrFormat
	}
	c.pos = int64(len(magic))
	typ, payload, err := c.record(0)
	if err != nil {
		return nil, err
	}
	if typ != recHeader {
		return nil, ErrFormat
	}
	if c.Header, err = parseHeader(payload); err != nil {
		return nil, err
	}
	return c, nil
}

// Pos is the position behind what was read, in bytes.
func (c *Reader) Pos() int64 { return c.pos }

// Next is the next message: *wire.Hello, *wire.Data or *wire.Gap of an export, *wire.Ack of an ack file. What it refers
// to belongs to the caller. io.EOF comes after the trailer; ErrCut where the file ends before it; *DamageError where a
// record is not what was written: nothing behind it can be trusted, and reading on yields the same error.
func (c *Reader) Next() (wire.Message, error) {
	if c.done {
		return nil, io.EOF
	}
	at := c.pos
	typ, payload, err := c.record(c.Header.Nonce)
	if err != nil {
		return nil, err
	}
	m, err := c.message(typ, payload)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
		return nil, &DamageError{at, err}
	}
	return m, err
}

func (c *Reader) message(typ byte, payload []byte) (wire.Message, error) {
	switch {
	case typ == recHello && c.Header.Kind == Export:
		h, err := wire.ParseHello(payload)
		if err == nil && h.Nonce != c.Header.Nonce {
			err = fmt.Errorf("%w: a hello with another nonce", ErrFormat)
		}
		if err != nil {
			return nil, err
		}
		return h, nil
	case typ == recFrame && c.Header.Kind == Export:
		return c.frame(payload)
	case typ == recAnswer && c.Header.Kind == Ack:
		a, err := wire.ParseAck(payload)
		if err == nil && (a.Nonce != c.Header.Nonce || !a.Answer) {
			err = fmt.Errorf("%w: an answer with another nonce", ErrFormat)
		}
		if err != nil {
			return nil, err
		}
		return a, nil
	case typ == recTrailer:
		return nil, c.trailer(payload)
	}
	return nil, fmt.Errorf("%w: type %d", ErrDamaged, typ)
}

func (c *Reader) frame(payload []byte) (wire.Message, error) {
	stream, b, ok := cutStr(payload, 255)
	if !ok {
		return nil, fmt.Errorf("%w: stream", ErrDamaged)
	}
	f, err := wire.ParseFrame(stream, append([]byte(nil), b...))
	if err != nil {
		return nil, err
	}
	if f.Header().Nonce != c.Header.Nonce {
		return nil, fmt.Errorf("%w: a frame with another nonce", ErrFormat)
	}
	c.frames++
	switch f := f.(type) {
	case *wire.Data:
		if !f.BodyOK() {
			return nil, fmt.Errorf("%w: body of %d records", ErrDamaged, f.Count)
		}
		c.offsets += uint64(f.Count)
	case *wire.Gap:
		c.offsets += f.Len()
	}
	return f, nil
}

func (c *Reader) trailer(payload []byte) error {
	want := [...]uint64{c.index - 1, c.frames, c.offsets}
	if len(payload) != 8*len(want) {
		return fmt.Errorf("%w: trailer", ErrDamaged)
	}
	for i, v := range want {
		if binary.LittleEndian.Uint64(payload[8*i:]) != v {
			return fmt.Errorf("%w: trailer counts something else", ErrDamaged)
		}
	}
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: bytes behind the trailer", ErrDamaged)
	}
	c.done = true
	return io.EOF
}

// record reads one record; the payload is valid until the next call.
func (c *Reader) record(nonce wire.Nonce) (byte, []byte, error) {
	var h [headBytes]byte
	if err := c.full(h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(h[:])
	if n > MaxPayloadBytes {
		return 0, nil, &DamageError{c.pos, fmt.Errorf("%w: length %d", ErrDamaged, n)}
	}
	if cap(c.buf) < int(n) {
		c.buf = make([]byte, n)
	}
	c.buf = c.buf[:n]
	if err := c.full(c.buf); err != nil {
		return 0, nil, err
	}
	if checksum(nonce, c.index, h[4], c.buf) != binary.LittleEndian.Uint32(h[5:]) {
		return 0, nil, &DamageError{c.pos, fmt.Errorf("%w: checksum", ErrDamaged)}
	}
	c.index++
	c.pos += int64(headBytes) + int64(n)
	return h[4], c.buf, nil
}

func (c *Reader) full(b []byte) error {
	_, err := io.ReadFull(c.r, b)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCut
	case err != nil:
		return fmt.Errorf("read portable file: %w", err)
	}
	return nil
}
