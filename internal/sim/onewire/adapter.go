package onewire

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// Adapter connects a wire with a socket. Answer must not run twice at a time.
type Adapter struct {
	Socket  *Socket
	wire    *Wire
	chip    func(baud int, b byte) []byte
	fresh   func() // power-on, when it is plugged in
	pace    bool
	late    time.Duration
	oneStop bool
	buffer  bool // the chip loses what comes while one byte is at work and one waits
	lost    atomic.Int64
	mute    atomic.Bool
	log     func(baud int, in, out []byte)
}

// Options of an adapter. Pace makes it as slow as the real thing: each character takes its time on the serial line, and
// a DS2480B takes that of the slots before it answers, and loses what comes faster. Log sees every exchange of an
// adapter without pace.
type Options struct {
	Pace bool
	// Latency of each answer, as USB adapters have it; OneStop is an adapter that sends one stop bit whatever it is
	// told. Both with Pace only.
	Latency time.Duration
	OneStop bool
	Log     func(baud int, in, out []byte)
}

// NewDS2480B is a DS2480B, as in a DS9097U, on the socket.
func NewDS2480B(s *Socket, w *Wire, o Options) *Adapter {
	d := &ds2480b{wire: w}
	return &Adapter{Socket: s, wire: w, chip: d.receive, fresh: func() { *d = ds2480b{wire: w} }, pace: o.Pace, late: o.Latency, oneStop: o.OneStop, buffer: true, log: o.Log}
}

// NewDS9097 is a passive adapter on the socket.
func NewDS9097(s *Socket, w *Wire, o Options) *Adapter {
	d := &ds9097{wire: w}
	return &Adapter{Socket: s, wire: w, chip: d.receive, fresh: func() {}, pace: o.Pace, late: o.Latency, oneStop: o.OneStop, log: o.Log}
}

// Lost is how many bytes came too fast for the chip.
func (a *Adapter) Lost() int { return int(a.lost.Load()) }

// Mute makes the adapter take everything and answer nothing, like one whose chip hangs.
func (a *Adapter) Mute(on bool) { a.mute.Store(on) }

// Answer serves the adapter, which is plugged in, and returns nil when it is unplugged.
func (a *Adapter) Answer() error {
	m := a.Socket.Master()
	a.fresh()
	if m == nil {
		return nil
	}
	if a.pace {
		return a.ended(m, a.answerPaced(m))
	}
	buf := make([]byte, 512)
	for {
		n, err := m.Read(buf)
		if err != nil {
			return a.ended(m, err)
		}
		if a.mute.Load() {
			continue
		}
		baud := baudOf(m)
		var out []byte
		for _, b := range buf[:n] {
			out = append(out, a.chip(baud, b)...)
		}
		if a.log != nil {
			a.log(baud, append([]byte(nil), buf[:n]...), out)
		}
		if _, err := m.Write(out); err != nil {
			return a.ended(m, err)
		}
	}
}

// ended is nil for the error of an adapter that was unplugged.
func (a *Adapter) ended(m *os.File, err error) error {
	if errors.Is(err, os.ErrClosed) || a.Socket.Master() != m {
		return nil
	}
	return err
}

// Look reads the counters of resets and slots without clearing them.
func (w *Wire) Look() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}
