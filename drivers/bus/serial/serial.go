// Package serial is the port layer under every driver that speaks over a UART or a USB adapter.
//
// A Port belongs to one process at a time, knows stable names, ends every read and write by its time-out, its context
// or Close, and survives its cable: once a device is unplugged every operation says ErrLost, and Connect opens it
// again when it is back. It works on file descriptors and the Go poller, so that no operation ever leaves a
// goroutine behind; nothing is opened, listed or reconfigured but the one device that was asked for.
package serial

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Errors that callers tell apart.
var (
	ErrConfig      = errors.New("bad serial port configuration")
	ErrBusy        = errors.New("serial port is in use")
	ErrAbsent      = errors.New("serial port does not exist")
	ErrLost        = errors.New("serial port is not connected") // unplugged, or Connect was not called
	ErrTimeout     = errors.New("serial port: no data in time")
	ErrClosed      = errors.New("serial port is closed")
	ErrUnsupported = errors.New("not supported by this serial port")
)

// Parity of each character.
type Parity byte

// The parities; the zero value is none.
const (
	ParityNone Parity = iota
	ParityOdd
	ParityEven
	ParityMark
	ParitySpace
)

// RS485 lets the kernel's driver switch the transmitter with the RTS line (struct serial_rs485 of linux/serial.h).
// USB adapters that switch by themselves need none of it and answer ErrUnsupported.
type RS485 struct {
	RTSOnSend    bool          // level of RTS while sending
	RTSAfterSend bool          // and while not; must differ
	BeforeSend   time.Duration // rounded to ms, at most 1 s
	AfterSend    time.Duration
	ReceiveOwn   bool // hear what is sent
}

// Line is a modem line that a port drives; on many boards one of them resets the device.
type Line int

// The lines.
const (
	DTR Line = iota
	RTS
)

func (l Line) String() string {
	if l == DTR {
		return "DTR"
	}
	return "RTS"
}

// Options describe a port. Only Device is required.
type Options struct {
	Device   string // a path; /dev/serial/by-id/... keeps its meaning when adapters are plugged elsewhere
	Baud     int    // 50 to 4,000,000, any value that the hardware can make; default 9600
	DataBits int    // 5 to 8, default 8
	Parity   Parity
	StopBits int // 1 or 2, default 1
	// ReadTimeout ends a Read that got nothing and WriteTimeout a Write that was not taken; default 1 s, at most 1 min.
	ReadTimeout, WriteTimeout time.Duration
	RS485                     *RS485
	DTR, RTS                  *bool // levels to set on opening; nil leaves what opening the device makes of them
	// SetLine replaces the modem lines, for boards that wire a reset to a GPIO and for ports without lines (ptys).
	SetLine    func(Line, bool) error
	LowLatency bool   // ask a USB adapter to deliver at once (FTDI: 1 ms in place of 16); ignored where unknown
	LockDir    string // where other programs leave LCK..NAME files, default /run/lock; they are respected, not written
}

func (o Options) withDefaults() Options {
	if o.Baud == 0 {
		o.Baud = defaultBaud
	}
	if o.DataBits == 0 {
		o.DataBits = 8
	}
	if o.StopBits == 0 {
		o.StopBits = 1
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = defaultTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = defaultTimeout
	}
	if o.LockDir == "" {
		o.LockDir = "/run/lock"
	}
	return o
}

// Validate checks what can be checked without the device; the error wraps ErrConfig.
func (o Options) Validate() error {
	o = o.withDefaults()
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, a...))
	}
	switch {
	case o.Device == "":
		return bad("no device: want a path such as /dev/serial/by-id/usb-...")
	case !filepath.IsAbs(o.Device):
		return bad("device %q is not an absolute path", o.Device)
	case o.Baud < MinBaud || o.Baud > MaxBaud:
		return bad("baud %d, want %d to %d", o.Baud, MinBaud, MaxBaud)
	case o.DataBits < 5 || o.DataBits > 8:
		return bad("%d data bits, want 5 to 8", o.DataBits)
	case o.StopBits < 1 || o.StopBits > 2:
		return bad("%d stop bits, want 1 or 2", o.StopBits)
	case o.Parity > ParitySpace:
		return bad("parity %d is not known", o.Parity)
	case o.ReadTimeout < 0 || o.ReadTimeout > maxTimeout || o.WriteTimeout < 0 || o.WriteTimeout > maxTimeout:
		return bad("time-outs %s and %s, want up to %s", o.ReadTimeout, o.WriteTimeout, maxTimeout)
	}
	if r := o.RS485; r != nil {
		if r.RTSOnSend == r.RTSAfterSend {
			return bad("RS-485 needs another level of RTS while sending than after")
		}
		if r.BeforeSend < 0 || r.BeforeSend > maxRS485Delay || r.AfterSend < 0 || r.AfterSend > maxRS485Delay {
			return bad("RS-485 delays %s and %s, want up to %s", r.BeforeSend, r.AfterSend, maxRS485Delay)
		}
	}
	return nil
}

// CharTime is how long one character takes on the line: start, data, parity and stop bits.
func (o Options) CharTime() time.Duration {
	o = o.withDefaults()
	bits := 1 + o.DataBits + o.StopBits
	if o.Parity != ParityNone {
		bits++
	}
	return time.Duration(bits) * time.Second / time.Duration(o.Baud)
}
