// Package netlink is a 1-Wire master in the kernel (w1-gpio, DS2482, DS2490), spoken to over its netlink connector
// through periph.io. It needs CAP_NET_ADMIN and has no strong pull-up. Wrap makes a bus of any periph.io 1-Wire bus.
package netlink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"periph.io/x/conn/v3/onewire"
	kernel "periph.io/x/host/v3/netlink"

	own "github.com/edgelog/edgelog/drivers/bus/onewire"
)

var (
	errClosed = errors.New("1-Wire bus is closed")
	// ErrHung says that an earlier transaction has not returned.
	ErrHung = errors.New("an earlier 1-Wire transaction has not returned")
)

// Open opens the kernel's master with that number (1 for w1_bus_master1).
func Open(master uint32) (*Bus, error) {
	b, err := kernel.New(master)
	if err != nil {
		return nil, fmt.Errorf("%w: open 1-Wire master %d: %w (is the kernel's 1-Wire netlink there, and CAP_NET_ADMIN?)",
			own.ErrAdapter, master, err)
	}
	return Wrap(b), nil
}

// Bus is a periph.io bus with contexts. A call that hangs in the kernel is left behind, one at most, and the bus says
// so until it returns.
type Bus struct {
	bus    onewire.BusCloser
	closed chan struct{}

	mu      sync.Mutex
	running bool // a call into bus
	shut    bool
}

// Wrap takes over bus: it is closed by Close, or after a call that still runs has returned.
func Wrap(bus onewire.BusCloser) *Bus { return &Bus{bus: bus, closed: make(chan struct{})} }

// Close makes a running call return. It is idempotent.
func (b *Bus) Close() error {
	b.mu.Lock()
	first, idle := !b.shut, !b.running
	b.shut = true
	if first {
		close(b.closed)
	}
	b.mu.Unlock()
	if first && idle {
		return b.bus.Close()
	}
	return nil
}

func (b *Bus) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.shut:
		return errClosed
	case b.running:
		return fmt.Errorf("%w: %w", own.ErrAdapter, ErrHung)
	}
	b.running = true
	return nil
}

func (b *Bus) end() {
	b.mu.Lock()
	b.running = false
	shut := b.shut
	b.mu.Unlock()
	if shut {
		_ = b.bus.Close() // Close has returned long ago
	}
}

// call runs f and waits for it. With left, f may still run: nothing that it writes may be read.
func (b *Bus) call(ctx context.Context, f func() error) (left bool, err error) {
	if err := ctx.Err(); err != nil {
		return true, err
	}
	if err := b.begin(); err != nil {
		return true, err
	}
	done := make(chan error, 1)
	go func() { // joined below, or left behind in the kernel
		err := f()
		b.end()
		done <- err
	}()
	select {
	case err := <-done:
		return false, err
	case <-b.closed:
		return true, errClosed
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// Tx implements own.Bus.
func (b *Bus) Tx(ctx context.Context, w, r []byte, power own.Pullup) error {
	out, in := append([]byte(nil), w...), make([]byte, len(r)) // they outlive this call if it hangs
	left, err := b.call(ctx, func() error { return b.bus.Tx(out, in, onewire.Pullup(power)) })
	if err != nil {
		return translate(left, err)
	}
	copy(r, in)
	return nil
}

// Search implements own.Bus.
func (b *Bus) Search(ctx context.Context, alarm bool) ([]own.Address, error) {
	found := new([]onewire.Address)
	left, err := b.call(ctx, func() (err error) {
		*found, err = b.bus.Search(alarm)
		return err
	})
	if left {
		return nil, err
	}
	var out []own.Address
	for _, a := range *found {
		if own.Address(a).Valid() && len(out) < own.MaxDevices {
			out = append(out, own.Address(a))
		}
	}
	return out, translate(false, err)
}

// translate gives periph's errors the names of ours.
func translate(left bool, err error) error {
	if err == nil || left {
		return err
	}
	var none onewire.NoDevicesError
	var short onewire.ShortedBusError
	var noise onewire.BusError
	switch {
	case errors.As(err, &none) && none.NoDevices():
		return fmt.Errorf("%w: %w", own.ErrNoDevices, err)
	case errors.As(err, &short) && short.IsShorted():
		return fmt.Errorf("%w: %w", own.ErrShorted, err)
	case errors.As(err, &noise) && noise.BusError():
		return fmt.Errorf("%w: %w", own.ErrBus, err)
	}
	return fmt.Errorf("%w: %w", own.ErrAdapter, err)
}
