package netlink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
	periph "periph.io/x/conn/v3/onewire"
	"periph.io/x/conn/v3/onewire/onewiretest"

	"github.com/edgelog/edgelog/drivers/bus/onewire"
	"github.com/edgelog/edgelog/drivers/bus/onewire/netlink"
	"github.com/edgelog/edgelog/drivers/ds18b20"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPlayback runs the thermometer's logic on a recorded periph.io session.
func TestPlayback(t *testing.T) {
	rom := onewire.NewAddress(0x28, 0x5f1c3a)
	b := rom.Bytes()
	match := append([]byte{0x55}, b[:]...)
	io := func(command byte, r []byte) onewiretest.IO {
		return onewiretest.IO{W: append(append([]byte{}, match...), command), R: r}
	}
	pad := []byte{0x57, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x09, 0x10}
	pad = append(pad, onewire.CRC8(pad))
	play := &onewiretest.Playback{Devices: []periph.Address{periph.Address(rom)}, Ops: []onewiretest.IO{
		{W: []byte{0xf0}}, io(0xb4, []byte{0xff}), io(0xbe, pad),
		{W: []byte{0xcc, 0x44}}, io(0xbe, pad),
	}}
	s, err := ds18b20.New(netlink.Wrap(play), ds18b20.Options{Conversion: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Read(t.Context(), nil)
	if err != nil || len(out) != 1 || out[0].Num != 21_4375 || !out[0].Quality.Good() {
		t.Errorf("got %+v, %v", out, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v (all of the recording must be played)", err)
	}
}

type fake struct {
	block chan struct{}
	err   error
	shut  chan struct{}
}

func (f *fake) String() string { return "fake" }
func (f *fake) Close() error   { close(f.shut); return nil }
func (f *fake) Tx(w, r []byte, _ periph.Pullup) error {
	<-f.block
	return f.err
}
func (f *fake) Search(bool) ([]periph.Address, error) {
	return []periph.Address{1, periph.Address(onewire.NewAddress(0x28, 1))}, f.err
}

func TestHang(t *testing.T) {
	f := &fake{block: make(chan struct{}), shut: make(chan struct{})}
	b := netlink.Wrap(f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Tx(ctx, []byte{1}, nil, onewire.WeakPullup); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hung: %v", err)
	}
	if err := b.Tx(t.Context(), []byte{1}, nil, onewire.WeakPullup); !errors.Is(err, netlink.ErrHung) {
		t.Errorf("after a hung one: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	close(f.block)
	<-f.shut // the call left behind closes what it used
	if err := b.Tx(t.Context(), []byte{1}, nil, onewire.WeakPullup); err == nil {
		t.Error("a closed bus works")
	}
}

type short struct{ error }

func (short) IsShorted() bool { return true }

func TestErrorsAndSearch(t *testing.T) {
	f := &fake{block: make(chan struct{}), shut: make(chan struct{}), err: short{errors.New("low")}}
	close(f.block)
	b := netlink.Wrap(f)
	defer b.Close()
	if err := b.Tx(t.Context(), nil, nil, onewire.WeakPullup); !errors.Is(err, onewire.ErrShorted) {
		t.Errorf("shorted: %v", err)
	}
	f.err = errors.New("other")
	if err := b.Tx(t.Context(), nil, nil, onewire.WeakPullup); !errors.Is(err, onewire.ErrAdapter) {
		t.Errorf("other: %v", err)
	}
	f.err = nil
	if found, err := b.Search(t.Context(), false); err != nil || len(found) != 1 || found[0].String() != "28-000000000001" {
		t.Errorf("search: %v, %v (an address with a wrong CRC is none)", found, err)
	}
}
