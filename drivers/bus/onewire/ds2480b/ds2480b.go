// Package ds2480b is a 1-Wire master with the serial line driver DS2480B: DS9097U, LinkUSB and most "USB to 1-Wire"
// adapters. It uses the chip's search accelerator and its strong pull-up.
//
// Sources: DS2480B datasheet (19-5047), Maxim application note 192.
package ds2480b

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// Options of a master. Port.Baud is the speed to work at: 9600 (default), 19200, 57600 or 115200. At 9600 the host
// cannot overrun the chip, which takes as long for a byte on the wire; above, batches are bounded.
type Options struct {
	Port serial.Options
}

// baudCodes are the values of parameter 7.
var baudCodes = [...]int{9600, 19200, 57600, 115200}

const (
	modeData    = 0xe1
	modeCommand = 0xe3
	stopPulse   = 0xf1
	pulse       = 0xed
	reset       = 0xc5 // at flexible speed, as are all below
	searchOn    = 0xb5
	searchOff   = 0xa5
	singleBit   = 0x85
	bitOne      = 0x10
	bitPower    = 0x02

	settle     = 5 * time.Millisecond
	breakTime  = 20 * time.Millisecond
	syncWait   = 100 * time.Millisecond
	slack      = 500 * time.Millisecond // for USB and a loaded host, on top of the time of the bytes
	batch      = 48                     // bytes on their way at once
	resetTime  = 6 * time.Millisecond   // of a reset on a shorted bus, at most
	maxInitial = 8
)

// Bus is a master on one port.
type Bus struct {
	port   *serial.Port
	baud   int
	ready  bool // the chip is in command mode at the speed of the port
	strong bool // a strong pull-up runs
	out    []byte
	in     []byte
}

// New checks the options. The port is opened by the first transaction, and again after its cable was pulled.
func New(o Options) (*Bus, error) {
	if o.Port.Baud == 0 {
		o.Port.Baud = 9600
	}
	baud := o.Port.Baud
	if code(baud) < 0 {
		return nil, fmt.Errorf("%w: a DS2480B works at 9600, 19200, 57600 or 115200 baud, not %d", serial.ErrConfig, baud)
	}
	o.Port.Baud, o.Port.LowLatency = 9600, true
	p, err := serial.New(o.Port)
	if err != nil {
		return nil, err
	}
	return &Bus{port: p, baud: baud}, nil
}

func code(baud int) int {
	for i, b := range baudCodes {
		if b == baud {
			return i
		}
	}
	return -1
}

// Close makes a running transaction return.
func (b *Bus) Close() error { return b.port.Close() }

// Tx implements onewire.Bus. The whole transaction goes out at once where it is short, so that the latency of a USB
// adapter counts once.
func (b *Bus) Tx(ctx context.Context, w, r []byte, power onewire.Pullup) error {
	if len(w)+len(r) > onewire.MaxTx || power == onewire.StrongPullup && (len(w) == 0 || len(r) > 0) {
		return fmt.Errorf("%w: transaction of %d and %d bytes", onewire.ErrBus, len(w), len(r))
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	slots := w
	if power == onewire.StrongPullup {
		slots = w[:len(w)-1]
	}
	n := len(slots) + len(r)
	b.in = append(b.in[:0], make([]byte, n)...)
	if err := b.reset(ctx, slots, b.in); err != nil {
		return err
	}
	for i, c := range slots {
		if b.in[i] != c {
			return fmt.Errorf("%w: wrote %02x, the wire had %02x", onewire.ErrBus, c, b.in[i])
		}
	}
	copy(r, b.in[len(slots):])
	if power == onewire.StrongPullup {
		return b.powerByte(ctx, w[len(w)-1])
	}
	return nil
}

// reset resets the bus and does len(in) bytes of slots: those of w, then reading ones.
func (b *Bus) reset(ctx context.Context, w, in []byte) error {
	b.out = append(b.out[:0], reset)
	if len(in) > 0 {
		b.out = append(b.out, modeData)
	}
	answer := make([]byte, 1+len(in))
	got := 0
	want := 1
	for i := range in {
		c := byte(0xff)
		if i < len(w) {
			c = w[i]
		}
		if b.out = append(b.out, c); c == modeCommand {
			b.out = append(b.out, c)
		}
		want++
		if i == len(in)-1 {
			b.out = append(b.out, modeCommand)
		} else if len(b.out) < batch {
			continue
		}
		if err := b.exchange(ctx, answer[got:want]); err != nil {
			return err
		}
		got = want
		b.out = b.out[:0]
	}
	if got == 0 {
		if err := b.exchange(ctx, answer[:1]); err != nil {
			return err
		}
	}
	if err := b.presence(answer[0]); err != nil {
		return err
	}
	copy(in, answer[1:])
	return nil
}

func (b *Bus) presence(answer byte) error {
	if answer&0xe0 != 0xc0 {
		return b.lost(fmt.Errorf("answer %02x to a reset", answer))
	}
	switch answer & 3 {
	case 0:
		return onewire.ErrShorted
	case 3:
		return onewire.ErrNoDevices
	}
	return nil
}

// powerByte writes a byte as eight single bits, the last of which starts the strong pull-up.
func (b *Bus) powerByte(ctx context.Context, c byte) error {
	b.out = b.out[:0]
	for i := range 8 {
		bit := byte(singleBit)
		if c>>i&1 != 0 {
			bit |= bitOne
		}
		if i == 7 {
			bit |= bitPower
		}
		b.out = append(b.out, bit)
	}
	var answer [8]byte
	if err := b.exchange(ctx, answer[:]); err != nil {
		return err
	}
	b.strong = true
	for i, a := range answer {
		if a&0xe0 != 0x80 {
			return b.lost(fmt.Errorf("answer %02x to a bit", a))
		}
		if a&1 != c>>i&1 {
			return fmt.Errorf("%w: wrote bit %d, the wire had %d", onewire.ErrBus, c>>i&1, a&1)
		}
	}
	return nil
}

// Search implements onewire.Bus with the search accelerator: 16 bytes out and in for the 192 slots of a pass.
func (b *Bus) Search(ctx context.Context, alarm bool) ([]onewire.Address, error) {
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	return onewire.SearchAll(ctx, alarm, b.pass)
}

func (b *Bus) pass(ctx context.Context, command byte, path onewire.Address) (rom, differ onewire.Address, err error) {
	b.out = append(b.out[:0], reset, modeData, command, modeCommand, searchOn, modeData)
	var taken [16]byte
	for i := range 64 {
		taken[i/4] |= byte(path>>i&1) << (i%4*2 + 1)
	}
	for _, c := range taken {
		if b.out = append(b.out, c); c == modeCommand {
			b.out = append(b.out, c)
		}
	}
	b.out = append(b.out, modeCommand, searchOff)
	var answer [18]byte
	if err := b.exchange(ctx, answer[:]); err != nil {
		return 0, 0, err
	}
	if err := b.presence(answer[0]); err != nil {
		return 0, 0, err
	}
	if answer[1] != command {
		return 0, 0, fmt.Errorf("%w: wrote %02x, the wire had %02x", onewire.ErrBus, command, answer[1])
	}
	for i := range 64 {
		pair := answer[2+i/4] >> (i % 4 * 2)
		differ |= onewire.Address(pair&1) << i
		rom |= onewire.Address(pair>>1&1) << i
	}
	if differ == ^onewire.Address(0) {
		rom = ^onewire.Address(0) // nobody answered: the accelerator reports a conflict in every bit
	}
	return rom, differ, nil
}

// prepare opens the port and finds the chip if need be, and ends a strong pull-up.
func (b *Bus) prepare(ctx context.Context) error {
	fresh, err := b.port.Connect(ctx)
	if err != nil {
		return b.failed(err)
	}
	if fresh {
		b.ready = false
	}
	if !b.ready {
		if err := b.sync(ctx); err != nil {
			return err
		}
	}
	if !b.strong {
		return nil
	}
	// AN 192, owLevel: the end of this pulse, then one without pull-up to disarm.
	b.out = append(b.out[:0], stopPulse, pulse, stopPulse)
	var answer [2]byte
	if err := b.exchange(ctx, answer[:]); err != nil {
		return err
	}
	b.strong = false
	if answer[0]&0xe0 != 0xe0 || answer[1]&0xe0 != 0xe0 {
		return b.lost(fmt.Errorf("answer % x to the end of a pulse", answer))
	}
	return nil
}

// exchange writes b.out and reads len(in) bytes.
func (b *Bus) exchange(ctx context.Context, in []byte) error {
	if _, err := b.port.Write(ctx, b.out); err != nil {
		return b.failed(err)
	}
	n := len(b.out) + len(in)
	limit := slack + resetTime + time.Duration(n)*20*time.Second/time.Duration(b.port.Baud())
	if _, err := b.port.ReadFull(ctx, in, limit); err != nil {
		return b.failed(err)
	}
	return nil
}

// lost makes the next transaction look for the chip again.
func (b *Bus) lost(err error) error {
	b.ready = false
	return fmt.Errorf("%w: DS2480B on %s: %w", onewire.ErrAdapter, b.port.Name(), err)
}

func (b *Bus) failed(err error) error {
	b.ready = false
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, serial.ErrClosed) {
		return err
	}
	return b.lost(err)
}
