package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A segment of differences pairs pieces of the result with pieces of the base that they resemble and holds what differs
// byte by byte. Programs change this way: a few insertions, and everywhere else addresses that are off by a little, which
// no match of equal bytes gets over (C. Percival, Naive Differences of Executable Code, 2003).
//
// Its frame, little-endian:
//
//	0  uint32 length of the steps' zstd frame
//	4  uint32 length of the differences' zstd frame
//	8  the two, then the zstd frame of what is new
//
// A step is three varints: so many bytes are the base's plus the differences, modulo 256; so many are new; and so far does
// the place in the base move then, signed. The first step begins at the base's piece.
const differencesHead = 8

// maxSteps bounds the steps of a segment, decoded.
const maxSteps = 8 << 20

// streamWindow is the window of the frames that are read as streams: with it they cost little memory beside the result.
const streamWindow = 4 << 20

// patch decodes a segment of differences from r.old and r.frame into r.result, which has the length that it must get.
func (r *Reader) patch() error {
	if len(r.frame) < differencesHead {
		return fmt.Errorf("apply delta: %d bytes of differences: %w", len(r.frame), ErrFormat)
	}
	steps, diffs := uint64(binary.LittleEndian.Uint32(r.frame)), uint64(binary.LittleEndian.Uint32(r.frame[4:]))
	rest := r.frame[differencesHead:]
	if steps+diffs > uint64(len(rest)) {
		return fmt.Errorf("apply delta: frames of %d and %d bytes in %d: %w", steps, diffs, len(rest), ErrFormat)
	}
	var in [3]*zstd.Decoder
	for i, frame := range [][]byte{rest[:steps], rest[steps : steps+diffs], rest[steps+diffs:]} {
		d, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(streamWindow))
		if err != nil {
			return fmt.Errorf("apply delta: %w", err)
		}
		defer d.Close()
		in[i] = d
	}
	list, err := io.ReadAll(io.LimitReader(in[0], maxSteps+1))
	if err != nil || len(list) > maxSteps {
		return fmt.Errorf("apply delta: more than %d bytes of steps, or none that can be read: %w", maxSteps, errors.Join(ErrFormat, err))
	}
	if err := follow(list, r.old, r.result, in[1], in[2]); err != nil {
		return fmt.Errorf("apply delta: %w: %w", ErrFormat, err)
	}
	return nil
}

// follow makes result from base.
func follow(steps, base, result []byte, diffs, fresh io.Reader) error {
	at, from := 0, 0
	for at < len(result) {
		like, n := binary.Uvarint(steps)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		new, m := binary.Uvarint(steps[n:])
		if m <= 0 {
			return io.ErrUnexpectedEOF
		}
		move, k := binary.Varint(steps[n+m:])
		if k <= 0 {
			return io.ErrUnexpectedEOF
		}
		steps = steps[n+m+k:]
		left := uint64(len(result) - at)
		if like > left || new > left-like || like > uint64(len(base)-from) {
			return fmt.Errorf("a step of %d and %d bytes at %d, from %d", like, new, at, from)
		}
		piece := result[at : at+int(like)]
		if _, err := io.ReadFull(diffs, piece); err != nil {
			return err
		}
		for i, b := range base[from : from+int(like)] {
			piece[i] += b
		}
		at, from = at+int(like), from+int(like)
		if _, err := io.ReadFull(fresh, result[at:at+int(new)]); err != nil {
			return err
		}
		at += int(new)
		if move < int64(-from) || move > int64(len(base)-from) {
			return fmt.Errorf("a step to %d of %d", int64(from)+move, len(base))
		}
		from += int(move)
	}
	if len(steps) != 0 {
		return errors.New("steps beyond the end")
	}
	for _, in := range []io.Reader{diffs, fresh} {
		if n, err := io.ReadFull(in, make([]byte, 1)); n != 0 || err != io.EOF {
			return fmt.Errorf("bytes beyond the end: %w", err)
		}
	}
	return nil
}

// differences encodes a segment that way.
func differences(base, result []byte) ([]byte, error) {
	var steps, diffs, fresh []byte
	m := newMatcher(base, result)
	for {
		s, ok := m.next()
		if !ok {
			break
		}
		for i := range s.like {
			diffs = append(diffs, result[s.at+i]-base[s.from+i])
		}
		fresh = append(fresh, result[s.at+s.like:s.at+s.like+s.new]...)
		steps = binary.AppendUvarint(steps, uint64(s.like))
		steps = binary.AppendUvarint(steps, uint64(s.new))
		steps = binary.AppendVarint(steps, int64(s.move))
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(streamWindow))
	if err != nil {
		return nil, fmt.Errorf("make delta: %w", err)
	}
	defer e.Close()
	a, b := e.EncodeAll(steps, nil), e.EncodeAll(diffs, nil)
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(a)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(b)))
	return e.EncodeAll(fresh, append(append(out, a...), b...)), nil
}
