package ds2480b

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgelog/edgelog/drivers/bus/serial"
)

// sync brings the chip from any state into command mode at the wanted speed. A BREAK is its reset, but not every
// adapter passes one on, so that the other speeds are tried too.
func (b *Bus) sync(ctx context.Context) error {
	b.strong = false
	var err error
	for _, baud := range [...]int{9600, b.baud, 115200, 57600, 19200} {
		if err = b.find(ctx, baud); err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, serial.ErrClosed) || errors.Is(err, serial.ErrLost) {
			return b.failed(err)
		}
	}
	if err != nil {
		return b.lost(fmt.Errorf("no DS2480B answers: %w", err))
	}
	if err := b.setSpeed(ctx); err != nil {
		return b.failed(err)
	}
	if b.auto && b.baud == fastest {
		if err := b.choose(ctx); err != nil {
			return b.failed(err)
		}
	}
	// The strong pull-up lasts until it is ended.
	if err := b.expect(ctx, []byte{0x3f}, []byte{0x3e}, []byte{0xff}); err != nil {
		return b.failed(err)
	}
	b.ready = true
	return nil
}

// find asks for the chip at one speed. The commands are those of AN 192: pull-down slew rate 1.37 V/µs, write-1 low
// time 10 µs, sample offset and recovery 8 µs, read the speed, one bit.
func (b *Bus) find(ctx context.Context, baud int) error {
	if err := b.port.SetSpeed(baud, 1); err != nil {
		return err
	}
	if baud == 9600 {
		if err := b.port.Break(ctx, breakTime); err != nil && !errors.Is(err, serial.ErrUnsupported) {
			return err
		}
		if err := wait(ctx, settle); err != nil {
			return err
		}
	}
	// Out of data mode and out of a pulse; again, in case the first E3 was the second half of a doubled one; and the byte
	// that sets the timing of a chip that was just fed.
	if _, err := b.port.Write(ctx, []byte{modeCommand, stopPulse, modeCommand, stopPulse, 0xc1}); err != nil {
		return err
	}
	if err := b.port.Drain(ctx); err != nil {
		return err
	}
	if err := wait(ctx, settle+5*10*time.Second/time.Duration(baud)); err != nil {
		return err
	}
	if err := b.port.Discard(); err != nil {
		return err
	}
	speed := code(baud)
	return b.expect(ctx, []byte{0x17, 0x45, 0x5b, 0x0f, 0x91},
		[]byte{0x16, 0x44, 0x5a, byte(speed << 1), 0x90}, []byte{0xff, 0xff, 0xff, 0xff, 0xfc})
}

// choose measures the way to the chip and back at the highest speed, where the slots are what takes time as long as
// every answer is followed by the next byte at once. If the way is too long for that (USB), a speed is taken at which
// nothing has to be waited for.
func (b *Bus) choose(ctx context.Context) error {
	best := time.Hour
	for range probes {
		started := time.Now()
		if err := b.expect(ctx, []byte{0x0f}, []byte{byte(code(b.baud) << 1)}, []byte{0xff}); err != nil {
			return err
		}
		best = min(best, time.Since(started))
	}
	if best <= promptness {
		return nil
	}
	b.baud, b.stop = streaming, 2
	return b.setSpeed(ctx)
}

// setSpeed changes to the wanted speed; the answer comes at the new one, and may be lost in the change.
func (b *Bus) setSpeed(ctx context.Context) error {
	if b.port.Baud() == b.baud {
		return b.port.SetSpeed(b.baud, b.stop)
	}
	if _, err := b.port.Write(ctx, []byte{byte(0x71 | code(b.baud)<<1)}); err != nil {
		return err
	}
	if err := b.port.Drain(ctx); err != nil {
		return err
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	if err := b.port.SetSpeed(b.baud, b.stop); err != nil {
		return err
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	if err := b.port.Discard(); err != nil {
		return err
	}
	return b.expect(ctx, []byte{0x0f}, []byte{byte(code(b.baud) << 1)}, []byte{0xff})
}

// expect writes and compares the answer with want where mask has ones.
func (b *Bus) expect(ctx context.Context, write, want, mask []byte) error {
	if _, err := b.port.Write(ctx, write); err != nil {
		return err
	}
	var buf [maxInitial]byte
	got := buf[:len(want)]
	n, err := b.port.ReadFull(ctx, got, syncWait)
	if err != nil {
		return fmt.Errorf("%d of %d bytes to % x: %w", n, len(want), write, err)
	}
	for i := range got {
		if (got[i]^want[i])&mask[i] != 0 {
			return fmt.Errorf("answer % x to % x, want % x", got, write, want)
		}
	}
	return nil
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
