package carry

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/edgelog/edgelog/internal/wire"
)

// Writer writes one file. It belongs to one goroutine. The caller makes durable what it wrote, after Close.
type Writer struct {
	w       *bufio.Writer
	nonce   wire.Nonce
	index   uint64
	frames  uint64
	offsets uint64
	bytes   int64
	buf     []byte
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	c := &Writer{w: bufio.NewWriterSize(w, bufferBytes)}
	if _, err := c.w.WriteString(magic); err != nil {
		return nil, fmt.Errorf("write portable file: %w", err)
	}
	c.bytes = int64(len(magic))
	if err := c.record(recHeader, appendHeader(nil, &h)); err != nil {
		return nil, err
	}
	c.nonce = h.Nonce
	return c, nil
}

// Bytes is how long the file is so far.
func (c *Writer) Bytes() int64 { return c.bytes }

// Hello adds one hello; its nonce must be the file's.
func (c *Writer) Hello(h *wire.Hello) error {
	if h.Nonce != c.nonce {
		return fmt.Errorf("%w: a hello with another nonce", ErrFormat)
	}
	c.buf = wire.AppendHello(c.buf[:0], h)
	return c.record(recHello, c.buf)
}

// Frame adds a data or gap frame; its nonce must be the file's.
func (c *Writer) Frame(f wire.Frame) error {
	h := f.Header()
	if h.Nonce != c.nonce {
		return fmt.Errorf("%w: a frame with another nonce", ErrFormat)
	}
	c.buf = appendStr(c.buf[:0], h.Stream)
	switch f := f.(type) {
	case *wire.Data:
		c.buf = wire.AppendData(c.buf, f)
		c.offsets += uint64(f.Count)
	case *wire.Gap:
		c.buf = wire.AppendGap(c.buf, f)
		c.offsets += f.Len()
	}
	c.frames++
	return c.record(recFrame, c.buf)
}

// Answer adds one answer; its nonce must be the file's.
func (c *Writer) Answer(a *wire.Ack) error {
	if a.Nonce != c.nonce || !a.Answer {
		return fmt.Errorf("%w: an answer with another nonce", ErrFormat)
	}
	c.buf = wire.AppendAck(c.buf[:0], a)
	return c.record(recAnswer, c.buf)
}

// Close writes the trailer and hands everything to the underlying writer, which it does not close.
func (c *Writer) Close() error {
	var b []byte
	for _, v := range [...]uint64{c.index, c.frames, c.offsets} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	if err := c.record(recTrailer, b); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("write portable file: %w", err)
	}
	return nil
}

func (c *Writer) record(typ byte, payload []byte) error {
	if len(payload) > MaxPayloadBytes {
		return fmt.Errorf("%w: a record of %d bytes", ErrFormat, len(payload))
	}
	var h [headBytes]byte
	binary.LittleEndian.PutUint32(h[:], uint32(len(payload)))
	h[4] = typ
	binary.LittleEndian.PutUint32(h[5:], checksum(c.nonce, c.index, typ, payload))
	c.index++
	c.bytes += int64(headBytes + len(payload))
	c.w.Write(h[:]) // the error stays in the buffer and comes back from the next call
	if _, err := c.w.Write(payload); err != nil {
		return fmt.Errorf("write portable file: %w", err)
	}
	return nil
}
