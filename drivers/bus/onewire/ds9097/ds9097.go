// Package ds9097 is a 1-Wire master with nothing but a UART: the passive adapter DS9097, two diodes and a resistor at
// RS-232, or an open-drain transistor at a board's TX and RX. A reset is the character F0 at 9600 baud, a slot one
// character at 115200 (Maxim application note 214).
//
// It has no strong pull-up: between transactions the line is held high by the resistor (or, with an RS-232 adapter,
// the transmitter), which feeds a few chips without supply, not many.
package ds9097

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// Options of a master. Baud, data bits, parity and stop bits of Port are set by the master.
type Options struct {
	Port serial.Options
}

const (
	baudReset = 9600
	baudSlot  = 115200
	pulse     = 0xf0
	one       = 0xff
	zero      = 0x00
	batch     = 256 // characters on their way at once: 32 bytes of the wire, a whole reading
	quiet     = 30 * time.Millisecond
	slack     = 500 * time.Millisecond
)

// Bus is a master on one port.
type Bus struct {
	port  *serial.Port
	dirty bool // echoes of a transaction that was cut short may still come
	out   []byte
	in    []byte
}

// New checks the options. The port is opened by the first transaction, and again after its cable was pulled.
func New(o Options) (*Bus, error) {
	o.Port.Baud, o.Port.DataBits, o.Port.Parity, o.Port.StopBits = baudReset, 8, serial.ParityNone, 1
	o.Port.LowLatency = true
	p, err := serial.New(o.Port)
	if err != nil {
		return nil, err
	}
	return &Bus{port: p, out: make([]byte, batch), in: make([]byte, batch)}, nil
}

// Close makes a running transaction return.
func (b *Bus) Close() error { return b.port.Close() }

// Tx implements onewire.Bus; power is not heeded.
func (b *Bus) Tx(ctx context.Context, w, r []byte, _ onewire.Pullup) error {
	if len(w)+len(r) > onewire.MaxTx {
		return fmt.Errorf("%w: transaction of %d bytes", onewire.ErrBus, len(w)+len(r))
	}
	if err := b.reset(ctx); err != nil {
		return err
	}
	return b.touch(ctx, w, r)
}

// touch writes w and reads r, 32 bytes at a time.
func (b *Bus) touch(ctx context.Context, w, r []byte) error {
	for at, n := 0, len(w)+len(r); at < n; {
		m := min(n-at, batch/8)
		for i := range m {
			c := byte(0xff)
			if at+i < len(w) {
				c = w[at+i]
			}
			for j := range 8 {
				b.out[8*i+j] = character(c >> j & 1)
			}
		}
		if err := b.exchange(ctx, 8*m); err != nil {
			return err
		}
		for i := range m {
			var c byte
			for j := range 8 {
				c |= bit(b.in[8*i+j]) << j
			}
			if at+i >= len(w) {
				r[at+i-len(w)] = c
			} else if c != w[at+i] {
				return fmt.Errorf("%w: wrote %02x, the wire had %02x", onewire.ErrBus, w[at+i], c)
			}
		}
		at += m
	}
	return nil
}

func character(bit byte) byte {
	if bit != 0 {
		return one
	}
	return zero
}

// bit is what a received character says: any low in it was a chip's.
func bit(c byte) byte {
	if c == one {
		return 1
	}
	return 0
}

// exchange sends n characters and receives as many: the line is heard while it is driven.
func (b *Bus) exchange(ctx context.Context, n int) error {
	if _, err := b.port.Write(ctx, b.out[:n]); err != nil {
		return b.failed(err)
	}
	b.dirty = true
	limit := slack + time.Duration(n)*20*time.Second/time.Duration(b.port.Baud())
	if _, err := b.port.ReadFull(ctx, b.in[:n], limit); err != nil {
		return b.failed(err)
	}
	b.dirty = false
	return nil
}

func (b *Bus) reset(ctx context.Context) error {
	if _, err := b.port.Connect(ctx); err != nil {
		return b.failed(err)
	}
	if err := b.port.SetBaud(baudReset); err != nil {
		return b.failed(err)
	}
	if b.dirty {
		if err := b.port.Drain(ctx); err != nil {
			return b.failed(err)
		}
		if err := wait(ctx, quiet); err != nil {
			return err
		}
		b.dirty = false
	}
	if err := b.port.Discard(); err != nil {
		return b.failed(err)
	}
	b.out[0] = pulse
	if err := b.exchange(ctx, 1); err != nil {
		return err
	}
	switch b.in[0] {
	case pulse:
		return onewire.ErrNoDevices
	case 0:
		return onewire.ErrShorted
	}
	if b.in[0]&0x0f != 0 {
		return fmt.Errorf("%w: answer %02x to a reset", onewire.ErrBus, b.in[0])
	}
	return b.failed(b.port.SetBaud(baudSlot))
}

// Search implements onewire.Bus. Each bit of a ROM takes two exchanges.
func (b *Bus) Search(ctx context.Context, alarm bool) ([]onewire.Address, error) {
	return onewire.SearchAll(ctx, alarm, b.pass)
}

// pass sends the direction of one bit together with the two reading slots of the next.
func (b *Bus) pass(ctx context.Context, command byte, path onewire.Address) (rom, differ onewire.Address, err error) {
	if err := b.reset(ctx); err != nil {
		return 0, 0, err
	}
	if err := b.touch(ctx, []byte{command}, nil); err != nil {
		return 0, 0, err
	}
	b.out[0], b.out[1] = one, one
	if err := b.exchange(ctx, 2); err != nil {
		return 0, 0, err
	}
	id, complement := bit(b.in[0]), bit(b.in[1])
	for i := range 64 {
		taken := id
		switch {
		case id == 1 && complement == 1: // nobody is left
			return ^onewire.Address(0), 0, nil
		case id == complement:
			taken = byte(path >> i & 1)
			differ |= 1 << i
		}
		rom |= onewire.Address(taken) << i
		n := 3
		if i == 63 {
			n = 1
		}
		b.out[0], b.out[1], b.out[2] = character(taken), one, one
		if err := b.exchange(ctx, n); err != nil {
			return 0, 0, err
		}
		if bit(b.in[0]) != taken {
			return 0, 0, fmt.Errorf("%w: wrote bit %d, the wire had %d", onewire.ErrBus, taken, bit(b.in[0]))
		}
		id, complement = bit(b.in[1]), bit(b.in[2])
	}
	return rom, differ, nil
}

func (b *Bus) failed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, serial.ErrClosed) || errors.Is(err, onewire.ErrAdapter) {
		return err
	}
	return fmt.Errorf("%w: passive adapter on %s: %w", onewire.ErrAdapter, b.port.Name(), err)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
