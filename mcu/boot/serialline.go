package boot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// SerialLine is a serial port as a Line. Each mode that differs in parity opens the port anew; the speed is changed
// while it is open. It holds the port's lock until Close.
type SerialLine struct {
	o    serial.Options
	port *serial.Port
	mode Mode
	wait time.Duration
}

// NewSerialLine makes a line; nothing is opened before SetMode. Speed and parity of o do not count.
func NewSerialLine(o serial.Options) *SerialLine { return &SerialLine{o: o, wait: slice} }

var errNoMode = errors.New("line has no mode yet")

// SetMode implements Line.
func (l *SerialLine) SetMode(ctx context.Context, m Mode) error {
	if l.port != nil && l.mode.Parity == m.Parity {
		if err := l.port.Drain(ctx); err != nil {
			return err
		}
		if err := l.port.SetBaud(m.Baud); err != nil {
			return err
		}
		l.mode = m
		return l.port.Discard()
	}
	if l.port != nil {
		if err := l.port.Drain(ctx); err != nil {
			return err
		}
		l.port.Close()
		l.port = nil
	}
	o := l.o
	o.Baud, o.Parity = m.Baud, m.Parity
	p, err := serial.New(o)
	if err != nil {
		return err
	}
	if _, err := p.Connect(ctx); err != nil {
		p.Close()
		return fmt.Errorf("open line: %w", err)
	}
	l.port, l.mode = p, m
	return l.port.Discard()
}

// SetReadTimeout implements Line.
func (l *SerialLine) SetReadTimeout(d time.Duration) error { l.wait = d; return nil }

// Read implements Line.
func (l *SerialLine) Read(b []byte) (int, error) {
	if l.port == nil {
		return 0, errNoMode
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.wait)
	defer cancel()
	n, err := l.port.Read(ctx, b)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, serial.ErrTimeout) {
		err = nil
	}
	return n, err
}

// Write implements Line.
func (l *SerialLine) Write(b []byte) (int, error) {
	if l.port == nil {
		return 0, errNoMode
	}
	return l.port.Write(context.Background(), b)
}

// Pulse drives a modem line of the port to the level for d and back, for boards that wire it to reset or supply.
func (l *SerialLine) Pulse(ctx context.Context, line serial.Line, level bool, d time.Duration) error {
	if l.port == nil {
		return errNoMode
	}
	if err := l.port.SetLine(line, level); err != nil {
		return err
	}
	err := pause(ctx, d)
	return errors.Join(err, l.port.SetLine(line, !level))
}

// Set drives a modem line of the port.
func (l *SerialLine) Set(line serial.Line, level bool) error {
	if l.port == nil {
		return errNoMode
	}
	return l.port.SetLine(line, level)
}

// Close gives the port back.
func (l *SerialLine) Close() error {
	if l.port == nil {
		return nil
	}
	p := l.port
	l.port = nil
	return p.Close()
}
