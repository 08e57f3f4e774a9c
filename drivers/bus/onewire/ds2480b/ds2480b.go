// Package ds2480b is a 1-Wire master with the serial line driver DS2480B: DS9097U, LinkUSB and most "USB to 1-Wire"
// adapters. It uses the chip's search accelerator and its strong pull-up.
//
// The chip holds one byte beside the one that it turns into slots; what comes faster is lost (datasheet p. 22). So a
// stream of bytes goes out whole only where a character lasts longer than eight slots, and otherwise two at a time.
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

// Options of a master. Port.Baud is the speed to work at: 9600, 19200, 57600 or 115200. With 0 the master chooses:
// 115200 behind a UART that answers at once, else 19200 with two stop bits, and 9600 once that has failed.
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
)

// Bus is a master on one port.
type Bus struct {
	port   *serial.Port
	auto   bool // the speed is the master's to choose
	baud   int  // to work at
	stop   int  // stop bits at that speed
	fails  int  // of the adapter, while it worked at a speed chosen
	ready  bool // the chip is in command mode at the speed of the port
	strong bool // a strong pull-up runs
	line   line
	in     []byte
	one    [1]onewire.Transaction
}

// New checks the options. The port is opened by the first transaction, and again after its cable was pulled.
func New(o Options) (*Bus, error) {
	b := &Bus{auto: o.Port.Baud == 0, baud: o.Port.Baud, stop: 1}
	if b.auto {
		b.baud = fastest
	}
	if code(b.baud) < 0 {
		return nil, fmt.Errorf("%w: a DS2480B works at 9600, 19200, 57600 or 115200 baud, not %d", serial.ErrConfig, b.baud)
	}
	o.Port.Baud, o.Port.LowLatency = 9600, true
	p, err := serial.New(o.Port)
	if err != nil {
		return nil, err
	}
	b.port = p
	return b, nil
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

// Tx implements onewire.Bus. The whole transaction goes out at once where the speed allows, so that the latency of a
// USB adapter counts once.
func (b *Bus) Tx(ctx context.Context, w, r []byte, power onewire.Pullup) error {
	strong := power == onewire.StrongPullup
	if strong && (len(w) == 0 || len(r) > 0) {
		return fmt.Errorf("%w: strong pull-up behind %d bytes written and %d read", onewire.ErrBus, len(w), len(r))
	}
	b.one[0] = onewire.Transaction{W: w, R: r}
	if strong {
		b.one[0].W = w[:len(w)-1]
	}
	if err := b.TxBatch(ctx, b.one[:]); err != nil {
		return err
	}
	if b.one[0].Err != nil || !strong {
		return b.one[0].Err
	}
	return b.powerByte(ctx, w[len(w)-1])
}

// TxBatch implements onewire.Batcher.
func (b *Bus) TxBatch(ctx context.Context, ts []onewire.Transaction) error {
	for i := range ts {
		if n := len(ts[i].W) + len(ts[i].R); n > onewire.MaxTx {
			return fmt.Errorf("%w: transaction of %d bytes", onewire.ErrBus, n)
		}
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for len(ts) > 0 {
		n, answers := 0, 0
		b.line.clear()
		for n < len(ts) && (n == 0 || len(b.line.out) < batch) {
			b.line.transaction(&ts[n])
			answers += 1 + len(ts[n].W) + len(ts[n].R)
			n++
		}
		b.in = append(b.in[:0], make([]byte, answers)...)
		if err := b.exchange(ctx, b.in); err != nil {
			return err
		}
		in := b.in
		for i := range ts[:n] {
			t := &ts[i]
			slots := in[1 : 1+len(t.W)+len(t.R)]
			if t.Err = b.presence(in[0]); t.Err == nil {
				t.Err = written(t.W, slots)
			}
			copy(t.R, slots[len(t.W):])
			if errors.Is(t.Err, onewire.ErrAdapter) {
				return t.Err
			}
			in = in[1+len(slots):]
		}
		ts = ts[n:]
	}
	return nil
}

// written compares what was to be written with what the wire had.
func written(w, had []byte) error {
	for i, c := range w {
		if had[i] != c {
			return fmt.Errorf("%w: wrote %02x, the wire had %02x", onewire.ErrBus, c, had[i])
		}
	}
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
	b.line.clear()
	for i := range 8 {
		bit := byte(singleBit)
		if c>>i&1 != 0 {
			bit |= bitOne
		}
		if i == 7 {
			bit |= bitPower
		}
		b.line.ask(bit)
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
	l := &b.line
	l.clear()
	l.search = true
	l.ask(reset)
	l.tell(modeData)
	l.ask(command)
	l.tell(modeCommand, searchOn, modeData)
	var taken [16]byte
	for i := range 64 {
		taken[i/4] |= byte(path>>i&1) << (i%4*2 + 1)
	}
	for _, c := range taken {
		l.data(c)
	}
	l.tell(modeCommand, searchOff)
	var answer [18]byte
	if err := b.exchange(ctx, answer[:]); err != nil {
		return 0, 0, err
	}
	if err := b.presence(answer[0]); err != nil {
		return 0, 0, err
	}
	if err := written([]byte{command}, answer[1:]); err != nil {
		return 0, 0, err
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
		if b.auto {
			b.baud, b.stop, b.fails = fastest, 1, 0
		}
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
	b.line.clear()
	b.line.ask(stopPulse)
	b.line.tell(pulse)
	b.line.ask(stopPulse)
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

// exchange sends what stands in b.line and reads its answers, as many as in is long.
func (b *Bus) exchange(ctx context.Context, in []byte) error {
	baud := b.port.Baud()
	window := b.line.window(baud, b.stop)
	char := 11 * time.Second / time.Duration(baud)
	sent, got, at := 0, 0, 0 // at: the byte of the line behind the last one that was answered
	for {
		if end := b.line.reach(at, window); end > sent {
			if _, err := b.port.Write(ctx, b.line.out[sent:end]); err != nil {
				return b.failed(err)
			}
			sent = end
		}
		if got == len(in) {
			return nil
		}
		limit := slack + time.Duration(sent-at+1)*(char+resetTime)
		n, err := b.port.ReadWithin(ctx, in[got:], limit)
		if err != nil {
			return b.failed(err)
		}
		got += n
		at = b.line.behind(at, n)
	}
}

// lost makes the next transaction look for the chip again. A speed that this master chose is given up after some
// failures: the adapter may not keep the pauses that it is told to.
func (b *Bus) lost(err error) error {
	if b.auto && b.ready {
		if b.fails++; b.fails >= maxFails {
			b.baud, b.stop = 9600, 1
		}
	}
	b.ready = false
	return fmt.Errorf("%w: DS2480B on %s: %w", onewire.ErrAdapter, b.port.Name(), err)
}

func (b *Bus) failed(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, serial.ErrClosed) {
		b.ready = false
		return err
	}
	return b.lost(err)
}
