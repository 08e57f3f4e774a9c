// Package modbus is a Modbus master over RTU (serial lines, also tunnelled in TCP) and over Modbus TCP.
//
// A Line carries one request at a time and brings its answer; RTU and TCP implement it. A Master turns calls into
// requests, checks that an answer fits its question, and repeats what was damaged on the way. Bytes follow "MODBUS
// Application Protocol Specification V1.1b3" and "MODBUS over Serial Line V1.02". Nothing here starts a goroutine.
//
// Addresses are those on the wire, counted from 0: register 40001 of a manual is holding register 0.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Line carries requests to slaves. Exchange may be called concurrently: requests then wait for their turn. Close may
// be called at any time and makes running exchanges return ErrClosed.
type Line interface {
	// Exchange sends one PDU (function code and data, no address, no checksum) to the unit and returns the PDU of
	// its answer, which belongs to the caller. Unit 0 is a broadcast on RTU: nothing answers, the result is nil.
	Exchange(ctx context.Context, unit byte, pdu []byte, timeout time.Duration) ([]byte, error)
	Close() error
}

// Errors of an exchange. ErrTimeout, ErrChecksum and ErrFrame are worth another try.
var (
	ErrTimeout  = errors.New("no answer in time")
	ErrChecksum = errors.New("checksum of the answer is wrong")
	ErrFrame    = errors.New("answer does not fit the request")
	ErrLine     = errors.New("line failed") // port or connection: wraps what the system said
	ErrClosed   = errors.New("modbus line is closed")
	ErrRequest  = errors.New("bad modbus request") // out of the bounds of the specification
)

// Function codes.
const (
	funcReadCoils                = 0x01
	funcReadDiscrete             = 0x02
	funcReadHolding              = 0x03
	funcReadInput                = 0x04
	funcWriteCoil                = 0x05
	funcWriteRegister            = 0x06
	funcExceptionStatus          = 0x07
	funcDiagnostics              = 0x08
	funcWriteCoils               = 0x0f
	funcWriteRegisters           = 0x10
	funcReportServerID           = 0x11
	funcReadFile                 = 0x14
	funcMaskWrite                = 0x16
	funcReadWriteRegisters       = 0x17
	funcReadFIFO                 = 0x18
	funcEncapsulated             = 0x2b
	meiDeviceIdentification      = 0x0e
	exceptionBit            byte = 0x80
)

// Exception is the answer of a slave that refuses a request.
type Exception struct {
	Function byte // of the request
	Code     byte
}

// Exception codes.
const (
	IllegalFunction    = 1
	IllegalAddress     = 2
	IllegalValue       = 3
	DeviceFailure      = 4
	Acknowledge        = 5
	DeviceBusy         = 6
	NegativeAck        = 7
	MemoryParity       = 8
	GatewayUnavailable = 10
	GatewayNoAnswer    = 11
)

func (e *Exception) Error() string {
	text := ""
	switch e.Code {
	case IllegalFunction:
		text = "illegal function"
	case IllegalAddress:
		text = "illegal data address"
	case IllegalValue:
		text = "illegal data value"
	case DeviceFailure:
		text = "device failure"
	case Acknowledge:
		text = "acknowledge: it needs long"
	case DeviceBusy:
		text = "device busy"
	case NegativeAck:
		text = "negative acknowledge"
	case MemoryParity:
		text = "memory parity error"
	case GatewayUnavailable:
		text = "gateway path unavailable"
	case GatewayNoAnswer:
		text = "gateway: the device does not answer"
	default:
		text = "unknown"
	}
	return fmt.Sprintf("exception %d (%s) to function %#02x", e.Code, text, e.Function)
}

// MasterOptions tune a Master; the zero value works.
type MasterOptions struct {
	Timeout time.Duration // for one answer, default 1 s, at most MaxTimeout
	Retries int           // repeats after time-out or damage, default 2, at most MaxRetries; -1: none
}

// Master asks slaves. Its methods may be called concurrently. Writes are repeated too: every write function of Modbus
// sets a value, so that a repeated one does no harm; ReadFIFO takes from a queue in no device that follows the
// specification.
type Master struct {
	line Line
	o    MasterOptions
}

// NewMaster makes a master; the line stays the caller's to close.
func NewMaster(l Line, o MasterOptions) *Master {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	o.Timeout = min(o.Timeout, MaxTimeout)
	switch {
	case o.Retries == 0:
		o.Retries = defaultRetries
	case o.Retries < 0:
		o.Retries = 0
	}
	o.Retries = min(o.Retries, MaxRetries)
	return &Master{l, o}
}

// Probe asks once, without repeats: for slaves that were silent the last time.
func (m *Master) Probe() *Master {
	o := m.o
	o.Retries = 0
	return &Master{m.line, o}
}

// ask sends a request, repeats it while that may help, and returns the data behind the function code.
func (m *Master) ask(ctx context.Context, unit byte, pdu []byte) ([]byte, error) {
	if len(pdu) == 0 || len(pdu) > MaxPDU {
		return nil, fmt.Errorf("%w: PDU of %d bytes", ErrRequest, len(pdu))
	}
	for try := 0; ; try++ {
		answer, err := m.line.Exchange(ctx, unit, pdu, m.o.Timeout)
		if err == nil {
			if answer == nil && unit == 0 {
				return nil, nil // a broadcast
			}
			answer, err = checkAnswer(pdu[0], answer)
			if err == nil {
				return answer, nil
			}
		}
		var refused *Exception
		again := errors.Is(err, ErrTimeout) || errors.Is(err, ErrChecksum) || errors.Is(err, ErrFrame) ||
			errors.As(err, &refused) && refused.Code == DeviceBusy
		if !again || try >= m.o.Retries || ctx.Err() != nil {
			return nil, err
		}
	}
}

// checkAnswer takes the function code off an answer, or makes an exception of it.
func checkAnswer(function byte, answer []byte) ([]byte, error) {
	switch {
	case len(answer) == 2 && answer[0] == function|exceptionBit:
		return nil, &Exception{function, answer[1]}
	case len(answer) == 0 || answer[0] != function:
		return nil, fmt.Errorf("%w: function %#x asked, % x came", ErrFrame, function, answer[:min(len(answer), 8)])
	}
	return answer[1:], nil
}
