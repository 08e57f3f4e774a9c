package page

import (
	"net"
	"net/netip"
	"sync"
)

// limited accepts a bounded number of connections, and of them a bounded number from one address. Others are closed at
// once: waiting in the kernel's queue would let those who hold connections keep everybody out.
type limited struct {
	net.Listener

	mu   sync.Mutex // guards what follows
	all  int
	from map[netip.Prefix]int
}

func limit(l net.Listener) *limited { return &limited{Listener: l, from: map[netip.Prefix]int{}} }

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who := neighbour(c.RemoteAddr())
		if !l.enter(who) {
			c.Close()
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetWriteBuffer(writeBuffer) // an error leaves the kernel's own bound
		}
		return &conn{Conn: c, leave: sync.OnceFunc(func() { l.leave(who) })}, nil
	}
}

// neighbour is the address, of IPv6 its /64: who has one has all of them.
func neighbour(a net.Addr) netip.Prefix {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (l *limited) enter(who netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= MaxConnections || l.from[who] >= MaxFromOne {
		return false
	}
	l.all++
	l.from[who]++
	return true
}

func (l *limited) leave(who netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[who]--; l.from[who] == 0 {
		delete(l.from, who)
	}
}

type conn struct {
	net.Conn
	leave func()
}

func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}
