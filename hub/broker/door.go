package broker

import (
	"errors"
	"net"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// door is one listener of the server. Its Close ends every connection that came through it by itself: the server's own
// way (Clients.GetByListener) takes one read lock twice, which locks up for ever when a client leaves between the two,
// and it overlooks a connection that has not become a client yet, for whose end the server then waits.
type door struct {
	*listeners.Net
	server  *mochi.Server
	patient *patient
}

// Close replaces what the server would do to the listener's clients.
func (d *door) Close(listeners.CloseFn) {
	d.Net.Close(d.disconnect)
	d.patient.closeAll()
}

func (d *door) disconnect(id string) {
	for _, cl := range d.server.Clients.GetAll() {
		if cl.Net.Listener == id && !cl.Closed() {
			// The connection is closed below whatever becomes of the goodbye.
			_ = d.server.DisconnectClient(cl, packets.ErrServerShuttingDown)
		}
	}
}

// patient gives each connection a time within which it must have said CONNECT; the server sets the deadlines after.
// The server stops to accept at the first error, so passing ones (too many open files) are waited out here.
type patient struct {
	net.Listener
	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (p *patient) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err == nil {
			// A connection on which this fails is broken, and its first read says so.
			_ = c.SetDeadline(time.Now().Add(connectTime))
			return p.keep(c), nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		time.Sleep(acceptRetry)
	}
}

// keep remembers c until it is closed. After closeAll it is closed at once, and its first read says so.
func (p *patient) keep(c net.Conn) net.Conn {
	k := &kept{Conn: c, from: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
	} else {
		p.open[k] = struct{}{}
	}
	return k
}

func (p *patient) closeAll() {
	p.mu.Lock()
	p.closed = true
	open := p.open
	p.open = nil
	p.mu.Unlock()
	for c := range open {
		c.Close()
	}
}

type kept struct {
	net.Conn
	from *patient
}

func (k *kept) Close() error {
	k.from.mu.Lock()
	delete(k.from.open, k)
	k.from.mu.Unlock()
	return k.Conn.Close()
}
