package onewire

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// Adapter connects a wire with a socket. Answer must not run twice at a time.
type Adapter struct {
	Socket *Socket
	wire   *Wire
	chip   func(baud int, b byte) []byte
	fresh  func() // power-on, when it is plugged in
	pace   bool
	busy   time.Time // the line and the wire are busy until then
	mute   atomic.Bool
	log    func(baud int, in, out []byte)
}

// Options of an adapter. Pace makes it as slow as the real thing: the time of each character on the serial line or of
// the slots on the wire, whichever is longer. Log sees every exchange.
type Options struct {
	Pace bool
	Log  func(baud int, in, out []byte)
}

// NewDS2480B is a DS2480B, as in a DS9097U, on the socket.
func NewDS2480B(s *Socket, w *Wire, o Options) *Adapter {
	d := &ds2480b{wire: w}
	return &Adapter{Socket: s, wire: w, chip: d.receive, fresh: func() { *d = ds2480b{wire: w} }, pace: o.Pace, log: o.Log}
}

// NewDS9097 is a passive adapter on the socket.
func NewDS9097(s *Socket, w *Wire, o Options) *Adapter {
	d := &ds9097{wire: w}
	return &Adapter{Socket: s, wire: w, chip: d.receive, fresh: func() {}, pace: o.Pace, log: o.Log}
}

// Mute makes the adapter take everything and answer nothing, like one whose chip hangs.
func (a *Adapter) Mute(on bool) { a.mute.Store(on) }

// Answer serves the adapter, which is plugged in, and returns nil when it is unplugged.
func (a *Adapter) Answer() error {
	m := a.Socket.Master()
	a.fresh()
	buf := make([]byte, 512)
	for m != nil {
		n, err := m.Read(buf)
		if err != nil {
			if errors.Is(err, os.ErrClosed) || a.Socket.Master() != m {
				return nil
			}
			return err
		}
		if a.mute.Load() {
			continue
		}
		baud := baudOf(m)
		before := a.wire.Look()
		var out []byte
		for _, b := range buf[:n] {
			out = append(out, a.chip(baud, b)...)
		}
		a.wait(baud, n, before)
		if a.log != nil {
			a.log(baud, append([]byte(nil), buf[:n]...), out)
		}
		if _, err := m.Write(out); err != nil {
			if errors.Is(err, os.ErrClosed) || a.Socket.Master() != m {
				return nil
			}
			return err
		}
	}
	return nil
}

// slotTime and resetTime are those of a DS2480B at flexible speed (datasheet table 6); a passive adapter's slot is one
// character at 115200 baud.
const (
	slotTime  = 70 * time.Microsecond
	resetTime = 1100 * time.Microsecond
)

func (a *Adapter) wait(baud, n int, before Counts) {
	if !a.pace || baud == 0 {
		return
	}
	after := a.wire.Look()
	line := time.Duration(n) * 10 * time.Second / time.Duration(baud)
	wire := time.Duration(after.Slots-before.Slots)*slotTime + time.Duration(after.Resets-before.Resets)*resetTime
	if now := time.Now(); a.busy.Before(now) {
		a.busy = now
	}
	a.busy = a.busy.Add(max(line, wire))
	time.Sleep(time.Until(a.busy))
}

// Look reads the counters of resets and slots without clearing them.
func (w *Wire) Look() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}
