package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Port is an open serial port. A Read waits at most the read time-out and then returns (0, nil), as go.bug.st/serial
// does; Close makes a running Read return. Write must not block for ever: that is the port's business.
type Port interface {
	io.ReadWriteCloser
	SetReadTimeout(d time.Duration) error
}

// RTUOptions describe a serial line. Open is required; it is called at the first request and again, at most once a
// second, after the port failed.
type RTUOptions struct {
	Open func(ctx context.Context) (Port, error)
	Baud int // for the pauses between frames, default 9600
	// Pause is the silence before a request; default 3.5 characters of 11 bits, 1.75 ms above 19,200 baud.
	Pause time.Duration
	// Echo says that the adapter hears itself: the bytes of a request come back before the answer.
	Echo bool
	// Prompt says that slaves answer within the time-out or never: late answers are not waited for.
	Prompt bool
}

// RTU is a serial line, or a TCP connection to a converter that passes RTU frames through. It implements Line.
type RTU struct {
	held[Port]
	o RTUOptions

	// Owned by whose turn it is.
	quiet    time.Time // when the last byte was seen or sent
	dirty    bool      // an answer may still be coming: find silence first
	late     map[byte]late
	buf      []byte
	readWait time.Duration
}

// NewRTU makes a line; nothing is opened yet.
func NewRTU(o RTUOptions) *RTU {
	if o.Baud <= 0 {
		o.Baud = 9600
	}
	if o.Pause <= 0 {
		o.Pause = FramePause(o.Baud)
	}
	r := &RTU{o: o, late: map[byte]late{}}
	r.init()
	return r
}

// FramePause is the silence between two frames: 3.5 characters, fixed at 1.75 ms above 19,200 baud.
func FramePause(baud int) time.Duration {
	if baud > 19200 {
		return 1750 * time.Microsecond
	}
	return time.Duration(38500) * time.Millisecond / time.Duration(baud)
}

// Exchange implements Line.
func (r *RTU) Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	if len(pdu) == 0 || len(pdu) > MaxPDU || unit > 254 {
		return nil, fmt.Errorf("%w: unit %d, PDU of %d bytes", ErrRequest, unit, len(pdu))
	}
	return r.held.exchange(ctx, func() ([]byte, error) {
		answer, used, err := r.once(ctx, unit, pdu, timeout)
		if used && errors.Is(err, ErrLine) { // converters close idle connections: the next one is fresh
			answer, _, err = r.once(ctx, unit, pdu, timeout)
		}
		return answer, err
	})
}

// once asks over the port that is open, or over a new one; used tells which.
func (r *RTU) once(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) (answer []byte, used bool, err error) {
	port, used, err := r.get(ctx, r.o.Open)
	if err != nil {
		return nil, false, err
	}
	if !used {
		r.dirty, r.readWait = true, 0
	}
	answer, err = r.ask(ctx, port, unit, pdu, timeout)
	r.owe(unit, pdu, timeout, err)
	if errors.Is(err, ErrLine) {
		r.drop(port)
	}
	return answer, used, err
}

func (r *RTU) ask(ctx context.Context, port Port, unit byte, pdu []byte, timeout time.Duration) ([]byte, error) {
	if err := r.overdue(ctx, port, unit, pdu); err != nil {
		return nil, err
	}
	if err := r.silence(ctx, port); err != nil {
		return nil, err
	}
	frame := AppendRTU(nil, unit, pdu)
	n, err := port.Write(frame)
	if err == nil && n < len(frame) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return nil, fmt.Errorf("%w: write: %w", ErrLine, err)
	}
	onWire := time.Duration(len(frame)) * 11 * time.Second / time.Duration(r.o.Baud)
	r.quiet, r.dirty = time.Now().Add(onWire), true // the driver may still hold the bytes
	deadline := r.quiet.Add(timeout)
	r.buf = r.buf[:0]
	if r.o.Echo {
		if err := r.fill(ctx, port, len(frame), deadline); err != nil {
			return nil, err
		}
		if string(r.buf[:len(frame)]) != string(frame) {
			return nil, fmt.Errorf("%w: the echo differs from what was sent (another master, or no echo)", ErrFrame)
		}
		r.buf = append(r.buf[:0], r.buf[len(frame):]...)
	}
	if unit == 0 {
		r.dirty = false
		return nil, wait(ctx, r.done, onWire+turnaround)
	}
	answer, err := r.answer(ctx, port, deadline)
	if err != nil {
		return nil, err
	}
	if answer[0] != unit || answer[1]&^exceptionBit != pdu[0] {
		return nil, fmt.Errorf("%w: unit %d function %#x asked, unit %d function %#x came", ErrFrame, unit, pdu[0], answer[0], answer[1])
	}
	r.dirty = false
	return append([]byte(nil), answer[1:len(answer)-2]...), nil
}

// silence waits until the line has been quiet for a frame's pause. Behind a failed exchange it also throws away what
// still comes, so that a late answer is never taken for that of the next request.
func (r *RTU) silence(ctx context.Context, port Port) error {
	if !r.dirty {
		return wait(ctx, r.done, time.Until(r.quiet.Add(r.o.Pause)))
	}
	pause := max(r.o.Pause, 5*time.Millisecond) // USB adapters hand bytes over in chunks
	started, junk := time.Now(), [64]byte{}
	for total := 0; ; {
		n, err := r.read(port, junk[:], pause)
		if err != nil {
			return err
		}
		if n == 0 {
			return wait(ctx, r.done, time.Until(r.quiet.Add(r.o.Pause)))
		}
		if total += n; total > drainLimit && time.Since(started) > drainPatience {
			return fmt.Errorf("%w: somebody talks all the time (wrong speed, another master)", ErrFrame)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// answer reads one frame and checks its CRC.
func (r *RTU) answer(ctx context.Context, port Port, deadline time.Time) ([]byte, error) {
	for {
		n, more, ok := answerLen(r.buf)
		if !ok {
			return r.untilSilence(ctx, port, deadline)
		}
		if n > maxADU {
			return nil, fmt.Errorf("%w: answer of %d bytes", ErrFrame, n)
		}
		if len(r.buf) < n {
			if err := r.fill(ctx, port, n, deadline); err != nil {
				return nil, err
			}
			continue
		}
		if more {
			continue
		}
		return checked(r.buf[:n])
	}
}

func checked(frame []byte) ([]byte, error) {
	if len(frame) < 4 {
		return nil, fmt.Errorf("%w: % x", ErrFrame, frame)
	}
	if crc := CRC(frame[:len(frame)-2]); byte(crc) != frame[len(frame)-2] || byte(crc>>8) != frame[len(frame)-1] {
		return nil, fmt.Errorf("%w: % x", ErrChecksum, frame[:min(len(frame), 32)])
	}
	return frame, nil
}

// untilSilence reads a frame that does not say how long it is.
func (r *RTU) untilSilence(ctx context.Context, port Port, deadline time.Time) ([]byte, error) {
	var b [maxADU]byte
	for len(r.buf) <= maxADU && time.Now().Before(deadline) {
		n, err := r.read(port, b[:], max(r.o.Pause, 20*time.Millisecond))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		r.buf = append(r.buf, b[:n]...)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if len(r.buf) > maxADU {
		return nil, fmt.Errorf("%w: more than %d bytes came", ErrFrame, maxADU)
	}
	return checked(r.buf)
}

// fill reads until buf holds n bytes.
func (r *RTU) fill(ctx context.Context, port Port, n int, deadline time.Time) error {
	var b [maxADU]byte
	for len(r.buf) < n {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(deadline)
		got, err := r.read(port, b[:min(len(b), n-len(r.buf))], min(left, pollSlice))
		if err != nil {
			return err
		}
		if r.buf = append(r.buf, b[:got]...); got > 0 || left > 0 { // what came in time counts, however late it is looked for
			continue
		}
		if len(r.buf) > 0 {
			return fmt.Errorf("%w: %d of %d bytes came: % x", ErrTimeout, len(r.buf), n, r.buf[:min(len(r.buf), 32)])
		}
		return ErrTimeout
	}
	return nil
}

func (r *RTU) read(port Port, b []byte, d time.Duration) (int, error) {
	// Time-outs below a millisecond are 0, "at once", for ports that count milliseconds.
	if d = max(d.Round(time.Millisecond), time.Millisecond); d != r.readWait {
		if err := port.SetReadTimeout(d); err != nil {
			return 0, fmt.Errorf("%w: set read time-out: %w", ErrLine, err)
		}
		r.readWait = d
	}
	n, err := port.Read(b)
	if err != nil {
		return n, fmt.Errorf("%w: read: %w", ErrLine, err)
	}
	if n > 0 {
		r.quiet = time.Now()
	}
	return n, nil
}

func wait(ctx context.Context, done <-chan struct{}, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
		return ErrClosed
	}
}
