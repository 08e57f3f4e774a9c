package onewire

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	periph "periph.io/x/conn/v3/onewire"
)

// Direct is a master without any adapter, in the form of periph.io's bus: the kernel's, as netlink shows it. With pace
// each call takes the time of its slots.
type Direct struct {
	wire *Wire
	pace bool
}

// NewDirect is a master on the wire.
func NewDirect(w *Wire, pace bool) *Direct { return &Direct{w, pace} }

func (d *Direct) String() string { return "simulated 1-Wire master" }

// Close does nothing: the wire is the test's.
func (d *Direct) Close() error { return nil }

// noDevices and shorted are errors as periph.io tells them apart.
type noDevices struct{ error }

func (noDevices) NoDevices() bool { return true }

type isShorted struct{ error }

func (isShorted) IsShorted() bool { return true }

var (
	errNobody  = noDevices{errors.New("no presence pulse")}
	errShorted = isShorted{errors.New("line is shorted")}
)

func (d *Direct) reset() error {
	switch d.wire.reset() {
	case stuckLow:
		return errShorted
	case nobody:
		return errNobody
	}
	return nil
}

// timed runs f and returns when its slots would be over.
func (d *Direct) timed(f func() error) error {
	if !d.pace {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	started, before := time.Now(), d.wire.Look()
	err := f()
	after := d.wire.Look()
	sleepUntil(started.Add(time.Duration(after.Slots-before.Slots)*SlotTime + time.Duration(after.Resets-before.Resets)*ResetTime))
	return err
}

// Tx implements onewire.Bus of periph.io.
func (d *Direct) Tx(w, r []byte, power periph.Pullup) error {
	return d.timed(func() error {
		if err := d.reset(); err != nil {
			return err
		}
		for _, b := range w {
			if got := d.wire.touch(b); got != b {
				return fmt.Errorf("wrote %02x, the wire had %02x", b, got)
			}
		}
		for i := range r {
			r[i] = d.wire.touch(0xff)
		}
		if power == periph.StrongPullup {
			d.wire.strongPullup()
		}
		return nil
	})
}

// Search implements onewire.Bus of periph.io.
func (d *Direct) Search(alarm bool) (found []periph.Address, err error) {
	err = d.timed(func() error {
		found, err = periph.Search(d, alarm)
		return err
	})
	return found, err
}

// SearchTriplet implements onewire.BusSearcher of periph.io.
func (d *Direct) SearchTriplet(direction byte) (periph.TripletResult, error) {
	id, complement := d.wire.slot(1), d.wire.slot(1)
	tr := periph.TripletResult{GotZero: id == 0, GotOne: complement == 0}
	switch {
	case tr.GotZero && tr.GotOne:
		tr.Taken = direction
	case tr.GotOne:
		tr.Taken = 1
	}
	d.wire.slot(tr.Taken)
	return tr, nil
}
