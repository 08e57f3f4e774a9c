package modbus

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// late is a request that was given up on, how often, and until when its answers may still come.
//
// An RTU answer names neither its request nor the registers that it is of: what a slow slave, or a slow road to it (RTU
// over TCP), says to one request looks like the answer to the next one that reads as much. And where a request was
// repeated, the answer taken may be that to the first try, and another one follows.
type late struct {
	pdu   []byte
	times int
	until time.Time
}

// owe notes how an exchange ended. A slave answers in the order in which it was asked: one that answered something else
// owes nothing any more.
func (r *RTU) owe(unit byte, pdu []byte, timeout time.Duration, err error) {
	l, some := r.late[unit]
	again := some && bytes.Equal(l.pdu, pdu)
	switch {
	case errors.Is(err, ErrTimeout) || errors.Is(err, ErrFrame):
		if !again {
			l = late{pdu: bytes.Clone(pdu)}
		}
		l.times++
	case err == nil && again && !r.o.Prompt: // of whichever try it was
	case err == nil:
		delete(r.late, unit)
		return
	default:
		return
	}
	l.until = time.Now().Add(timeout)
	r.late[unit] = l
}

// overdue waits for late answers that could be taken for one to this request, as long again as for an answer. What has
// come of any is thrown away by silence.
func (r *RTU) overdue(ctx context.Context, port Port, unit byte, pdu []byte) error {
	now := time.Now()
	for u, x := range r.late {
		r.dirty = true
		if !x.until.After(now) {
			delete(r.late, u)
		}
	}
	l, some := r.late[unit]
	if !some || !alike(l.pdu, pdu) || r.o.Prompt {
		return nil
	}
	for junk := [64]byte{}; l.times > 0; {
		left := time.Until(l.until)
		if left <= 0 {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.read(port, junk[:], min(left, pollSlice))
		if err != nil {
			return err
		}
		if n > 0 {
			l.times, r.dirty = l.times-1, true
			if err := r.silence(ctx, port); err != nil {
				return err
			}
		}
	}
	delete(r.late, unit)
	return nil
}

// alike reports whether an answer to the request a could pass for one to b, another request.
func alike(a, b []byte) bool {
	if a[0] != b[0] || bytes.Equal(a, b) {
		return false
	}
	switch a[0] {
	case funcReadCoils, funcReadDiscrete:
		return len(a) < 5 || len(b) < 5 || (be.Uint16(a[3:])+7)/8 == (be.Uint16(b[3:])+7)/8
	case funcReadHolding, funcReadInput:
		return len(a) < 5 || len(b) < 5 || be.Uint16(a[3:]) == be.Uint16(b[3:])
	case funcWriteCoil, funcWriteRegister, funcMaskWrite, funcDiagnostics: // the answer repeats the request
		return false
	case funcWriteCoils, funcWriteRegisters: // its address and count
		return len(a) < 5 || len(b) < 5 || bytes.Equal(a[:5], b[:5])
	}
	return true
}
